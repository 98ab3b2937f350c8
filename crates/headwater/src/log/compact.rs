//! `headwater log compact`.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use headwater_log::DiskLog;
use indicatif::{BinaryBytes, HumanCount};

use crate::failure::Failure;
use crate::settings::{Backend, Given, Settings};

/// Let go now of what the settings do not keep
///
/// A hub does this by itself, as soon as half of a segment can go; this does all of it at once. It reads
/// the settings as `headwater serve` does (`[disk]`, `[[retention]]`, `public_url`), and says what went.
/// No other process may use the log.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The directory of the log
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// The settings file; without it ./headwater.toml is read if it exists
    #[arg(long, value_name = "F", env = "HEADWATER_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  headwater log compact headwater-data --config headwater.toml
  HEADWATER_DISK__AGE_MAX_HOURS=24 headwater log compact headwater-data";

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let mut settings = Settings::load(&Given::here(args.config)).map_err(Failure::usage)?;
    // The directory is a log on disk, whatever the hub of these settings uses.
    settings.general.log = Backend::Disk;
    super::inspect(&args.dir)?;
    let root = settings.http.root(settings.general.listen.address());
    let retention = settings.general.retention(&root).map_err(|error| anyhow!(error))?;
    let options = settings.general.disk.options(retention);
    let (log, recovery) =
        DiskLog::open(&args.dir, options, super::outside()?).map_err(|error| anyhow!(error))?;
    if !recovery.damaged.is_empty() || !recovery.missing.is_empty() {
        tracing::warn!("the log in {} has {recovery}", args.dir.display());
    }
    let done = log.compact().await.context("the log could not be compacted to its end")?;
    let (events, segments) = (HumanCount(done.records), HumanCount(done.segments as u64));
    let said = if done.records == 0 && done.segments == 0 {
        "nothing is to go\n".to_owned()
    } else {
        let bytes = BinaryBytes(done.bytes);
        format!("{events} events and {segments} segments are gone, and {bytes} given back\n")
    };
    io::stdout().write_all(said.as_bytes()).context("cannot write to standard output")?;
    Ok(())
}
