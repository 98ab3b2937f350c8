//! What a subscriber asks for, and what it is told about its place.

use std::sync::Arc;
use std::time::Duration;

use headwater_log::Filter;
use serde::Serialize;

use crate::authorization::Visibility;
use crate::encoding::Encoding;

/// What a subscriber asks for.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// Which events.
    pub filter: Arc<Filter>,
    /// From where.
    pub start: Start,
    /// Which of them it may see.
    pub visibility: Visibility,
    /// How they are written.
    pub encoding: Encoding,
    /// After how many events the subscription ends by itself.
    pub events_max: Option<u32>,
    /// After how long it ends: what allows it lasts no longer.
    pub lifetime: Option<Duration>,
}

/// Where a subscription begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// With what is published from now on.
    Live,
    /// After the event or position with this id. Whatever the text is, it is never an error.
    Id(String),
    /// With something older.
    Since(Since),
}

/// How far back a subscription without an id begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// Everything that is kept.
    All,
    /// The newest kept event of each topic that matches, in log order.
    Latest,
    /// The last so many that match, all topics together.
    Last(u64),
    /// What is younger than this, by the hub's time.
    Ago(Duration),
}

/// How a stream relates to where its subscriber was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// It asked for nothing older than now.
    Live,
    /// It gets exactly what it missed, or asked for.
    Exact,
    /// It may have missed events that are not kept any more.
    Gap,
}

impl Resume {
    /// The word that headers and the open block use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Exact => "exact",
            Self::Gap => "gap",
        }
    }
}

/// What a subscriber is told when it may have missed events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The id that it asked to go on from, if it gave one.
    pub requested: Option<String>,
    /// The id of the first event that follows, if one does.
    pub resumed: Option<String>,
}
