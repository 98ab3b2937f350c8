//! What a shard remembers of who may see what.

use std::collections::HashMap;

use headwater_log::Topic;
use slab::Slab;

use super::grant::Grant;

/// The decisions of a shard: for each grant that is in use and each set of topics, whether the one sees
/// private events about the other, made when first asked.
///
/// ```text
/// let set = decisions.topic_set(topics);             once for each private event
/// decisions.may_see(viewer, set, topics)             for each group that it matches: a bit
/// ```
#[derive(Default)]
pub struct Decisions {
    viewers: Slab<Known>,
    by_grant: HashMap<Grant, Viewer>,
    /// How many viewers nobody is any more. unused <= viewers.len()
    unused: usize,
    /// For each set of topics, two bits for each viewer: whether it was decided, and what.
    sets: Vec<Vec<u64>>,
    by_topics: HashMap<Box<[Topic]>, usize>,
    /// Increases when the sets are forgotten, so that no old number means a new one.
    generation: u64,
    bytes: usize,
}

/// A grant's number in one shard's [`Decisions`], from [`Decisions::join`] to [`Decisions::leave`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Viewer(usize);

/// A set of topics' number. Once the set is forgotten it stands for nothing, and what it is asked for is
/// found out anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicSet {
    index: usize,
    generation: u64,
}

struct Known {
    grant: Grant,
    groups: usize,
}

const DECIDED: u64 = 1;
const ALLOWED: u64 = 2;
const PER_WORD: usize = 32;

/// Viewers that nobody is any more are kept up to this many, or as many as there are others: a subscriber
/// that comes back finds its decisions.
const UNUSED_MIN: usize = 256;

impl Decisions {
    /// What is remembered, in bytes. Beyond it all is forgotten and decided anew: with ten thousand grants
    /// that all ask about every set of topics, after some three thousand sets.
    pub const BYTES_MAX: usize = 8 << 20;

    /// One group more has this grant. Costs a look-up.
    pub fn join(&mut self, grant: &Grant) -> Viewer {
        if let Some(&viewer) = self.by_grant.get(grant)
            && let Some(known) = self.viewers.get_mut(viewer.0)
        {
            self.unused -= usize::from(known.groups == 0);
            known.groups += 1;
            return viewer;
        }
        let viewer = Viewer(self.viewers.insert(Known { grant: grant.clone(), groups: 1 }));
        self.by_grant.insert(grant.clone(), viewer);
        viewer
    }

    /// One group less.
    pub fn leave(&mut self, viewer: Viewer) {
        let Some(known) = self.viewers.get_mut(viewer.0).filter(|known| known.groups > 0) else {
            return;
        };
        known.groups -= 1;
        self.unused += usize::from(known.groups == 0);
    }

    /// The number of an event's topics. Costs hashing them.
    pub fn topic_set(&mut self, topics: &[Topic]) -> TopicSet {
        let used = self.viewers.len() - self.unused;
        if self.unused > used.max(UNUSED_MIN) {
            self.viewers.retain(|_, known| known.groups > 0);
            self.by_grant.retain(|_, viewer| self.viewers.contains(viewer.0));
            self.unused = 0;
            // The numbers that are free now will come to mean others.
            self.forget();
        }
        if let Some(&index) = self.by_topics.get(topics) {
            return TopicSet { index, generation: self.generation };
        }
        if self.bytes > Self::BYTES_MAX {
            self.forget();
        }
        let index = self.sets.len();
        self.bytes += SET_BYTES + topics.iter().map(|topic| topic.as_str().len()).sum::<usize>();
        self.sets.push(Vec::new());
        self.by_topics.insert(topics.into(), index);
        TopicSet { index, generation: self.generation }
    }

    /// Whether the viewer may see private events about these topics, whose number is `set`. A bit, once it
    /// was decided; before, a comparison for each matcher of the grant and half a microsecond or more for
    /// each of its patterns.
    pub fn may_see(&mut self, viewer: Viewer, set: TopicSet, topics: &[Topic]) -> bool {
        let Some(known) = self.viewers.get(viewer.0) else { return false };
        let current = set.generation == self.generation;
        let Some(bits) = self.sets.get_mut(set.index).filter(|_| current) else {
            return known.grant.covers_any(topics);
        };
        let (word, shift) = (viewer.0 / PER_WORD, viewer.0 % PER_WORD * 2);
        let decided = bits.get(word).map_or(0, |bits| bits >> shift);
        if decided & DECIDED != 0 {
            return decided & ALLOWED != 0;
        }
        let allowed = known.grant.covers_any(topics);
        if bits.len() <= word {
            self.bytes += (word + 1 - bits.len()) * size_of::<u64>();
            bits.resize(word + 1, 0);
        }
        if let Some(bits) = bits.get_mut(word) {
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

/// What a set takes beside its topics' texts and its bits: its places in the list and in the index.
const SET_BYTES: usize = 200;

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

    fn sees(decisions: &mut Decisions, viewer: Viewer, texts: &[&str]) -> bool {
        let topics = topics(texts);
        let set = decisions.topic_set(&topics);
        decisions.may_see(viewer, set, &topics)
    }

    #[test]
    fn says_what_the_grant_says() {
        let mut decisions = Decisions::default();
        let viewers: Vec<_> = (0..100).map(|n| decisions.join(&grant(&format!("t{n}")))).collect();
        for _ in 0..2 {
            for shown in 0..100 {
                for (number, &viewer) in viewers.iter().enumerate() {
                    let seen = sees(&mut decisions, viewer, &["other", &format!("t{shown}")]);
                    assert_eq!(seen, number == shown);
                }
            }
        }
        assert_eq!(decisions.sets.len(), 100);
    }

    #[test]
    fn equal_grants_are_one_and_who_comes_back_is_known() {
        let mut decisions = Decisions::default();
        let (a, again) = (decisions.join(&grant("a")), decisions.join(&grant("a")));
        assert_eq!(a, again);
        decisions.leave(a);
        decisions.leave(a);
        decisions.leave(a);
        assert_eq!(decisions.unused, 1);
        assert_eq!(decisions.join(&grant("a")), a);
        assert_eq!(decisions.unused, 0);
    }

    #[test]
    fn numbers_are_given_out_again_and_then_mean_others() {
        let mut decisions = Decisions::default();
        for round in 0..20 {
            // Each round others, about the same topics.
            let viewers: Vec<_> =
                (0..100).map(|n| decisions.join(&grant(&format!("{round}-{n}")))).collect();
            for (number, &viewer) in viewers.iter().enumerate() {
                for shown in ["0-7", "1-7", "19-7"] {
                    let expected = format!("{round}-{number}") == shown;
                    assert_eq!(sees(&mut decisions, viewer, &[shown]), expected);
                }
            }
            viewers.into_iter().for_each(|viewer| decisions.leave(viewer));
        }
        assert!(decisions.viewers.len() <= 2 * UNUSED_MIN, "{}", decisions.viewers.len());
        assert_eq!(decisions.viewers.len(), decisions.by_grant.len());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut decisions = Decisions::default();
        let viewer = decisions.join(&grant("*"));
        let other = decisions.join(&grant("other"));
        let first = topics(&["first"]);
        let set = decisions.topic_set(&first);
        for number in 0..20_000 {
            assert!(sees(&mut decisions, viewer, &[&format!("{number}{}", "x".repeat(1000))]));
            assert!(decisions.bytes <= Decisions::BYTES_MAX + 2048);
        }
        assert!(decisions.generation > 0);
        // A number that was forgotten is answered all the same.
        assert!(decisions.may_see(viewer, set, &first));
        assert!(!decisions.may_see(other, set, &first));
    }
}
