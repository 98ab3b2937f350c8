//! What a log keeps of which topics.

use std::time::Duration;

use crate::event::Millis;
use crate::filter::Filter;
use crate::topic::Topic;

/// What is kept of a topic. An event goes when all of its topics would drop it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep {
    /// Only the newest so many events, and those whatever the log's own limits say. Such a topic promises
    /// its newest state, not every event: what is dropped because of newer ones is no gap.
    pub count_max: Option<u64>,
    /// Only the newest events, of so many bytes together as they are stored.
    pub bytes_max: Option<u64>,
    /// Only events younger than this, by the hub's time.
    pub age_max: Option<Duration>,
}

impl Keep {
    /// The newest event alone.
    pub const LATEST: Self = Self { count_max: Some(1), bytes_max: None, age_max: None };

    /// Whether it promises the newest state only.
    #[must_use]
    pub fn is_state(&self) -> bool {
        self.count_max.is_some()
    }

    /// Whether it keeps an event of this time.
    pub(crate) fn is_young(&self, time: Millis, now: Millis) -> bool {
        self.age_max
            .is_none_or(|age_max| u128::from(now.0.saturating_sub(time.0)) <= age_max.as_millis())
    }
}

/// What is kept, by topic: the first rule that matches a topic holds for it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Retention {
    /// Rules for topics.
    pub rules: Vec<(Filter, Keep)>,
    /// For topics that no rule matches.
    pub otherwise: Keep,
}

impl Retention {
    /// What is kept of a topic. A microsecond for each rule with a pattern.
    #[must_use]
    pub fn of(&self, topic: &Topic) -> Keep {
        let rule = self.rules.iter().find(|(filter, _)| filter.matches_topic(topic));
        rule.map_or(self.otherwise, |&(_, keep)| keep)
    }

    /// Whether nothing but an age for all topics is said.
    pub(crate) fn is_plain(&self) -> bool {
        let Keep { count_max, bytes_max, .. } = self.otherwise;
        self.rules.is_empty() && count_max.is_none() && bytes_max.is_none()
    }

    /// The shortest age that is said.
    pub(crate) fn age_min(&self) -> Option<Duration> {
        let rules = self.rules.iter().map(|(_, keep)| keep.age_max);
        rules.chain([self.otherwise.age_max]).flatten().min()
    }
}
