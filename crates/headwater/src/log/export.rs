//! `headwater log export`.

use std::fs;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use headwater_hub::{Encoding, encode};
use headwater_log::{Filter, Inspection, Millis, Pattern, Seen, Topic};
use indicatif::HumanCount;
use jiff::{SpanRelativeTo, Timestamp, Unit};
use tempfile::NamedTempFile;
use url::Url;

use super::progress::Progress;
use crate::failure::Failure;

/// Write the events as lines of JSON, also beside a running hub
///
/// Each line is an event as `headwater sub --format json` shows it. Takes no lock and changes nothing;
/// memory does not grow with the log. Events that cannot be read are told of on standard error, the others
/// are written all the same, and the command ends with 1. Idempotency keys are not written.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The directory of the log
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// The file to write, put in place when it is whole; else standard output
    #[arg(long, short, value_name = "F")]
    output: Option<PathBuf>,

    /// Only events of this topic; may be repeated
    #[arg(long, value_name = "T", value_parser = topic)]
    topic: Vec<Topic>,

    /// Only events whose topic this URL Pattern matches; may be repeated
    #[arg(long, value_name = "P")]
    pattern: Vec<String>,

    /// What topics are resolved against for patterns, as the hub's public_url
    #[arg(long, value_name = "U", default_value = "http://127.0.0.1:8080/")]
    url: Url,

    /// Only events since a time, such as 2026-01-31T12:00:00Z, or of the last 90s, 10m, 12h or 7d
    #[arg(long, value_name = "S", value_parser = since)]
    since: Option<Millis>,
}

const EXAMPLES: &str = "\
Examples:
  headwater log export headwater-data --output events.ndjson
  headwater log export headwater-data --topic news --since 7d | jq -r .data
  headwater log export old-data --pattern '/prices/:symbol' | headwater log import new-data";

fn topic(text: &str) -> Result<Topic, String> {
    Topic::parse(text).map_err(|error| error.to_string())
}

fn since(text: &str) -> Result<Millis, String> {
    let bad =
        || "give a time such as 2026-01-31T12:00:00Z, or a duration such as 90s, 10m, 12h or 7d";
    let time = match text.parse::<Timestamp>() {
        Ok(time) => time.as_millisecond(),
        Err(_) => {
            let span: jiff::Span = text.parse().map_err(|_| bad())?;
            let day = SpanRelativeTo::days_are_24_hours();
            let ms = span.total((Unit::Millisecond, day)).map_err(|_| bad())?;
            #[expect(clippy::cast_possible_truncation, reason = "far below 2^53")]
            let ms = ms.max(0.0) as i64;
            i64::try_from(headwater_server::now().0).unwrap_or(i64::MAX).saturating_sub(ms)
        }
    };
    Ok(Millis(u64::try_from(time).unwrap_or_default()))
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let inspection = super::inspect(&args.dir)?;
    let patterns: Result<Vec<Pattern>, _> =
        args.pattern.iter().map(|pattern| Pattern::parse(pattern, &args.url)).collect();
    let filter = match (&args.topic[..], &args.pattern[..]) {
        ([], []) => Filter::all(),
        (_, patterns) if patterns.iter().any(|pattern| pattern == "*") => Filter::all(),
        _ => Filter::new(args.topic.clone(), patterns.map_err(Failure::usage)?),
    };
    let Some(output) = args.output.as_deref().filter(|output| is_replaced(output)) else {
        let result = match &args.output {
            None => write(&inspection, &filter, args.since, io::stdout().lock()),
            Some(device) => {
                let device = fs::File::create(device)
                    .with_context(|| format!("cannot write to {}", device.display()))?;
                write(&inspection, &filter, args.since, device)
            }
        };
        return match result {
            // Whoever reads has enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(error).context("cannot export")?,
            Ok(count) => count.verdict(),
        };
    };
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
    let context = || format!("cannot write to {}", output.display());
    let mut file = NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).with_context(context)?;
    let count = write(&inspection, &filter, args.since, &mut file).with_context(context)?;
    file.as_file().sync_all().with_context(context)?;
    file.persist(output).with_context(context)?;
    let events = HumanCount(count.events);
    let _ = writeln!(io::stderr(), "{events} events are in {}", output.display());
    count.verdict()
}

/// A pipe or a device is written to; anything else is put in place.
fn is_replaced(output: &Path) -> bool {
    fs::metadata(output).map_or(true, |metadata| metadata.is_file())
}

/// What was written, and what was not.
struct Count {
    events: u64,
    flaws: u64,
}

impl Count {
    fn verdict(&self) -> Result<(), Failure> {
        match self.flaws {
            0 => Ok(()),
            flaws => Err(anyhow!(
                "the log is damaged in {flaws} places, and what was there is not in the export"
            )
            .into()),
        }
    }
}

fn write(
    inspection: &Inspection,
    filter: &Filter,
    since: Option<Millis>,
    output: impl Write,
) -> io::Result<Count> {
    let bar = Progress::new("Exporting", Some(0));
    let mut output = BufWriter::with_capacity(1 << 20, output);
    let mut count = Count { events: 0, flaws: 0 };
    inspection.events(since, &mut |seen| {
        match seen {
            Seen::Event(record) if filter.matches(&record.event.topics) => {
                count.events += 1;
                output.write_all(&encode(record, Encoding::Ndjson, inspection.id_key()))?;
            }
            Seen::Event(_) => {}
            Seen::Flaw(flaw) => {
                count.flaws += 1;
                // The exit code says it too.
                let _ = bar.beside(|| writeln!(io::stderr(), "headwater: {flaw}"));
            }
            Seen::Read { bytes, of } => bar.reach(bytes, of),
        }
        Ok(())
    })?;
    output.flush()?;
    Ok(count)
}
