//! `headwater sub`: print the events of a subscription, as long as it lasts.

mod output;
mod request;

use std::io::{self, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use anyhow::{Context, anyhow};
use clap::ValueEnum;
use futures_util::{FutureExt, StreamExt};
use headwater_client::{
    Error, EventSource, Failure as ClientFailure, Gap, Item, ReadTimeout, Reqwest, Statuses,
};
use headwater_log::Topic;
use reqwest::header::AUTHORIZATION;
use reqwest::redirect::Policy;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::endpoint::Endpoint;
use crate::failure::Failure;

/// Print the events of topics as they are published
///
/// Reconnects and resumes by itself, as a browser does, and says so on standard error. Ends on Ctrl-C, after
/// --count events, or when the hub says that it is over.
#[derive(clap::Args)]
#[command(
    override_usage = "headwater sub [OPTIONS] [TOPIC]... [--pattern <PATTERN>]...",
    after_help = EXAMPLES
)]
pub(crate) struct Args {
    #[command(flatten)]
    matchers: Matchers,
    /// Begin in the past: `all`, `latest` (the newest of each topic), `-20` (the last twenty) or `10m`
    #[arg(long, value_name = "SINCE", allow_hyphen_values = true)]
    since: Option<String>,
    /// Go on after the event with this id; comes before --since
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    last_event_id: Option<String>,
    /// How events are printed
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Data)]
    format: Format,
    /// End after this many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    #[command(flatten)]
    endpoint: Endpoint,
}

/// What is subscribed to.
#[derive(clap::Args)]
#[group(required = true, multiple = true)]
struct Matchers {
    /// Topics to subscribe to
    #[arg(value_name = "TOPIC", value_parser = Topic::parse)]
    topics: Vec<Topic>,
    /// Subscribe to all topics that a URL pattern matches, for example `/stocks/:symbol`; `*` is all
    #[arg(long = "pattern", value_name = "PATTERN")]
    patterns: Vec<String>,
}

/// How events are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The data alone
    Data,
    /// A JSON object a line: id, topics, type, data, time
    Json,
    /// An event stream, as text/event-stream
    Sse,
}

const EXAMPLES: &str = "Examples:
  headwater sub news
  headwater sub stocks/AAPL stocks/MSFT --since latest
  headwater sub --pattern '/stocks/:symbol' --format json
  headwater sub jobs/7 --since all --count 1";

/// Runs the command over the process's own streams, until it ends or is interrupted.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let source = args.source()?;
    let mut follower = Follower {
        format: args.format,
        endpoint: &args.endpoint,
        output: tokio::io::stdout(),
        notes: anstream::stderr(),
        buffer: Vec::new(),
        left: args.count,
    };
    tokio::select! {
        ended = follower.follow(source) => ended,
        interrupted = tokio::signal::ctrl_c() => {
            Ok(interrupted.context("cannot wait for Ctrl-C")?)
        }
    }
}

impl Args {
    fn source(&self) -> Result<EventSource, Failure> {
        // Without a time-out for the answer, which has no end.
        let transport = self.endpoint.anonymous_client(|client| client.redirect(Policy::none()))?;
        let mut builder = self
            .request()
            .transport(Reqwest::with_client(transport))
            .read_timeout(ReadTimeout::After(SILENCE_MAX))
            .retry_statuses(Statuses::temporary())
            .last_event_id(self.last_event_id.as_deref().unwrap_or_default());
        if let Some(bearer) = self.endpoint.bearer()? {
            builder = builder.header(AUTHORIZATION, bearer);
        }
        builder.build().map_err(|error| match error {
            Error::LastEventId(_) | Error::Url { .. } => Failure::Usage(error.into()),
            error => Failure::Failed(error.into()),
        })
    }
}

/// Three of the hub's heartbeats.
const SILENCE_MAX: Duration = Duration::from_secs(45);

/// Prints what comes of an event source.
struct Follower<'a, O, N> {
    format: Format,
    endpoint: &'a Endpoint,
    output: O,
    notes: N,
    /// What is not written yet: events that came together are written together.
    buffer: Vec<u8>,
    /// How many events are still to be printed, if that is limited.
    left: Option<u64>,
}

impl<O: AsyncWrite + Unpin, N: Write> Follower<'_, O, N> {
    /// Until the source ends, the count is reached, or nobody reads the output any more. Holds what the
    /// source does, and the events of one piece of it.
    async fn follow(&mut self, mut source: EventSource) -> Result<(), Failure> {
        loop {
            // Whatever is here without waiting is printed with what came before.
            let next = match source.next().now_or_never() {
                Some(next) if self.buffer.len() < BUFFER_BYTES_MAX => next,
                early => {
                    if !self.write().await? {
                        return Ok(());
                    }
                    match early {
                        Some(next) => next,
                        None => source.next().await,
                    }
                }
            };
            let done = match next {
                Some(Ok(item)) => self.show(&item),
                Some(Err(error)) => {
                    self.write().await?;
                    return Err(self.explain(error));
                }
                None => {
                    self.note(DIM, "the hub says that it is over (204)");
                    true
                }
            };
            if done {
                self.write().await?;
                return Ok(());
            }
        }
    }

    /// Whether that was the last of it.
    fn show(&mut self, item: &Item) -> bool {
        match item {
            Item::Open => {
                let note = format!("connected to {}", self.endpoint.url());
                self.note(DIM, &note);
            }
            Item::Error(reconnecting) => {
                let delay = reconnecting.delay.as_secs_f64();
                let note = format!("{}; trying again in {delay:.1} s", reconnecting.cause);
                self.note(WARNING, &note);
            }
            Item::Gap(gap) => {
                output::gap(self.format, gap, &mut self.buffer);
                self.note(WARNING, &describe(gap));
            }
            Item::Message(event) => {
                output::event(self.format, event, &mut self.buffer);
                self.left = self.left.map(|left| left.saturating_sub(1));
                return self.left == Some(0);
            }
            _ => {}
        }
        false
    }

    /// Whether the output is still read by anybody.
    async fn write(&mut self) -> Result<bool, Failure> {
        if self.buffer.is_empty() {
            return Ok(true);
        }
        let written = async {
            self.output.write_all(&self.buffer).await?;
            self.output.flush().await
        };
        match written.await {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            written => {
                written.context("cannot write to standard output")?;
                self.buffer.clear();
                Ok(true)
            }
        }
    }

    /// Tells the user something that is no event. It does not matter if it cannot be told.
    fn note(&mut self, style: Style, text: &str) {
        let _ = writeln!(self.notes, "{style}headwater: {text}{style:#}");
    }

    fn explain(&self, error: Error) -> Failure {
        let Error::Failed(ClientFailure::Refused(refusal)) = &error else {
            return Failure::Failed(error.into());
        };
        if refusal.status == 200 {
            return Failure::Failed(
                anyhow!(error).context(format!("{} is no hub", self.endpoint.url())),
            );
        }
        Failure::Failed(anyhow!(self.endpoint.explain(refusal.status, &refusal.body)))
    }
}

/// The most that waits to be written, beside one event.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

const DIM: Style = Style::new().dimmed();
const WARNING: Style = AnsiColor::Yellow.on_default();

fn describe(gap: &Gap) -> String {
    let after = match &gap.requested {
        Some(id) => format!("after {id}"),
        None => "from before".to_owned(),
    };
    let resumed = match &gap.resumed {
        Some(id) => format!("going on with {id}"),
        None => "going on with what comes now".to_owned(),
    };
    format!(
        "gap: events {after} may be missing, because the hub does not keep them any more; {resumed}"
    )
}
