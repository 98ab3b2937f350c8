//! The index of the segment that is being written, in memory.

use std::collections::HashMap;

use bytes::BufMut;

use super::{
    HEAD_BYTES, IDS, KEYS, LISTS, MAGIC, NUMBERS, Ordinal, PLACES, SECTIONS, TEXTS, TIMES, TOPICS,
};
use crate::disk::record::Stored;
use crate::disk::segment::Header;
use crate::event::{IdempotencyKey, Millis, PublisherId};
use crate::position::Offset;
use crate::topic::Topic;

/// The index of the segment that is being written.
#[derive(Debug, Default, Clone)]
pub(in crate::disk) struct LiveIndex {
    base: Offset,
    /// Where each record is.
    places: Vec<u32>,
    /// Of each record, its offset less the base; empty as long as these are the ranks.
    numbers: Vec<u32>,
    /// Behind the last record.
    end: u32,
    /// Of each record's time, never falling.
    times: Vec<u64>,
    /// When the last record was appended, or one that it stands for.
    last_time: Millis,
    by_topic: HashMap<Topic, Vec<Ordinal>>,
    by_id: HashMap<PublisherId, Ordinal>,
    by_key: HashMap<[u8; 16], ([u8; 16], Ordinal)>,
}

impl LiveIndex {
    /// An index of a segment whose first record has this offset, or a later one.
    pub(in crate::disk) fn new(base: Offset) -> Self {
        Self { base, ..Self::default() }
    }

    /// Takes the next record in.
    pub(in crate::disk) fn add(&mut self, stored: &Stored, place: u32) {
        let event = &stored.record.event;
        let number = stored.record.position.offset.get().saturating_sub(self.base.get());
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let ordinal = self.count();
        if self.numbers.is_empty() && number != ordinal {
            self.numbers = (0..ordinal).collect();
        }
        if number != ordinal || !self.numbers.is_empty() {
            self.numbers.push(number);
        }
        self.places.push(place);
        self.end = place.saturating_add(u32::try_from(stored.bytes).unwrap_or(u32::MAX));
        self.times.push(event.time.0);
        self.last_time = self.last_time.max(event.time);
        for topic in &event.topics {
            let ordinals = self.by_topic.entry(topic.clone()).or_default();
            if ordinals.last() != Some(&ordinal) {
                ordinals.push(ordinal);
            }
        }
        if let Some(id) = &event.publisher_id {
            self.by_id.entry(id.clone()).or_insert(ordinal);
        }
        if let Some(IdempotencyKey { key, body }) = stored.idempotency {
            self.by_key.entry(key).or_insert((body, ordinal));
        }
    }

    /// What a record takes in the segment.
    pub(in crate::disk) fn bytes_of(&self, ordinal: Ordinal) -> u32 {
        let mut places = self.places.iter().skip(ordinal as usize);
        let place = places.next().copied().unwrap_or(self.end);
        places.next().copied().unwrap_or(self.end).saturating_sub(place)
    }

    pub(in crate::disk) fn count(&self) -> Ordinal {
        Ordinal::try_from(self.places.len()).unwrap_or(Ordinal::MAX)
    }

    /// It stands for records up to this time too, which are gone.
    pub(in crate::disk) fn reaches(&mut self, time: Millis) {
        self.last_time = self.last_time.max(time);
    }

    /// When the first record was appended.
    pub(in crate::disk) fn first_time(&self) -> Option<Millis> {
        self.times.first().copied().map(Millis)
    }

    /// Every topic, with its records.
    pub(in crate::disk) fn postings(&self) -> impl Iterator<Item = (&Topic, &[Ordinal])> {
        self.by_topic.iter().map(|(topic, ordinals)| (topic, &ordinals[..]))
    }

    /// The offset of a record.
    pub(in crate::disk) fn offset(&self, ordinal: Ordinal) -> Offset {
        let number = self.numbers.get(ordinal as usize).copied().unwrap_or(ordinal);
        Offset::new(self.base.get().saturating_add(u64::from(number)))
    }

    /// The rank of the first record after a cursor.
    pub(in crate::disk) fn after(&self, cursor: Offset) -> Ordinal {
        let number = cursor.get().saturating_add(1).saturating_sub(self.base.get());
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        if self.numbers.is_empty() {
            return number;
        }
        let rank = self.numbers.partition_point(|&own| own < number);
        Ordinal::try_from(rank).unwrap_or(Ordinal::MAX)
    }

    pub(in crate::disk) fn places(&self, from: Ordinal, count: usize) -> Vec<u32> {
        self.places.iter().skip(from as usize).take(count).copied().collect()
    }

    pub(in crate::disk) fn of_topic(
        &self,
        topic: &Topic,
        from: Ordinal,
        count: usize,
    ) -> Vec<Ordinal> {
        let Some(ordinals) = self.by_topic.get(topic) else { return Vec::new() };
        let first = ordinals.partition_point(|&ordinal| ordinal < from);
        ordinals.iter().skip(first).take(count).copied().collect()
    }

    pub(in crate::disk) fn last_of(&self, topic: &Topic) -> Option<Ordinal> {
        self.by_topic.get(topic).and_then(|ordinals| ordinals.last()).copied()
    }

    pub(in crate::disk) fn of_id(&self, id: &PublisherId) -> Option<Ordinal> {
        self.by_id.get(id).copied()
    }

    pub(in crate::disk) fn of_key(&self, key: &[u8; 16]) -> Option<([u8; 16], Ordinal)> {
        self.by_key.get(key).copied()
    }

    /// The first record at or after a time.
    pub(in crate::disk) fn at_time(&self, time: Millis) -> Ordinal {
        Ordinal::try_from(self.times.partition_point(|&own| own < time.0)).unwrap_or(Ordinal::MAX)
    }

    /// The bytes of the index file.
    pub(in crate::disk) fn encode(&self, header: Header, end: u32) -> Vec<u8> {
        let mut texts = Texts::default();
        let mut topics: Vec<_> = self.by_topic.iter().collect();
        topics.sort_unstable_by_key(|(topic, _)| topic.as_str());
        let mut ids: Vec<_> = self.by_id.iter().collect();
        ids.sort_unstable_by_key(|(id, _)| id.as_str());
        let mut keys: Vec<_> = self.by_key.iter().collect();
        keys.sort_unstable();

        let mut out = vec![0; HEAD_BYTES];
        let mut sections = [0_u32; SECTIONS];
        let mut begin = |section: usize, out: &Vec<u8>| {
            if let Some(at) = sections.get_mut(section) {
                *at = u32::try_from(out.len()).unwrap_or(u32::MAX);
            }
        };
        begin(PLACES, &out);
        self.places.iter().for_each(|&place| out.put_u32_le(place));
        begin(TIMES, &out);
        self.times.iter().for_each(|&time| out.put_u64_le(time));
        begin(TOPICS, &out);
        let mut listed = 0_u32;
        for (topic, ordinals) in &topics {
            texts.put(topic.as_str(), &mut out);
            out.put_u32_le(listed);
            let count = u32::try_from(ordinals.len()).unwrap_or(u32::MAX);
            out.put_u32_le(count);
            listed = listed.saturating_add(count);
        }
        begin(LISTS, &out);
        topics.iter().flat_map(|(_, ordinals)| *ordinals).for_each(|&o| out.put_u32_le(o));
        begin(IDS, &out);
        for (id, ordinal) in &ids {
            texts.put(id.as_str(), &mut out);
            out.put_u32_le(**ordinal);
            out.put_u32_le(0);
        }
        begin(KEYS, &out);
        for (key, (body, ordinal)) in &keys {
            out.put_slice(*key);
            out.put_slice(body);
            out.put_u32_le(*ordinal);
        }
        begin(TEXTS, &out);
        out.put_slice(texts.0.as_bytes());
        begin(NUMBERS, &out);
        self.numbers.iter().for_each(|&number| out.put_u32_le(number));

        let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let mut head = Vec::with_capacity(HEAD_BYTES);
        head.put_slice(MAGIC);
        head.put_slice(&header.encode());
        head.put_u32_le(end);
        head.put_u64_le(self.last_time.0);
        let listed = self.numbers.len();
        for number in [self.places.len(), topics.len(), ids.len(), keys.len(), listed] {
            head.put_u32_le(count(number));
        }
        sections.iter().for_each(|&at| head.put_u32_le(at));
        head.put_u32_le(crc32c::crc32c(&head));
        head.resize(HEAD_BYTES, 0);
        if let Some(front) = out.get_mut(..HEAD_BYTES) {
            front.copy_from_slice(&head);
        }
        out
    }
}

/// Names, one behind the other.
#[derive(Default)]
struct Texts(String);

impl Texts {
    fn put(&mut self, text: &str, out: &mut Vec<u8>) {
        out.put_u32_le(u32::try_from(self.0.len()).unwrap_or(u32::MAX));
        out.put_u32_le(u32::try_from(text.len()).unwrap_or(u32::MAX));
        self.0.push_str(text);
    }
}
