//! Whether bytes that come in pieces are UTF-8.

use super::intake::IntakeError;

/// Checks a body piece by piece.
#[derive(Debug, Default)]
pub(crate) struct Utf8Check {
    /// A character that the last piece began, `begun_len` bytes of it.
    begun: [u8; 4],
    begun_len: usize,
    /// How many bytes lie before the character or the next piece.
    at: usize,
}

impl Utf8Check {
    /// The part of the piece that lies before the first error, and the error.
    pub(crate) fn check<'a>(&mut self, piece: &'a [u8]) -> (&'a [u8], Result<(), IntakeError>) {
        let mut rest = piece;
        while self.begun_len > 0 {
            let Some((&byte, tail)) = rest.split_first() else { return (piece, Ok(())) };
            rest = tail;
            if let Some(place) = self.begun.get_mut(self.begun_len) {
                *place = byte;
            }
            self.begun_len += 1;
            let begun = self.begun.get(..self.begun_len).unwrap_or_default();
            match std::str::from_utf8(begun) {
                Ok(_) => {
                    self.at += self.begun_len;
                    self.begun_len = 0;
                }
                Err(error) if error.error_len().is_none() => {}
                // Nothing of the piece is known to be good: the character began before it.
                Err(_) => return (&[], Err(IntakeError::NotUtf8 { at: self.at })),
            }
        }
        let Err(error) = std::str::from_utf8(rest) else {
            self.at += rest.len();
            return (piece, Ok(()));
        };
        let (valid, begun) = rest.split_at_checked(error.valid_up_to()).unwrap_or((rest, &[]));
        self.at += valid.len();
        if error.error_len().is_some() {
            let good = piece.len() - begun.len();
            let good = piece.get(..good).unwrap_or_default();
            return (good, Err(IntakeError::NotUtf8 { at: self.at }));
        }
        for (place, byte) in self.begun.iter_mut().zip(begun) {
            *place = *byte;
        }
        self.begun_len = begun.len();
        (piece, Ok(()))
    }

    /// Whether the last character was complete.
    pub(crate) fn end(&self) -> Result<(), IntakeError> {
        if self.begun_len == 0 { Ok(()) } else { Err(IntakeError::NotUtf8 { at: self.at }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks `bytes` in pieces of a length; how many bytes are good and where they are not.
    fn check(bytes: &[u8], piece_len: usize) -> (usize, Option<usize>) {
        let mut utf8 = Utf8Check::default();
        let mut good = 0;
        for piece in bytes.chunks(piece_len) {
            let (valid, result) = utf8.check(piece);
            good += valid.len();
            if let Err(IntakeError::NotUtf8 { at }) = result {
                return (good, Some(at));
            }
        }
        match utf8.end() {
            Err(IntakeError::NotUtf8 { at }) => (good, Some(at)),
            _ => (good, None),
        }
    }

    #[test]
    fn agrees_with_the_library_however_the_bytes_are_cut() {
        let texts: [&[u8]; 9] = [
            b"",
            b"ascii",
            "aé价\u{1f600}z".as_bytes(),
            b"ab\xffcd",
            b"ab\xc3",
            b"ab\xc3z",
            b"\xe4\xbb",
            b"a\xf0\x9f\x98z",
            b"\xed\xa0\x80",
        ];
        for text in texts {
            let expected = std::str::from_utf8(text).err().map(|error| error.valid_up_to());
            for piece_len in 1..=text.len().max(1) {
                let (good, at) = check(text, piece_len);
                assert_eq!(at, expected, "{text:?} by {piece_len}");
                assert!(good >= at.unwrap_or(text.len()), "{text:?} by {piece_len}");
            }
        }
    }
}
