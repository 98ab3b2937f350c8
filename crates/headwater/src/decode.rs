//! `headwater decode`: an event stream on standard input, JSON lines on standard output.

use std::io::{self, BufWriter, Read, Write};

use anyhow::Context;
use headwater_event_stream::{Decoder, Item};
use serde::Serialize;

use crate::failure::Failure;

/// Turn an event stream into JSON lines
///
/// Reads text/event-stream from standard input and prints a line of JSON for each event as soon as it is
/// complete. `id` is the last event ID, which stays until the stream sets another.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

const EXAMPLES: &str = r#"Examples:
  printf 'event: price\ndata: 42\nid: 7\n\n' | headwater decode
    {"id":"7","type":"price","data":"42"}
  curl -sN http://127.0.0.1:8080/events/news | headwater decode | jq -r .data"#;

/// A line of the output. The order of the names is part of what is printed.
#[derive(Serialize)]
#[serde(untagged)]
enum Line<'a> {
    Event { id: &'a str, r#type: &'a str, data: &'a str },
    Retry { retry: u64 },
}

/// Runs the command over the process's own streams.
#[expect(clippy::unused_async, reason = "commands are called alike")]
pub(crate) async fn run(Args {}: Args) -> Result<(), Failure> {
    decode(io::stdin().lock(), io::stdout().lock())
}

/// Decodes until the input ends, or nobody reads the output any more. Holds one piece of the input and what
/// the decoder's default limits allow.
fn decode(mut input: impl Read, output: impl Write) -> Result<(), Failure> {
    let mut output = BufWriter::new(output);
    let mut decoder = Decoder::new();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let count = match input.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).context("cannot read standard input")?,
        };
        let decoded = print(&mut decoder, piece.get(..count).unwrap_or_default(), &mut output);
        // What came before an error is printed all the same, and before the next piece is waited for.
        match decoded.and_then(|done| output.flush().map(|()| done).map_err(Broken::Output)) {
            Ok(()) => {}
            Err(Broken::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                return Ok(());
            }
            Err(Broken::Output(error)) => {
                return Err(error).context("cannot write to standard output")?;
            }
            Err(Broken::Stream(error)) => {
                output.flush().context("cannot write to standard output")?;
                return Err(error.into());
            }
        }
    }
}

const PIECE_BYTES: usize = 64 * 1024;

enum Broken {
    Stream(anyhow::Error),
    Output(io::Error),
}

fn print(decoder: &mut Decoder, mut piece: &[u8], output: &mut impl Write) -> Result<(), Broken> {
    while let Some(item) =
        decoder.decode(&mut piece).map_err(|error| Broken::Stream(error.into()))?
    {
        let line = match item {
            Item::Event(event) => {
                Line::Event { id: event.id, r#type: event.event_type, data: event.data }
            }
            Item::Retry(ms) => Line::Retry { retry: ms },
            Item::Comment(_) => continue,
        };
        serde_json::to_writer(&mut *output, &line)
            .map_err(io::Error::from)
            .and_then(|()| output.write_all(b"\n"))
            .map_err(Broken::Output)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(input: &[u8]) -> String {
        let mut output = Vec::new();
        decode(input, &mut output).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn prints_events_and_retries_in_the_streams_order() {
        let stream = "\u{feff}retry: 10\n\nid: 1\nevent: a\ndata: x\ndata: \"y\"\n\n: no\ndata\nretry: 5\n\n\
                      id: 2\n\ndata: é\u{1}\r\rdata: lost";
        assert_eq!(
            decoded(stream.as_bytes()),
            "{\"retry\":10}\n\
             {\"id\":\"1\",\"type\":\"a\",\"data\":\"x\\n\\\"y\\\"\"}\n\
             {\"retry\":5}\n\
             {\"id\":\"1\",\"type\":\"message\",\"data\":\"\"}\n\
             {\"id\":\"2\",\"type\":\"message\",\"data\":\"é\\u0001\"}\n"
        );
    }

    #[test]
    fn an_empty_input_is_no_error() {
        assert_eq!(decoded(b""), "");
    }

    #[test]
    fn a_line_beyond_the_limit_is_an_error_after_what_came_before() {
        let mut stream = b"data: 1\n\ndata: ".to_vec();
        stream.resize(17 << 20, b'x');
        let mut output = Vec::new();
        let Err(Failure::Failed(error)) = decode(stream.as_slice(), &mut output) else { panic!() };
        assert!(error.to_string().contains("longer than"), "{error}");
        assert_eq!(output, b"{\"id\":\"\",\"type\":\"message\",\"data\":\"1\"}\n");
    }

    /// Gives a piece a read, and sees what has been written by the time of the next.
    struct Pieces<'a> {
        pieces: std::slice::Iter<'a, (&'a str, usize)>,
        written: &'a std::cell::RefCell<Vec<u8>>,
        expected: usize,
    }

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let lines = self.written.borrow().split(|byte| *byte == b'\n').count() - 1;
            assert_eq!(lines, self.expected);
            let Some((piece, expected)) = self.pieces.next() else { return Ok(0) };
            self.expected = *expected;
            buffer[..piece.len()].copy_from_slice(piece.as_bytes());
            Ok(piece.len())
        }
    }

    struct Shared<'a>(&'a std::cell::RefCell<Vec<u8>>);

    impl Write for Shared<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_event_is_printed_before_more_is_waited_for() {
        let written = std::cell::RefCell::default();
        let pieces =
            [("data: 1\n", 0), ("\nda", 1), ("ta: 2\r\r", 2), ("data: 3\n\ndata: 4\n\n", 4)];
        let input = Pieces { pieces: pieces.iter(), written: &written, expected: 0 };
        decode(input, Shared(&written)).unwrap();
    }

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn ends_well_when_nobody_reads_it_any_more() {
        decode(&b"data: 1\n\n"[..], Closed).unwrap();
    }
}
