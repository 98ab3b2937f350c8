//! `headwater log info`.

use std::fmt::Write;
use std::io;
use std::path::PathBuf;

use anyhow::Context;
use headwater_log::{Info, Millis};
use indicatif::{BinaryBytes, HumanCount};
use serde::Serialize;

use super::event::rfc3339;
use crate::failure::Failure;

/// Say what the log holds, also beside a running hub
///
/// Takes no lock and writes nothing. What is appended meanwhile may be counted or not.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The directory of the log
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// One JSON object, for programs
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  headwater log info headwater-data
  headwater log info --json headwater-data | jq .events";

/// What programs get. Names are part of what is promised.
#[derive(Serialize)]
struct Json {
    version: u32,
    bytes: u64,
    segments: usize,
    events: u64,
    topics: usize,
    first_time: Option<String>,
    last_time: Option<String>,
    floor: u64,
    tail: u64,
    last_event_id: String,
    epochs: Vec<Opening>,
    compacted: Compacted,
}

#[derive(Serialize)]
struct Opening {
    epoch: u32,
    first: u64,
}

#[derive(Serialize)]
struct Compacted {
    segments: usize,
    events: u64,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let inspection = super::inspect(&args.dir)?;
    let info = inspection.info().context("the log cannot be read")?;
    let text = if args.json {
        let mut line = serde_json::to_string(&json(&info, inspection.id_key().seal(info.tail)))
            .context("cannot write JSON")?;
        line.push('\n');
        line
    } else {
        shown(&info)
    };
    io::Write::write_all(&mut io::stdout(), text.as_bytes())
        .context("cannot write to standard output")?;
    Ok(())
}

fn json(info: &Info, last_event_id: String) -> Json {
    let opening = |&(epoch, first): &(headwater_log::Epoch, headwater_log::Offset)| Opening {
        epoch: epoch.get(),
        first: first.get(),
    };
    Json {
        version: info.version,
        bytes: info.bytes,
        segments: info.segments,
        events: info.events,
        topics: info.topics,
        first_time: info.first_time.map(rfc3339),
        last_time: info.last_time.map(rfc3339),
        floor: info.floor.get(),
        tail: info.tail.offset.get(),
        last_event_id,
        epochs: info.epochs.iter().map(opening).collect(),
        compacted: Compacted { segments: info.compacted_segments, events: info.compacted_events },
    }
}

fn shown(info: &Info) -> String {
    let count = |number: usize| HumanCount(number as u64);
    let time = |time: Option<Millis>| time.map_or_else(|| "none".to_owned(), rfc3339);
    let mut out = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a string does not fail.
        let _ = writeln!(out, "{name:<12}{value}");
    };
    line("version", info.version.to_string());
    line("events", HumanCount(info.events).to_string());
    line("topics", count(info.topics).to_string());
    line("segments", count(info.segments).to_string());
    line("size", BinaryBytes(info.bytes).to_string());
    line("first", time(info.first_time));
    line("last", time(info.last_time));
    line("offsets", format!("kept beyond {}, up to {}", info.floor, info.tail.offset));
    let since = info.epochs.last().map_or(0, |(_, first)| first.get());
    line("openings", format!("{}, the latest from offset {since}", count(info.epochs.len())));
    if info.compacted_segments > 0 {
        let (segments, events) =
            (count(info.compacted_segments), HumanCount(info.compacted_events));
        line("compacted", format!("{segments} segments, out of which {events} events went"));
    }
    out
}
