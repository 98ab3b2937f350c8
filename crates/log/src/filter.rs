//! Which events a subscriber wants.

use crate::pattern::Pattern;
use crate::topic::Topic;

/// The matchers of one subscription: exact topics and patterns, or everything.
///
/// An event matches if any of its topics matches any matcher. Two filters with the same matchers in
/// another order are equal, so that subscribers can be grouped by theirs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Filter {
    all: bool,
    topics: Box<[Topic]>,
    patterns: Box<[Pattern]>,
}

impl Filter {
    /// Every event.
    #[must_use]
    pub fn all() -> Self {
        Self { all: true, topics: Box::default(), patterns: Box::default() }
    }

    /// The events of these topics, and of those that one of these patterns matches.
    #[must_use]
    pub fn new(mut topics: Vec<Topic>, mut patterns: Vec<Pattern>) -> Self {
        topics.sort_unstable();
        topics.dedup();
        patterns.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        patterns.dedup();
        Self { all: false, topics: topics.into(), patterns: patterns.into() }
    }

    /// The events of one topic.
    #[must_use]
    pub fn topic(topic: Topic) -> Self {
        Self::new(vec![topic], Vec::new())
    }

    /// Whether it is every event.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.all
    }

    /// The exact topics, sorted.
    #[must_use]
    pub fn topics(&self) -> &[Topic] {
        &self.topics
    }

    /// The patterns, sorted by their text.
    #[must_use]
    pub fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    /// The topics, if they are all that the filter has: then nothing else need be looked at.
    #[must_use]
    pub fn exact(&self) -> Option<&[Topic]> {
        (!self.all && self.patterns.is_empty()).then_some(&self.topics[..])
    }

    /// Whether one topic matches. A binary search, then a microsecond a pattern.
    #[must_use]
    pub fn matches_topic(&self, topic: &Topic) -> bool {
        (self.all && !topic.is_control())
            || self.topics.binary_search(topic).is_ok()
            || (!topic.is_control() && self.patterns.iter().any(|pattern| pattern.matches(topic)))
    }

    /// Whether an event with these topics matches.
    #[must_use]
    pub fn matches(&self, topics: &[Topic]) -> bool {
        topics.iter().any(|topic| self.matches_topic(topic))
    }
}
