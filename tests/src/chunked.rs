//! HTTP/1.1's chunked transfer coding, read a byte at a time, so that every payload byte keeps its place in
//! the bytes that came over the wire.

/// Where in the coding the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In the hexadecimal size; extensions are skipped up to the line's end.
    Size,
    Extension,
    Payload,
    /// Between a chunk's payload and the next size.
    PayloadEnd,
    /// In the lines after the last chunk; holds the length of the line.
    Trailer(usize),
    Ended,
}

/// A decoder for one body.
#[derive(Debug)]
pub(crate) struct Chunked {
    state: State,
    left: usize,
}

impl Chunked {
    pub(crate) fn new() -> Self {
        Self { state: State::Size, left: 0 }
    }

    /// Whether the last chunk and its end were seen.
    pub(crate) fn ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Takes the next byte from the wire; whether it is a payload byte.
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        match (self.state, byte) {
            (State::Size, b'\n') | (State::Extension, b'\n') => {
                self.state = if self.left == 0 { State::Trailer(0) } else { State::Payload };
            }
            (State::Size, b';') => self.state = State::Extension,
            (State::Size, _) => {
                if let Some(digit) = char::from(byte).to_digit(16) {
                    self.left = self.left.saturating_mul(16).saturating_add(digit as usize);
                }
            }
            (State::Payload, _) => {
                self.left -= 1;
                if self.left == 0 {
                    self.state = State::PayloadEnd;
                }
                return true;
            }
            (State::PayloadEnd, b'\n') => self.state = State::Size,
            (State::Trailer(0), b'\n') => self.state = State::Ended,
            (State::Trailer(_), b'\n') => self.state = State::Trailer(0),
            (State::Trailer(length), byte) if byte != b'\r' => {
                self.state = State::Trailer(length + 1);
            }
            _ => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(wire: &str) -> (String, bool) {
        let mut chunked = Chunked::new();
        let payload = wire.bytes().filter(|byte| chunked.take(*byte)).map(char::from).collect();
        (payload, chunked.ended())
    }

    #[test]
    fn payload_is_told_from_coding() {
        assert_eq!(decode("4\r\n1\r\n2\r\n"), ("1\r\n2".into(), false));
        assert_eq!(decode("A;x=1\r\n0123456789\r\n1\r\na\r\n"), ("0123456789a".into(), false));
        assert_eq!(decode("1\r\na\r\n0\r\n\r\n"), ("a".into(), true));
        assert_eq!(decode("0\r\nTrailer: 1\r\n\r\n"), (String::new(), true));
        assert_eq!(decode("0\r\nTrailer: 1\r\n"), (String::new(), false));
    }
}
