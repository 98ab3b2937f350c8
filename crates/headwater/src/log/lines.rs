//! Lines of a file, with a limit on each.

use std::io::{self, BufRead, Read};

/// Lines, one after the other, counted from 1.
pub(crate) struct Lines<R> {
    input: R,
    line: Vec<u8>,
    number: u64,
    bytes: u64,
}

/// Why there is no next line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinesError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("line {line} is longer than {BYTES_MAX} bytes, which no event is")]
    TooLong { line: u64 },
}

/// An event is at most a segment of 64 MiB, and six characters of JSON can be one byte of it.
const BYTES_MAX: usize = 384 << 20;

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, line: Vec::new(), number: 0, bytes: 0 }
    }

    /// The next line that is not blank, and its number.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, &[u8])>, LinesError> {
        loop {
            self.line.clear();
            self.number += 1;
            let mut input = (&mut self.input).take(BYTES_MAX as u64);
            let read = input.read_until(b'\n', &mut self.line)?;
            self.bytes += read as u64;
            if read == 0 {
                return Ok(None);
            }
            if read == BYTES_MAX && !self.line.ends_with(b"\n") {
                return Err(LinesError::TooLong { line: self.number });
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(Some((self.number, self.line.trim_ascii())));
            }
        }
    }

    /// How many bytes have been read.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_lines_are_counted_and_left_out() {
        let mut lines = Lines::new(&b"a\n\n \r\nb\r\nc"[..]);
        assert_eq!(lines.next().unwrap(), Some((1, &b"a"[..])));
        assert_eq!(lines.next().unwrap(), Some((4, &b"b"[..])));
        assert_eq!(lines.next().unwrap(), Some((5, &b"c"[..])));
        assert_eq!(lines.next().unwrap(), None);
        assert_eq!(lines.bytes(), 10);
    }
}
