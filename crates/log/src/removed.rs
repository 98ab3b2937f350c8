//! What a log remembers of what it has let go, so that quiet topics do not cry gap.

use std::collections::HashMap;

use bytes::{Buf, BufMut};

use crate::filter::Filter;
use crate::position::Offset;
use crate::topic::Topic;

/// How often a log has let events go since it was opened. A reader that began after one of these times
/// asked for what was left, and has lost nothing by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Removals(u64);

impl Removals {
    /// Never.
    pub const NONE: Self = Self(0);
}

/// Of the topics of removed records, the newest removed one each; the oldest are forgotten.
///
/// Only records whose topic promises all of its events are noted: a topic that keeps its newest state
/// loses nothing by losing what is older.
#[derive(Default)]
pub(crate) struct Removed {
    newest: HashMap<Topic, Removal>,
    /// Of topics that are not in the map, nothing beyond this was removed.
    forgotten: Removal,
    /// Of all topics together, oldest first: what was removed later lies before what was removed
    /// earlier, or it would stand for that too.
    steps: Vec<Removal>,
    now: Removals,
}

/// A removed record, and when it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Removal {
    offset: Offset,
    at: Removals,
}

/// At most this many topics are held against a filter's patterns before a gap is told unproven.
const PATTERN_TRIALS_MAX: usize = 1000;
/// Beyond so many, the oldest steps become one.
const STEPS_MAX: usize = 64;

impl Removed {
    /// Nothing is remembered of what lies at or before an offset.
    pub(crate) fn forgotten(floor: Offset) -> Self {
        if floor == Offset::START {
            return Self::default();
        }
        let now = Removals(1);
        let forgotten = Removal { offset: floor, at: now };
        Self { newest: HashMap::new(), forgotten, steps: vec![forgotten], now }
    }

    /// For keeping in a file. When it was is not kept: whoever reads the log then begins after all of it.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_u64_le(self.forgotten.offset.get());
        for (topic, newest) in &self.newest {
            out.put_u64_le(newest.offset.get());
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
        removed.begin();
        while !fields.is_empty() {
            let newest = Offset::new(fields.try_get_u64_le().ok()?);
            let length = usize::from(fields.try_get_u16_le().ok()?);
            let (text, rest) = fields.split_at_checked(length)?;
            fields = rest;
            let topic = Topic::of_record(std::str::from_utf8(text).ok()?)?;
            removed.note(&topic, newest, usize::MAX);
        }
        Some(removed)
    }

    /// Up to when something was removed.
    pub(crate) fn now(&self) -> Removals {
        self.now
    }

    /// What is noted from now on went later than what was noted before.
    pub(crate) fn begin(&mut self) {
        self.now = Removals(self.now.0.saturating_add(1));
    }

    /// A record of a topic that promises all of its events goes.
    pub(crate) fn note(&mut self, topic: &Topic, offset: Offset, topics_max: usize) {
        let removal = Removal { offset, at: self.now };
        let known = self.newest.entry(topic.clone()).or_default();
        known.offset = known.offset.max(offset);
        known.at = self.now;
        self.step(removal);
        if self.newest.len() > topics_max {
            self.forget_half();
        }
    }

    fn step(&mut self, removal: Removal) {
        while self.steps.last().is_some_and(|last| last.offset <= removal.offset) {
            self.steps.pop();
        }
        if self.steps.last().is_none_or(|last| last.at < removal.at) {
            self.steps.push(removal);
        }
        if self.steps.len() > STEPS_MAX
            && let [first, second, ..] = &mut self.steps[..]
        {
            second.offset = first.offset;
            self.steps.remove(0);
        }
    }

    /// Half at a time, so that the cost of a removal stays constant on average.
    fn forget_half(&mut self) {
        let mut offsets: Vec<Offset> = self.newest.values().map(|newest| newest.offset).collect();
        let half = offsets.len() / 2;
        let (_, &mut median, _) = offsets.select_nth_unstable(half);
        let forgotten = &mut self.forgotten;
        self.newest.retain(|_, newest| {
            let keep = newest.offset > median;
            if !keep {
                forgotten.offset = forgotten.offset.max(newest.offset);
                forgotten.at = forgotten.at.max(newest.at);
            }
            keep
        });
    }

    /// When an event beyond a cursor that a filter matches last went, or may have.
    pub(crate) fn after(&self, cursor: Offset, filter: &Filter) -> Removals {
        let of = |removal: &Removal| (removal.offset > cursor).then_some(removal.at);
        let all = || self.steps.iter().rev().find_map(of).unwrap_or_default();
        if filter.is_all() {
            return all();
        }
        let forgotten = of(&self.forgotten);
        let exact = filter.topics().iter().filter_map(|topic| of(self.newest.get(topic)?));
        let known = exact.chain(forgotten).max().unwrap_or_default();
        if filter.patterns().is_empty() {
            return known;
        }
        let mut newer =
            self.newest.iter().filter(|(_, removal)| removal.offset > cursor && removal.at > known);
        let mut last = known;
        for (topic, removal) in newer.by_ref().take(PATTERN_TRIALS_MAX) {
            if removal.at > last && filter.matches_topic(topic) {
                last = removal.at;
            }
        }
        if newer.next().is_some() { all().max(last) } else { last }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(text: &str) -> Topic {
        Topic::parse(text).unwrap()
    }

    #[test]
    fn says_when_something_last_went_that_concerns_a_reader() {
        let mut removed = Removed::default();
        let (a, b, all) = (Filter::topic(topic("a")), Filter::topic(topic("b")), Filter::all());
        assert_eq!(removed.after(Offset::START, &all), Removals::NONE);
        removed.begin();
        removed.note(&topic("a"), Offset::new(100), 10);
        removed.begin();
        removed.note(&topic("b"), Offset::new(50), 10);
        let at = |cursor, filter| removed.after(Offset::new(cursor), filter).0;
        assert_eq!([at(0, &a), at(0, &b), at(0, &all)], [1, 2, 2]);
        assert_eq!([at(50, &a), at(50, &b), at(50, &all)], [1, 0, 1]);
        assert_eq!([at(100, &a), at(100, &b), at(100, &all)], [0, 0, 0]);
    }

    #[test]
    fn what_is_forgotten_is_told_rather_than_not() {
        let mut removed = Removed::default();
        for nth in 1..=300_u64 {
            removed.begin();
            removed.note(&topic(&format!("t{nth}")), Offset::new(1000 - nth), 100);
        }
        assert!(removed.newest.len() <= 101 && removed.steps.len() <= STEPS_MAX);
        for nth in 1..=300_u64 {
            let filter = Filter::topic(topic(&format!("t{nth}")));
            let told = removed.after(Offset::new(999 - nth), &filter);
            assert!(told >= Removals(nth), "{nth}");
            assert!(removed.after(Offset::new(999 - nth), &Filter::all()) >= Removals(nth));
        }
        let again = Removed::decode(&removed.encode()).unwrap();
        let filter = Filter::topic(topic("t300"));
        assert!(again.after(Offset::new(0), &filter) > Removals::NONE);
    }
}
