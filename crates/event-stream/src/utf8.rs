//! UTF-8 decoding with replacement, into buffers that are used again.

use alloc::string::String;

/// `bytes` as text: borrowed if they are UTF-8, else rewritten into `scratch` (which loses what it held)
/// with U+FFFD for what is invalid.
///
/// Line by line gives the same as decoding the stream as a whole, because lines are cut at ASCII
/// characters, which end any sequence that is incomplete.
pub(crate) fn decode<'a>(bytes: &'a [u8], scratch: &'a mut String) -> &'a str {
    match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => {
            replace_invalid(scratch, bytes);
            scratch
        }
    }
}

/// Makes `text` what `bytes` decode to.
pub(crate) fn replace(text: &mut String, bytes: &[u8]) {
    match core::str::from_utf8(bytes) {
        Ok(valid) => {
            text.clear();
            text.push_str(valid);
        }
        Err(_) => replace_invalid(text, bytes),
    }
}

#[cold]
fn replace_invalid(text: &mut String, bytes: &[u8]) {
    text.clear();
    // WHATWG HTML 9.2.6: "Streams must be decoded using the UTF-8 decode algorithm."
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

/// Bytes that have been checked once, so that their parts need not be.
///
/// Inlined throughout: handed over in memory, a slice that was just written costs more than the check.
#[derive(Clone, Copy)]
pub(crate) struct Utf8<'i> {
    bytes: &'i [u8],
    /// `bytes` if all of it is UTF-8, else empty.
    text: &'i str,
}

impl<'i> Utf8<'i> {
    #[inline(always)]
    pub(crate) fn new(bytes: &'i [u8]) -> Self {
        Self { bytes, text: core::str::from_utf8(bytes).unwrap_or_default() }
    }

    /// [`decode`] for a part of these bytes.
    #[inline(always)]
    pub(crate) fn decode<'a>(self, part: &'i [u8], scratch: &'a mut String) -> &'a str
    where
        'i: 'a,
    {
        self.part(part).unwrap_or_else(|| decode(part, scratch))
    }

    /// [`replace`] for a part of these bytes.
    #[inline(always)]
    pub(crate) fn replace(self, text: &mut String, part: &'i [u8]) {
        match self.part(part) {
            Some(valid) => {
                text.clear();
                text.push_str(valid);
            }
            None => replace(text, part),
        }
    }

    #[inline(always)]
    fn part(self, part: &[u8]) -> Option<&'i str> {
        let begin = part.as_ptr().addr().checked_sub(self.bytes.as_ptr().addr())?;
        self.text.get(begin..begin + part.len())
    }
}
