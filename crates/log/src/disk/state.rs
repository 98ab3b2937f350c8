//! What a disk log holds in memory, and how records are found through it.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use super::epochs::Epochs;
use super::files::File;
use super::index::{LiveIndex, Ordinal, SealedIndex};
use super::segment::Header;
use crate::event::{Millis, PublisherId, Record};
use crate::filter::Filter;
use crate::position::Offset;
use crate::removed::Removed;
use crate::topic::Topic;

/// A segment that is not written any more.
pub(super) struct Sealed {
    pub(super) file: Arc<dyn File>,
    pub(super) index: SealedIndex,
    /// On disk, with its index.
    pub(super) bytes: u64,
}

/// The segment that is being written, as far as it is visible.
pub(super) struct Open {
    pub(super) header: Header,
    pub(super) file: Arc<dyn File>,
    pub(super) index: LiveIndex,
    /// Behind the last visible record.
    pub(super) end: u32,
}

/// Everything that readers and the writer share.
pub(super) struct State {
    /// By base.
    pub(super) sealed: Vec<Arc<Sealed>>,
    pub(super) open: Option<Open>,
    pub(super) tail: Offset,
    pub(super) floor: Offset,
    /// The segment whose files are to be removed.
    pub(super) doomed: Option<Offset>,
    pub(super) epochs: Epochs,
    pub(super) removed: Removed,
    /// Stretches that cannot be read, as (cursor before, last offset).
    pub(super) holes: Vec<(Offset, Offset)>,
    pub(super) recent: Recent,
}

/// The newest records, for readers at the tail.
#[derive(Default)]
pub(super) struct Recent {
    records: VecDeque<Arc<Record>>,
    bytes: usize,
    /// Every visible record beyond it is here.
    after: Offset,
}

const RECENT_BYTES_MAX: usize = 8 << 20;

impl Recent {
    pub(super) fn new(after: Offset) -> Self {
        Self { after, ..Self::default() }
    }

    pub(super) fn push(&mut self, record: Arc<Record>) {
        self.bytes += footprint(&record);
        self.records.push_back(record);
        while self.bytes > RECENT_BYTES_MAX
            && let Some(oldest) = self.records.pop_front()
        {
            self.bytes -= footprint(&oldest);
            self.after = oldest.position.offset;
        }
    }

    /// Records after a cursor, if all of them are here.
    pub(super) fn after(&self, cursor: Offset, count: usize) -> Option<Vec<Arc<Record>>> {
        if cursor < self.after {
            return None;
        }
        let from = self.records.partition_point(|record| record.position.offset <= cursor);
        Some(self.records.iter().skip(from).take(count).cloned().collect())
    }
}

fn footprint(record: &Record) -> usize {
    size_of::<Record>() + record.event.data.len() + 64
}

/// Records of one segment, to be read.
pub(super) struct Candidates {
    pub(super) file: Arc<dyn File>,
    pub(super) header: Header,
    /// Number and place, in order. A place of 0 is a record that cannot be read.
    pub(super) records: Vec<(Ordinal, u32)>,
    /// The cursor behind them.
    pub(super) through: Offset,
}

impl Sealed {
    pub(super) fn base(&self) -> Offset {
        self.index.header.base
    }

    /// The last offset that it could hold.
    pub(super) fn last(&self) -> Offset {
        let count = u64::from(self.index.count());
        Offset::new(self.base().get().saturating_add(count).saturating_sub(1))
    }

    pub(super) fn candidates(
        &self,
        after: Offset,
        exact: Option<&[Topic]>,
        count: usize,
    ) -> io::Result<Candidates> {
        let index = &self.index;
        let from = ordinal_after(self.base(), after);
        let (records, full) = match exact {
            None => {
                let places = index.places(from, count)?;
                let full = places.len() == count;
                ((from..).zip(places).collect(), full)
            }
            Some(topics) => {
                let lists: io::Result<Vec<_>> =
                    topics.iter().map(|topic| index.of_topic(topic, from, count)).collect();
                let (ordinals, full) = merge(lists?, count);
                let place = |ordinal| {
                    Ok((ordinal, index.places(ordinal, 1)?.first().copied().unwrap_or_default()))
                };
                (ordinals.into_iter().map(place).collect::<io::Result<Vec<_>>>()?, full)
            }
        };
        let through = through(self.base(), &records, full).unwrap_or_else(|| self.last());
        Ok(Candidates { file: self.file.clone(), header: index.header, records, through })
    }
}

impl Open {
    /// The same for the open segment; `None` where everything visible has been given.
    pub(super) fn candidates(
        &self,
        after: Offset,
        exact: Option<&[Topic]>,
        count: usize,
        tail: Offset,
    ) -> Candidates {
        let from = ordinal_after(self.header.base, after);
        let (records, full) = match exact {
            None => {
                let places = self.index.places(from, count);
                let full = places.len() == count;
                ((from..).zip(places).collect::<Vec<_>>(), full)
            }
            Some(topics) => {
                let lists =
                    topics.iter().map(|topic| self.index.of_topic(topic, from, count)).collect();
                let (ordinals, full) = merge(lists, count);
                let place = |ordinal| {
                    (ordinal, self.index.places(ordinal, 1).first().copied().unwrap_or_default())
                };
                (ordinals.into_iter().map(place).collect(), full)
            }
        };
        let through = through(self.header.base, &records, full).unwrap_or(tail);
        Candidates { file: self.file.clone(), header: self.header, records, through }
    }
}

/// The number of the first record after a cursor.
fn ordinal_after(base: Offset, after: Offset) -> Ordinal {
    let number = after.get().saturating_add(1).saturating_sub(base.get());
    Ordinal::try_from(number).unwrap_or(Ordinal::MAX)
}

fn through(base: Offset, records: &[(Ordinal, u32)], full: bool) -> Option<Offset> {
    let &(last, _) = records.last().filter(|_| full)?;
    Some(Offset::new(base.get().saturating_add(u64::from(last))))
}

/// The first `count` of several lists, of each of which at most `count` are given; and whether there may
/// be more.
fn merge(lists: Vec<Vec<Ordinal>>, count: usize) -> (Vec<Ordinal>, bool) {
    let full = lists.iter().any(|list| list.len() == count);
    let mut merged: Vec<Ordinal> = lists.into_iter().flatten().collect();
    merged.sort_unstable();
    merged.dedup();
    let full = full || merged.len() > count;
    merged.truncate(count);
    (merged, full)
}

/// Where to look next.
pub(super) enum Part {
    Sealed(Arc<Sealed>),
    Open(Candidates),
    /// Nothing visible lies behind the cursor.
    End,
}

impl State {
    /// The part of the log that lies behind a cursor.
    pub(super) fn part_after(&self, after: Offset, exact: Option<&[Topic]>, count: usize) -> Part {
        let at = self.sealed.partition_point(|segment| segment.last() <= after);
        if let Some(segment) = self.sealed.get(at) {
            return Part::Sealed(segment.clone());
        }
        match &self.open {
            Some(open) if after < self.tail => {
                Part::Open(open.candidates(after, exact, count, self.tail))
            }
            _ => Part::End,
        }
    }

    pub(super) fn may_have_lost(&self, after: Offset, filter: &Filter) -> bool {
        let removed = self.floor > after && self.removed.may_concern(after, filter);
        // What was in a hole nobody knows.
        removed || self.holes.iter().any(|&(_, last)| last > after)
    }

    /// The newest record of a topic in the open segment, and the segments to ask if it has none.
    pub(super) fn newest_of(&self, topic: &Topic) -> Result<Offset, Vec<Arc<Sealed>>> {
        let of_open = self.open.as_ref().and_then(|open| {
            let ordinal = open.index.last_of(topic)?;
            Some(Offset::new(open.header.base.get() + u64::from(ordinal)))
        });
        of_open.ok_or_else(|| self.sealed.clone())
    }

    /// The first record with a publisher's id in the open segment.
    pub(super) fn find_in_open(&self, id: &PublisherId) -> Option<Offset> {
        let open = self.open.as_ref()?;
        let ordinal = open.index.of_id(id)?;
        Some(Offset::new(open.header.base.get() + u64::from(ordinal)))
    }

    /// The cursor before the first record of the open segment at or after a time.
    pub(super) fn seek_in_open(&self, time: Millis) -> Offset {
        let Some(open) = &self.open else { return self.tail };
        match open.index.at_time(time) {
            ordinal if ordinal >= open.index.count() => self.tail,
            ordinal => Offset::new(open.header.base.get() + u64::from(ordinal)).just_before(),
        }
    }
}
