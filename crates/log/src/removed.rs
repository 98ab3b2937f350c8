//! What a log remembers of what it has let go, so that quiet topics do not cry gap.

use std::collections::HashMap;

use bytes::{Buf, BufMut};

use crate::filter::Filter;
use crate::position::Offset;
use crate::topic::Topic;

/// Of the topics of removed records, the newest removed one each; the oldest are forgotten.
#[derive(Default)]
pub(crate) struct Removed {
    newest: HashMap<Topic, Offset>,
    /// Of topics that are not in the map, nothing beyond this was removed.
    forgotten: Offset,
}

/// At most this many topics are held against a filter's patterns before a gap is told unproven.
const PATTERN_TRIALS_MAX: usize = 1000;

impl Removed {
    /// Nothing is remembered of what lies at or before an offset.
    pub(crate) fn forgotten(floor: Offset) -> Self {
        Self { newest: HashMap::new(), forgotten: floor }
    }

    /// For keeping in a file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_u64_le(self.forgotten.get());
        for (topic, newest) in &self.newest {
            out.put_u64_le(newest.get());
            out.put_u16_le(u16::try_from(topic.as_str().len()).unwrap_or(u16::MAX));
            out.put_slice(topic.as_str().as_bytes());
        }
        out.put_u32_le(crc32c::crc32c(&out));
        out
    }

    /// What [`encode`](Self::encode) wrote; `None` if it is damaged.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (mut fields, mut checksum) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
        if crc32c::crc32c(fields) != checksum.try_get_u32_le().ok()? {
            return None;
        }
        let mut removed = Self::forgotten(Offset::new(fields.try_get_u64_le().ok()?));
        while !fields.is_empty() {
            let newest = Offset::new(fields.try_get_u64_le().ok()?);
            let length = usize::from(fields.try_get_u16_le().ok()?);
            let (text, rest) = fields.split_at_checked(length)?;
            fields = rest;
            let topic = Topic::parse(std::str::from_utf8(text).ok()?).ok()?;
            removed.newest.insert(topic, newest);
        }
        Some(removed)
    }

    pub(crate) fn note(&mut self, topic: &Topic, offset: Offset, topics_max: usize) {
        self.newest.insert(topic.clone(), offset);
        if self.newest.len() > topics_max {
            // Half at a time, so that the cost of a removal stays constant on average.
            let mut offsets: Vec<Offset> = self.newest.values().copied().collect();
            let half = offsets.len() / 2;
            let (_, &mut median, _) = offsets.select_nth_unstable(half);
            self.newest.retain(|_, newest| *newest > median);
            self.forgotten = self.forgotten.max(median);
        }
    }

    pub(crate) fn may_concern(&self, after: Offset, filter: &Filter) -> bool {
        if self.forgotten > after || filter.is_all() {
            return true;
        }
        let exact = filter
            .topics()
            .iter()
            .any(|topic| self.newest.get(topic).is_some_and(|&newest| newest > after));
        if exact || filter.patterns().is_empty() {
            return exact;
        }
        self.newest
            .iter()
            .filter(|&(_, &newest)| newest > after)
            .enumerate()
            .any(|(trial, (topic, _))| trial >= PATTERN_TRIALS_MAX || filter.matches_topic(topic))
    }
}
