//! The hub without I/O or clock: the [`Window`] of frames that are ready to send, and the [`Shard`], the
//! state machine that decides what each subscriber is sent next.
//!
//! A shell feeds it: the log's tail goes into a [`Window`], a [`Snapshot`] of that and the time into
//! [`Shard::turn`]; what a shard wants read from the log comes out of [`Shard::poll_read`], and what it
//! sends goes to a [`Sink`]. The same code runs over sockets, over bodies, and in a simulation.

mod authorization;
mod control;
mod encoding;
mod interest;
mod matching;
mod open;
mod shard;
mod subscription;
mod window;

pub use authorization::{
    Access, Action, Actions, Decisions, Explanation, Grant, Identity, MatcherCache, MatcherError,
    MatcherExplained, Rule, RuleExplained, TopicMatcher, TopicSet, Viewer, Visibility,
};
pub use encoding::{Encoding, encode};
pub use interest::Interest;
pub use open::{Opening, open};
pub use shard::{
    Accepted, Block, BlockKind, Close, Counters, Key, Listener, ReadRequest, Settings, Shard, Sink,
};
pub use subscription::{Gap, Resume, Since, Start, Subscription};
pub use window::{Entry, Snapshot, Window};
