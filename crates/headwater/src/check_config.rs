//! `headwater check-config`: what a hub would run with.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context;

use crate::failure::Failure;
use crate::settings::{Given, Settings};

/// The arguments of `check-config`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The settings file; else HEADWATER_CONFIG names it, else it is ./headwater.toml if that exists
    #[arg(value_name = "F", env = "HEADWATER_CONFIG", hide_env = true)]
    file: Option<PathBuf>,
}

const EXAMPLES: &str = "\
It reads the file and the environment as `headwater serve` does, starts nothing, and prints every
setting as TOML, without secrets; what is no default says where it was set. It ends with 64 if
anything is wrong.

Examples:
  headwater check-config headwater.toml
  HEADWATER_RECONNECT_MS=500 headwater check-config";

/// Prints the settings.
pub(crate) fn run(args: Args, log_level: Option<String>) -> Result<(), Failure> {
    let mut given = Given::here(args.file);
    given.flag("--log-level", "log_level", log_level);
    let settings = Settings::load(&given).map_err(Failure::usage)?;
    io::stdout().write_all(settings.shown().as_bytes()).context("cannot print the settings")?;
    Ok(())
}
