//! What a memory log holds, and its indexes.

use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use super::MemoryLimits;
use crate::event::{Draft, Event, IdempotencyKey, Millis, PublisherId, Record};
use crate::filter::Filter;
use crate::log::{Appended, Rejection, Size};
use crate::position::{Epoch, Offset, Position};
use crate::removed::{Removals, Removed};
use crate::retention::Keep;
use crate::topic::Topic;

/// The records, oldest first, and what finds them.
pub(super) struct Kept {
    epoch: Epoch,
    limits: MemoryLimits,
    records: BTreeMap<Offset, Arc<Record>>,
    bytes: usize,
    /// Every topic with a kept record.
    by_topic: HashMap<Topic, OfTopic>,
    /// No record that is not the newest state of a topic lies at or before it.
    history_from: Offset,
    /// The first kept record of each publisher's id.
    by_publisher_id: HashMap<PublisherId, Offset>,
    keys: Keys,
    removed: Removed,
    tail: Offset,
    /// 0 <= floor <= the first record's offset - 1
    floor: Offset,
    time: Millis,
}

/// A topic's kept records.
struct OfTopic {
    keep: Keep,
    offsets: VecDeque<Offset>,
    /// What lies at or before it the topic itself does not keep; another one may.
    keeps_after: Offset,
    /// Of the records beyond that.
    count: u64,
    bytes: u64,
}

impl Kept {
    pub(super) fn new(epoch: Epoch, limits: MemoryLimits) -> Self {
        Self {
            epoch,
            limits,
            records: BTreeMap::new(),
            bytes: 0,
            by_topic: HashMap::new(),
            history_from: Offset::START,
            by_publisher_id: HashMap::new(),
            keys: Keys::default(),
            removed: Removed::default(),
            tail: Offset::START,
            floor: Offset::START,
            time: Millis::default(),
        }
    }

    pub(super) fn tail(&self) -> Offset {
        self.tail
    }

    pub(super) fn floor(&self) -> Offset {
        self.floor
    }

    pub(super) fn last_of(&self, topic: &Topic) -> Option<Offset> {
        self.by_topic.get(topic).and_then(|own| own.offsets.back()).copied()
    }

    pub(super) fn find(&self, publisher_id: &str) -> Option<Offset> {
        let id = PublisherId::parse(publisher_id).ok()?;
        self.by_publisher_id.get(&id).copied()
    }

    pub(super) fn append(&mut self, draft: Draft) -> Appended {
        let Draft { mut event, idempotency } = draft;
        let bytes = footprint(&event);
        if bytes > self.limits.bytes_max {
            let bytes_max = self.limits.bytes_max;
            return Appended::Rejected(Rejection::TooLarge { bytes, bytes_max });
        }
        event.time = event.time.max(self.time);
        self.time = event.time;
        if let Some(answer) = idempotency.and_then(|key| self.keys.seen(key, event.time)) {
            return answer;
        }
        let position =
            Position { epoch: self.epoch, offset: Offset::new(self.tail.get().saturating_add(1)) };
        if let Some(key) = idempotency {
            self.keys.remember(key, &event, position, self.limits.keys_max);
        }
        let retention = &self.limits.retention;
        for (nth, topic) in event.topics.iter().enumerate() {
            if event.topics.iter().take(nth).any(|earlier| earlier == topic) {
                continue;
            }
            let own = self.by_topic.entry(topic.clone()).or_insert_with(|| OfTopic {
                keep: retention.of(topic),
                offsets: VecDeque::new(),
                keeps_after: Offset::START,
                count: 0,
                bytes: 0,
            });
            own.offsets.push_back(position.offset);
            own.count += 1;
            own.bytes = own.bytes.saturating_add(bytes as u64);
        }
        if let Some(id) = &event.publisher_id {
            self.by_publisher_id.entry(id.clone()).or_insert(position.offset);
        }
        self.tail = position.offset;
        self.bytes += bytes;
        let record = Arc::new(Record { position, event });
        self.records.insert(position.offset, record.clone());
        self.removed.begin();
        for topic in &record.event.topics {
            self.let_go_of(topic);
        }
        while self.bytes > self.limits.bytes_max {
            self.remove_oldest();
        }
        Appended::Committed(position)
    }

    /// A topic lets go of what is too much for it; what no other topic keeps is removed.
    fn let_go_of(&mut self, topic: &Topic) {
        while let Some(own) = self.by_topic.get_mut(topic) {
            let next = own.offsets.partition_point(|&offset| offset <= own.keeps_after);
            let Some(record) = own.offsets.get(next).and_then(|offset| self.records.get(offset))
            else {
                return;
            };
            let keep = own.keep;
            let kept = keep.count_max.is_none_or(|max| own.count <= max)
                && keep.bytes_max.is_none_or(|max| own.bytes <= max)
                && keep.is_young(record.event.time, self.time);
            if kept {
                return;
            }
            let record = record.clone();
            own.keeps_after = record.position.offset;
            own.count = own.count.saturating_sub(1);
            own.bytes = own.bytes.saturating_sub(footprint(&record.event) as u64);
            let keeps = |topic| {
                let own: Option<&OfTopic> = self.by_topic.get(topic);
                own.is_some_and(|own| own.keeps_after < record.position.offset)
            };
            if !record.event.topics.iter().any(keeps) {
                self.remove(&record);
            }
        }
    }

    /// The oldest goes that is no topic's newest state; if there is none, the oldest.
    fn remove_oldest(&mut self) {
        let is_state = |record: &Record| {
            let topics = record.event.topics.iter();
            topics.filter_map(|topic| self.by_topic.get(topic)).any(|own| own.keep.is_state())
        };
        let from = self.history_from;
        let history = self
            .records
            .range((Bound::Excluded(from), Bound::Unbounded))
            .map(|(_, record)| record)
            .find(|record| !is_state(record));
        let oldest = history.or_else(|| self.records.values().next()).cloned();
        if let Some(record) = oldest {
            if !is_state(&record) {
                self.history_from = record.position.offset;
            }
            self.remove(&record);
        }
    }

    fn remove(&mut self, record: &Record) {
        let offset = record.position.offset;
        let bytes = footprint(&record.event);
        self.records.remove(&offset);
        self.bytes = self.bytes.saturating_sub(bytes);
        let first = self.records.keys().next();
        self.floor = first.map_or(self.tail, |first| first.just_before()).max(self.floor);
        for (nth, topic) in record.event.topics.iter().enumerate() {
            if record.event.topics.iter().take(nth).any(|earlier| earlier == topic) {
                continue;
            }
            let mut promised = true;
            if let Some(own) = self.by_topic.get_mut(topic) {
                let newest = own.offsets.back() == Some(&offset);
                promised = newest || !own.keep.is_state();
                if own.keeps_after < offset {
                    own.count = own.count.saturating_sub(1);
                    own.bytes = own.bytes.saturating_sub(bytes as u64);
                }
                if let Ok(at) = own.offsets.binary_search(&offset) {
                    own.offsets.remove(at);
                }
                if own.offsets.is_empty() {
                    self.by_topic.remove(topic);
                }
            }
            if promised {
                self.removed.note(topic, offset, self.limits.removed_topics_max);
            }
        }
        if let Some(id) = &record.event.publisher_id
            && self.by_publisher_id.get(id) == Some(&offset)
        {
            self.by_publisher_id.remove(id);
        }
    }

    pub(super) fn size(&self) -> Size {
        Size { events: self.records.len() as u64, bytes: self.bytes as u64 }
    }

    pub(super) fn removals(&self) -> Removals {
        self.removed.now()
    }

    pub(super) fn removed_after(&self, after: Offset, filter: &Filter) -> Removals {
        self.removed.after(after, filter)
    }

    /// Records after a cursor, and the cursor behind them.
    pub(super) fn after(&self, after: Offset, count: usize) -> (Vec<Arc<Record>>, Offset) {
        let beyond = self.records.range((Bound::Excluded(after), Bound::Unbounded));
        let records: Vec<_> = beyond.map(|(_, record)| record).take(count).cloned().collect();
        let through = self.through(records.last().filter(|_| records.len() == count));
        (records, through.max(after))
    }

    /// Records of some topics after a cursor, and the cursor behind them; looks at no others.
    pub(super) fn of_topics(
        &self,
        topics: &[Topic],
        after: Offset,
        count: usize,
    ) -> (Vec<Arc<Record>>, Offset) {
        let mut next: BinaryHeap<_> = topics
            .iter()
            .filter_map(|topic| self.by_topic.get(topic))
            .filter_map(|OfTopic { offsets, .. }| {
                let at = offsets.partition_point(|&offset| offset <= after);
                offsets.get(at).map(|&offset| Postings { offset, at, offsets })
            })
            .collect();
        let mut records: Vec<Arc<Record>> = Vec::new();
        while records.len() < count
            && let Some(postings) = next.pop()
        {
            if records.last().is_none_or(|last| last.position.offset < postings.offset) {
                records.extend(self.at(postings.offset));
            }
            next.extend(postings.advance());
        }
        let full = !next.is_empty();
        let through = self.through(records.last().filter(|_| full));
        (records, through.max(after))
    }

    /// Records before an offset (or the tail), newest first.
    pub(super) fn before(&self, before: Option<Offset>, count: usize) -> Vec<Arc<Record>> {
        let to = before.map_or(Bound::Unbounded, Bound::Excluded);
        let older = self.records.range((Bound::Unbounded, to)).rev();
        older.map(|(_, record)| record).take(count).cloned().collect()
    }

    pub(super) fn seek_time(&self, time: Millis) -> Offset {
        let (mut low, mut high) = (self.floor.get(), self.tail.get());
        while low < high {
            // The first record beyond the middle is before the time, or the place is not behind it.
            let middle = low + (high - low) / 2;
            let beyond = (Bound::Excluded(Offset::new(middle)), Bound::Unbounded);
            match self.records.range(beyond).next() {
                Some((offset, record)) if record.event.time < time => low = offset.get(),
                _ => high = middle,
            }
        }
        Offset::new(low)
    }

    /// Whether a record is the newest of a topic of its own that the filter matches.
    pub(super) fn is_newest(&self, record: &Record, filter: &Filter) -> bool {
        record.event.topics.iter().any(|topic| {
            self.last_of(topic) == Some(record.position.offset) && filter.matches_topic(topic)
        })
    }

    fn at(&self, offset: Offset) -> Option<Arc<Record>> {
        self.records.get(&offset).cloned()
    }

    fn through(&self, last_of_full_batch: Option<&Arc<Record>>) -> Offset {
        last_of_full_batch.map_or(self.tail, |record| record.position.offset)
    }
}

/// A topic's offsets, standing at one of them; ordered so that a heap gives the smallest first.
struct Postings<'a> {
    offset: Offset,
    at: usize,
    offsets: &'a VecDeque<Offset>,
}

impl Postings<'_> {
    fn advance(self) -> Option<Self> {
        let at = self.at + 1;
        let offset = *self.offsets.get(at)?;
        Some(Self { offset, at, offsets: self.offsets })
    }
}

impl Ord for Postings<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.offset.cmp(&self.offset)
    }
}

impl PartialOrd for Postings<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Postings<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.offset == other.offset
    }
}

impl Eq for Postings<'_> {}

/// Roughly what an event takes here, with its places in the indexes.
fn footprint(event: &Event) -> usize {
    const RECORD: usize = size_of::<Record>() + 2 * size_of::<usize>() + size_of::<Arc<Record>>();
    const POSTING: usize = size_of::<Topic>() + size_of::<Offset>();
    // A topic of its own costs an entry in the map besides.
    const TOPIC: usize = 96;
    let topics: usize =
        event.topics.iter().map(|topic| topic.as_str().len() + POSTING + TOPIC).sum();
    let id = event.publisher_id.as_ref().map_or(0, |id| 2 * id.as_str().len() + 64);
    RECORD + topics + id + event.data.len() + event.event_type.as_str().len()
}

/// The idempotency keys of the last 24 hours, or the newest of them if there are too many.
#[derive(Default)]
struct Keys {
    seen: HashMap<[u8; 16], Seen>,
    order: VecDeque<([u8; 16], Millis)>,
}

struct Seen {
    body: [u8; 16],
    first: Position,
    publisher_id: Option<PublisherId>,
}

impl Keys {
    fn seen(&mut self, key: IdempotencyKey, now: Millis) -> Option<Appended> {
        while let Some(&(oldest, since)) = self.order.front()
            && now.0.saturating_sub(since.0) >= IdempotencyKey::LIFETIME_MS
        {
            self.order.pop_front();
            self.seen.remove(&oldest);
        }
        self.seen.get(&key.key).map(|seen| {
            if seen.body == key.body {
                let publisher_id = seen.publisher_id.clone();
                Appended::Duplicate { first: seen.first, publisher_id }
            } else {
                Appended::Rejected(Rejection::KeyReused)
            }
        })
    }

    fn remember(&mut self, key: IdempotencyKey, event: &Event, first: Position, keys_max: usize) {
        let publisher_id = event.publisher_id.clone();
        self.seen.insert(key.key, Seen { body: key.body, first, publisher_id });
        self.order.push_back((key.key, event.time));
        while self.order.len() > keys_max {
            if let Some((oldest, _)) = self.order.pop_front() {
                self.seen.remove(&oldest);
            }
        }
    }
}
