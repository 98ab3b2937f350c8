//! Reading back: pages, places, names. Touches files, so it runs where blocking is allowed.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use super::Shared;
use super::record::Found;
use super::segment::Reader;
use super::state::{Candidates, Part, Sealed};
use super::writer::Known;
use crate::event::{IdempotencyKey, Millis, PublisherId, Record};
use crate::filter::Filter;
use crate::id::OpenedId;
use crate::log::{Page, Read, Resolved, Seek, Select};
use crate::position::Offset;
use crate::topic::Topic;

/// At most this many records are looked at for a page.
const SCAN_RECORDS_MAX: usize = 1024;
/// Read ahead, where the next record is likely to be wanted too.
const READ_AHEAD_BYTES: usize = 64 * 1024;
/// Read at once, where it is not.
const READ_ONE_BYTES: usize = 4 * 1024;

impl Shared {
    pub(super) fn read(&self, read: &Read) -> io::Result<Page> {
        let removed = self.state().removed_after(read.after, &read.filter);
        let (mut cursor, mut damaged) = (read.after, false);
        let mut records = Vec::new();
        let (mut bytes, mut left) = (0, SCAN_RECORDS_MAX);
        // A page that has something ends where its segment does: the next events of a quiet topic may lie
        // many segments further on, and whoever reads wants the first of them now.
        while left > 0 && records.is_empty() {
            let Some(candidates) = self.candidates(cursor, &read.filter, left)? else {
                cursor = cursor.max(self.state().tail);
                break;
            };
            left = left.saturating_sub(candidates.records.len().max(1));
            let ahead =
                if read.filter.exact().is_some() { READ_ONE_BYTES } else { READ_AHEAD_BYTES };
            let mut reader = Reader::new(&candidates.file, candidates.file.len()?, ahead);
            cursor = candidates.through;
            for &(offset, place) in &candidates.records {
                let Some(record) = record(&mut reader, &candidates, offset, place)? else {
                    damaged = true;
                    continue;
                };
                if !self.wants(read, &record)? {
                    continue;
                }
                bytes += record.event.data.len();
                records.push(Arc::new(record));
                if bytes >= read.bytes_max {
                    cursor = offset;
                    break;
                }
            }
        }
        let state = self.state();
        damaged |= state.is_damaged_between(read.after, cursor);
        // What went while this was read is missing too.
        let removed = removed.max(state.removed_after(read.after, &read.filter));
        Ok(Page { records, scanned_to: state.epochs.position(cursor), removed, damaged })
    }

    fn candidates(
        &self,
        after: Offset,
        filter: &Filter,
        count: usize,
    ) -> io::Result<Option<Candidates>> {
        let part = self.state().part_after(after, filter.exact(), count);
        match part {
            Part::Sealed(segment) => segment.candidates(after, filter.exact(), count).map(Some),
            Part::Open(candidates) => Ok(Some(candidates)),
            Part::End => Ok(None),
        }
    }

    fn wants(&self, read: &Read, record: &Record) -> io::Result<bool> {
        match read.select {
            Select::Every => {
                Ok(read.filter.exact().is_some() || read.filter.matches(&record.event.topics))
            }
            Select::NewestOfTopic => {
                for topic in &record.event.topics {
                    if read.filter.matches_topic(topic)
                        && self.newest_of(topic)? == Some(record.position.offset)
                    {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }

    /// The newest visible record of a topic.
    pub(super) fn newest_of(&self, topic: &Topic) -> io::Result<Option<Offset>> {
        let sealed = match self.state().newest_of(topic) {
            Ok(offset) => return Ok(Some(offset)),
            Err(sealed) => sealed,
        };
        first_some(sealed.iter().rev(), |segment| segment.index.last_of(topic))
    }

    /// The place that a generated id names, out of memory; `None` if it may be a publisher's.
    pub(super) fn resolve_generated(&self, id: &str) -> Option<Resolved> {
        match self.id_key.open(id) {
            OpenedId::Foreign => Some(Resolved::Foreign),
            OpenedId::Position(position) => {
                let state = self.state();
                Some(state.epochs.resolve(position, state.floor, state.tail))
            }
            OpenedId::NotGenerated => None,
        }
    }

    /// The place that a publisher's id names.
    pub(super) fn resolve_published(&self, id: &str) -> io::Result<Resolved> {
        let Some(offset) = self.find_id(id)? else { return Ok(Resolved::Foreign) };
        let state = self.state();
        let position = state.epochs.position(offset);
        Ok(state.epochs.resolve(position, state.floor, state.tail))
    }

    fn find_id(&self, id: &str) -> io::Result<Option<Offset>> {
        let Ok(id) = PublisherId::parse(id) else { return Ok(None) };
        let (sealed, in_open) = {
            let state = self.state();
            (state.sealed.clone(), state.find_in_open(&id))
        };
        let found = first_some(sealed.iter(), |segment| segment.index.of_id(&id))?;
        Ok(found.or(in_open))
    }

    /// The first use of an idempotency key in the last 24 hours.
    pub(super) fn find_key(&self, key: &[u8; 16], now: Millis) -> io::Result<Option<Known>> {
        let (sealed, in_open) = {
            let state = self.state();
            let in_open = state.open.as_ref().and_then(|open| {
                let (body, ordinal) = open.index.of_key(key)?;
                Some((body, open.index.offset(ordinal)))
            });
            (state.sealed.clone(), in_open)
        };
        let young = |segment: &&Arc<Sealed>| {
            now.0.saturating_sub(segment.index.last_time.0) < IdempotencyKey::LIFETIME_MS
        };
        let mut found = in_open;
        for segment in sealed.iter().rev().take_while(young) {
            if let Some((body, ordinal)) = segment.index.of_key(key)? {
                found = Some((body, segment.index.offset(ordinal)?));
            }
        }
        let Some((body, offset)) = found else { return Ok(None) };
        let Some(record) = self.at(offset)? else { return Ok(None) };
        let old = now.0.saturating_sub(record.event.time.0) >= IdempotencyKey::LIFETIME_MS;
        let publisher_id = record.event.publisher_id;
        Ok((!old).then_some(Known { body, first: record.position, publisher_id }))
    }

    fn at(&self, offset: Offset) -> io::Result<Option<Record>> {
        let Some(candidates) = self.candidates(offset.just_before(), &Filter::all(), 1)? else {
            return Ok(None);
        };
        let Some(&(_, place)) = candidates.records.first() else { return Ok(None) };
        let mut reader = Reader::new(&candidates.file, candidates.file.len()?, READ_ONE_BYTES);
        record(&mut reader, &candidates, offset, place)
    }

    pub(super) fn seek(&self, seek: Seek, filter: &Filter) -> io::Result<Offset> {
        match seek {
            Seek::Time(time) => self.seek_time(time),
            Seek::Last(count) => self.seek_last(count, filter),
        }
    }

    fn seek_time(&self, time: Millis) -> io::Result<Offset> {
        let sealed = {
            let state = self.state();
            let at = state.sealed.partition_point(|segment| segment.index.last_time < time);
            state.sealed.get(at).cloned()
        };
        match sealed {
            Some(segment) => {
                let ordinal = segment.index.at_time(time)?;
                Ok(segment.index.offset(ordinal)?.just_before())
            }
            None => Ok(self.state().seek_in_open(time)),
        }
    }

    /// Goes back page by page from the end, in steps that grow, and counts.
    fn seek_last(&self, count: u64, filter: &Filter) -> io::Result<Offset> {
        let (tail, floor) = {
            let state = self.state();
            (state.tail, state.floor)
        };
        let wanted = usize::try_from(count).unwrap_or(usize::MAX);
        if wanted == 0 {
            return Ok(tail);
        }
        let mut matching = HashMap::new();
        let mut found: Vec<Offset> = Vec::new();
        let (mut to, mut step) = (tail, SCAN_RECORDS_MAX as u64);
        while to > floor && found.len() < wanted {
            let from = Offset::new(to.get().saturating_sub(step)).max(floor);
            let mut of_step = self.offsets_between(from, to, filter, &mut matching)?;
            of_step.extend(found);
            found = of_step;
            (to, step) = (from, step.saturating_mul(2));
        }
        let first = found.len().saturating_sub(wanted);
        Ok(found.get(first).map_or(tail, |first| first.just_before()))
    }

    /// The matching records in `(from, to]`.
    fn offsets_between(
        &self,
        from: Offset,
        to: Offset,
        filter: &Filter,
        matching: &mut HashMap<Topic, bool>,
    ) -> io::Result<Vec<Offset>> {
        let mut offsets = Vec::new();
        let mut cursor = from;
        while cursor < to
            && let Some(candidates) = self.candidates(cursor, filter, SCAN_RECORDS_MAX)?
        {
            cursor = candidates.through;
            let mut reader =
                Reader::new(&candidates.file, candidates.file.len()?, READ_AHEAD_BYTES);
            for &(offset, place) in &candidates.records {
                if offset > to {
                    break;
                }
                if filter.exact().is_some() || filter.is_all() {
                    offsets.push(offset);
                } else if let Some(record) = record(&mut reader, &candidates, offset, place)?
                    && record.event.topics.iter().any(|topic| {
                        *matching
                            .entry(topic.clone())
                            .or_insert_with(|| filter.matches_topic(topic))
                    })
                {
                    offsets.push(offset);
                }
            }
        }
        Ok(offsets)
    }
}

/// The record at a place; `None` if it cannot be read any more, or is not the one that it should be.
fn record(
    reader: &mut Reader<'_>,
    candidates: &Candidates,
    offset: Offset,
    place: u32,
) -> io::Result<Option<Record>> {
    Ok(match reader.record(u64::from(place), candidates.header)? {
        Found::Record(stored) if stored.record.position.offset == offset => Some(stored.record),
        _ => None,
    })
}

/// The first answer that some segment has.
fn first_some<'a>(
    segments: impl Iterator<Item = &'a Arc<Sealed>>,
    ask: impl Fn(&Sealed) -> io::Result<Option<u32>>,
) -> io::Result<Option<Offset>> {
    for segment in segments {
        if let Some(ordinal) = ask(segment)? {
            return segment.index.offset(ordinal).map(Some);
        }
    }
    Ok(None)
}
