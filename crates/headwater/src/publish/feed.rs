//! From bytes of standard input to events.

use headwater_event_stream::{DecodeError, Decoder, Event, Item};
use headwater_log::{EventType, PublisherId, Topic};
use memchr::memchr;
use serde_json::{Map, Value};

use super::Format;
use super::batch::{Batch, Draft};

/// Cuts the input into events, whatever the pieces in which it comes. Holds at most one line, or one event,
/// of 16 MiB.
pub(crate) struct Feed {
    format: Format,
    template: Template,
    /// The line that has not ended.
    held: Vec<u8>,
    /// How many lines have ended.
    lines: u64,
    decoder: Decoder,
}

/// What all events have in common.
pub(crate) struct Template {
    pub(crate) topic: Option<Topic>,
    pub(crate) event_type: Option<EventType>,
    pub(crate) id: Option<PublisherId>,
    pub(crate) retry: Option<u64>,
}

/// Why the input cannot be published. Whoever makes it has to mend it; lines count from 1.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FeedError {
    #[error("line {line} of standard input is not UTF-8: convert it, for example with `iconv`")]
    NotUtf8 { line: u64 },
    #[error("line {line} of standard input is longer than {max} bytes: split it")]
    TooLong { line: u64, max: usize },
    #[error(
        "line {line} of standard input is not a JSON object: {reason} (`jq -c` writes an object a line)"
    )]
    NotObject { line: u64, reason: String },
    #[error(
        "line {line} of standard input names no topic: add \"topic\" to it, or give one as an argument"
    )]
    NoTopic { line: u64 },
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

impl Feed {
    /// The longest line.
    const LINE_BYTES_MAX: usize = 16 << 20;

    pub(crate) fn new(format: Format, template: Template) -> Self {
        Self { format, template, held: Vec::new(), lines: 0, decoder: Decoder::new() }
    }

    /// Takes events off the front of `input`, until it is used up or the batch is full.
    pub(crate) fn take(&mut self, input: &mut &[u8], batch: &mut Batch) -> Result<(), FeedError> {
        while !input.is_empty() && !batch.is_full() {
            match self.format {
                Format::Lines | Format::Json => self.take_line(input, batch)?,
                Format::Sse => {
                    if let Some(Item::Event(event)) = self.decoder.decode(input)? {
                        self.template.relay(&event, batch);
                    }
                }
            }
        }
        Ok(())
    }

    /// The input has ended. A last line needs no line break; an event of an event stream does need its blank
    /// line.
    pub(crate) fn end(&mut self, batch: &mut Batch) -> Result<(), FeedError> {
        if self.held.is_empty() { Ok(()) } else { self.take_line(&mut &b"\n"[..], batch) }
    }

    fn take_line(&mut self, input: &mut &[u8], batch: &mut Batch) -> Result<(), FeedError> {
        let end = memchr(b'\n', input);
        let (piece, rest) = input.split_at(end.unwrap_or(input.len()));
        *input = rest.get(1..).unwrap_or_default();
        let line = self.lines + 1;
        if self.held.len() + piece.len() > Self::LINE_BYTES_MAX {
            return Err(FeedError::TooLong { line, max: Self::LINE_BYTES_MAX });
        }
        if end.is_none() {
            self.held.extend_from_slice(piece);
            return Ok(());
        }
        self.lines = line;
        let whole = if self.held.is_empty() {
            piece
        } else {
            self.held.extend_from_slice(piece);
            &self.held
        };
        let text = whole.strip_suffix(b"\r").unwrap_or(whole);
        if self.format == Format::Json {
            self.template.relay_object(text, line, batch)?;
        } else {
            let data = str::from_utf8(text).map_err(|_| FeedError::NotUtf8 { line })?;
            batch.push(&self.template.draft(data));
        }
        self.held.clear();
        Ok(())
    }
}

impl Template {
    pub(crate) fn draft<'a>(&'a self, data: &'a str) -> Draft<'a> {
        Draft {
            topic: self.topic.as_ref().map(Topic::as_str),
            r#type: self.event_type.as_ref().map(EventType::as_str),
            id: self.id.as_ref().map(PublisherId::as_str),
            retry: self.retry,
            data,
        }
    }

    /// Adds an event of an event stream. What another hub has put into it is left out: its own blocks, and
    /// its ids, which name places in its log and not in this one.
    fn relay(&self, event: &Event<'_>, batch: &mut Batch) {
        if event.event_type.starts_with("hub.") {
            return;
        }
        batch.push(&Draft {
            r#type: Some(event.event_type),
            id: event.block_id.filter(|id| !id.is_empty() && !id.starts_with('#')),
            retry: event.block_retry,
            ..self.draft(event.data)
        });
    }

    /// Adds an object that is an event already. Blank lines are skipped.
    fn relay_object(&self, text: &[u8], line: u64, batch: &mut Batch) -> Result<(), FeedError> {
        let text = text.trim_ascii();
        if text.is_empty() {
            return Ok(());
        }
        let mut object: Map<String, Value> = serde_json::from_slice(text)
            .map_err(|error| FeedError::NotObject { line, reason: error.to_string() })?;
        if object.contains_key("topic") || object.contains_key("topics") {
            batch.push_json(text);
            return Ok(());
        }
        let topic = self.topic.as_ref().ok_or(FeedError::NoTopic { line })?;
        object.insert("topic".to_owned(), topic.as_str().into());
        batch.push_json(Value::Object(object).to_string().as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(format: Format) -> Feed {
        let topic = Some(Topic::parse("t").unwrap());
        Feed::new(format, Template { topic, event_type: None, id: None, retry: None })
    }

    /// The lines of the batches, and the error that ended them, with the input in pieces of a size.
    fn fed(mut feed: Feed, input: &[u8], size: usize) -> (Vec<String>, Option<FeedError>) {
        let mut lines = Vec::new();
        let mut batch = Batch::default();
        let mut error = None;
        for mut piece in input.chunks(size) {
            while !piece.is_empty() && error.is_none() {
                error = feed.take(&mut piece, &mut batch).err();
                let bytes = batch.take();
                lines.extend(str::from_utf8(&bytes).unwrap().lines().map(str::to_owned));
            }
        }
        if error.is_none() {
            error = feed.end(&mut batch).err();
        }
        lines.extend(str::from_utf8(&batch.take()).unwrap().lines().map(str::to_owned));
        (lines, error)
    }

    fn check(format: Format, input: &[u8], lines: &[&str], error: Option<&FeedError>) {
        for size in [1, 2, 3, 5, 1000] {
            let (found, failed) = fed(feed(format), input, size);
            assert_eq!(found, lines, "pieces of {size}");
            assert_eq!(failed.as_ref(), error, "pieces of {size}");
        }
    }

    #[test]
    fn every_line_is_an_event_also_an_empty_one_and_the_last() {
        let lines = [
            r#"{"topic":"t","data":"a"}"#,
            r#"{"topic":"t","data":""}"#,
            r#"{"topic":"t","data":"\"b\"\rc"}"#,
            r#"{"topic":"t","data":"é"}"#,
        ];
        check(Format::Lines, "a\n\r\n\"b\"\rc\r\né".as_bytes(), &lines, None);
        check(Format::Lines, b"", &[], None);
        let error = FeedError::NotUtf8 { line: 2 };
        check(Format::Lines, b"a\n\xff\nb\n", &lines[..1], Some(&error));
    }

    #[test]
    fn an_event_stream_is_relayed_without_what_another_hub_made() {
        let stream = b":\nevent: hub.open\nretry: 5\ndata: {}\nid: #p\n\ndata: a\nid: #x\n\n\
            event: price\nretry: 7\ndata: b\ndata: c\nid: 1\n\ndata: d\n\nid\ndata: e\n\ndata: cut";
        let lines = [
            r#"{"topic":"t","type":"message","data":"a"}"#,
            r#"{"topic":"t","type":"price","id":"1","retry":7,"data":"b\nc"}"#,
            r#"{"topic":"t","type":"message","data":"d"}"#,
            r#"{"topic":"t","type":"message","data":"e"}"#,
        ];
        check(Format::Sse, stream, &lines, None);
    }

    #[test]
    fn objects_are_passed_on_and_get_the_topic_that_they_lack() {
        let input = b" {\"topic\":\"x\", \"data\":\"1\"}\n\n{\"data\":\"2\",\"retry\":3}\r\n{\"topics\":[]}";
        let lines = [
            r#"{"topic":"x", "data":"1"}"#,
            r#"{"data":"2","retry":3,"topic":"t"}"#,
            r#"{"topics":[]}"#,
        ];
        check(Format::Json, input, &lines, None);
        for (bad, column) in [("[1]", 0), ("{\"a\":", 5), ("x", 1)] {
            let (found, error) = fed(feed(Format::Json), format!("{{}}\n{bad}").as_bytes(), 100);
            assert_eq!(found.len(), 1);
            let Some(FeedError::NotObject { line: 2, reason }) = error else { panic!("{error:?}") };
            assert!(reason.ends_with(&format!("column {column}")), "{reason}");
        }
        let no_topic = Template { topic: None, event_type: None, id: None, retry: None };
        let (_, error) = fed(Feed::new(Format::Json, no_topic), b"\n{}", 100);
        assert_eq!(error, Some(FeedError::NoTopic { line: 2 }));
    }

    #[test]
    fn a_batch_ends_where_it_is_full_and_the_rest_stays() {
        let input = "x\n".repeat(2_500);
        let (mut rest, mut batch, mut sizes) = (input.as_bytes(), Batch::default(), Vec::new());
        let mut feed = feed(Format::Lines);
        while !rest.is_empty() {
            feed.take(&mut rest, &mut batch).unwrap();
            sizes.push(batch.events());
            batch.take();
        }
        assert_eq!(sizes, [1000, 1000, 500]);
    }

    #[test]
    fn a_line_without_end_is_not_kept_for_ever() {
        let mut feed = feed(Format::Lines);
        let piece = vec![b'x'; 1 << 20];
        let mut batch = Batch::default();
        let taken = (0..100).find_map(|_| feed.take(&mut piece.as_slice(), &mut batch).err());
        assert_eq!(taken, Some(FeedError::TooLong { line: 1, max: 16 << 20 }));
    }
}
