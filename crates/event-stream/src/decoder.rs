//! The decoder: bytes in, events out, in whatever pieces the bytes come.

use alloc::string::String;
use alloc::vec::Vec;
use core::mem;

use memchr::memchr2;

use crate::field::{Field, without_space};
use crate::item::{Event, Item};
use crate::limits::{DecodeError, Limits};
use crate::utf8::{self, Utf8};

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
        let begin = self.start_of_chunk(input)?;
        let mut rest = begin;
        if self.held != Held::Nothing {
            match self.end_held_line(&mut rest)? {
                Report::Nothing => {}
                report => {
                    *input = rest;
                    return Ok(self.item(report));
                }
            }
        }
        let mut block = Block::default();
        loop {
            match rest.first() {
                None => {
                    self.keep(block);
                    *input = rest;
                    return Ok(None);
                }
                // WHATWG HTML 9.2.6: "If the line is empty (a blank line): Dispatch the event".
                Some(b'\n' | b'\r') => {
                    rest = self.after_line_end(rest);
                    if self.has_data || block.data.is_some() {
                        *input = rest;
                        let (seen, _) = begin.split_at(begin.len() - rest.len());
                        return Ok(Some(Item::Event(self.dispatch(block, seen))));
                    }
                    self.end_without_data(block);
                    block = Block::default();
                    continue;
                }
                Some(_) => {}
            }
            let Some(end) = memchr2(b'\n', b'\r', rest) else {
                self.keep(block);
                self.hold(rest)?;
                *input = &[];
                return Ok(None);
            };
            let (line, tail) = rest.split_at(end);
            rest = self.after_line_end(tail);
            match self.take_line(line, &mut block)? {
                Report::Nothing => {}
                report => {
                    self.keep(block);
                    *input = rest;
                    return Ok(self.item(report));
                }
            }
        }
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
    #[inline(always)]
    fn take_line<'i>(
        &mut self,
        line: &'i [u8],
        block: &mut Block<'i>,
    ) -> Result<Report<'i>, DecodeError> {
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
            Field::Comment(text) if self.report_comments => return Ok(Report::Comment(text)),
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

    /// Takes the rest of the line that is held off the front of `rest`; if it does not end there, all of it.
    fn end_held_line(&mut self, rest: &mut &[u8]) -> Result<Report<'static>, DecodeError> {
        let Some(end) = memchr2(b'\n', b'\r', rest) else {
            self.hold(mem::take(rest))?;
            return Ok(Report::Nothing);
        };
        let (piece, tail) = rest.split_at(end);
        self.hold(piece)?;
        *rest = self.after_line_end(tail);
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
            Field::Comment(_) if self.report_comments => return Ok(Report::HeldComment),
            Field::Comment(_) | Field::Ignored => {}
        }
        Ok(Report::Nothing)
    }

    /// The item that a report is.
    fn item<'a, 'i: 'a>(&'a mut self, report: Report<'i>) -> Option<Item<'a>> {
        let text = match report {
            Report::Nothing => return None,
            Report::Retry(ms) => return Some(Item::Retry(ms)),
            Report::Comment(text) => text,
            Report::HeldComment => without_space(self.line.get(1..).unwrap_or_default()),
        };
        Some(Item::Comment(utf8::decode(text, &mut self.scratch)))
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

    /// The block has ended and has data. `seen` is where its lines lie that are in the input.
    fn dispatch<'a, 'i: 'a>(&'a mut self, block: Block<'i>, seen: &'i [u8]) -> Event<'a> {
        // Checking the whole is cheaper than checking each field, and nearly always it is UTF-8.
        let seen = Utf8::new(seen);
        let has_id = self.set_last_event_id_of(block.id.map(|value| (seen, value)));
        self.handed_out = true;
        let event_type = match block.event_type {
            Some(value) => seen.decode(value, &mut self.event_type),
            None => &self.event_type,
        };
        Event {
            // WHATWG HTML 9.2.6: "If the event type buffer has a value other than the empty string, change
            // the type of the newly created event to equal the value of the event type buffer." It was
            // created with the type `message`.
            event_type: if event_type.is_empty() { "message" } else { event_type },
            data: match block.data {
                Some(value) => seen.decode(value, &mut self.scratch),
                None => utf8::decode(&self.data, &mut self.scratch),
            },
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
        self.set_last_event_id_of(block.id.map(|value| (Utf8::new(value), value)));
        self.clear_block();
    }

    /// Whether the block has an id, and if so makes it the last event ID string.
    ///
    /// WHATWG HTML 9.2.6: "Set the last event ID string of the event source to the value of the last event
    /// ID buffer. The buffer does not get reset, so the last event ID string of the event source remains
    /// set to this value until the next time it is set by the server."
    #[inline(always)]
    fn set_last_event_id_of(&mut self, id: Option<(Utf8<'_>, &[u8])>) -> bool {
        if let Some((seen, value)) = id {
            seen.replace(&mut self.last_event_id, value);
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
enum Report<'i> {
    Nothing,
    Retry(u64),
    Comment(&'i [u8]),
    /// A comment, whose text is in `Decoder::line`.
    HeldComment,
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
