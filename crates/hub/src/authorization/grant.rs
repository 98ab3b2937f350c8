//! The topics that an access has for one action.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use headwater_log::{Pattern, Topic};

use super::matcher::TopicMatcher;

/// A set of matchers. Two grants are equal when their matchers are, in whatever order they were written.
///
/// Cloning costs one reference count; hashing is reading a number, and so is comparing unless the grants
/// are equal.
#[derive(Clone)]
pub struct Grant(Arc<Set>);

struct Set {
    hash: u64,
    all: bool,
    /// Sorted.
    exact: Box<[Arc<str>]>,
    /// Sorted by their text; neither exact ones nor `*`.
    others: Box<[TopicMatcher]>,
}

impl Grant {
    /// The topics that one of these matchers means.
    #[must_use]
    pub fn new(matchers: Vec<TopicMatcher>) -> Self {
        let all = matchers.contains(&TopicMatcher::All);
        let (mut exact, mut others) = (Vec::new(), Vec::new());
        // What means everything means nothing more with others beside it.
        for matcher in matchers.into_iter().filter(|_| !all) {
            match matcher {
                TopicMatcher::Exact(text) => exact.push(text),
                other => others.push(other),
            }
        }
        exact.sort_unstable();
        exact.dedup();
        others.sort_unstable_by(|a, b| (a.kind(), a.as_str()).cmp(&(b.kind(), b.as_str())));
        others.dedup();
        let mut hasher = DefaultHasher::new();
        (all, &exact, &others).hash(&mut hasher);
        Self(Arc::new(Set {
            hash: hasher.finish(),
            all,
            exact: exact.into(),
            others: others.into(),
        }))
    }

    /// No topic at all.
    #[must_use]
    pub fn none() -> Self {
        Self::new(Vec::new())
    }

    /// Every topic.
    #[must_use]
    pub fn all() -> Self {
        Self::new(vec![TopicMatcher::All])
    }

    /// Whether it is every topic.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.0.all
    }

    /// Whether it is no topic.
    #[must_use]
    pub fn is_none(&self) -> bool {
        !self.0.all && self.0.exact.is_empty() && self.0.others.is_empty()
    }

    /// Whether a topic is granted. A binary search, then about a microsecond a pattern.
    #[must_use]
    pub fn covers(&self, topic: &Topic) -> bool {
        let exact = &self.0.exact;
        self.0.all
            || exact.binary_search_by(|text| (**text).cmp(topic.as_str())).is_ok()
            || self.0.others.iter().any(|matcher| matcher.matches(topic))
    }

    /// Whether one of the topics is granted: what it takes to see a private event.
    #[must_use]
    pub fn covers_any(&self, topics: &[Topic]) -> bool {
        topics.iter().any(|topic| self.covers(topic))
    }

    /// Whether every one of at least one topic is granted: what it takes to publish.
    #[must_use]
    pub fn covers_all(&self, topics: &[Topic]) -> bool {
        !topics.is_empty() && topics.iter().all(|topic| self.covers(topic))
    }

    /// Whether it has this very pattern, or means everything.
    pub(super) fn has(&self, pattern: &Pattern) -> bool {
        let is_it = |matcher: &TopicMatcher| match matcher {
            TopicMatcher::Pattern(granted) => granted == pattern,
            _ => false,
        };
        self.0.all || self.0.others.iter().any(is_it)
    }

    /// Whether they are one and the same in memory.
    #[cfg(test)]
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl PartialEq for Grant {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (&self.0, &other.0);
        let same = || a.all == b.all && a.exact == b.exact && a.others == b.others;
        Arc::ptr_eq(a, b) || a.hash == b.hash && same()
    }
}

impl Eq for Grant {}

impl Hash for Grant {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash.hash(state);
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.0.all.then_some("*");
        let exact = self.0.exact.iter().map(|text| &**text);
        let others = self.0.others.iter().map(TopicMatcher::as_str);
        f.debug_set().entries(all.into_iter().chain(exact).chain(others)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(texts: &[&str]) -> Grant {
        Grant::new(texts.iter().map(|text| TopicMatcher::selector(text).unwrap()).collect())
    }

    fn topics(texts: &[&str]) -> Vec<Topic> {
        texts.iter().map(|text| Topic::parse(text).unwrap()).collect()
    }

    #[test]
    fn the_order_of_matchers_makes_no_difference() {
        let (a, b) = (grant(&["a", "b", "x{c}", "x{d}"]), grant(&["x{d}", "b", "x{c}", "a", "a"]));
        assert_eq!(a, b);
        assert_eq!(a.0.hash, b.0.hash);
        assert_ne!(a, grant(&["a", "b", "x{c}"]));
        assert_eq!(grant(&["a", "*"]), Grant::all());
        assert_eq!(grant(&[]), Grant::none());
        assert_ne!(Grant::all(), Grant::none());
    }

    #[test]
    fn seeing_takes_one_topic_and_publishing_all() {
        let grant = grant(&["a", "b/{id}"]);
        assert!(grant.covers_any(&topics(&["x", "b/1"])));
        assert!(!grant.covers_any(&topics(&["x", "b/1/2"])));
        assert!(grant.covers_all(&topics(&["a", "b/1"])));
        assert!(!grant.covers_all(&topics(&["a", "x"])));
        assert!(!grant.covers_all(&[]) && !Grant::all().covers_all(&[]));
        assert!(!Grant::none().covers_any(&topics(&["a"])));
        assert!(Grant::none().is_none() && !grant.is_none() && !Grant::all().is_none());
    }
}
