//! The encoder: an event in, the bytes of its frame out.

use alloc::vec::Vec;
use core::fmt;

use memchr::{memchr, memchr2};

/// The fields of one event, or of a block that dispatches none.
///
/// ```
/// use headwater_event_stream::{EventFields, encode};
///
/// let mut frame = Vec::new();
/// let fields = EventFields { id: Some("7"), data: Some("two\nlines"), ..EventFields::default() };
/// encode(&fields, &mut frame)?;
/// assert_eq!(frame, b"data: two\ndata: lines\nid: 7\n\n");
/// # Ok::<(), headwater_event_stream::EncodeError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventFields<'a> {
    /// The type, without CR or LF. `None`, empty and `message` all mean `message`, and write no line.
    pub event_type: Option<&'a str>,
    /// The reconnection time to set, in milliseconds.
    pub retry: Option<u64>,
    /// The data. Empty data make an event; `None` makes a block that dispatches nothing. A CR or CRLF in
    /// them is a line break like LF, and arrives as LF.
    pub data: Option<&'a str>,
    /// The last event ID, without CR, LF or NUL. `None` leaves the reader's as it is, empty resets it.
    pub id: Option<&'a str>,
}

/// A field that `text/event-stream` cannot represent. Its publisher has to mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// The event type has a CR or LF.
    LineBreakInEventType,
    /// The id has a CR or LF.
    LineBreakInId,
    /// The id has a U+0000, because of which readers would ignore it.
    NulInId,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LineBreakInEventType => {
                "an event's type cannot hold a line break: remove CR and LF"
            }
            Self::LineBreakInId => "an event's id cannot hold a line break: remove CR and LF",
            Self::NulInId => "an event's id cannot hold U+0000: remove it",
        })
    }
}

impl core::error::Error for EncodeError {}

/// Appends the frame of an event to `out`: `event`, `retry`, the `data` lines, `id` as the last, and the
/// blank line.
///
/// `out` grows at most once, and a new one to no more than the frame ([`encoded_len`]). Decoded, the frame
/// gives the fields again, except that CR and CRLF in the data have become LF.
///
/// # Errors
///
/// If the type or the id cannot be represented. Nothing is appended then.
pub fn encode(fields: &EventFields<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if let Some(event_type) = fields.event_type {
        validate_event_type(event_type)?;
    }
    if let Some(id) = fields.id {
        validate_id(id)?;
    }
    out.reserve(encoded_len(fields));
    write(fields, out);
    Ok(())
}

/// How many bytes [`encode`] appends for these fields.
#[must_use]
pub fn encoded_len(fields: &EventFields<'_>) -> usize {
    let mut count = Count(0);
    write(fields, &mut count);
    count.0
}

/// Appends a comment to `out`: a line with a colon for each line of `text`, so `:` and LF for an empty one.
/// It may stand between the lines of a block, and ends none.
pub fn encode_comment(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len() + 3);
    write_lines(out, b":", text);
}

/// Whether a type can be represented: it has no CR and no LF.
///
/// # Errors
///
/// If it cannot.
pub fn validate_event_type(event_type: &str) -> Result<(), EncodeError> {
    match memchr2(b'\r', b'\n', event_type.as_bytes()) {
        Some(_) => Err(EncodeError::LineBreakInEventType),
        None => Ok(()),
    }
}

/// Whether an id can be represented: it has no CR, no LF and no U+0000.
///
/// # Errors
///
/// If it cannot.
pub fn validate_id(id: &str) -> Result<(), EncodeError> {
    if memchr2(b'\r', b'\n', id.as_bytes()).is_some() {
        return Err(EncodeError::LineBreakInId);
    }
    // WHATWG HTML 9.2.6: "If the field value does not contain U+0000 NULL, then set the last event ID
    // buffer to the field value. Otherwise, ignore the field."
    match memchr(0, id.as_bytes()) {
        Some(_) => Err(EncodeError::NulInId),
        None => Ok(()),
    }
}

/// Where a frame goes, so that its length is found by the same code that writes it.
trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

struct Count(usize);

impl Sink for Count {
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

fn write(fields: &EventFields<'_>, out: &mut impl Sink) {
    if let Some(event_type) = fields.event_type
        && !matches!(event_type, "" | "message")
    {
        write_line(out, b"event:", event_type.as_bytes());
    }
    if let Some(retry_ms) = fields.retry {
        let mut digits = [0; DIGITS_MAX];
        write_line(out, b"retry:", decimal(retry_ms, &mut digits));
    }
    if let Some(data) = fields.data {
        write_lines(out, b"data:", data);
    }
    if let Some(id) = fields.id {
        // Last, because WebKit keeps half a block when its connection breaks: an id without the data
        // before it would lose them.
        write_line(out, b"id:", id.as_bytes());
    }
    out.put(b"\n");
}

/// A line for each line of `text`.
///
/// WHATWG HTML 9.2.5: "Lines must be separated by either a U+000D CARRIAGE RETURN U+000A LINE FEED (CRLF)
/// character pair, a single U+000A LINE FEED (LF) character, or a single U+000D CARRIAGE RETURN (CR)
/// character."
fn write_lines(out: &mut impl Sink, name: &[u8], text: &str) {
    let mut rest = text.as_bytes();
    while let Some(end) = memchr2(b'\r', b'\n', rest) {
        let (line, tail) = rest.split_at(end);
        write_line(out, name, line);
        rest = match tail {
            [b'\r', b'\n', tail @ ..] | [_, tail @ ..] => tail,
            [] => tail,
        };
    }
    write_line(out, name, rest);
}

fn write_line(out: &mut impl Sink, name: &[u8], value: &[u8]) {
    out.put(name);
    if !value.is_empty() {
        // WHATWG HTML 9.2.6: "If value starts with a U+0020 SPACE character, remove it from value." With
        // one of our own, a value that begins with a space keeps it.
        out.put(b" ");
        out.put(value);
    }
    out.put(b"\n");
}

/// The digits of `u64::MAX`.
const DIGITS_MAX: usize = 20;

fn decimal(mut number: u64, digits: &mut [u8; DIGITS_MAX]) -> &[u8] {
    let mut begin = DIGITS_MAX;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        begin -= 1;
        if number == 0 {
            break;
        }
    }
    digits.get(begin..).unwrap_or_default()
}
