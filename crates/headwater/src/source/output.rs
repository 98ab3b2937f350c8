//! What a program prints, cut into events.

use std::borrow::Cow;
use std::time::Duration;

use headwater_event_stream::{DecodeError, Decoder, Item, Limits};
use serde::{Deserialize, Serialize};

/// How a program's output is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// As an event stream if the first line that is not empty looks like one, else as lines.
    #[default]
    Auto,
    /// As an event stream.
    Sse,
    /// Every line that is not empty is an event's data.
    Lines,
}

/// An event that a program printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Printed {
    /// The SSE `event` field; `message` if there was none.
    pub(super) event_type: String,
    pub(super) data: String,
    /// The `id` of this very event.
    pub(super) id: Option<String>,
}

/// What came out of a piece of output.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) events: Vec<Printed>,
    /// The last `retry`.
    pub(super) retry: Option<Duration>,
}

/// The output of one run: bytes in, cut anywhere; events out.
///
/// Holds about five times the size of the largest event that it lets pass.
pub(super) struct Output {
    reader: Reader,
    event_bytes_max: usize,
}

enum Reader {
    /// Nothing of which to tell: the first line so far, which is short.
    Undecided(Vec<u8>),
    Sse(Box<Decoder>),
    /// The line that has not ended.
    Lines(Vec<u8>),
}

impl Output {
    /// The output of a run that begins.
    pub(super) fn new(format: Format, event_bytes_max: usize) -> Self {
        let reader = match format {
            Format::Auto => Reader::Undecided(Vec::new()),
            Format::Sse => Reader::sse(event_bytes_max),
            Format::Lines => Reader::Lines(Vec::new()),
        };
        Self { reader, event_bytes_max }
    }

    /// Takes a piece of output and gives the events that it completes.
    ///
    /// # Errors
    /// If an event is too large: it is not known where the next one would begin.
    pub(super) fn feed(&mut self, piece: &[u8]) -> Result<Batch, DecodeError> {
        let mut piece = Cow::Borrowed(piece);
        if let Reader::Undecided(first) = &mut self.reader {
            first.extend_from_slice(&piece);
            drop_empty_lines(first);
            match Looks::of(first) {
                Looks::Undecided => return Ok(Batch::default()),
                looks => {
                    piece = Cow::Owned(std::mem::take(first));
                    self.reader = match looks {
                        Looks::Sse => Reader::sse(self.event_bytes_max),
                        _ => Reader::Lines(Vec::new()),
                    };
                }
            }
        }
        match &mut self.reader {
            Reader::Undecided(_) => Ok(Batch::default()),
            Reader::Sse(decoder) => decode(decoder, &piece),
            Reader::Lines(open) => cut_lines(open, &piece, self.event_bytes_max),
        }
    }

    /// The output is at its end. Gives what was complete without a line end, and whether an event was
    /// begun that only an empty line would have completed.
    ///
    /// # Errors
    /// If the last line is too large.
    pub(super) fn end(self) -> Result<(Batch, bool), DecodeError> {
        match self.reader {
            Reader::Sse(mut decoder) => {
                let begun = decode(&mut decoder, b"\n\n")?;
                Ok((Batch::default(), !begun.events.is_empty()))
            }
            // What has shown no field so far is a line.
            Reader::Undecided(mut open) | Reader::Lines(mut open) => {
                Ok((cut_lines(&mut open, b"\n", self.event_bytes_max)?, false))
            }
        }
    }
}

impl Reader {
    fn sse(event_bytes_max: usize) -> Self {
        // A line is a field's name, a colon and a space longer than what it adds to the event.
        let limits = Limits { line_bytes_max: event_bytes_max.saturating_add(64), event_bytes_max };
        Self::Sse(Box::new(Decoder::with_limits(limits)))
    }
}

/// What the beginning of an output tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Looks {
    Undecided,
    Sse,
    Lines,
}

/// How the first line of an event stream begins: a field, a comment, or the header of a program that
/// was written to be started by a web server (as a field it means nothing, so the decoder skips it).
const BEGINNINGS: [&str; 8] =
    ["data:", "event:", "id:", "retry:", ":", "content-type:", "cache-control:", "status:"];

const BOM: &[u8] = b"\xEF\xBB\xBF";

impl Looks {
    fn of(line: &[u8]) -> Self {
        let lower: Vec<u8> = line.iter().take(16).map(u8::to_ascii_lowercase).collect();
        if BOM.starts_with(line) {
            Self::Undecided
        } else if BEGINNINGS.iter().any(|beginning| lower.starts_with(beginning.as_bytes())) {
            Self::Sse
        } else if BEGINNINGS.iter().any(|beginning| beginning.as_bytes().starts_with(&lower)) {
            Self::Undecided
        } else {
            Self::Lines
        }
    }
}

/// A mark and empty lines in front mean nothing, however the output is read.
fn drop_empty_lines(first: &mut Vec<u8>) {
    let line = first.strip_prefix(BOM).unwrap_or(first);
    let begins = line.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(line.len());
    first.drain(..first.len() - line.len() + begins);
}

fn decode(decoder: &mut Decoder, mut piece: &[u8]) -> Result<Batch, DecodeError> {
    let mut batch = Batch::default();
    while let Some(item) = decoder.decode(&mut piece)? {
        match item {
            Item::Event(event) => batch.events.push(Printed {
                event_type: event.event_type.to_owned(),
                data: event.data.to_owned(),
                id: event.block_id.map(str::to_owned),
            }),
            Item::Retry(ms) => batch.retry = Some(Duration::from_millis(ms)),
            Item::Comment(_) => {}
        }
    }
    Ok(batch)
}

fn cut_lines(
    open: &mut Vec<u8>,
    mut piece: &[u8],
    line_bytes_max: usize,
) -> Result<Batch, DecodeError> {
    let mut batch = Batch::default();
    while let Some(end) = piece.iter().position(|&byte| byte == b'\n') {
        let (line, rest) = piece.split_at(end);
        open.extend_from_slice(line);
        piece = rest.strip_prefix(b"\n").unwrap_or(rest);
        let line = open.strip_suffix(b"\r").unwrap_or(open);
        if line.len() > line_bytes_max {
            return Err(DecodeError::LineTooLong { line_bytes_max });
        }
        if !line.is_empty() {
            let data = String::from_utf8_lossy(line).into_owned();
            batch.events.push(Printed { event_type: String::new(), data, id: None });
        }
        open.clear();
    }
    open.extend_from_slice(piece);
    if open.len() > line_bytes_max.saturating_add(1) {
        return Err(DecodeError::LineTooLong { line_bytes_max });
    }
    Ok(batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 64;

    /// The data of all events, of the output in one piece and in pieces of one byte.
    fn read(format: Format, text: &str) -> (Vec<String>, bool) {
        let whole = read_in_pieces(format, text, text.len().max(1));
        assert_eq!(read_in_pieces(format, text, 1), whole, "{text:?}");
        whole
    }

    fn read_in_pieces(format: Format, text: &str, bytes: usize) -> (Vec<String>, bool) {
        let mut output = Output::new(format, MAX);
        let mut events = Vec::new();
        for piece in text.as_bytes().chunks(bytes) {
            events.extend(output.feed(piece).unwrap().events);
        }
        let (rest, begun) = output.end().unwrap();
        events.extend(rest.events);
        (events.into_iter().map(|event| event.data).collect(), begun)
    }

    #[test]
    fn an_output_is_a_stream_if_its_first_line_looks_like_one() {
        for stream in [
            "data: x\n\n",
            "\n\ndata:x\n\n",
            "\u{feff}data: x\n\n",
            ":\n\ndata: x\n\n",
            "event: t\ndata: x\n\n",
            "id: 1\r\ndata: x\r\n\r\n",
            "retry: 5\n\ndata: x\n\n",
            "Content-Type: text/event-stream\r\nCache-Control: no-cache\r\n\r\ndata: x\n\n",
        ] {
            assert_eq!(read(Format::Auto, stream), (vec!["x".to_owned()], false), "{stream:?}");
        }
        for lines in ["x", "x\n", "\nx\r\n\n", "\n\n  \nx\n"] {
            let (read, _) = read(Format::Auto, lines);
            assert_eq!(read.last().map(String::as_str), Some("x"), "{lines:?}");
        }
        for line in ["dat", "database: up", "events", "re", "ids: 3"] {
            assert_eq!(read(Format::Auto, line), (vec![line.to_owned()], false));
        }
        assert_eq!(read(Format::Auto, ""), (vec![], false));
    }

    #[test]
    fn lines_may_look_like_a_stream_when_told() {
        let (lines, _) = read(Format::Lines, "data: x\n\ndata: y");
        assert_eq!(lines, ["data: x", "data: y"]);
        assert_eq!(read(Format::Sse, "x\ny\n"), (vec![], false));
    }

    #[test]
    fn types_ids_and_retry_are_read() {
        let mut output = Output::new(Format::Auto, MAX);
        let text = "retry: 100\nid: 1\nevent: tick\ndata: a\ndata: b\n\ndata\nretry: 200\n\n";
        let batch = output.feed(text.as_bytes()).unwrap();
        let tick = Printed { event_type: "tick".into(), data: "a\nb".into(), id: Some("1".into()) };
        let empty = Printed { event_type: "message".into(), data: String::new(), id: None };
        assert_eq!(batch.events, [tick, empty]);
        assert_eq!(batch.retry, Some(Duration::from_millis(200)));
    }

    #[test]
    fn an_event_without_its_empty_line_is_not_one_but_told() {
        assert_eq!(read(Format::Auto, "data: x\n\ndata: y\n"), (vec!["x".to_owned()], true));
        assert_eq!(read(Format::Auto, "data: x\n\ndata: y"), (vec!["x".to_owned()], true));
        assert_eq!(read(Format::Auto, "data: x\n\n:\n"), (vec!["x".to_owned()], false));
    }

    #[test]
    fn what_is_too_large_ends_the_output() {
        for format in [Format::Sse, Format::Lines] {
            let mut output = Output::new(format, MAX);
            assert!(output.feed(&[b'x'; 500]).is_err(), "{format:?}");
            let mut output = Output::new(format, MAX);
            assert!(output.feed(format!("data:{}\n\n", "x".repeat(500)).as_bytes()).is_err());
        }
        let mut output = Output::new(Format::Lines, MAX);
        assert_eq!(output.feed("x\r\n".repeat(50).as_bytes()).unwrap().events.len(), 50);
        assert_eq!(
            output.feed(format!("{}\r\n", "x".repeat(MAX)).as_bytes()).unwrap().events.len(),
            1
        );
        assert!(output.feed(format!("{}\n", "x".repeat(MAX + 1)).as_bytes()).is_err());
        let largest = format!("data: {}\n\n", "x".repeat(MAX));
        assert_eq!(Output::new(Format::Sse, MAX).feed(largest.as_bytes()).unwrap().events.len(), 1);
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_replaced() {
        for format in [Format::Sse, Format::Lines] {
            let mut output = Output::new(format, MAX);
            let batch = output.feed(b"data: a\xFFb\n\n").unwrap();
            assert!(batch.events[0].data.ends_with("a\u{fffd}b"), "{format:?}");
        }
    }
}
