//! What the log on disk costs: durable appends beside a bare loop, fjall and SQLite; and opening, resuming
//! from and replaying a log of many events. docs/log-benchmarks.md says how it is used.

mod append;
mod history;
mod stores;

use std::path::PathBuf;

use clap::Parser;

#[derive(Parser)]
#[command(about = "Measure the log on disk")]
enum Command {
    /// Durable appends a second at 1, 16 and 256 publishers, all stores in turn
    Append {
        /// Where to write; the disk that is measured
        dir: PathBuf,
        /// Rounds of all stores and numbers of publishers
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// How long each store is used at a time
        #[arg(long, default_value_t = 2000)]
        turn_ms: u64,
    },
    /// Make a log of many events
    Build {
        dir: PathBuf,
        #[arg(long, default_value_t = 10_000_000)]
        events: u64,
        #[arg(long, default_value_t = 100_000)]
        topics: u64,
        /// End as if killed, with so many events more in the open segment
        #[arg(long)]
        killed: bool,
    },
    /// Open a log, with its files in the page cache and without
    Open {
        dir: PathBuf,
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
    /// The first event after an id: the oldest, the middle, the newest
    Resume {
        dir: PathBuf,
        #[arg(long, default_value_t = 200)]
        tries: u64,
    },
    /// Read all of it, page by page, and tell the process's memory
    Replay { dir: PathBuf },
}

fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Append { dir, rounds, turn_ms } => append::run(&dir, rounds, turn_ms),
        Command::Build { dir, events, topics, killed } => {
            history::build(&dir, events, topics, killed)
        }
        Command::Open { dir, rounds } => history::open_again(&dir, rounds),
        Command::Resume { dir, tries } => history::resume(&dir, tries),
        Command::Replay { dir } => history::replay(&dir),
    }
}
