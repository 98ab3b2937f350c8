//! The index of a segment that is not written any more, in its file.

use std::io;
use std::sync::Arc;

use bytes::Buf;

use super::{
    HEAD_BYTES, HEAD_CHECKED_BYTES, IDS, KEY_BYTES, KEYS, LISTS, MAGIC, NAMED_BYTES, NUMBERS,
    Ordinal, PLACES, SECTIONS, TEXTS, TIMES, TOPICS,
};
use crate::disk::files::File;
use crate::disk::segment::Header;
use crate::event::{Millis, PublisherId};
use crate::position::Offset;
use crate::topic::Topic;

/// The index of a sealed segment, in its file.
pub(in crate::disk) struct SealedIndex {
    file: Arc<dyn File>,
    pub(in crate::disk) header: Header,
    pub(in crate::disk) end: u32,
    pub(in crate::disk) last_time: Millis,
    count: Ordinal,
    topics: u32,
    ids: u32,
    keys: u32,
    /// How many numbers are listed: none if they are the ranks, else as many as records.
    listed: u32,
    sections: [u32; SECTIONS],
}

impl SealedIndex {
    /// Opens an index file by its head; `None` if it is not whole, or not one.
    pub(in crate::disk) fn open(file: Arc<dyn File>) -> io::Result<Option<Self>> {
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
        let listed = number()?;
        let mut sections = [0; SECTIONS];
        for section in &mut sections {
            *section = number()?;
        }
        Some(Self { file, header, end, last_time, count, topics, ids, keys, listed, sections })
    }

    /// The size of the file.
    pub(in crate::disk) fn bytes(&self) -> io::Result<u64> {
        self.file.len()
    }

    pub(in crate::disk) fn count(&self) -> Ordinal {
        self.count
    }

    /// The offset of a record.
    pub(in crate::disk) fn offset(&self, ordinal: Ordinal) -> io::Result<Offset> {
        let number = if self.listed == 0 { ordinal } else { self.number(NUMBERS, ordinal)? };
        Ok(Offset::new(self.header.base.get().saturating_add(u64::from(number))))
    }

    /// The offsets of some records, one behind the other.
    pub(in crate::disk) fn offsets(&self, from: Ordinal, count: usize) -> io::Result<Vec<Offset>> {
        let left = (self.count.saturating_sub(from) as usize).min(count);
        let base = self.header.base.get();
        let offset = |number: u32| Offset::new(base.saturating_add(u64::from(number)));
        if self.listed == 0 {
            return Ok((from..self.count).take(left).map(offset).collect());
        }
        Ok(self.numbers(NUMBERS, from, left)?.into_iter().map(offset).collect())
    }

    /// The rank of the first record after a cursor.
    pub(in crate::disk) fn after(&self, cursor: Offset) -> io::Result<Ordinal> {
        let number = cursor.get().saturating_add(1).saturating_sub(self.header.base.get());
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        if self.listed == 0 || number == 0 {
            return Ok(number);
        }
        self.first_from(NUMBERS, (0, self.count), number)
    }

    /// Whether numbers are left out.
    pub(in crate::disk) fn is_sparse(&self) -> bool {
        self.listed > 0
    }

    pub(in crate::disk) fn places(&self, from: Ordinal, count: usize) -> io::Result<Vec<u32>> {
        let left = self.count.saturating_sub(from) as usize;
        self.numbers(PLACES, from, left.min(count))
    }

    pub(in crate::disk) fn of_topic(
        &self,
        topic: &Topic,
        from: Ordinal,
        count: usize,
    ) -> io::Result<Vec<Ordinal>> {
        let Some((first, length)) = self.find_topic(topic)? else { return Ok(Vec::new()) };
        let from = self.first_from(LISTS, (first, first.saturating_add(length)), from)?;
        let left = first.saturating_add(length).saturating_sub(from);
        self.numbers(LISTS, from, count.min(left as usize))
    }

    pub(in crate::disk) fn last_of(&self, topic: &Topic) -> io::Result<Option<Ordinal>> {
        match self.find_topic(topic)? {
            Some((first, length)) if length > 0 => {
                self.number(LISTS, first + (length - 1)).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Every topic, with its records. Reads most of the file.
    pub(in crate::disk) fn postings(&self) -> io::Result<Vec<(Topic, Vec<Ordinal>)>> {
        let texts = self.section(TEXTS, NUMBERS)?;
        let entries = self.section(TOPICS, LISTS)?;
        let lists = self.section(LISTS, IDS)?;
        let range = |bytes: &[u8], at: u32, length: u32, size: usize| {
            let from = (at as usize).checked_mul(size)?;
            let to = (length as usize).checked_mul(size)?.checked_add(from)?;
            bytes.get(from..to).map(<[u8]>::to_vec)
        };
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the index is damaged");
        let mut postings = Vec::with_capacity(self.topics as usize);
        for mut entry in entries.chunks_exact(NAMED_BYTES) {
            let (text_at, length) = (entry.get_u32_le(), entry.get_u32_le());
            let (first, count) = (entry.get_u32_le(), entry.get_u32_le());
            let text =
                range(&texts, text_at, length, 1).and_then(|text| String::from_utf8(text).ok());
            let topic = text.and_then(|text| Topic::of_record(&text)).ok_or_else(damaged)?;
            let list = range(&lists, first, count, 4).ok_or_else(damaged)?;
            postings.push((topic, words(&list)));
        }
        Ok(postings)
    }

    /// When each record was appended, in milliseconds.
    pub(in crate::disk) fn times(&self) -> io::Result<Vec<u64>> {
        let bytes = self.section(TIMES, TOPICS)?;
        let words = bytes.chunks_exact(8).filter_map(|word| word.try_into().ok());
        Ok(words.map(u64::from_le_bytes).collect())
    }

    /// The records that carry an idempotency key.
    pub(in crate::disk) fn keyed(&self) -> io::Result<Vec<Ordinal>> {
        let bytes = self.section(KEYS, TEXTS)?;
        let ordinal = |entry: &[u8]| entry.get(32..).map(|mut rest| rest.get_u32_le());
        Ok(bytes.chunks_exact(KEY_BYTES).filter_map(ordinal).collect())
    }

    /// The bytes from the beginning of a section to that of another.
    fn section(&self, from: usize, to: usize) -> io::Result<Vec<u8>> {
        let (begin, end) = (self.at(from, 0, 1), self.at(to, 0, 1));
        let length = usize::try_from(end.saturating_sub(begin)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length.min(usize::try_from(self.bytes()?).unwrap_or(usize::MAX))];
        self.file.read_at(&mut bytes, begin)?;
        Ok(bytes)
    }

    pub(in crate::disk) fn of_id(&self, id: &PublisherId) -> io::Result<Option<Ordinal>> {
        self.search(self.ids, |nth| {
            let (text, ordinal, _) = self.named(IDS, nth)?;
            Ok((text.as_str().cmp(id.as_str()), ordinal))
        })
    }

    pub(in crate::disk) fn of_key(
        &self,
        key: &[u8; 16],
    ) -> io::Result<Option<([u8; 16], Ordinal)>> {
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

    pub(in crate::disk) fn at_time(&self, time: Millis) -> io::Result<Ordinal> {
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

    /// Where, between two places of a section that rises there, the first number of at least `least` is.
    fn first_from(
        &self,
        section: usize,
        (mut low, mut high): (u32, u32),
        least: u32,
    ) -> io::Result<u32> {
        while low < high {
            let middle = low + (high - low) / 2;
            match self.number(section, middle)? {
                number if number < least => low = middle + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    fn number(&self, section: usize, nth: u32) -> io::Result<u32> {
        let mut bytes = [0; 4];
        self.file.read_at(&mut bytes, self.at(section, nth, 4))?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn numbers(&self, section: usize, from: u32, count: usize) -> io::Result<Vec<u32>> {
        let mut bytes = vec![0; count * 4];
        self.file.read_at(&mut bytes, self.at(section, from, 4))?;
        Ok(words(&bytes))
    }

    fn at(&self, section: usize, nth: u32, bytes: usize) -> u64 {
        let begin = self.sections.get(section).copied().unwrap_or_default();
        u64::from(begin) + u64::from(nth) * bytes as u64
    }
}

fn words(bytes: &[u8]) -> Vec<u32> {
    let words = bytes.chunks_exact(4).filter_map(|word| word.try_into().ok());
    words.map(u32::from_le_bytes).collect()
}
