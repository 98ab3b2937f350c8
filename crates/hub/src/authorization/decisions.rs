//! What a shard remembers of who may see what.

use std::collections::HashMap;

use headwater_log::Topic;
use slab::Slab;

use super::grant::Grant;

/// The decisions of a shard: for each grant that is in use and each set of topics, whether the one sees
/// private events about the other, made when first asked.
///
/// ```text
/// let set = decisions.topic_set(&event.topics);      once for each private event
/// decisions.may_see(viewer, set)                     for each group that it matches: a bit
/// ```
#[derive(Default)]
pub struct Decisions {
    viewers: Slab<InUse>,
    by_grant: HashMap<Grant, Viewer>,
    sets: Vec<Set>,
    by_topics: HashMap<Box<[Topic]>, usize>,
    /// Increases when the sets are forgotten, so that no old number means a new one.
    generation: u64,
    bytes: usize,
}

/// A grant's number in one shard's [`Decisions`], from [`Decisions::join`] to [`Decisions::leave`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Viewer(usize);

/// A set of topics' number, until another set is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicSet {
    index: usize,
    generation: u64,
}

struct InUse {
    grant: Grant,
    count: usize,
}

struct Set {
    topics: Box<[Topic]>,
    /// Two bits for each viewer: whether it was decided, and what.
    bits: Vec<u64>,
}

const DECIDED: u64 = 1;
const ALLOWED: u64 = 2;
const PER_WORD: usize = 32;

impl Decisions {
    /// What is remembered, in bytes. Beyond it all is forgotten and decided anew: with ten thousand grants
    /// that all ask about every set of topics, after some three thousand sets.
    pub const BYTES_MAX: usize = 8 << 20;

    /// One group more has this grant. Costs a look-up.
    pub fn join(&mut self, grant: &Grant) -> Viewer {
        if let Some(&viewer) = self.by_grant.get(grant) {
            if let Some(used) = self.viewers.get_mut(viewer.0) {
                used.count += 1;
            }
            return viewer;
        }
        let viewer = Viewer(self.viewers.insert(InUse { grant: grant.clone(), count: 1 }));
        self.by_grant.insert(grant.clone(), viewer);
        viewer
    }

    /// One group less. When it was the last, what was decided for the grant is forgotten, since its number
    /// will come to mean another: a pass over the sets.
    pub fn leave(&mut self, viewer: Viewer) {
        let Some(used) = self.viewers.get_mut(viewer.0) else { return };
        used.count = used.count.saturating_sub(1);
        if used.count > 0 {
            return;
        }
        let used = self.viewers.remove(viewer.0);
        self.by_grant.remove(&used.grant);
        let (word, shift) = place(viewer);
        for set in &mut self.sets {
            if let Some(bits) = set.bits.get_mut(word) {
                *bits &= !((DECIDED | ALLOWED) << shift);
            }
        }
    }

    /// The number of an event's topics. Costs hashing them.
    pub fn topic_set(&mut self, topics: &[Topic]) -> TopicSet {
        if let Some(&index) = self.by_topics.get(topics) {
            return TopicSet { index, generation: self.generation };
        }
        if self.bytes > Self::BYTES_MAX {
            self.forget();
        }
        let index = self.sets.len();
        self.bytes +=
            SET_BYTES + topics.iter().map(|topic| topic.as_str().len() + 40).sum::<usize>();
        self.sets.push(Set { topics: topics.into(), bits: Vec::new() });
        self.by_topics.insert(topics.into(), index);
        TopicSet { index, generation: self.generation }
    }

    /// Whether the viewer may see private events about these topics. A bit, once it was decided; before, a
    /// comparison for each matcher of the grant and a microsecond for each of its patterns.
    pub fn may_see(&mut self, viewer: Viewer, set: TopicSet) -> bool {
        let Some(used) = self.viewers.get(viewer.0) else { return false };
        let current = set.generation == self.generation;
        let Some(set) = self.sets.get_mut(set.index).filter(|_| current) else { return false };
        let (word, shift) = place(viewer);
        let known = set.bits.get(word).map_or(0, |bits| bits >> shift);
        if known & DECIDED != 0 {
            return known & ALLOWED != 0;
        }
        let allowed = used.grant.covers_any(&set.topics);
        if set.bits.len() <= word {
            self.bytes += (word + 1 - set.bits.len()) * size_of::<u64>();
            set.bits.resize(word + 1, 0);
        }
        if let Some(bits) = set.bits.get_mut(word) {
            *bits |= (DECIDED | if allowed { ALLOWED } else { 0 }) << shift;
        }
        allowed
    }

    fn forget(&mut self) {
        self.sets.clear();
        self.by_topics.clear();
        self.generation += 1;
        self.bytes = 0;
    }
}

/// What a set takes beside its topics and bits: its places in the list and in the index.
const SET_BYTES: usize = 150;

fn place(viewer: Viewer) -> (usize, usize) {
    (viewer.0 / PER_WORD, viewer.0 % PER_WORD * 2)
}

#[cfg(test)]
mod tests {
    use super::super::matcher::TopicMatcher;
    use super::*;

    fn grant(text: &str) -> Grant {
        Grant::new(vec![TopicMatcher::selector(text).unwrap()])
    }

    fn topics(texts: &[&str]) -> Vec<Topic> {
        texts.iter().map(|text| Topic::parse(text).unwrap()).collect()
    }

    #[test]
    fn says_what_the_grant_says() {
        let mut decisions = Decisions::default();
        let viewers: Vec<_> = (0..100).map(|n| decisions.join(&grant(&format!("t{n}")))).collect();
        for _ in 0..2 {
            for shown in 0..100 {
                let set = decisions.topic_set(&topics(&["other", &format!("t{shown}")]));
                for (number, &viewer) in viewers.iter().enumerate() {
                    assert_eq!(decisions.may_see(viewer, set), number == shown);
                }
            }
        }
        assert_eq!(decisions.sets.len(), 100);
    }

    #[test]
    fn a_number_given_out_again_means_the_new_grant() {
        let mut decisions = Decisions::default();
        let (a, again) = (decisions.join(&grant("a")), decisions.join(&grant("a")));
        assert_eq!(a, again);
        let set = decisions.topic_set(&topics(&["a"]));
        assert!(decisions.may_see(a, set));
        decisions.leave(a);
        assert!(decisions.may_see(a, set));
        decisions.leave(again);
        assert!(!decisions.may_see(a, set));
        let b = decisions.join(&grant("b"));
        assert_eq!(a, b);
        assert!(!decisions.may_see(b, set));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut decisions = Decisions::default();
        let viewer = decisions.join(&grant("{+x}"));
        let first = decisions.topic_set(&topics(&["first"]));
        for number in 0..20_000 {
            let set = decisions.topic_set(&topics(&[&format!("{number}{}", "x".repeat(1000))]));
            assert!(decisions.may_see(viewer, set));
            assert!(decisions.bytes <= Decisions::BYTES_MAX + 2048);
        }
        assert!(decisions.generation > 0);
        // A number that was forgotten is no licence.
        assert!(!decisions.may_see(viewer, first));
    }
}
