//! How a record lies in a segment.
//!
//! ```text
//! length u32 │ checksum u32 │ offset u64 │ epoch u32 │ synced u32 │ time u64 │ flags u8 │ topics … data
//! ```
//!
//! Little endian, padded to 8 bytes. `length` counts what follows the checksum and is never 0, so that
//! the zeros behind the last record are none. The checksum (CRC32C) begins with the segment's nonce, so
//! that bytes of another segment in the same blocks are none either. `synced` is how much of the segment
//! was known to be on disk when the record was written: damage before that place is damage, while damage
//! behind it is what a crash leaves of writes that nobody was told of.

use bytes::{Buf, BufMut};

use crate::event::{Draft, Event, EventType, IdempotencyKey, Millis, PublisherId, Record};
use crate::position::{Epoch, Offset, Position};
use crate::topic::Topic;

/// `length` and `checksum`.
pub(super) const PREFIX_BYTES: usize = 8;
const FIXED_BYTES: usize = 8 + 4 + 4 + 8 + 1;
const ALIGN: usize = 8;

const HAS_TYPE: u8 = 1;
const HAS_RETRY: u8 = 2;
const HAS_ID: u8 = 4;
const HAS_KEY: u8 = 8;
const PRIVATE: u8 = 16;

/// Where a record is, and what was synced before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) position: Position,
    pub(super) synced: u32,
    pub(super) nonce: u64,
}

/// A record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) record: Record,
    pub(super) idempotency: Option<IdempotencyKey>,
    pub(super) synced: u32,
    /// With its padding.
    pub(super) bytes: usize,
}

/// How many bytes a draft takes in a segment.
pub(super) fn stored_len(draft: &Draft) -> usize {
    let event = &draft.event;
    let topics: usize = event.topics.iter().map(|topic| 2 + topic.as_str().len()).sum();
    let message = event.event_type == EventType::default();
    let event_type = if message { 0 } else { 2 + event.event_type.as_str().len() };
    let retry = event.retry.map_or(0, |_| 8);
    let id = event.publisher_id.as_ref().map_or(0, |id| 1 + id.as_str().len());
    let key = draft.idempotency.map_or(0, |_| 32);
    let body = FIXED_BYTES + 2 + topics + event_type + retry + id + key + event.data.len();
    (PREFIX_BYTES + body).next_multiple_of(ALIGN)
}

/// Appends a draft, which becomes the record at a place.
pub(super) fn encode(draft: &Draft, place: Place, out: &mut Vec<u8>) {
    let start = out.len();
    let event = &draft.event;
    let message = event.event_type == EventType::default();
    out.put_u64_le(0);
    out.put_u64_le(place.position.offset.get());
    out.put_u32_le(place.position.epoch.get());
    out.put_u32_le(place.synced);
    out.put_u64_le(event.time.0);
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    out.put_u8(
        flag(!message, HAS_TYPE)
            | flag(event.retry.is_some(), HAS_RETRY)
            | flag(event.publisher_id.is_some(), HAS_ID)
            | flag(draft.idempotency.is_some(), HAS_KEY)
            | flag(event.private, PRIVATE),
    );
    // Topics, types and ids were parsed: none is longer than its length field can say, and a request
    // cannot name more topics than the limit on them, which is far below this one.
    out.put_u16_le(u16::try_from(event.topics.len()).unwrap_or(u16::MAX));
    for topic in event.topics.iter().take(usize::from(u16::MAX)) {
        put_text(out, topic.as_str());
    }
    if !message {
        put_text(out, event.event_type.as_str());
    }
    if let Some(retry) = event.retry {
        out.put_u64_le(retry);
    }
    if let Some(id) = &event.publisher_id {
        out.put_u8(u8::try_from(id.as_str().len()).unwrap_or(u8::MAX));
        out.put_slice(id.as_str().as_bytes());
    }
    if let Some(IdempotencyKey { key, body }) = draft.idempotency {
        out.put_slice(&key);
        out.put_slice(&body);
    }
    out.put_slice(event.data.as_bytes());
    let body_at = start + PREFIX_BYTES;
    let length = u32::try_from(out.len() - body_at).unwrap_or(u32::MAX);
    let body = out.get(body_at..).unwrap_or_default();
    let checksum = checksum(place.nonce, length, body);
    if let Some(prefix) = out.get_mut(start..body_at) {
        let [l0, l1, l2, l3] = length.to_le_bytes();
        let [c0, c1, c2, c3] = checksum.to_le_bytes();
        prefix.copy_from_slice(&[l0, l1, l2, l3, c0, c1, c2, c3]);
    }
    out.resize(start + (out.len() - start).next_multiple_of(ALIGN), 0);
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.put_u16_le(u16::try_from(text.len()).unwrap_or(u16::MAX));
    out.put_slice(text.as_bytes());
}

fn checksum(nonce: u64, length: u32, body: &[u8]) -> u32 {
    let seed = crc32c::crc32c(&nonce.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(seed, &length.to_le_bytes()), body)
}

/// What stands at the front of some bytes.
#[derive(Debug)]
pub(super) enum Found {
    /// A whole record.
    Record(Box<Stored>),
    /// Zeros where a record would begin.
    End,
    /// A record may go on behind these bytes; so many are needed.
    Cut(usize),
    /// No record, or a damaged one.
    Damaged,
}

/// Reads the record at the front of `bytes`. `bytes_max` is what a record can have at most.
pub(super) fn decode(bytes: &[u8], nonce: u64, bytes_max: usize) -> Found {
    let Some((mut prefix, rest)) = bytes.split_at_checked(PREFIX_BYTES) else {
        return Found::Cut(PREFIX_BYTES);
    };
    let (length, expected) = (prefix.get_u32_le(), prefix.get_u32_le());
    if length == 0 {
        return if expected == 0 { Found::End } else { Found::Damaged };
    }
    let body_len = usize::try_from(length).unwrap_or(usize::MAX);
    if body_len < FIXED_BYTES || body_len > bytes_max {
        return Found::Damaged;
    }
    let total = (PREFIX_BYTES + body_len).next_multiple_of(ALIGN);
    let Some(body) = rest.get(..body_len).filter(|_| bytes.len() >= total) else {
        return Found::Cut(total);
    };
    if checksum(nonce, length, body) != expected {
        return Found::Damaged;
    }
    match parse(body, total) {
        Some(stored) => Found::Record(Box::new(stored)),
        None => Found::Damaged,
    }
}

/// The checksum was right, so what does not parse was written by another version.
fn parse(mut body: &[u8], bytes: usize) -> Option<Stored> {
    let offset = Offset::new(body.try_get_u64_le().ok()?);
    let epoch = Epoch::new(body.try_get_u32_le().ok()?);
    let synced = body.try_get_u32_le().ok()?;
    let time = Millis(body.try_get_u64_le().ok()?);
    let flags = body.try_get_u8().ok()?;
    let topics = (0..body.try_get_u16_le().ok()?)
        .map(|_| Topic::of_record(get_text(&mut body)?))
        .collect::<Option<_>>()?;
    let event_type = match flags & HAS_TYPE {
        0 => EventType::default(),
        _ => EventType::parse_kept(get_text(&mut body)?).ok()?,
    };
    let retry = match flags & HAS_RETRY {
        0 => None,
        _ => Some(body.try_get_u64_le().ok()?),
    };
    let publisher_id = match flags & HAS_ID {
        0 => None,
        _ => {
            let length = usize::from(body.try_get_u8().ok()?);
            let (id, rest) = body.split_at_checked(length)?;
            body = rest;
            Some(PublisherId::parse(std::str::from_utf8(id).ok()?).ok()?)
        }
    };
    let idempotency = match flags & HAS_KEY {
        0 => None,
        _ => {
            let (key, rest) = body.split_first_chunk::<16>()?;
            let (hash, rest) = rest.split_first_chunk::<16>()?;
            body = rest;
            Some(IdempotencyKey { key: *key, body: *hash })
        }
    };
    let event = Event {
        time,
        topics,
        event_type,
        data: std::str::from_utf8(body).ok()?.into(),
        retry,
        private: flags & PRIVATE != 0,
        publisher_id,
    };
    let record = Record { position: Position { epoch, offset }, event };
    Some(Stored { record, idempotency, synced, bytes })
}

fn get_text<'a>(body: &mut &'a [u8]) -> Option<&'a str> {
    let length = usize::from(body.try_get_u16_le().ok()?);
    let (text, rest) = body.split_at_checked(length)?;
    *body = rest;
    std::str::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: u64 = 0x1122_3344_5566_7788;

    fn full() -> Draft {
        let event = Event {
            time: Millis(1_700_000_000_000),
            topics: ["a", "é/b"].map(|text| Topic::parse(text).unwrap()).into(),
            event_type: EventType::parse("price").unwrap(),
            data: "one\r\ntwo\u{0}é".into(),
            retry: Some(250),
            private: true,
            publisher_id: Some(PublisherId::parse("mine").unwrap()),
        };
        Draft { event, idempotency: Some(IdempotencyKey { key: [1; 16], body: [2; 16] }) }
    }

    fn bare() -> Draft {
        let mut draft = full();
        draft.event = Event {
            event_type: EventType::default(),
            data: "".into(),
            retry: None,
            private: false,
            publisher_id: None,
            ..draft.event
        };
        Draft { idempotency: None, ..draft }
    }

    fn encoded(draft: &Draft) -> Vec<u8> {
        let position = Position { epoch: Epoch::new(7), offset: Offset::new(42) };
        let mut out = Vec::new();
        encode(draft, Place { position, synced: 64, nonce: NONCE }, &mut out);
        out
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        for draft in [full(), bare()] {
            let bytes = encoded(&draft);
            assert_eq!(bytes.len(), stored_len(&draft));
            let Found::Record(stored) = decode(&bytes, NONCE, 1 << 20) else { panic!() };
            assert_eq!(stored.record.event, draft.event);
            assert_eq!(stored.idempotency, draft.idempotency);
            assert_eq!(stored.record.position.offset, Offset::new(42));
            assert_eq!((stored.synced, stored.bytes), (64, bytes.len()));
        }
    }

    #[test]
    fn a_flipped_bit_or_another_segments_bytes_are_no_record() {
        let bytes = encoded(&full());
        assert!(matches!(decode(&bytes, NONCE + 1, 1 << 20), Found::Damaged));
        let padding = bytes.len() - (PREFIX_BYTES + 4);
        for bit in 0..8 * (bytes.len() - padding % ALIGN) {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            match decode(&flipped, NONCE, 1 << 20) {
                Found::Damaged | Found::Cut(_) => {}
                Found::End => panic!("bit {bit} makes it the end"),
                // Only in the padding, which says nothing.
                Found::Record(stored) => assert_eq!(stored.record.event, full().event, "{bit}"),
            }
        }
    }

    #[test]
    fn zeros_are_the_end_and_a_part_asks_for_the_rest() {
        assert!(matches!(decode(&[0; 8], NONCE, 1 << 20), Found::End));
        let bytes = encoded(&full());
        for len in 0..bytes.len() {
            let Found::Cut(needed) = decode(&bytes[..len], NONCE, 1 << 20) else { panic!("{len}") };
            assert!(needed > len && needed <= bytes.len());
        }
        assert!(matches!(decode(&bytes, NONCE, 20), Found::Damaged));
    }
}
