//! What is sent: one contiguous buffer of frames, made once for all who stand at the same place.

use bytes::Bytes;
use headwater_log::{IdKey, Offset, Position, PublisherId, Record};

use crate::encoding::{Encoding, encode};
use crate::window::{Entry, Snapshot};

/// A stretch of a subscription's events, encoded.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) bytes: Bytes,
    /// Of every frame, where it ends in `bytes` and which record it is; ends increase.
    frames: Vec<(usize, Position)>,
    /// The id that the publisher of the first record gave it, if any.
    first_id: Option<PublisherId>,
    /// Who has had all of this has had everything up to here.
    pub(super) through: Position,
}

/// How far into a run a number of bytes reaches.
pub(super) struct Reach {
    /// How many whole frames.
    pub(super) events: u32,
    /// The last record whose frame is whole.
    pub(super) whole: Option<Position>,
    /// The record whose frame is cut, and after how many of its bytes.
    pub(super) cut: Option<Cut>,
}

/// A frame of which a part has been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) offset: Offset,
    pub(super) sent: usize,
}

impl Run {
    /// A run of entries of the window.
    pub(super) fn of_entries<'a>(
        entries: impl ExactSizeIterator<Item = &'a Entry>,
        through: Position,
        encoding: Encoding,
        key: &IdKey,
        snapshot: &Snapshot,
    ) -> Self {
        let frames = entries.map(|entry| (snapshot.frame(entry, encoding, key), entry.record()));
        Self::new(frames, through)
    }

    /// A run of records read from the log.
    pub(super) fn of_records<'a>(
        records: impl ExactSizeIterator<Item = &'a Record>,
        through: Position,
        encoding: Encoding,
        key: &IdKey,
    ) -> Self {
        Self::new(records.map(|record| (encode(record, encoding, key), record)), through)
    }

    fn new<'a>(
        frames: impl ExactSizeIterator<Item = (Bytes, &'a Record)>,
        through: Position,
    ) -> Self {
        let mut ends = Vec::with_capacity(frames.len());
        let (mut first_id, mut single) = (None, Bytes::new());
        let mut joined = Vec::new();
        let alone = frames.len() == 1;
        for (frame, record) in frames {
            if ends.is_empty() {
                first_id = record.event.publisher_id.clone();
            }
            if alone {
                ends.push((frame.len(), record.position));
                single = frame;
            } else {
                joined.extend_from_slice(&frame);
                ends.push((joined.len(), record.position));
            }
        }
        let bytes = if alone { single } else { joined.into() };
        Self { bytes, frames: ends, first_id, through }
    }

    /// Whether there is nothing to send.
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// The id of the first record.
    pub(super) fn first_id(&self, key: &IdKey) -> Option<String> {
        let given = self.first_id.as_ref().map(|id| id.as_str().to_owned());
        given.or_else(|| self.first().map(|position| key.seal(position)))
    }

    /// The first record's position.
    pub(super) fn first(&self) -> Option<Position> {
        self.frames.first().map(|&(_, position)| position)
    }

    /// Where the first `events` frames end.
    pub(super) fn end_of(&self, events: u32) -> usize {
        let last = usize::try_from(events).unwrap_or(usize::MAX).min(self.frames.len());
        last.checked_sub(1).and_then(|last| self.frames.get(last)).map_or(0, |&(end, _)| end)
    }

    /// What the first `bytes` bytes are.
    pub(super) fn reach(&self, bytes: usize) -> Reach {
        let whole = self.frames.partition_point(|&(end, _)| end <= bytes);
        let last = whole.checked_sub(1).and_then(|last| self.frames.get(last)).copied();
        let start = last.map_or(0, |(end, _)| end);
        let cut = self
            .frames
            .get(whole)
            .filter(|_| bytes > start)
            .map(|&(_, position)| Cut { offset: position.offset, sent: bytes - start });
        Reach {
            events: u32::try_from(whole).unwrap_or(u32::MAX),
            whole: last.map(|(_, position)| position),
            cut,
        }
    }
}
