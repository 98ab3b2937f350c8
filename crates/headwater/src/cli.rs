//! The command line.

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use crate::{
    bench, check_config, decode, demo, explain, failure, log, publish, serve, subscribe, token,
};

/// A Server-Sent Events hub: publish with one request, and every open page shows it.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// What to tell on standard error: error, warn, info, debug or trace
    #[arg(long, global = true, value_name = "L", help_heading = "Global options")]
    pub(crate) log_level: Option<String>,
}

/// The commands.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the hub
    Serve(serve::Args),
    /// Try it: run a hub with a page to open, and leave nothing behind
    Demo(demo::Args),
    /// Publish an event, or every one that arrives on standard input
    Pub(publish::Args),
    /// Show events as they arrive; reconnects and resumes as a page does
    Sub(subscribe::Args),
    /// Load any server of event streams; report deliveries, latency and losses
    Bench(bench::Args),
    /// Turn an event stream on standard input into a JSON line per event
    Decode(decode::Args),
    /// Make a token for development, or see what is in one and whether the hub takes it
    Token(token::Args),
    /// Ask a hub why a token lets somebody do something, or does not
    Explain(explain::Args),
    /// Look at, check, copy or tidy a log on disk
    Log(log::Args),
    /// Check the settings, and show the ones that would be in force
    CheckConfig(check_config::Args),
}

impl Command {
    /// Whether it speaks to a hub, or to none, and so has no settings of one.
    pub(crate) fn is_client(&self) -> bool {
        matches!(
            self,
            Self::Pub(_)
                | Self::Sub(_)
                | Self::Bench(_)
                | Self::Decode(_)
                | Self::Token(_)
                | Self::Explain(_)
                | Self::Log(_)
        )
    }
}

const EXAMPLES: &str = "\
Try it:
  headwater demo                       then open the address that it prints

Use it:
  headwater serve                      the hub, for programs and pages of this machine
  headwater sub news                   in a second terminal: show what arrives
  headwater pub news 'hello'           in a third: publish

The same with curl:
  curl -N localhost:8080/events/news
  curl -d 'hello' localhost:8080/events/news

`headwater COMMAND --help` explains each command.";

impl Cli {
    /// Reads the arguments. `Err` is the exit code when there is nothing more to do.
    pub(crate) fn read() -> Result<Self, ExitCode> {
        Self::try_parse().map_err(|error| {
            // There is nobody to tell if standard error is closed.
            let _ = error.print();
            match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
                _ => ExitCode::from(failure::USAGE),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_how_it_is_used() {
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "{name} does not say what it is for");
            assert!(command.get_after_help().is_some(), "{name} shows no example");
        }
    }
}
