//! The project's chores: `cargo xtask test` and the pieces that it is made of.
#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    reason = "a chore tells how long it took; nothing here is replayed from a seed"
)]

mod assets;
mod bench;
mod beside;
mod old_engines;
mod process;
mod readme;
mod setup;
mod test;
mod tidy;
mod web;

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
Headwater's chores.

Usage: cargo xtask COMMAND

  test          set up what is missing, then run every check and every test
  setup         only install what the tests need (Debian packages, cargo tools, old browsers)
  tidy          only the house rules: file lengths, paths, leftovers, copied assets
  web           only the browser client: build, sizes, types, lint, unit tests, package
  demo-assets   copy web/demo into crates/headwater/assets, where `cargo publish` takes it from
  bench         compare Headwater with other servers; `cargo xtask bench --help`
  help          this text
";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nxtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    std::env::set_current_dir(process::root()?)?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["test"] => test::run(),
        ["setup"] => setup::run().map(|_| println!("everything that the tests need is there")),
        ["tidy"] => tidy::run(),
        ["web"] => web::check(),
        ["demo-assets"] => assets::copy(),
        ["bench", arguments @ ..] => bench::run(arguments),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        other => bail!("unknown command `{}`; `cargo xtask help` lists them", other.join(" ")),
    }
}
