//! `headwater token`: tokens for development, and what is wrong with the ones that others made.

mod inspect;
mod mint;
mod time;
mod verify;

use std::io::{self, Read};

use anyhow::Context;
use clap::Subcommand;

use crate::failure::Failure;

/// Make tokens for development, and find out about others
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a token and print it
    Mint(mint::Args),
    /// Show what is in a token, without verifying it
    Inspect(inspect::Args),
    /// Say of each check whether a token passes it; ends with 1 if it fails one
    Verify(verify::Args),
}

const EXAMPLES: &str = "\
Examples:
  headwater token mint --config headwater.toml --subscribe news --publish '*'
  headwater token mint --secret-file key --iss https://localhost \\
      --aud https://localhost/.well-known/mercure --subscribe-pattern '/users/42/*' --ttl 10m
  headwater token mint --compat --secret-file key --subscribe 'https://example.com/books/{id}'
  headwater token inspect eyJ0eXAi...
  headwater token verify --config headwater.toml - < token";

/// Runs one of the commands.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Mint(args) => mint::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Verify(args) => verify::run(args).await,
    }
}

/// A token as an argument, or from standard input.
#[derive(clap::Args)]
pub(crate) struct Given {
    /// The token; `-` reads it from standard input, where other users of this machine do not see it
    #[arg(value_name = "TOKEN")]
    token: String,
}

/// More than any hub reads of a token.
const TOKEN_BYTES_MAX: u64 = 64 << 10;

impl Given {
    /// Its text.
    pub(crate) fn read(self) -> Result<String, Failure> {
        let mut text = self.token;
        if text == "-" {
            text.clear();
            io::stdin()
                .lock()
                .take(TOKEN_BYTES_MAX)
                .read_to_string(&mut text)
                .context("cannot read the token from standard input")?;
        }
        // As it stands in a header.
        let text = text.trim();
        let bare =
            text.get(.."Bearer ".len()).filter(|scheme| scheme.eq_ignore_ascii_case("bearer "));
        Ok(text.get(bare.map_or(0, str::len)..).unwrap_or_default().trim().to_owned())
    }
}
