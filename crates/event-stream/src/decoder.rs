//! The decoder: bytes in, events out, in whatever pieces the bytes come.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::mem;

use memchr::memchr2;

use crate::field::{Field, without_space};
use crate::utf8;

/// Decodes one event stream after another.
///
/// Hand it the bytes as they come, cut anywhere; what comes out does not depend on the cuts. An event that
/// lies whole in the input is borrowed from it. The buffers are kept from event to event, so that a
/// decoder in use does not allocate; it never holds more than [`Limits`] says.
///
/// The end of a stream needs no call: WHATWG HTML 9.2.6: "Once the end of the file is reached, any pending
/// data must be discarded." For the next connection call [`reset`](Self::reset).
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    limits: Limits,
    report_comments: bool,
    /// How many bytes of a leading BOM have been seen; `BOM.len()` once the stream's start is settled.
    bom_len: usize,
    /// The last line ended in a CR that was the last byte: an LF that comes next belongs to it.
    after_cr: bool,
    held: Held,
    /// The line that has not ended, if `held` is `Line`.
    line: Vec<u8>,
    /// How long the line that has not ended is so far, if `held` is not `Nothing`.
    line_len: usize,
    /// The data buffer, undecoded, without the LF after its last line.
    data: Vec<u8>,
    /// Whether the block has a data line, possibly an empty one.
    has_data: bool,
    event_type: String,
    id: String,
    /// Whether the block has an `id` line; if not, `last_event_id` also is the last event ID buffer.
    has_id: bool,
    retry_ms: Option<u64>,
    last_event_id: String,
    /// Text that had to be rewritten because it was not UTF-8.
    scratch: String,
    /// The buffers belong to an event that was handed out, and are cleared by the next call.
    handed_out: bool,
    failure: Option<DecodeError>,
}

/// How large things may get before [`Decoder::decode`] returns an error.
///
/// At worst a decoder holds about `event_bytes_max + 4 * line_bytes_max`, and three times that if the
/// stream is not UTF-8, because U+FFFD has three bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest line, in bytes as received, without its end. 16 MiB by default.
    pub line_bytes_max: usize,
    /// The largest event data, in bytes as received: the values of the `data` lines and the LFs between
    /// them. 16 MiB by default.
    pub event_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { line_bytes_max: 16 << 20, event_bytes_max: 16 << 20 }
    }
}

/// Something that the stream said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// An event was dispatched.
    Event(Event<'a>),
    /// The stream sets the reconnection time, in milliseconds: at once, before the event of the same block
    /// if there is one.
    Retry(u64),
    /// A comment line, without its colon and without one space after it. Only if asked for by
    /// [`Decoder::report_comments`].
    Comment(&'a str),
}

/// A dispatched event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The event's type; `message` if the stream names none.
    pub event_type: &'a str,
    /// The values of the `data` lines, joined by LF. May be empty.
    pub data: &'a str,
    /// The last event ID string (`lastEventId` in browsers), also if an earlier event set it. May be empty.
    pub id: &'a str,
    /// The same if this event's own block has an `id` line, else `None`.
    pub block_id: Option<&'a str>,
    /// The reconnection time that this event's own block has set, in milliseconds. It was reported as
    /// [`Item::Retry`] before.
    pub block_retry: Option<u64>,
}

/// The stream is larger than the decoder's [`Limits`] allow.
///
/// Which error, and after which items, does not depend on how the bytes were cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// A line has grown longer than [`Limits::line_bytes_max`].
    LineTooLong {
        /// The limit.
        line_bytes_max: usize,
    },
    /// At the end of a line, the event's data are larger than [`Limits::event_bytes_max`].
    EventTooLarge {
        /// The limit.
        event_bytes_max: usize,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LineTooLong { line_bytes_max } => write!(
                f,
                "a line of the event stream is longer than {line_bytes_max} bytes; \
                 send shorter lines or raise line_bytes_max"
            ),
            Self::EventTooLarge { event_bytes_max } => write!(
                f,
                "an event's data are larger than {event_bytes_max} bytes; \
                 send smaller events or raise event_bytes_max"
            ),
        }
    }
}

impl core::error::Error for DecodeError {}

impl Decoder {
    /// A decoder with the default limits, at the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A decoder with limits of your own, at the start of a stream.
    #[must_use]
    pub fn with_limits(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Whether [`Item::Comment`] is reported; if not, comments are skipped. Off by default.
    #[must_use]
    pub fn report_comments(mut self, report: bool) -> Self {
        self.report_comments = report;
        self
    }

    /// Takes bytes off the front of `input` until an item is complete. `None` means that all of `input` is
    /// used up and more is needed, so call it again with the same `input` until then:
    ///
    /// ```
    /// # use headwater_event_stream::{Decoder, DecodeError, Item};
    /// # fn show(decoder: &mut Decoder, chunk: &[u8]) -> Result<(), DecodeError> {
    /// let mut input = chunk;
    /// while let Some(item) = decoder.decode(&mut input)? {
    ///     println!("{item:?}");
    /// }
    /// # Ok(())
    /// # }
    /// # show(&mut Decoder::new(), b"data: x\n\n").unwrap();
    /// ```
    ///
    /// Costs time linear in the bytes taken, whatever the cuts.
    ///
    /// # Errors
    ///
    /// If the stream exceeds the limits. The decoder then returns the same error until it is
    /// [`reset`](Self::reset): there is no telling where the next event begins.
    pub fn decode<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<Item<'a>>, DecodeError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        if self.handed_out {
            self.clear_block();
        }
        let mut rest = self.start_of_chunk(input)?;
        let mut block = Block::default();
        loop {
            if self.held == Held::Nothing {
                match rest.first() {
                    None => break,
                    // WHATWG HTML 9.2.6: "If the line is empty (a blank line): Dispatch the event".
                    Some(b'\n' | b'\r') => {
                        rest = self.after_line_end(rest);
                        if self.has_data || block.data.is_some() {
                            *input = rest;
                            return Ok(Some(Item::Event(self.dispatch(block))));
                        }
                        self.end_without_data(block);
                        block = Block::default();
                        continue;
                    }
                    Some(_) => {}
                }
            }
            let Some(end) = memchr2(b'\n', b'\r', rest) else {
                self.keep(block);
                self.hold(rest)?;
                *input = &[];
                return Ok(None);
            };
            let (line, tail) = rest.split_at(end);
            rest = self.after_line_end(tail);
            let report = if self.held == Held::Nothing {
                self.take_line(line, &mut block)?
            } else {
                self.keep(mem::take(&mut block));
                self.hold(line)?;
                self.take_held_line()?
            };
            match report {
                Report::Nothing => {}
                Report::Retry(ms) => {
                    self.keep(block);
                    *input = rest;
                    return Ok(Some(Item::Retry(ms)));
                }
                Report::Comment(place) => {
                    self.keep(block);
                    *input = rest;
                    let line = if place == Place::Input { line } else { &self.line };
                    return Ok(Some(Item::Comment(comment(line, &mut self.scratch))));
                }
            }
        }
        self.keep(block);
        *input = rest;
        Ok(None)
    }

    /// The last event ID string: what a reconnection sends as `Last-Event-ID`. It changes at the end of a
    /// block, also of one that dispatches nothing.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        &self.last_event_id
    }

    /// Sets the last event ID string, as when a stored one is taken up again.
    pub fn set_last_event_id(&mut self, id: &str) {
        self.last_event_id.clear();
        self.last_event_id.push_str(id);
    }

    /// Makes the decoder ready for a new connection: what has not been dispatched is dropped, a BOM is
    /// allowed again, an error is forgotten, memory is given back. The last event ID string stays, also for
    /// events that carry none, as in browsers.
    pub fn reset(&mut self) {
        *self = Self {
            limits: self.limits,
            report_comments: self.report_comments,
            last_event_id: mem::take(&mut self.last_event_id),
            ..Self::default()
        };
    }

    /// Skips what belongs to the stream's start or to the last chunk's last line end.
    fn start_of_chunk<'i>(&mut self, input: &'i [u8]) -> Result<&'i [u8], DecodeError> {
        let mut rest = input;
        // WHATWG HTML 9.2.6: "The UTF-8 decode algorithm strips one leading UTF-8 Byte Order Mark (BOM),
        // if any."
        while let Some(&expected) = BOM.get(self.bom_len) {
            let Some((&first, tail)) = rest.split_first() else { return Ok(rest) };
            if first == expected {
                self.bom_len += 1;
                rest = tail;
                continue;
            }
            let begun = BOM.get(..self.bom_len).unwrap_or_default();
            self.bom_len = BOM.len();
            if !begun.is_empty() {
                self.hold(begun)?;
            }
        }
        if self.after_cr && !rest.is_empty() {
            self.after_cr = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        Ok(rest)
    }

    /// `rest` begins with a line end: returns what follows it.
    ///
    /// WHATWG HTML 9.2.6: "a U+000D CARRIAGE RETURN U+000A LINE FEED (CRLF) character pair, a single U+000A
    /// LINE FEED (LF) character not preceded by a U+000D CARRIAGE RETURN (CR) character, and a single U+000D
    /// CARRIAGE RETURN (CR) character not followed by a U+000A LINE FEED (LF) character being the ways in
    /// which a line can end."
    fn after_line_end<'i>(&mut self, rest: &'i [u8]) -> &'i [u8] {
        match rest {
            [b'\r', b'\n', tail @ ..] => tail,
            [b'\r'] => {
                // The line has ended whatever follows, so that nobody waits for the next chunk to learn it.
                self.after_cr = true;
                &[]
            }
            [_, tail @ ..] => tail,
            [] => rest,
        }
    }

    /// Takes a line that lies whole in the input.
    fn take_line<'i>(
        &mut self,
        line: &'i [u8],
        block: &mut Block<'i>,
    ) -> Result<Report, DecodeError> {
        self.check_line_size(line.len())?;
        match Field::parse(line) {
            Field::Data(value) if block.data.is_none() && !self.has_data => {
                block.data = Some(value);
                self.check_event_size(value.len())?;
            }
            Field::Data(value) => {
                self.keep(mem::take(block));
                append_line(&mut self.data, &mut self.has_data, value);
                self.check_event_size(self.data.len())?;
            }
            Field::EventType(value) => block.event_type = Some(value),
            Field::Id(value) => block.id = Some(value),
            Field::RetryMs(ms) => {
                self.retry_ms = Some(ms);
                return Ok(Report::Retry(ms));
            }
            Field::Comment(_) if self.report_comments => return Ok(Report::Comment(Place::Input)),
            Field::Comment(_) | Field::Ignored => {}
        }
        Ok(Report::Nothing)
    }

    /// Keeps a piece of a line whose end is not in the same input as its beginning.
    fn hold(&mut self, piece: &[u8]) -> Result<(), DecodeError> {
        if self.held == Held::Nothing {
            self.held = Held::Line;
            self.line.clear();
            self.line_len = 0;
        }
        self.line_len = self.line_len.saturating_add(piece.len());
        self.check_line_size(self.line_len)?;
        if self.held == Held::Data {
            self.data.extend_from_slice(piece);
            return Ok(());
        }
        self.line.extend_from_slice(piece);
        // A data line goes straight to the data buffer as soon as it is clear whether a space follows the
        // colon, so that a large event in small pieces is copied once.
        if let [b'd', b'a', b't', b'a', b':', value @ ..] = self.line.as_slice()
            && !value.is_empty()
        {
            append_line(&mut self.data, &mut self.has_data, without_space(value));
            self.held = Held::Data;
        }
        Ok(())
    }

    /// The line of which pieces are held has ended.
    fn take_held_line(&mut self) -> Result<Report, DecodeError> {
        if mem::take(&mut self.held) == Held::Data {
            self.check_event_size(self.data.len())?;
            return Ok(Report::Nothing);
        }
        match Field::parse(&self.line) {
            Field::Data(value) => {
                append_line(&mut self.data, &mut self.has_data, value);
                self.check_event_size(self.data.len())?;
            }
            Field::EventType(value) => utf8::replace(&mut self.event_type, value),
            Field::Id(value) => {
                utf8::replace(&mut self.id, value);
                self.has_id = true;
            }
            Field::RetryMs(ms) => {
                self.retry_ms = Some(ms);
                return Ok(Report::Retry(ms));
            }
            Field::Comment(_) if self.report_comments => return Ok(Report::Comment(Place::Held)),
            Field::Comment(_) | Field::Ignored => {}
        }
        Ok(Report::Nothing)
    }

    /// Copies what the block's lines have said out of the input, which is about to go.
    fn keep(&mut self, block: Block<'_>) {
        if let Some(value) = block.data {
            append_line(&mut self.data, &mut self.has_data, value);
        }
        if let Some(value) = block.event_type {
            utf8::replace(&mut self.event_type, value);
        }
        if let Some(value) = block.id {
            utf8::replace(&mut self.id, value);
            self.has_id = true;
        }
    }

    /// The block has ended and has data.
    fn dispatch<'a, 'i: 'a>(&'a mut self, block: Block<'i>) -> Event<'a> {
        let has_id = self.set_last_event_id_of(block.id);
        self.handed_out = true;
        let event_type = match block.event_type {
            Some(value) => utf8::decode(value, &mut self.event_type),
            None => &self.event_type,
        };
        Event {
            // WHATWG HTML 9.2.6: "If the event type buffer has a value other than the empty string, change
            // the type of the newly created event to equal the value of the event type buffer." It was
            // created with the type `message`.
            event_type: if event_type.is_empty() { "message" } else { event_type },
            data: utf8::decode(block.data.unwrap_or(&self.data), &mut self.scratch),
            id: &self.last_event_id,
            block_id: has_id.then_some(self.last_event_id.as_str()),
            block_retry: self.retry_ms,
        }
    }

    /// The block has ended without a data line.
    ///
    /// WHATWG HTML 9.2.6: "If the data buffer is an empty string, set the data buffer and the event type
    /// buffer to the empty string and return."
    fn end_without_data(&mut self, block: Block<'_>) {
        self.set_last_event_id_of(block.id);
        self.clear_block();
    }

    /// Whether the block has an id, and if so makes it the last event ID string.
    ///
    /// WHATWG HTML 9.2.6: "Set the last event ID string of the event source to the value of the last event
    /// ID buffer. The buffer does not get reset, so the last event ID string of the event source remains
    /// set to this value until the next time it is set by the server."
    fn set_last_event_id_of(&mut self, id: Option<&[u8]>) -> bool {
        if let Some(id) = id {
            utf8::replace(&mut self.last_event_id, id);
            return true;
        }
        if self.has_id {
            mem::swap(&mut self.last_event_id, &mut self.id);
        }
        self.has_id
    }

    fn clear_block(&mut self) {
        self.handed_out = false;
        self.data.clear();
        self.has_data = false;
        self.event_type.clear();
        self.has_id = false;
        self.retry_ms = None;
    }

    fn check_event_size(&mut self, event_bytes: usize) -> Result<(), DecodeError> {
        let event_bytes_max = self.limits.event_bytes_max;
        if event_bytes > event_bytes_max {
            return Err(*self.failure.insert(DecodeError::EventTooLarge { event_bytes_max }));
        }
        Ok(())
    }

    fn check_line_size(&mut self, line_bytes: usize) -> Result<(), DecodeError> {
        let line_bytes_max = self.limits.line_bytes_max;
        if line_bytes > line_bytes_max {
            return Err(*self.failure.insert(DecodeError::LineTooLong { line_bytes_max }));
        }
        Ok(())
    }
}

const BOM: [u8; 3] = *b"\xEF\xBB\xBF";

/// What the lines of the current block have said that lie in the current input. Each overrides what the
/// decoder's buffers hold of earlier input; `data` is `Some` only if those hold none.
#[derive(Clone, Copy, Default)]
struct Block<'i> {
    data: Option<&'i [u8]>,
    event_type: Option<&'i [u8]>,
    id: Option<&'i [u8]>,
}

/// What is held of a line that has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Held {
    #[default]
    Nothing,
    /// All of it, in `Decoder::line`; never empty.
    Line,
    /// It is a data line, whose value so far has been appended to `Decoder::data`.
    Data,
}

/// What a line gives its reader at once.
enum Report {
    Nothing,
    Retry(u64),
    Comment(Place),
}

/// Where a line is.
#[derive(PartialEq, Eq)]
enum Place {
    Input,
    Held,
}

/// WHATWG HTML 9.2.6: "Append the field value to the data buffer, then append a single U+000A LINE FEED
/// (LF) character to the data buffer." The last LF is removed when the event is dispatched, so it is not
/// appended before another line follows.
fn append_line(data: &mut Vec<u8>, has_data: &mut bool, value: &[u8]) {
    if mem::replace(has_data, true) {
        data.push(b'\n');
    }
    data.extend_from_slice(value);
}

/// The text of a comment line.
fn comment<'a>(line: &'a [u8], scratch: &'a mut String) -> &'a str {
    utf8::decode(without_space(line.strip_prefix(b":").unwrap_or(line)), scratch)
}
