//! What every backend does: the ordered, append-only log.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::event::{Draft, Millis, PublisherId, Record};
use crate::filter::Filter;
use crate::id::IdKey;
use crate::position::{Offset, Position};
use crate::removed::Removals;
use crate::topic::Topic;

/// A future behind a pointer, so that backends of every kind fit behind `dyn Log`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The one ordered, append-only sequence of events.
///
/// Publishing appends; delivery is what happens when the tail is read back, the same on every node.
/// [`tail`](Self::tail), not the answer of an append, drives delivery. Methods without a future answer
/// from memory.
pub trait Log: Send + Sync + 'static {
    /// Appends drafts in order, one answer each. A draft that is rejected does not stop the others.
    fn append(&self, drafts: Vec<Draft>) -> BoxFuture<'_, Append>;

    /// What becomes visible after `after`, in order, as it becomes visible.
    fn tail(&self, after: Offset) -> Box<dyn Tail>;

    /// Kept records after a cursor, in order.
    fn read(&self, read: Read) -> BoxFuture<'_, Result<Page, LogError>>;

    /// How far the log reaches at this moment.
    fn bounds(&self) -> Bounds;

    /// How much is kept, if that is known without looking at every record.
    fn size(&self) -> Option<Size> {
        None
    }

    /// The newest visible record of a topic, if it is kept. A log on disk may look into index files.
    fn last_of(&self, topic: &Topic) -> Option<Offset>;

    /// Whether an event after the cursor that the filter matches may have been removed. Never wrongly
    /// `false`; a topic of which nothing was removed is not `true` for another's sake as long as the
    /// backend remembers that. A topic that promises its newest state only loses nothing while it has it.
    fn may_have_lost(&self, after: Offset, filter: &Filter) -> bool;

    /// The cursor behind which a wanted part of the log lies.
    fn seek(&self, seek: Seek, filter: Arc<Filter>) -> BoxFuture<'_, Result<Offset, LogError>>;

    /// The place that an event id names.
    fn resolve<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Resolved, LogError>>;

    /// A cursor with the epoch that it lies in, as ids hold it.
    fn position(&self, cursor: Offset) -> Position;

    /// The key of the ids, kept with the log.
    fn id_key(&self) -> &IdKey;

    /// Why the log takes nothing now, if it does not.
    fn trouble(&self) -> Option<String> {
        None
    }
}

/// The answers to one [`Log::append`], a draft each.
pub type Append = Vec<Appended>;

/// What became of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// It is in the log, as durably as configured.
    Committed(Position),
    /// An earlier draft with the same idempotency key and body is, and this one was dropped.
    Duplicate {
        /// Where the earlier one is.
        first: Position,
        /// The id that its publisher gave it.
        publisher_id: Option<PublisherId>,
    },
    /// It is not in the log and never will be.
    Rejected(Rejection),
    /// It may or may not be in the log.
    Unknown {
        /// What the operator should know.
        reason: String,
    },
}

/// Why the log did not take a draft.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The publisher's mistake.
    #[error("this Idempotency-Key was used for another request: use a new key for a new event")]
    KeyReused,
    /// The publisher's mistake, or the operator's setting.
    #[error(
        "the event has {bytes} bytes and the log keeps at most {bytes_max}: publish less, or raise the limit"
    )]
    TooLarge {
        /// The event's size.
        bytes: usize,
        /// What the log can keep.
        bytes_max: usize,
    },
    /// The operator has to act, or time.
    #[error("the log takes nothing now: {reason}")]
    Unavailable {
        /// What is the matter.
        reason: String,
    },
}

/// A reader at the end of the log.
pub trait Tail: Send {
    /// Waits until something is visible that was not handed out, and hands out a bounded batch of it.
    /// Dropping the future loses nothing.
    fn next(&mut self) -> BoxFuture<'_, Result<TailBatch, LogError>>;
}

/// Part of the log's end.
#[derive(Debug, Clone)]
pub struct TailBatch {
    /// The records, in order.
    pub records: Vec<Arc<Record>>,
    /// How far this batch reaches: at or beyond the last record, because offsets have holes.
    pub through: Position,
    /// Whether records between the last batch and this one were removed before they could be handed
    /// out: this reader was too slow, and whoever depends on it has to read the log again.
    pub lost: bool,
}

/// What to read.
#[derive(Debug, Clone)]
pub struct Read {
    /// The cursor: only what lies beyond it.
    pub after: Offset,
    /// Only what it matches.
    pub filter: Arc<Filter>,
    /// Which of that.
    pub select: Select,
    /// Stop when the records' data reach this many bytes (one record is always read).
    pub bytes_max: usize,
}

/// Which of the matching records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Select {
    /// All of them.
    Every,
    /// Those that are, when they are read, the newest of a topic that matches.
    NewestOfTopic,
}

/// What was read.
#[derive(Debug, Clone)]
pub struct Page {
    /// The records, in order; may be none although the end is not reached.
    pub records: Vec<Arc<Record>>,
    /// The cursor to go on from. It reaches the tail's offset when nothing is left.
    pub scanned_to: Position,
    /// When a record beyond `after` that the filter would have matched was last removed, or may have
    /// been: lost to a reader that had begun before.
    pub removed: Removals,
    /// Whether something between `after` and `scanned_to` could not be read and never will be.
    pub damaged: bool,
}

impl Page {
    /// Whether a reader has lost something that began when the log's [`Bounds::removals`] were these.
    #[must_use]
    pub fn lost_since(&self, began: Removals) -> bool {
        self.damaged || self.removed > began
    }
}

/// How far the log reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Nothing at or before it is kept; [`Offset::START`] while nothing was removed from the front.
    pub floor: Offset,
    /// The newest visible place.
    pub tail: Position,
    /// How often something was removed.
    pub removals: Removals,
}

/// How much of the log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Records.
    pub events: u64,
    /// What they and what finds them take, in memory or on disk.
    pub bytes: u64,
}

/// What to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seek {
    /// The cursor before the first record at or after this time.
    Time(Millis),
    /// The cursor before the last so many records that the filter matches.
    Last(u64),
}

/// What an id names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolved {
    /// A place from which all is kept that ever followed.
    At(Offset),
    /// A place in this log, beyond what this node has seen: wait silently.
    Ahead(Offset),
    /// A place after which something was removed: a gap, if it concerns the subscriber.
    Trimmed(Offset),
    /// A place that a crash took, and what took its place: a gap, then on from here.
    Lost(Offset),
    /// Another hub's, a lost key's, an unknown epoch's, or no id at all: a gap, then from the oldest
    /// that is kept.
    Foreign,
}

/// Why the log cannot be read. The operator has to act.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// It may come back.
    #[error("the log cannot be read now: {reason}")]
    Unavailable {
        /// What is the matter.
        reason: String,
    },
    /// It ended, and does not come back.
    #[error("the log is closed")]
    Closed,
}
