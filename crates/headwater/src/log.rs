//! `headwater log`: looks at, checks, copies and tidies a log on disk.

mod compact;
mod event;
mod export;
mod import;
mod info;
mod lines;
mod progress;
mod verify;

use std::path::Path;
use std::sync::Arc;

use anyhow::anyhow;
use headwater_log::{Inspection, OpenError, Outside};

use crate::failure::Failure;

/// Look at, check, copy or tidy a log on disk
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

/// What each is for is said where its arguments are.
#[derive(Debug, clap::Subcommand)]
enum Command {
    Info(info::Args),
    Verify(verify::Args),
    Export(export::Args),
    Import(import::Args),
    Compact(compact::Args),
}

const EXAMPLES: &str = "\
DIR is what the hub has as `data`: ./headwater-data unless told otherwise.

Examples:
  headwater log info headwater-data
  headwater log verify headwater-data
  headwater log export headwater-data --output events.ndjson
  headwater log import new-data events.ndjson
  headwater log compact headwater-data --config headwater.toml";

/// Runs one of the commands.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Info(args) => tokio::task::block_in_place(|| info::run(&args)),
        Command::Verify(args) => tokio::task::block_in_place(|| verify::run(&args)),
        Command::Export(args) => tokio::task::block_in_place(|| export::run(&args)),
        Command::Import(args) => import::run(args).await,
        Command::Compact(args) => compact::run(args).await,
    }
}

/// The log in a directory, to be looked at.
fn inspect(path: &Path) -> Result<Inspection, Failure> {
    Inspection::open(path).map_err(|error| match error {
        OpenError::Absent { .. } | OpenError::Format { .. } => Failure::usage(error),
        _ => anyhow!(error).into(),
    })
}

/// What a log that is to be written needs of the system.
fn outside() -> anyhow::Result<Outside> {
    let mut id_key = [0; 16];
    getrandom::fill(&mut id_key)
        .map_err(|error| anyhow!("the system gives no random numbers: {error}"))?;
    Ok(Outside {
        id_key,
        // Epochs and nonces have to differ, not to be secret.
        random: Arc::new(|| fastrand::u64(..)),
        now: Arc::new(headwater_server::now),
    })
}
