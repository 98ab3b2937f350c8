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
            replace(scratch, bytes);
            scratch
        }
    }
}

/// Makes `text` what `bytes` decode to.
pub(crate) fn replace(text: &mut String, bytes: &[u8]) {
    text.clear();
    // WHATWG HTML 9.2.6: "Streams must be decoded using the UTF-8 decode algorithm."
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
}
