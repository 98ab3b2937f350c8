//! What finds records in a segment: by number, by topic, by a publisher's id, by idempotency key.
//!
//! The open segment's index is in memory ([`LiveIndex`]). When the segment is sealed it is written beside
//! it, and from then on looked up in the file ([`SealedIndex`]): nothing of it is held in memory.

mod live;
mod sealed;

use super::segment::HEADER_BYTES;

pub(super) use self::live::LiveIndex;
pub(super) use self::sealed::SealedIndex;

/// A record's rank in its segment, from 0.
pub(super) type Ordinal = u32;

const MAGIC: &[u8; 8] = b"hwlogidx";
const HEAD_BYTES: usize = 192;
const HEAD_CHECKED_BYTES: usize = 8 + HEADER_BYTES + 4 + 8 + 20 + 4 * SECTIONS;
const SECTIONS: usize = 8;
const PLACES: usize = 0;
const TIMES: usize = 1;
const TOPICS: usize = 2;
const LISTS: usize = 3;
const IDS: usize = 4;
const KEYS: usize = 5;
const TEXTS: usize = 6;
/// Of each record, its offset less the segment's base; empty if these are the ranks.
const NUMBERS: usize = 7;
/// Where a name is and how long, and two numbers more.
const NAMED_BYTES: usize = 16;
const KEY_BYTES: usize = 36;
