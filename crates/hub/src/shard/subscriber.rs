//! What a shard keeps of one subscriber.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_log::{Filter, Offset, Position, Removals};

use super::group::GroupId;
use super::run::Cut;
use crate::encoding::Encoding;
use crate::subscription::Gap;

/// A subscriber's name in its shard; never given out twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    pub(super) slot: usize,
    pub(super) generation: u64,
}

/// What a subscriber of a shard listens to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Which it is.
    pub key: Key,
    /// What it wants.
    pub filter: Arc<Filter>,
    /// How it is written to.
    pub encoding: Encoding,
    /// Whether it has had everything that the shard has seen.
    pub live: bool,
}

impl fmt::Display for Key {
    /// Two numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.slot, self.generation)
    }
}

impl Key {
    /// A small number that no other present subscriber of the shard has.
    #[must_use]
    pub fn slot(self) -> usize {
        self.slot
    }
}

/// One subscriber. There is no queue: what it has not had is in the log.
pub(super) struct Subscriber {
    pub(super) generation: u64,
    pub(super) group: GroupId,
    pub(super) waiting: Waiting,
    /// Everything up to here that it wants has been handed over. Who is live has had everything up to
    /// the shard's applied offset, and this may be older.
    pub(super) at: Position,
    /// The frame after `at` of which a part has been sent.
    pub(super) cut: Option<Cut>,
    pub(super) events_left: u32,
    /// When what allows it is over.
    pub(super) ends: Moment,
    /// When bytes were last taken.
    pub(super) active: Moment,
    /// When a position was last told.
    pub(super) told: Moment,
    pub(super) extra: Option<Box<Extra>>,
}

/// A time since the moment that the shell chose: half of what a `Duration` takes, and enough for centuries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(u64);

impl Moment {
    /// How much time has passed since then.
    pub(super) fn until(self, now: Duration) -> Duration {
        now.saturating_sub(Duration::from_nanos(self.0))
    }
}

impl From<Duration> for Moment {
    fn from(time: Duration) -> Self {
        Self(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// What it takes for a subscriber to get something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    /// Live: something new. Its place in its group's list.
    Event { member: usize },
    /// Its turn.
    Turn,
    /// Its socket.
    Socket,
    /// A page of the log.
    Page,
    /// The tail, which has not reached it yet.
    Tail,
}

/// What few subscribers have, and only for a while.
#[derive(Default)]
pub(super) struct Extra {
    /// A block of the hub's own that has yet to be sent, or the rest of it: below 300 bytes.
    pub(super) pending: Option<Block>,
    /// A gap to be told before the next event; the id that was asked for.
    pub(super) gap: Option<Option<String>>,
    /// Up to there, only the newest event of each topic.
    pub(super) newest_until: Option<Offset>,
    /// What the log had removed by then is no loss to it, or it was told.
    pub(super) began: Removals,
}

impl Subscriber {
    pub(super) fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// Lets go of what is not needed any more.
    pub(super) fn tidy(&mut self) {
        let idle = |extra: &Extra| {
            extra.pending.is_none() && extra.gap.is_none() && extra.newest_until.is_none()
        };
        if self.extra.as_deref().is_some_and(idle) {
            self.extra = None;
        }
    }

    /// Still to be read as the newest of each topic.
    pub(super) fn wants_newest(&self) -> Option<Offset> {
        self.extra.as_ref()?.newest_until.filter(|&until| self.at.offset < until)
    }
}

/// What a [`Sink`] is given: whole frames, or what was left of a first one.
#[derive(Debug, Clone)]
pub struct Block {
    /// Encoded, ready to be sent.
    pub bytes: Bytes,
    /// What they are.
    pub kind: BlockKind,
    /// How many events end in them.
    pub events: u32,
    /// Who has taken all of it has had everything up to here.
    pub position: Position,
    /// Whether nothing more was there when it was made.
    pub caught_up: bool,
}

/// What a [`Block`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlockKind {
    /// The first bytes of a stream.
    Open,
    /// Events.
    Events,
    /// Events may have been missed.
    Gap(Gap),
    /// Nothing, so that the connection lives.
    Heartbeat,
    /// A newer place for a quiet stream.
    Checkpoint,
    /// The last bytes of a stream.
    End,
}

/// Where blocks go.
pub trait Sink {
    /// Offers bytes; says how many were taken. A sink that takes less than all must later be announced
    /// with [`Shard::handle_writable`](super::Shard::handle_writable).
    fn send(&mut self, key: Key, block: &Block) -> Accepted;
}

/// What a [`Sink`] took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// So many bytes, from none to all.
    Bytes(usize),
    /// Nothing, and it never will.
    Closed,
}

/// Why a shard ended a subscription. The shell closes the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Close {
    /// The subscriber had as many events as it wanted.
    Complete,
    /// The subscriber went, or its sink was closed.
    Gone,
    /// No byte was taken for the write timeout.
    Stalled,
    /// An event of which a part was sent is not kept any more.
    EventGone,
    /// The log could not be read.
    LogUnreadable,
    /// What allowed it is over.
    Expired,
    /// The operator closed it.
    Removed,
    /// The hub stops.
    Stopping,
}

impl Close {
    /// All reasons.
    pub const ALL: [Self; 8] = [
        Self::Complete,
        Self::Gone,
        Self::Stalled,
        Self::EventGone,
        Self::LogUnreadable,
        Self::Expired,
        Self::Removed,
        Self::Stopping,
    ];
}
