//! What a log holds, in numbers.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io;

use super::{Inspection, Part, TRIES, restless};
use crate::disk::compaction::remembered;
use crate::disk::epochs::Epochs;
use crate::disk::files::Files;
use crate::disk::recovery::VERSION;
use crate::event::Millis;
use crate::position::{Epoch, Offset, Position};
use crate::topic::Topic;

/// What a log holds, in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// Of everything in the directory.
    pub version: u32,
    /// Of all files, with what is reserved in the segment that is being written.
    pub bytes: u64,
    /// Segments that are kept.
    pub segments: usize,
    /// Events that can be read.
    pub events: u64,
    /// Topics of which there are events.
    pub topics: usize,
    /// When the oldest event was taken.
    pub first_time: Option<Millis>,
    /// When the newest event was taken.
    pub last_time: Option<Millis>,
    /// Nothing at or before it is kept.
    pub floor: Offset,
    /// The newest event that can be read, or what the last one was.
    pub tail: Position,
    /// Every opening of the log, with its first offset, oldest first.
    pub epochs: Vec<(Epoch, Offset)>,
    /// Segments that hold what compaction left of others.
    pub compacted_segments: usize,
    /// Events that compaction took out from between those that are kept.
    pub compacted_events: u64,
}

/// What is counted on the way.
#[derive(Default)]
struct Count {
    events: u64,
    /// Hashes of the topics: 8 bytes each, and that two are the same is less likely than a wrong disk.
    topics: HashSet<u64>,
    hasher: RandomState,
    first_time: Option<u64>,
    last_time: Option<u64>,
    last: Option<Offset>,
    compacted_segments: usize,
    compacted_events: u64,
}

impl Inspection {
    /// Counts what there is. Reads the indexes, and the whole of segments without one; holds 8 bytes a
    /// topic, and one index.
    ///
    /// # Errors
    /// If files cannot be read.
    pub fn info(&self) -> io::Result<Info> {
        let epochs = Epochs::open(&self.files)?;
        for _ in 0..TRIES {
            let parts = self.parts()?;
            let mut count = Count::default();
            let mut whole = true;
            for part in &parts {
                whole &= whole && self.count(part, &mut count)?;
            }
            if whole {
                return self.summary(&parts, count, &epochs);
            }
        }
        Err(restless())
    }

    fn summary(&self, parts: &[Part], count: Count, epochs: &Epochs) -> io::Result<Info> {
        let first = parts.first().and_then(|part| part.header);
        let before = first.filter(|header| header.before.base > Offset::START);
        let floor = before.map_or(Offset::START, |header| header.base.just_before());
        let (removed_to, _) = remembered(&self.files, floor)?;
        let next = first.map_or(epochs.next().max(removed_to), |header| header.base);
        let floor = floor.max(removed_to.min(next.just_before()));
        let tail = count.last.unwrap_or_else(|| floor.max(epochs.next().just_before()));
        let mut bytes = 0;
        for name in self.files.list()? {
            // What is gone by now needs no room.
            bytes += self.files.open(&name).and_then(|file| file.len()).unwrap_or_default();
        }
        Ok(Info {
            version: VERSION,
            bytes,
            segments: parts.len(),
            events: count.events,
            topics: count.topics.len(),
            first_time: count.first_time.map(Millis),
            last_time: count.last_time.map(Millis),
            floor,
            tail: epochs.position(tail),
            epochs: epochs.openings().to_vec(),
            compacted_segments: count.compacted_segments,
            compacted_events: count.compacted_events,
        })
    }

    /// Whether the segment was still what it was.
    fn count(&self, part: &Part, count: &mut Count) -> io::Result<bool> {
        let before = count.events;
        let index = self.index(part.base)?.filter(|_| part.indexed.is_some());
        match index {
            Some(index) if Some(index.header) == part.header => {
                count.events += u64::from(index.count());
                index.postings()?.iter().for_each(|(topic, _)| count.topic(topic));
                let times = index.times()?;
                count.first_time = count.first_time.or(times.first().copied());
                count.last_time = times.last().copied().or(count.last_time);
                if let Some(last) = index.count().checked_sub(1) {
                    count.last = Some(index.offset(last)?);
                }
            }
            Some(_) => return Ok(false),
            None => {
                let scanned = self.scan(part, |stored, _| {
                    let event = &stored.record.event;
                    count.events += 1;
                    event.topics.iter().for_each(|topic| count.topic(topic));
                    count.first_time = count.first_time.or(Some(event.time.0));
                    count.last_time = Some(event.time.0);
                    count.last = Some(stored.record.position.offset);
                })?;
                if scanned.is_none() {
                    return Ok(false);
                }
            }
        }
        if let Some(compacted) = part.header.and_then(|header| header.compacted) {
            count.compacted_segments += 1;
            let once = compacted.through.get().saturating_sub(part.base.just_before().get());
            count.compacted_events += once.saturating_sub(count.events - before);
            count.last = count.last.max(Some(compacted.through));
        }
        Ok(true)
    }
}

impl Count {
    fn topic(&mut self, topic: &Topic) {
        self.topics.insert(self.hasher.hash_one(topic.as_str()));
    }
}
