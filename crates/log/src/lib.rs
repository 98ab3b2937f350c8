//! Events, topics, matchers, ids, and the one ordered, append-only [`Log`] in which a hub keeps them.
//!
//! Everything that comes from outside is parsed here, once, into a type that cannot be wrong
//! ([`Topic`], [`EventType`], [`PublisherId`], [`Pattern`]); behind this border no string is checked
//! again. A backend implements [`Log`]; [`MemoryLog`] is the simplest, and the suite in `contract`
//! (feature of the same name) is what all of them must pass.

mod disk;
mod event;
mod filter;
mod id;
mod log;
mod memory;
mod pattern;
mod position;
mod positions;
mod removed;
mod retention;
mod template;
mod text;
mod topic;

#[cfg(any(test, feature = "contract"))]
pub mod contract;

pub use disk::{
    Compaction, DiskLog, DiskOptions, Durability, Flaw, Info, Inspection, OpenError, Outside,
    Recovery, Seen, Step, Verified, Wrong,
};
pub use event::{
    Draft, Event, EventType, EventTypeError, IdempotencyKey, Millis, PublisherId, PublisherIdError,
    Record,
};
pub use filter::Filter;
pub use id::{IdKey, OpenedId};
pub use log::{
    Append, Appended, Bounds, BoxFuture, Log, LogError, Page, Read, Rejection, Resolved, Seek,
    Select, Size, Tail, TailBatch,
};
pub use memory::{MemoryLimits, MemoryLog};
pub use pattern::{Pattern, PatternError, Piece};
pub use position::{Epoch, Offset, Position};
pub use removed::Removals;
pub use retention::{Keep, Retention};
pub use template::{Template, TemplateError};
pub use text::first_invisible;
pub use topic::{Topic, TopicError};
