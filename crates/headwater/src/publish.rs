//! `headwater pub`: publish an event, or what comes on standard input.

mod batch;
mod feed;
mod progress;
mod publisher;

use std::io::{self, IsTerminal, Write};

use anyhow::{Context, anyhow};
use bytes::Bytes;
use clap::ValueEnum;
use headwater_log::{EventType, PublisherId, Topic, TopicError};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;

use crate::endpoint::Endpoint;
use crate::failure::Failure;
use batch::Batch;
use feed::{Feed, Template};
use progress::Progress;
use publisher::{Answer, Publisher, SendError};

/// Publish an event, or many from standard input
///
/// Prints the id of each published event. Everything that comes on standard input is published as it
/// arrives, while it is still open, however much it is.
#[derive(clap::Args)]
#[command(override_usage = "headwater pub [OPTIONS] <TOPIC> [DATA | -]", after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What the event is about; with --format json only for lines that name no topic
    #[arg(value_name = "TOPIC", required_unless_present = "format", value_parser = TopicArg::parse)]
    topic: Option<TopicArg>,
    /// The event's data; `-`, or nothing, reads standard input
    #[arg(value_name = "DATA", allow_negative_numbers = true)]
    data: Option<String>,
    /// The event's type; without one it is a `message`
    #[arg(long = "type", value_name = "TYPE", value_parser = EventType::parse)]
    event_type: Option<EventType>,
    /// An id of your own, 1 to 128 visible ASCII characters
    #[arg(long, value_name = "ID", value_parser = PublisherId::parse)]
    id: Option<PublisherId>,
    /// After how many milliseconds readers shall reconnect
    #[arg(long, value_name = "MS")]
    retry: Option<u64>,
    /// What comes on standard input
    #[arg(long, value_name = "FORMAT", value_enum)]
    format: Option<Format>,
    #[command(flatten)]
    endpoint: Endpoint,
}

/// What comes on standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// An event a line (the default)
    Lines,
    /// An event stream, as text/event-stream; ids and blocks that a hub has made are left out
    Sse,
    /// A JSON object a line: topic or topics, data, and if wanted type, id, retry
    Json,
}

const EXAMPLES: &str = r#"Examples:
  headwater pub news 'hello'
  headwater pub stocks/AAPL 189.5 --type price
  tail -f app.log | headwater pub logs -
  headwater pub news - --format sse < events.txt
  echo '{"topic":"news","data":"hello"}' | headwater pub --format json"#;

/// The first argument.
#[derive(Clone)]
enum TopicArg {
    /// `-`, where the topic may be left out.
    Stdin,
    Topic(Topic),
}

impl TopicArg {
    fn parse(text: &str) -> Result<Self, TopicError> {
        if text == "-" { Ok(Self::Stdin) } else { Topic::parse(text).map(Self::Topic) }
    }
}

/// Runs the command over the process's own streams.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let template = args.template()?;
    let publisher = Publisher::new(&args.endpoint)?;
    let output = Some(io::stdout());
    let mut publishing = Publishing { publisher, output, progress: None, answered: 0 };
    if let Some(data) = args.data.as_deref().filter(|data| *data != "-") {
        let mut batch = Batch::default();
        batch.push(&template.draft(data));
        return publishing.flush(&mut batch).await;
    }
    if io::stdin().is_terminal() {
        let end = if cfg!(windows) { "Ctrl-Z and Enter" } else { "Ctrl-D" };
        let _ = writeln!(io::stderr(), "Type what to publish; end with {end}.");
    } else {
        publishing.progress = Some(Progress::of_stdin());
    }
    let feed = Feed::new(args.format.unwrap_or(Format::Lines), template);
    publishing.stream(tokio::io::stdin(), feed).await
}

impl Args {
    /// What all events have in common.
    ///
    /// # Errors
    ///
    /// If arguments that are right by themselves contradict each other.
    fn template(&self) -> Result<Template, Failure> {
        let usage = |text: &str| Err(Failure::Usage(anyhow!("{text}; see `headwater pub --help`")));
        let has_data = self.data.as_deref().is_some_and(|data| data != "-");
        let topic = match &self.topic {
            Some(TopicArg::Topic(topic)) => Some(topic.clone()),
            Some(TopicArg::Stdin) | None => None,
        };
        if topic.is_none() && self.format != Some(Format::Json) {
            return usage("name the topic, before the data or the `-`");
        }
        if has_data && self.format.is_some() {
            return usage("--format is about standard input: leave out either it or the data");
        }
        if !has_data && self.id.is_some() {
            return usage("--id is the id of one event: give that event's data as an argument");
        }
        let has_fields = self.event_type.is_some() || self.retry.is_some();
        if has_fields && matches!(self.format, Some(Format::Sse | Format::Json)) {
            return usage("events of --format sse and json say their type and retry themselves");
        }
        let (event_type, id) = (self.event_type.clone(), self.id.clone());
        Ok(Template { topic, event_type, id, retry: self.retry })
    }
}

/// Sends batches, prints the ids.
struct Publishing<'a, W> {
    publisher: Publisher<'a>,
    /// `None` once nobody reads the ids any more: the events are published all the same.
    output: Option<W>,
    progress: Option<Progress>,
    /// How many events the hub has answered for.
    answered: u64,
}

impl<W: Write> Publishing<'_, W> {
    /// Publishes all of the input, each event as soon as it is there and its predecessors are published.
    /// Holds a few pieces of the input, and two batches.
    async fn stream(
        &mut self,
        input: impl AsyncRead + Unpin + Send + 'static,
        mut feed: Feed,
    ) -> Result<(), Failure> {
        let (pieces_in, mut pieces) = mpsc::channel(PIECES_MAX);
        tokio::spawn(read(input, pieces_in));
        let mut batch = Batch::default();
        while let Some(piece) = pieces.recv().await {
            let mut next = Some(piece.context("cannot read standard input")?);
            // All that is there goes into one batch, as far as it fits.
            while let Some(piece) = next {
                let fed = self.feed(&mut feed, &piece, &mut batch).await;
                if fed.is_err() {
                    // The events before the bad one are good.
                    self.flush(&mut batch).await?;
                    fed?;
                }
                next = pieces.try_recv().ok().and_then(Result::ok);
            }
            self.flush(&mut batch).await?;
        }
        let ended = feed.end(&mut batch);
        self.flush(&mut batch).await?;
        Ok(ended.map_err(anyhow::Error::from)?)
    }

    /// Takes a whole piece, and publishes what does not fit into the batch.
    async fn feed(
        &mut self,
        feed: &mut Feed,
        piece: &[u8],
        batch: &mut Batch,
    ) -> Result<(), Failure> {
        let mut rest = piece;
        loop {
            feed.take(&mut rest, batch).map_err(anyhow::Error::from)?;
            if !batch.is_full() {
                break;
            }
            self.flush(batch).await?;
        }
        if let Some(progress) = &mut self.progress {
            progress.advance(piece.len(), self.answered);
        }
        Ok(())
    }

    /// Publishes a batch, if there is anything in it.
    async fn flush(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        if batch.is_empty() {
            return Ok(());
        }
        let count = batch.events();
        let lines = batch.take();
        match self.publisher.publish(lines.clone(), count).await {
            // Nothing of it was published. One by one, the good ones before the bad one are.
            Err(SendError::Events(_)) if count > 1 => {
                for line in lines.split_inclusive(|byte| *byte == b'\n') {
                    let sent = self.publisher.publish(lines.slice_ref(line), 1).await;
                    self.print(sent)?;
                }
                Ok(())
            }
            sent => self.print(sent),
        }
    }

    /// Prints the ids, and fails if an event was not published.
    fn print(&mut self, sent: Result<Vec<Answer>, SendError>) -> Result<(), Failure> {
        let mut ids = String::new();
        let mut refused = None;
        match sent {
            Err(SendError::Hub(detail)) => return Err(anyhow!(detail).into()),
            Err(SendError::Events(detail)) => refused = Some((self.answered, detail)),
            Ok(answers) => {
                for (answer, number) in answers.into_iter().zip(self.answered..) {
                    match answer {
                        Ok(id) => ids.extend([id.as_str(), "\n"]),
                        Err(detail) => refused = refused.or(Some((number, detail))),
                    }
                    self.answered += 1;
                }
            }
        }
        self.write(&ids)?;
        match refused {
            None => Ok(()),
            Some((0, detail)) => Err(anyhow!(detail).into()),
            Some((before, detail)) => {
                Err(anyhow!("{detail} (event {}; those before it are published)", before + 1)
                    .into())
            }
        }
    }

    fn write(&mut self, text: &str) -> Result<(), Failure> {
        let Some(output) = &mut self.output else { return Ok(()) };
        let mut write = || output.write_all(text.as_bytes()).and_then(|()| output.flush());
        let written = match &self.progress {
            Some(progress) => progress.beside(write),
            None => write(),
        };
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.output = None,
            written => written.context("cannot write to standard output")?,
        }
        Ok(())
    }
}

/// At most so many pieces of the input wait while a batch is on its way.
const PIECES_MAX: usize = 4;
const PIECE_BYTES: usize = 64 * 1024;

async fn read(mut input: impl AsyncRead + Unpin, pieces: mpsc::Sender<io::Result<Bytes>>) {
    loop {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let read = input.read_buf(&mut piece).await;
        if matches!(read, Ok(0)) {
            return;
        }
        let failed = read.is_err();
        if pieces.send(read.map(|_| piece.into())).await.is_err() || failed {
            return;
        }
    }
}
