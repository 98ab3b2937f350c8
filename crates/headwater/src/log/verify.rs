//! `headwater log verify`.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use headwater_log::{Step, Wrong};
use indicatif::HumanCount;

use super::progress::Progress;
use crate::failure::Failure;

/// Read everything and say what is damaged, also beside a running hub
///
/// Reads every event of every segment, holds it against its checksum and the order of the log, and each
/// index against its segment. Prints a line for each damage, with the file and the byte. Ends with 1 if
/// there is any. Takes no lock and changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The directory of the log
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  headwater log verify headwater-data
  headwater log verify /backup/headwater-data && echo sound";

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let inspection = super::inspect(&args.dir)?;
    let bar = Progress::new("Verifying", Some(0));
    let (mut flaws, mut printed) = (0_u64, Ok(()));
    let mut advice: Vec<Wrong> = Vec::new();
    let verified = inspection
        .verify(&mut |step| match step {
            Step::Flaw(flaw) => {
                flaws += 1;
                let known = advice.iter().any(|known| known.advice() == flaw.wrong.advice());
                if !known {
                    advice.push(flaw.wrong);
                }
                let line = bar.beside(|| writeln!(io::stdout(), "{flaw}"));
                printed = std::mem::replace(&mut printed, Ok(())).and(line);
            }
            Step::Read { bytes, of } => bar.reach(bytes, of),
        })
        .context("the log cannot be read")?;
    drop(bar);
    let events = HumanCount(verified.events);
    let mut said = format!("{events} events in {} segments were read\n", verified.segments);
    if let Some((file, at)) = verified.torn {
        said += &format!(
            "{file}: byte {at}: a write was cut off here, of which nobody was told that it was taken; the \
             next start removes the rest\n"
        );
    }
    for wrong in advice {
        said += &format!("{}: {}\n", name(wrong), wrong.advice());
    }
    printed
        .and_then(|()| io::stdout().write_all(said.as_bytes()))
        .context("cannot write to standard output")?;
    match flaws {
        0 => Ok(()),
        1 => Err(anyhow!("the log is damaged in 1 place").into()),
        flaws => Err(anyhow!("the log is damaged in {flaws} places").into()),
    }
}

/// What a kind of damage is called where it is explained.
fn name(wrong: Wrong) -> &'static str {
    match wrong {
        Wrong::Unreadable { .. } | Wrong::MissingBefore | Wrong::Head | Wrong::Epoch => {
            "events that cannot be read"
        }
        Wrong::HeadOnly => "a damaged head",
        Wrong::Time => "events out of order",
        Wrong::NoIndex => "a missing index",
        Wrong::Index => "a wrong index",
        Wrong::File => "a damaged file",
    }
}
