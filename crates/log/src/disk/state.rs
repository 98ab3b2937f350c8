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
use crate::log::Size;
use crate::position::Offset;
use crate::removed::{Removals, Removed};
use crate::topic::Topic;

/// A segment that is not written any more.
pub(super) struct Sealed {
    pub(super) file: Arc<dyn File>,
    pub(super) index: SealedIndex,
    /// On disk, with its index.
    pub(super) bytes: u64,
    /// The last offset that it stands for.
    pub(super) last: Offset,
}

/// The segment that is being written, as far as it is visible.
pub(super) struct Open {
    pub(super) header: Header,
    pub(super) file: Arc<dyn File>,
    pub(super) index: Arc<LiveIndex>,
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
    /// Offset and place, in order.
    pub(super) records: Vec<(Offset, u32)>,
    /// The cursor behind them.
    pub(super) through: Offset,
}

impl Sealed {
    pub(super) fn new(file: Arc<dyn File>, index: SealedIndex) -> io::Result<Self> {
        let last = match (index.header.compacted, index.count().checked_sub(1)) {
            (Some(compacted), _) => compacted.through,
            (None, Some(last)) => index.offset(last)?,
            (None, None) => index.header.base.just_before(),
        };
        let bytes = u64::from(index.end) + index.bytes()?;
        Ok(Self { file, index, bytes, last })
    }

    pub(super) fn base(&self) -> Offset {
        self.index.header.base
    }

    pub(super) fn candidates(
        &self,
        after: Offset,
        exact: Option<&[Topic]>,
        count: usize,
    ) -> io::Result<Candidates> {
        let index = &self.index;
        let from = index.after(after)?;
        let (records, full) = match exact {
            None => {
                let places = index.places(from, count)?;
                let full = places.len() == count;
                let offsets = index.offsets(from, count)?;
                (offsets.into_iter().zip(places).collect::<Vec<_>>(), full)
            }
            Some(topics) => {
                let lists: io::Result<Vec<_>> =
                    topics.iter().map(|topic| index.of_topic(topic, from, count)).collect();
                let (ordinals, full) = merge(lists?, count);
                let place = |ordinal| {
                    let place = index.places(ordinal, 1)?.first().copied().unwrap_or_default();
                    Ok((index.offset(ordinal)?, place))
                };
                (ordinals.into_iter().map(place).collect::<io::Result<Vec<_>>>()?, full)
            }
        };
        let through = through(&records, full).unwrap_or(self.last);
        Ok(Candidates { file: self.file.clone(), header: index.header, records, through })
    }
}

impl Open {
    /// The same for the open segment; `tail` is where everything visible has been given.
    pub(super) fn candidates(
        &self,
        after: Offset,
        exact: Option<&[Topic]>,
        count: usize,
        tail: Offset,
    ) -> Candidates {
        let index = &self.index;
        let from = index.after(after);
        let (records, full) = match exact {
            None => {
                let places = index.places(from, count);
                let full = places.len() == count;
                let records = (from..).zip(places);
                (records.map(|(rank, place)| (index.offset(rank), place)).collect(), full)
            }
            Some(topics) => {
                let lists = topics.iter().map(|topic| index.of_topic(topic, from, count)).collect();
                let (ordinals, full) = merge(lists, count);
                let place = |ordinal| {
                    let place = index.places(ordinal, 1).first().copied().unwrap_or_default();
                    (index.offset(ordinal), place)
                };
                (ordinals.into_iter().map(place).collect::<Vec<_>>(), full)
            }
        };
        let through = through(&records, full).unwrap_or(tail);
        Candidates { file: self.file.clone(), header: self.header, records, through }
    }
}

fn through(records: &[(Offset, u32)], full: bool) -> Option<Offset> {
    records.last().filter(|_| full).map(|&(last, _)| last)
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
    /// Of the segments, without what is reserved in the open one. A few steps for each of them.
    pub(super) fn size(&self) -> Size {
        let sealed = self.sealed.iter().map(|segment| (segment.index.count(), segment.bytes));
        let open = self.open.iter().map(|open| (open.index.count(), u64::from(open.end)));
        sealed.chain(open).fold(Size { events: 0, bytes: 0 }, |size, (events, bytes)| Size {
            events: size.events + u64::from(events),
            bytes: size.bytes + bytes,
        })
    }

    /// The part of the log that lies behind a cursor.
    pub(super) fn part_after(&self, after: Offset, exact: Option<&[Topic]>, count: usize) -> Part {
        let at = self.sealed.partition_point(|segment| segment.last <= after);
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

    /// When an event beyond a cursor that a filter matches was last removed.
    pub(super) fn removed_after(&self, after: Offset, filter: &Filter) -> Removals {
        self.removed.after(after, filter)
    }

    pub(super) fn may_have_lost(&self, after: Offset, filter: &Filter) -> bool {
        // What was in a hole nobody knows.
        self.removed_after(after, filter) > Removals::NONE
            || self.holes.iter().any(|&(_, last)| last > after)
    }

    /// Whether something between two cursors can never be read.
    pub(super) fn is_damaged_between(&self, after: Offset, through: Offset) -> bool {
        self.holes.iter().any(|&(before, last)| last > after && before < through)
    }

    /// The newest record of a topic in the open segment, and the segments to ask if it has none.
    pub(super) fn newest_of(&self, topic: &Topic) -> Result<Offset, Vec<Arc<Sealed>>> {
        let of_open = self
            .open
            .as_ref()
            .and_then(|open| open.index.last_of(topic).map(|ordinal| open.index.offset(ordinal)));
        of_open.ok_or_else(|| self.sealed.clone())
    }

    /// The first record with a publisher's id in the open segment.
    pub(super) fn find_in_open(&self, id: &PublisherId) -> Option<Offset> {
        let open = self.open.as_ref()?;
        open.index.of_id(id).map(|ordinal| open.index.offset(ordinal))
    }

    /// The cursor before the first record of the open segment at or after a time.
    pub(super) fn seek_in_open(&self, time: Millis) -> Offset {
        let Some(open) = &self.open else { return self.tail };
        match open.index.at_time(time) {
            ordinal if ordinal >= open.index.count() => self.tail,
            ordinal => open.index.offset(ordinal).just_before(),
        }
    }
}
