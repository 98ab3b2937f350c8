//! What finds records in a segment: by number, by topic, by a publisher's id, by idempotency key.
//!
//! The open segment's index is in memory ([`LiveIndex`]). When the segment is sealed it is written beside
//! it, and from then on looked up in the file ([`SealedIndex`]): nothing of it is held in memory.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use bytes::{Buf, BufMut};

use super::files::File;
use super::record::Stored;
use super::segment::{HEADER_BYTES, Header};
use crate::event::{IdempotencyKey, Millis, PublisherId};
use crate::topic::Topic;

/// A record's number in its segment: its offset less the segment's base.
pub(super) type Ordinal = u32;

/// The index of the segment that is being written.
#[derive(Debug, Default)]
pub(super) struct LiveIndex {
    /// Where each record is; 0 where one is missing.
    pub(super) places: Vec<u32>,
    /// Of each record's time, never falling.
    times: Vec<u64>,
    by_topic: HashMap<Topic, Vec<Ordinal>>,
    by_id: HashMap<PublisherId, Ordinal>,
    by_key: HashMap<[u8; 16], ([u8; 16], Ordinal)>,
}

impl LiveIndex {
    /// Takes the next record in; numbers that were left out are missing records.
    pub(super) fn add(&mut self, base: u64, stored: &Stored, place: u32) {
        let event = &stored.record.event;
        let number = stored.record.position.offset.get().saturating_sub(base);
        let ordinal = Ordinal::try_from(number).unwrap_or(Ordinal::MAX);
        let missing = self.times.last().copied().unwrap_or(event.time.0);
        self.places.resize(ordinal as usize, 0);
        self.times.resize(ordinal as usize, missing);
        self.places.push(place);
        self.times.push(event.time.0);
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

    pub(super) fn count(&self) -> Ordinal {
        Ordinal::try_from(self.places.len()).unwrap_or(Ordinal::MAX)
    }

    pub(super) fn places(&self, from: Ordinal, count: usize) -> Vec<u32> {
        self.places.iter().skip(from as usize).take(count).copied().collect()
    }

    pub(super) fn of_topic(&self, topic: &Topic, from: Ordinal, count: usize) -> Vec<Ordinal> {
        let Some(ordinals) = self.by_topic.get(topic) else { return Vec::new() };
        let first = ordinals.partition_point(|&ordinal| ordinal < from);
        ordinals.iter().skip(first).take(count).copied().collect()
    }

    pub(super) fn last_of(&self, topic: &Topic) -> Option<Ordinal> {
        self.by_topic.get(topic).and_then(|ordinals| ordinals.last()).copied()
    }

    pub(super) fn of_id(&self, id: &PublisherId) -> Option<Ordinal> {
        self.by_id.get(id).copied()
    }

    pub(super) fn of_key(&self, key: &[u8; 16]) -> Option<([u8; 16], Ordinal)> {
        self.by_key.get(key).copied()
    }

    /// The first record at or after a time.
    pub(super) fn at_time(&self, time: Millis) -> Ordinal {
        Ordinal::try_from(self.times.partition_point(|&own| own < time.0)).unwrap_or(Ordinal::MAX)
    }

    /// The bytes of the index file.
    pub(super) fn encode(&self, header: Header, end: u32) -> Vec<u8> {
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

        let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let mut head = Vec::with_capacity(HEAD_BYTES);
        head.put_slice(MAGIC);
        head.put_slice(&header.encode());
        head.put_u32_le(end);
        head.put_u64_le(self.times.last().copied().unwrap_or_default());
        for number in [self.places.len(), topics.len(), ids.len(), keys.len()] {
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

const MAGIC: &[u8; 8] = b"hwlogidx";
const HEAD_BYTES: usize = 192;
const HEAD_CHECKED_BYTES: usize = 8 + HEADER_BYTES + 4 + 8 + 16 + 4 * SECTIONS;
const SECTIONS: usize = 7;
const PLACES: usize = 0;
const TIMES: usize = 1;
const TOPICS: usize = 2;
const LISTS: usize = 3;
const IDS: usize = 4;
const KEYS: usize = 5;
const TEXTS: usize = 6;
/// Where a name is and how long, and two numbers more.
const NAMED_BYTES: usize = 16;
const KEY_BYTES: usize = 36;

/// The index of a sealed segment, in its file.
pub(super) struct SealedIndex {
    file: Arc<dyn File>,
    pub(super) header: Header,
    pub(super) end: u32,
    pub(super) last_time: Millis,
    count: Ordinal,
    topics: u32,
    ids: u32,
    keys: u32,
    sections: [u32; SECTIONS],
}

impl SealedIndex {
    /// Opens an index file by its head; `None` if it is not whole, or not one.
    pub(super) fn open(file: Arc<dyn File>) -> io::Result<Option<Self>> {
        let mut head = [0; HEAD_BYTES];
        match file.read_at(&mut head, 0) {
            Ok(()) => Ok(Self::parse(file, &head)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn parse(file: Arc<dyn File>, head: &[u8; HEAD_BYTES]) -> Option<Self> {
        let (checked, mut rest) = head.split_at_checked(HEAD_CHECKED_BYTES)?;
        if crc32c::crc32c(checked) != rest.try_get_u32_le().ok()? {
            return None;
        }
        let (header, mut fields) = checked.strip_prefix(MAGIC)?.split_first_chunk()?;
        let header = Header::decode(header)?;
        let end = fields.try_get_u32_le().ok()?;
        let last_time = Millis(fields.try_get_u64_le().ok()?);
        let mut number = || fields.try_get_u32_le().ok();
        let (count, topics, ids, keys) = (number()?, number()?, number()?, number()?);
        let mut sections = [0; SECTIONS];
        for section in &mut sections {
            *section = number()?;
        }
        Some(Self { file, header, end, last_time, count, topics, ids, keys, sections })
    }

    pub(super) fn count(&self) -> Ordinal {
        self.count
    }

    pub(super) fn places(&self, from: Ordinal, count: usize) -> io::Result<Vec<u32>> {
        let left = self.count.saturating_sub(from) as usize;
        self.numbers(PLACES, from, left.min(count))
    }

    pub(super) fn of_topic(
        &self,
        topic: &Topic,
        from: Ordinal,
        count: usize,
    ) -> io::Result<Vec<Ordinal>> {
        let Some((first, length)) = self.find_topic(topic)? else { return Ok(Vec::new()) };
        let (mut low, mut high) = (0, length);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.number(LISTS, first + middle)? {
                ordinal if ordinal < from => low = middle + 1,
                _ => high = middle,
            }
        }
        self.numbers(LISTS, first + low, count.min((length - low) as usize))
    }

    pub(super) fn last_of(&self, topic: &Topic) -> io::Result<Option<Ordinal>> {
        match self.find_topic(topic)? {
            Some((first, length)) if length > 0 => {
                self.number(LISTS, first + (length - 1)).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Every topic, with its last record.
    pub(super) fn topics(&self) -> io::Result<Vec<(Topic, Ordinal)>> {
        let mut topics = Vec::with_capacity(self.topics as usize);
        for nth in 0..self.topics {
            let (text, first, length) = self.named(TOPICS, nth)?;
            let last = self.number(LISTS, first.saturating_add(length.saturating_sub(1)))?;
            topics.extend(Topic::parse(&text).ok().map(|topic| (topic, last)));
        }
        Ok(topics)
    }

    pub(super) fn of_id(&self, id: &PublisherId) -> io::Result<Option<Ordinal>> {
        self.search(self.ids, |nth| {
            let (text, ordinal, _) = self.named(IDS, nth)?;
            Ok((text.as_str().cmp(id.as_str()), ordinal))
        })
    }

    pub(super) fn of_key(&self, key: &[u8; 16]) -> io::Result<Option<([u8; 16], Ordinal)>> {
        self.search(self.keys, |nth| {
            let mut entry = [0; KEY_BYTES];
            self.file.read_at(&mut entry, self.at(KEYS, nth, KEY_BYTES))?;
            let (own, rest) = entry.split_at(16);
            let (body, mut ordinal) = rest.split_at(16);
            let mut hash = [0; 16];
            hash.copy_from_slice(body);
            Ok((own.cmp(key), (hash, ordinal.get_u32_le())))
        })
    }

    pub(super) fn at_time(&self, time: Millis) -> io::Result<Ordinal> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            let mut own = [0; 8];
            self.file.read_at(&mut own, self.at(TIMES, middle, 8))?;
            match u64::from_le_bytes(own) {
                own if own < time.0 => low = middle + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    /// Where a topic's list begins, and its length.
    fn find_topic(&self, topic: &Topic) -> io::Result<Option<(u32, u32)>> {
        self.search(self.topics, |nth| {
            let (text, first, length) = self.named(TOPICS, nth)?;
            Ok((text.as_str().cmp(topic.as_str()), (first, length)))
        })
    }

    fn search<T>(
        &self,
        count: u32,
        probe: impl Fn(u32) -> io::Result<(std::cmp::Ordering, T)>,
    ) -> io::Result<Option<T>> {
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            match probe(middle)? {
                (std::cmp::Ordering::Equal, found) => return Ok(Some(found)),
                (std::cmp::Ordering::Less, _) => low = middle + 1,
                (std::cmp::Ordering::Greater, _) => high = middle,
            }
        }
        Ok(None)
    }

    fn named(&self, section: usize, nth: u32) -> io::Result<(String, u32, u32)> {
        let mut entry = [0; NAMED_BYTES];
        self.file.read_at(&mut entry, self.at(section, nth, NAMED_BYTES))?;
        let mut entry = &entry[..];
        let (text_at, length) = (entry.get_u32_le(), entry.get_u32_le());
        let mut text = vec![0; (length as usize).min(Topic::BYTES_MAX)];
        self.file.read_at(&mut text, self.at(TEXTS, text_at, 1))?;
        let text = String::from_utf8(text).unwrap_or_default();
        Ok((text, entry.get_u32_le(), entry.get_u32_le()))
    }

    fn number(&self, section: usize, nth: u32) -> io::Result<u32> {
        let mut bytes = [0; 4];
        self.file.read_at(&mut bytes, self.at(section, nth, 4))?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn numbers(&self, section: usize, from: u32, count: usize) -> io::Result<Vec<u32>> {
        let mut bytes = vec![0; count * 4];
        self.file.read_at(&mut bytes, self.at(section, from, 4))?;
        let words = bytes.chunks_exact(4).filter_map(|word| word.try_into().ok());
        Ok(words.map(u32::from_le_bytes).collect())
    }

    fn at(&self, section: usize, nth: u32, bytes: usize) -> u64 {
        let begin = self.sections.get(section).copied().unwrap_or_default();
        u64::from(begin) + u64::from(nth) * bytes as u64
    }
}
