//! `headwater log import`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use headwater_log::{Appended, DiskLog, DiskOptions, Draft, Inspection, Log, Millis, OpenError};
use indicatif::HumanCount;

use super::event::parse;
use super::lines::Lines;
use super::progress::Progress;
use crate::failure::Failure;

/// Append events from lines of JSON to a log, or to a new one
///
/// Takes what `export` writes: an object a line with `topic` or `topics` and `data`, and if wanted `type`,
/// `id`, `retry`, `private` and `time`. No other process may
/// use the log.
///
/// A file is read twice: if any line is bad, nothing is imported. From a pipe it is read once, and
/// appended in batches of up to 1,000 events; a bad line refuses its batch, the batches before it stay,
/// and it is said from which line to go on.
///
/// Times stay, but the log's time never goes backwards: events that are older than the newest one of the
/// log get its time. Publishers' ids stay; ids that a hub made (`#…`) are made anew. Events are on disk
/// when the command ends. Retention is not applied; the hub does that.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The directory of the log
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// The file with the events; `-` or nothing is standard input
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  headwater log import new-data events.ndjson
  headwater log export old-data --topic news | headwater log import new-data
  tail -n +501 events.ndjson | headwater log import new-data -";

/// Together with the events that one line of 384 MiB can hold, this is what is held at a time.
const BATCH_BYTES: usize = 1 << 20;
const BATCH_EVENTS: usize = 1_000;

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let file = args.file.filter(|file| file.as_os_str() != "-");
    let (lines, size) = match &file {
        None => (Box::new(BufReader::new(io::stdin())) as Box<dyn BufRead + Send>, None),
        Some(path) => {
            let context = || format!("cannot read {}", path.display());
            let mut file = File::open(path).with_context(context)?;
            let metadata = file.metadata().with_context(context)?;
            if metadata.is_file() {
                check(&file, metadata.len())?;
                file.rewind().with_context(context)?;
            }
            let size = metadata.is_file().then_some(metadata.len());
            (Box::new(BufReader::with_capacity(1 << 20, file)) as _, size)
        }
    };
    let newest = newest(&args.dir)?;
    let (log, recovery) = DiskLog::open(&args.dir, DiskOptions::default(), super::outside()?)
        .map_err(|error| anyhow!(error))?;
    if !recovery.damaged.is_empty() || !recovery.missing.is_empty() {
        tracing::warn!("the log in {} has {recovery}", args.dir.display());
    }
    let mut import = Import { lines: Lines::new(lines), log, events: 0, moved: 0, newest, from: 1 };
    let result = import.run(size).await;
    let Import { events, moved, from, .. } = import;
    result.map_err(|error| {
        let rest = match events {
            0 => "nothing was imported".to_owned(),
            _ => format!(
                "{} events from before line {from} are in the log: go on from there, as with `tail -n \
                 +{from}`",
                HumanCount(events)
            ),
        };
        anyhow!("{error:#}; {rest}")
    })?;
    let mut said =
        format!("{} events are imported into {}\n", HumanCount(events), args.dir.display());
    if moved > 0 {
        said += &format!(
            "{} of them are older than the newest event of the log, and got its time\n",
            HumanCount(moved)
        );
    }
    io::stdout().write_all(said.as_bytes()).context("cannot write to standard output")?;
    Ok(())
}

/// The time of the newest event that is there.
fn newest(dir: &Path) -> Result<Millis, Failure> {
    match Inspection::open(dir) {
        Ok(log) => Ok(log.info().context("the log cannot be read")?.last_time.unwrap_or_default()),
        Err(OpenError::Absent { .. }) => Ok(Millis::default()),
        Err(error) => Err(anyhow!(error).into()),
    }
}

/// Whether every line is an event.
fn check(file: &File, size: u64) -> anyhow::Result<()> {
    let bar = Progress::new("Checking", Some(size));
    let mut lines = Lines::new(BufReader::with_capacity(1 << 20, file));
    let now = headwater_server::now();
    while let Some((number, line)) = lines.next()? {
        parse(line, now)
            .map_err(|error| anyhow!("line {number}: {error}; nothing was imported"))?;
        if number % 1_000 == 0 {
            bar.reach(lines.bytes(), size);
        }
    }
    Ok(())
}

/// An import, and how far it is.
struct Import {
    lines: Lines<Box<dyn BufRead + Send>>,
    log: DiskLog,
    events: u64,
    /// Events whose time was moved.
    moved: u64,
    /// The log's time.
    newest: Millis,
    /// The first line that may not be in the log.
    from: u64,
}

/// Events, each with its line.
type Batch = Vec<(u64, Draft)>;

impl Import {
    async fn run(&mut self, size: Option<u64>) -> anyhow::Result<()> {
        let bar = Progress::new("Importing", size);
        loop {
            let batch = tokio::task::block_in_place(|| self.batch())?;
            if batch.is_empty() {
                return Ok(());
            }
            self.append(batch).await?;
            bar.show(self.lines.bytes(), || format!(", {} events", HumanCount(self.events)));
        }
    }

    fn batch(&mut self) -> anyhow::Result<Batch> {
        let now = headwater_server::now();
        let (mut batch, mut bytes) = (Batch::new(), 0);
        while batch.len() < BATCH_EVENTS && bytes < BATCH_BYTES {
            let Some((number, line)) = self.lines.next()? else { break };
            let draft = parse(line, now).map_err(|error| anyhow!("line {number}: {error}"))?;
            bytes += draft.event.data.len();
            batch.push((number, draft));
        }
        Ok(batch)
    }

    async fn append(&mut self, batch: Batch) -> anyhow::Result<()> {
        let (numbers, drafts): (Vec<u64>, Vec<Draft>) = batch.into_iter().unzip();
        let times: Vec<Millis> = drafts.iter().map(|draft| draft.event.time).collect();
        let appended = self.log.append(drafts).await;
        for ((number, time), appended) in numbers.into_iter().zip(times).zip(appended) {
            match appended {
                Appended::Committed(_) | Appended::Duplicate { .. } => {}
                Appended::Rejected(rejection) => return Err(anyhow!("line {number}: {rejection}")),
                Appended::Unknown { reason } => {
                    let what = "it is not known whether this event and those behind it were taken";
                    return Err(anyhow!("line {number}: {what}: {reason}"));
                }
            }
            self.events += 1;
            self.moved += u64::from(time < self.newest);
            self.newest = self.newest.max(time);
            self.from = number + 1;
        }
        Ok(())
    }
}
