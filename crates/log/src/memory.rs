//! The log in memory: nothing survives the process.

mod kept;

#[expect(
    clippy::disallowed_types,
    reason = "a backend: held for one map operation, never over I/O"
)]
use std::sync::Mutex;
use std::sync::{Arc, MutexGuard, PoisonError};

use tokio::sync::watch;

use self::kept::Kept;
use crate::event::Draft;
use crate::filter::Filter;
use crate::id::{IdKey, OpenedId};
use crate::log::{
    Append, Bounds, BoxFuture, Log, LogError, Page, Read, Resolved, Seek, Select, Size, Tail,
    TailBatch,
};
use crate::position::{Epoch, Offset, Position};
use crate::removed::Removals;
use crate::retention::Retention;
use crate::topic::Topic;

/// How much a [`MemoryLog`] keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Bytes of events, their names and their indexes, roughly as allocated. Beyond it the oldest events
    /// go, and at last also those that a topic keeps as its newest state.
    pub bytes_max: usize,
    /// What is kept of which topics; looked at when a topic gets an event.
    pub retention: Retention,
    /// Topics of removed events of which is remembered that something was removed: about 100 bytes
    /// each, and the topic's own. Beyond it, a subscriber of a forgotten topic may be told of a gap
    /// that did not concern it.
    pub removed_topics_max: usize,
    /// Idempotency keys that are remembered for their 24 hours: about 150 bytes each.
    pub keys_max: usize,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self {
            bytes_max: 256 << 20,
            retention: Retention::default(),
            removed_topics_max: 100_000,
            keys_max: 100_000,
        }
    }
}

/// A log that lives in memory, bounded in bytes.
///
/// Records are committed and visible at once. Appending costs a few hundred nanoseconds an event;
/// reading by exact topics looks only at their records.
#[derive(Clone)]
pub struct MemoryLog(Arc<Shared>);

struct Shared {
    epoch: Epoch,
    id_key: IdKey,
    #[expect(
        clippy::disallowed_types,
        reason = "a backend: held for one map operation, never over I/O"
    )]
    kept: Mutex<Kept>,
    tail: watch::Sender<Offset>,
}

impl MemoryLog {
    /// An empty log. The caller brings the randomness: of the epoch, and of the key of the ids.
    #[must_use]
    pub fn new(epoch: Epoch, id_key: IdKey, limits: MemoryLimits) -> Self {
        Self(Arc::new(Shared {
            epoch,
            id_key,
            kept: Kept::new(epoch, limits).into(),
            tail: watch::Sender::new(Offset::START),
        }))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A panic while the lock was held left at worst an index entry too few.
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// At most this many records are looked at, or handed out, at a time: what the lock is held for, and
/// what a reader whose filter matches little costs before it is somebody else's turn.
const SCAN_RECORDS_MAX: usize = 1024;

impl MemoryLog {
    fn read_now(&self, read: &Read) -> Page {
        let kept = self.kept();
        let removed = kept.removed_after(read.after, &read.filter);
        let (mut records, mut through) = match read.filter.exact() {
            Some(topics) => kept.of_topics(topics, read.after, SCAN_RECORDS_MAX),
            None => kept.after(read.after, SCAN_RECORDS_MAX),
        };
        if read.select == Select::NewestOfTopic {
            records.retain(|record| kept.is_newest(record, &read.filter));
        }
        drop(kept);
        // Patterns are slow; the lock is free by now.
        if read.filter.exact().is_none() {
            records.retain(|record| read.filter.matches(&record.event.topics));
        }
        let mut bytes = 0;
        let fits = records.iter().position(|record| {
            bytes += record.event.data.len();
            bytes >= read.bytes_max
        });
        if let Some(last) = fits
            && last + 1 < records.len()
        {
            records.truncate(last + 1);
            through = records.last().map_or(through, |record| record.position.offset);
        }
        Page { records, scanned_to: self.position(through), removed, damaged: false }
    }

    fn seek_last(&self, count: u64, filter: &Filter) -> Offset {
        let mut left = count;
        let mut found = self.kept().tail();
        let mut before = None;
        while left > 0 {
            let records = self.kept().before(before, SCAN_RECORDS_MAX);
            let Some(oldest) = records.last() else { break };
            before = Some(oldest.position.offset);
            for record in records.iter().filter(|record| filter.matches(&record.event.topics)) {
                if left == 0 {
                    break;
                }
                left -= 1;
                found = record.position.offset.just_before();
            }
        }
        found
    }
}

impl Log for MemoryLog {
    fn append(&self, drafts: Vec<Draft>) -> BoxFuture<'_, Append> {
        let (answers, tail) = {
            let mut kept = self.kept();
            let answers = drafts.into_iter().map(|draft| kept.append(draft)).collect();
            (answers, kept.tail())
        };
        self.0.tail.send_if_modified(|seen| {
            let moved = *seen < tail;
            *seen = tail.max(*seen);
            moved
        });
        Box::pin(std::future::ready(answers))
    }

    fn tail(&self, after: Offset) -> Box<dyn Tail> {
        Box::new(MemoryTail { log: self.clone(), changed: self.0.tail.subscribe(), after })
    }

    fn read(&self, read: Read) -> BoxFuture<'_, Result<Page, LogError>> {
        Box::pin(std::future::ready(Ok(self.read_now(&read))))
    }

    fn bounds(&self) -> Bounds {
        let kept = self.kept();
        let tail = self.position(kept.tail());
        Bounds { floor: kept.floor(), tail, removals: kept.removals() }
    }

    fn size(&self) -> Option<Size> {
        Some(self.kept().size())
    }

    fn last_of(&self, topic: &Topic) -> Option<Offset> {
        self.kept().last_of(topic)
    }

    fn may_have_lost(&self, after: Offset, filter: &Filter) -> bool {
        self.kept().removed_after(after, filter) > Removals::NONE
    }

    fn seek(&self, seek: Seek, filter: Arc<Filter>) -> BoxFuture<'_, Result<Offset, LogError>> {
        let found = match seek {
            Seek::Time(time) => self.kept().seek_time(time),
            Seek::Last(count) => self.seek_last(count, &filter),
        };
        Box::pin(std::future::ready(Ok(found)))
    }

    fn resolve<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Resolved, LogError>> {
        let kept = self.kept();
        let offset = match self.0.id_key.open(id) {
            OpenedId::Position(position) if position.epoch == self.0.epoch => Some(position.offset),
            OpenedId::Position(_) | OpenedId::Foreign => None,
            OpenedId::NotGenerated => kept.find(id),
        };
        let resolved = match offset {
            None => Resolved::Foreign,
            Some(offset) if offset > kept.tail() => Resolved::Ahead(offset),
            Some(offset) if offset < kept.floor() => Resolved::Trimmed(offset),
            Some(offset) => Resolved::At(offset),
        };
        Box::pin(std::future::ready(Ok(resolved)))
    }

    fn position(&self, cursor: Offset) -> Position {
        Position { epoch: self.0.epoch, offset: cursor }
    }

    fn id_key(&self) -> &IdKey {
        &self.0.id_key
    }
}

struct MemoryTail {
    log: MemoryLog,
    changed: watch::Receiver<Offset>,
    after: Offset,
}

impl Tail for MemoryTail {
    fn next(&mut self) -> BoxFuture<'_, Result<TailBatch, LogError>> {
        Box::pin(async move {
            let after = self.after;
            if self.changed.wait_for(|&tail| tail > after).await.is_err() {
                return Err(LogError::Closed);
            }
            let kept = self.log.kept();
            let lost = kept.removed_after(after, &Filter::all()) > Removals::NONE;
            let (records, through) = kept.after(after, SCAN_RECORDS_MAX);
            drop(kept);
            self.after = through;
            Ok(TailBatch { records, through: self.log.position(through), lost })
        })
    }
}
