//! Letting go: the one thread that removes segments, or writes anew what stays of them.
//!
//! A segment goes whole when nothing in it is to be kept. Where something is, what stays of it, and of its
//! neighbours, is written to a new file, which takes the first one's place at once; the others are removed
//! after that. Readers that are in the old files read on in them.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::files::{File, Files, read, remove, replace};
use super::index::{LiveIndex, SealedIndex};
use super::options::{DiskOptions, Durability};
use super::plan::{Limits, Verdict, notes_stay, plan};
use super::record::{Found, Place, Stored, encode};
use super::segment::{Compacted, HEADER_BYTES, Header, Reader, index_name, segment_name};
use super::state::Sealed;
use super::{Outside, Shared};
use crate::event::Draft;
use crate::position::Offset;
use crate::removed::Removed;
use crate::topic::Topic;

/// What makes the compactor look.
pub(super) enum Wake {
    /// A segment was sealed.
    Sealed,
    /// Somebody wants everything done that can be, and to know when it is.
    Thorough(std::sync::mpsc::Sender<io::Result<Compaction>>),
}

/// What a pass of the compactor did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Compaction {
    /// Segments that are gone.
    pub segments: usize,
    /// Events that are gone.
    pub records: u64,
    /// Bytes that were given back.
    pub bytes: u64,
}

/// The thread's state.
pub(super) struct Compactor {
    pub(super) shared: Arc<Shared>,
    pub(super) files: Arc<dyn Files>,
    pub(super) options: DiskOptions,
    pub(super) outside: Outside,
    /// Segments whose files are to be removed, in order.
    pub(super) doomed: VecDeque<Offset>,
    /// Segments that could not be read.
    pub(super) unreadable: Vec<Offset>,
    pub(super) done: Compaction,
    /// Does nothing by itself, so that a simulation is the same each time.
    pub(super) only_asked: bool,
}

/// How often is looked whether something has grown too old.
const LOOK: Duration = Duration::from_secs(60);
/// Neighbours that are this small are made one.
const SMALL_MIN: usize = 8;

impl Compactor {
    /// Looks when it is woken, and once a minute; until nobody can wake it.
    pub(super) fn run(mut self, wakes: &Receiver<Wake>) {
        loop {
            let wake = wakes.recv_timeout(LOOK);
            let reply = match wake {
                Ok(Wake::Thorough(reply)) => Some(reply),
                Ok(Wake::Sealed) | Err(RecvTimeoutError::Timeout) if self.only_asked => continue,
                Ok(Wake::Sealed) | Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            // What failed is tried again at the next look.
            let outcome = self.pass(reply.is_some());
            if let Some(reply) = reply {
                let _ = reply.send(outcome);
            }
        }
    }

    fn pass(&mut self, thorough: bool) -> io::Result<Compaction> {
        self.done = Compaction::default();
        self.remove_doomed()?;
        for group in self.groups(thorough)? {
            let Some(first) = group.first() else { continue };
            let front = {
                let state = self.shared.state();
                state.sealed.first().is_some_and(|front| front.base() == first.segment.base())
            };
            if front && group.iter().all(Verdict::is_spent) {
                self.drop_front(&group)?;
            } else {
                self.rewrite(&group)?;
            }
        }
        Ok(self.done)
    }

    /// Neighbours that are to be dropped or made one, oldest first.
    fn groups(&self, thorough: bool) -> io::Result<Vec<Vec<Verdict>>> {
        let mut front = self.verdicts()?;
        let rest = front.split_off(front.iter().take_while(|verdict| verdict.is_spent()).count());
        let segment_bytes = u64::from(self.options.segment_bytes);
        let mut groups: Vec<Vec<Verdict>> = vec![Vec::new()];
        for verdict in rest {
            let pays = self.pays(&verdict, thorough);
            let takes = (pays || verdict.segment.bytes < segment_bytes / 4)
                && !self.is_damaged(&verdict.segment);
            let fits = groups.last().is_some_and(|group| {
                let bytes: u64 = group.iter().map(|verdict| verdict.bytes).sum();
                let first = group.first().map_or(verdict.segment.base(), |own| own.segment.base());
                bytes + verdict.bytes + HEADER_BYTES as u64 <= segment_bytes
                    && verdict.segment.last.get() - first.get() < u64::from(u32::MAX)
            });
            if !(takes && fits) {
                groups.push(Vec::new());
            }
            if takes && let Some(group) = groups.last_mut() {
                group.push(verdict);
            }
        }
        groups.retain(|group| {
            group.len() >= SMALL_MIN || group.iter().any(|verdict| self.pays(verdict, thorough))
        });
        // The front goes segment by segment.
        Ok(front.into_iter().map(|verdict| vec![verdict]).chain(groups).collect())
    }

    /// Whether it is worth the writing: half of a segment goes, or its place is needed.
    fn pays(&self, verdict: &Verdict, thorough: bool) -> bool {
        let half = verdict.bytes < verdict.segment.bytes / 2;
        verdict.is_worn() && (half || verdict.wanted || thorough)
    }

    /// What a segment has lost to damage has to stay known.
    fn is_damaged(&self, segment: &Sealed) -> bool {
        let lost = segment.index.is_sparse() && segment.index.header.compacted.is_none();
        lost || self.unreadable.contains(&segment.base())
    }

    fn verdicts(&self) -> io::Result<Vec<Verdict>> {
        let (sealed, open) = {
            let state = self.shared.state();
            (state.sealed.clone(), state.open.as_ref().map(|open| open.index.clone()))
        };
        let DiskOptions { bytes_max, segment_bytes, retention, .. } = &self.options;
        let open_bytes = open.as_ref().map_or(0, |_| u64::from(*segment_bytes));
        let now = (self.outside.now)();
        // A newer event lets an older one go only when it is sure to stay itself.
        let newer = open.as_deref().filter(|_| self.options.durability == Durability::Always);
        if retention.is_plain() {
            // Nothing but age and size matters: no index need be read, but for the hub's own notes.
            let mut bytes = sealed.iter().map(|segment| segment.bytes).sum::<u64>() + open_bytes;
            let goes = |segment: &&Arc<Sealed>| {
                let too_large = bytes_max.is_some_and(|bytes_max| bytes > bytes_max);
                bytes -= segment.bytes;
                too_large || !retention.otherwise.is_young(segment.index.last_time, now)
            };
            let going = sealed.iter().take_while(goes);
            return going.map(|segment| notes_stay(segment, retention, now)).collect();
        }
        let limits = Limits { bytes_max: *bytes_max, open_bytes };
        plan(&sealed, newer, retention, limits, now)
    }

    /// The oldest segments go. What cannot be removed now is removed before anything else: there is never
    /// a hole between segments.
    fn drop_front(&mut self, group: &[Verdict]) -> io::Result<()> {
        for verdict in group {
            let base = verdict.segment.base();
            self.note(verdict)?;
            {
                let mut state = self.shared.state();
                state.floor = verdict.segment.last;
                state.sealed.retain(|segment| segment.base() != base);
            }
            self.doomed.push_back(base);
            self.done.segments += 1;
            self.done.records += verdict.stays.len() as u64;
            self.done.bytes += verdict.segment.bytes;
            self.remove_doomed()?;
        }
        Ok(())
    }

    fn remove_doomed(&mut self) -> io::Result<()> {
        while let Some(&base) = self.doomed.front() {
            // Remembered first: what is forgotten only makes a gap be told too often, but a segment that
            // is gone without a word would make one be told too seldom. It also makes the renaming of what
            // takes its place last.
            remember(&self.shared, &*self.files)?;
            remove(&*self.files, &segment_name(base))?;
            remove(&*self.files, &index_name(base))?;
            self.doomed.pop_front();
        }
        Ok(())
    }

    /// Remembers of which topics a segment loses what they promise to keep.
    fn note(&self, verdict: &Verdict) -> io::Result<()> {
        let losses = verdict.losses(&self.options.retention)?;
        if losses.is_empty() {
            return Ok(());
        }
        let offsets: io::Result<Vec<(Topic, Offset)>> = losses
            .into_iter()
            .map(|(topic, newest)| Ok((topic, verdict.segment.index.offset(newest)?)))
            .collect();
        let offsets = offsets?;
        let mut state = self.shared.state();
        state.removed.begin();
        for (topic, newest) in offsets {
            state.removed.note(&topic, newest, self.options.removed_topics_max);
        }
        Ok(())
    }

    /// Writes what stays of some neighbours to a file that takes their place.
    fn rewrite(&mut self, group: &[Verdict]) -> io::Result<()> {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { return Ok(()) };
        let base = first.segment.base();
        let temporary = format!("{}.new", segment_name(base));
        remove(&*self.files, &temporary)?;
        let file = self.files.create(&temporary, 0)?;
        let written = self.write(group, &file, last.segment.last)?;
        let Some((header, index)) = written else {
            return remove(&*self.files, &temporary);
        };
        for verdict in group {
            self.note(verdict)?;
        }
        remember(&self.shared, &*self.files)?;
        // An index that does not fit its segment is made again at the next start: it may come first.
        let end = header.compacted.map_or(0, |compacted| compacted.end);
        let index = replace(&*self.files, &index_name(base), &index.encode(header, end))?;
        let index = SealedIndex::open(index)?
            .ok_or_else(|| io::Error::other("the index cannot be read back"))?;
        let sealed = Arc::new(Sealed::new(file, index)?);
        self.files.rename(&temporary, &segment_name(base))?;
        // From here on it stands for all of them, whatever else happens.
        self.take_place(group, &sealed);
        self.remove_doomed()
    }

    fn take_place(&mut self, group: &[Verdict], sealed: &Arc<Sealed>) {
        let stays = group.iter().flat_map(|verdict| &verdict.stays);
        self.done.records += stays.filter(|stays| !**stays).count() as u64;
        self.done.segments += group.len() - 1;
        let bytes: u64 = group.iter().map(|verdict| verdict.segment.bytes).sum();
        self.done.bytes += bytes.saturating_sub(sealed.bytes);
        let covers = |base| group.iter().any(|verdict| verdict.segment.base() == base);
        let mut state = self.shared.state();
        state.sealed.retain(|own| !covers(own.base()));
        let at = state.sealed.partition_point(|own| own.base() < sealed.base());
        state.sealed.insert(at, sealed.clone());
        let others = group.iter().map(|verdict| verdict.segment.base()).skip(1);
        self.doomed.extend(others);
    }

    /// Copies what stays; `None` if something cannot be read, which then stays as it is.
    fn write(
        &mut self,
        group: &[Verdict],
        file: &Arc<dyn File>,
        through: Offset,
    ) -> io::Result<Option<(Header, LiveIndex)>> {
        let Some(first) = group.first() else { return Ok(None) };
        let nonce = (self.outside.random)();
        let base = first.segment.base();
        let mut copy = Copy {
            file,
            nonce,
            index: LiveIndex::new(base),
            buffer: Vec::new(),
            end: HEADER_BYTES as u64,
        };
        for verdict in group {
            if !copy.take(verdict)? {
                self.unreadable.push(verdict.segment.base());
                return Ok(None);
            }
        }
        copy.flush()?;
        let end = u32::try_from(copy.end).map_err(io::Error::other)?;
        let compacted = Some(Compacted { through, end });
        let header = Header { nonce, compacted, ..first.segment.index.header };
        file.write_at(&header.encode(), 0)?;
        file.sync()?;
        Ok(Some((header, copy.index)))
    }
}

/// A segment that is written anew.
struct Copy<'a> {
    file: &'a Arc<dyn File>,
    nonce: u64,
    index: LiveIndex,
    buffer: Vec<u8>,
    /// Behind what has been written.
    end: u64,
}

const COPY_BYTES: usize = 1 << 20;

impl Copy<'_> {
    /// Takes over what stays of a segment; whether all of it could be read.
    fn take(&mut self, verdict: &Verdict) -> io::Result<bool> {
        let Sealed { file, index, .. } = &*verdict.segment;
        let mut reader = Reader::new(file, u64::from(index.end), COPY_BYTES);
        let places = index.places(0, verdict.stays.len())?;
        let staying = places.iter().zip(&verdict.stays).filter(|(_, stays)| **stays);
        for (&place, _) in staying {
            let Found::Record(stored) = reader.record(u64::from(place), index.header)? else {
                return Ok(false);
            };
            self.put(*stored)?;
        }
        self.index.reaches(index.last_time);
        Ok(true)
    }

    fn put(&mut self, stored: Stored) -> io::Result<()> {
        let position = stored.record.position;
        let place = u32::try_from(self.end + self.buffer.len() as u64).map_err(io::Error::other)?;
        self.index.add(&stored, place);
        // All of the file is synced before anybody reads it.
        let written = Place { position, synced: u32::MAX, nonce: self.nonce };
        let draft = Draft { event: stored.record.event, idempotency: stored.idempotency };
        encode(&draft, written, &mut self.buffer);
        if self.buffer.len() >= COPY_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_at(&self.buffer, self.end)?;
        self.end += self.buffer.len() as u64;
        self.buffer.clear();
        // Little by little, so that publishers' syncs do not wait for all of it at once.
        self.file.sync()
    }
}

pub(super) const REMOVED: &str = "removed";

/// What an earlier opening remembered: up to where everything was removed, and of which topics. If it
/// cannot be read, nothing is remembered of what lies before `floor`.
pub(super) fn remembered(files: &dyn Files, floor: Offset) -> io::Result<(Offset, Removed)> {
    let bytes = read(files, REMOVED)?.unwrap_or_default();
    let known = bytes.split_first_chunk().and_then(|(removed_to, removed)| {
        Some((Offset::new(u64::from_le_bytes(*removed_to)), Removed::decode(removed)?))
    });
    Ok(known.unwrap_or_else(|| (floor, Removed::forgotten(floor))))
}

/// Writes down what is remembered of removed events.
pub(super) fn remember(shared: &Shared, files: &dyn Files) -> io::Result<()> {
    let remembered = {
        let state = shared.state();
        let mut bytes = state.floor.get().to_le_bytes().to_vec();
        bytes.extend(state.removed.encode());
        bytes
    };
    replace(files, REMOVED, &remembered).map(drop)
}
