//! The `headwater` program: a hub, and the commands to use it with.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "a shell: commands read clocks and wait")]

mod bench;
mod check_config;
mod cli;
mod decode;
mod demo;
mod endpoint;
mod explain;
mod failure;
mod log;
mod logging;
mod publish;
mod serve;
mod settings;
mod signals;
mod source;
mod subscribe;
mod token;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use tokio::runtime::Runtime;

use crate::cli::{Cli, Command};
use crate::failure::Failure;

/// How long what still runs when a command has ended may take to be dropped, such as a read of
/// standard input.
const SHUTDOWN: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let level = cli.log_level;
    if cli.command.is_client() {
        logging::start(&logging::client_level(level.as_deref())?);
    }
    let runtime = Runtime::new().context("cannot start the threads of the runtime")?;
    let result = runtime.block_on(async {
        match cli.command {
            Command::Serve(args) => serve::run(args, level).await,
            Command::Demo(args) => demo::run(args, level).await,
            Command::Pub(args) => publish::run(args).await,
            Command::Sub(args) => subscribe::run(args).await,
            Command::Bench(args) => bench::run(args).await,
            Command::Log(args) => log::run(args).await,
            Command::Decode(args) => decode::run(args).await,
            Command::Token(args) => token::run(args).await,
            Command::Explain(args) => explain::run(args).await,
            Command::CheckConfig(args) => check_config::run(args, level),
        }
    });
    runtime.shutdown_timeout(SHUTDOWN);
    result
}
