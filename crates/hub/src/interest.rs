//! Whether a shard may have a taker for an event: asked from outside, without waking it.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use headwater_log::Topic;

/// What a shard's subscribers are interested in, roughly: never wrongly "nobody".
#[derive(Debug, Clone, Default)]
pub struct Interest(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// A bit for each bucket of topics that somebody subscribes to by name.
    topics: [AtomicU64; WORDS],
    /// How many groups are interested in topics that they do not name.
    any: AtomicUsize,
}

const WORDS: usize = 256;
const BITS: usize = 64;

impl Default for Shared {
    fn default() -> Self {
        Self { topics: std::array::from_fn(|_| AtomicU64::new(0)), any: AtomicUsize::new(0) }
    }
}

impl Interest {
    /// Whether an event with these topics may have a taker.
    #[must_use]
    pub fn may_take(&self, topics: &[Topic]) -> bool {
        self.0.any.load(Ordering::SeqCst) > 0
            || topics.iter().map(bucket).any(|(word, bit)| {
                self.0.topics.get(word).is_some_and(|own| own.load(Ordering::SeqCst) & bit != 0)
            })
    }
}

/// The shard's own side of it.
pub(crate) struct Interests {
    shown: Interest,
    /// How many topics lie in each bucket.
    counts: Box<[u32]>,
}

impl Default for Interests {
    fn default() -> Self {
        Self { shown: Interest::default(), counts: vec![0; WORDS * BITS].into() }
    }
}

impl Interests {
    pub(crate) fn shown(&self) -> &Interest {
        &self.shown
    }

    pub(crate) fn add(&mut self, topic: &Topic) {
        let (word, bit) = bucket(topic);
        if let Some(count) = self.counts.get_mut(word * BITS + bit.trailing_zeros() as usize) {
            *count += 1;
        }
        if let Some(shown) = self.shown.0.topics.get(word) {
            shown.fetch_or(bit, Ordering::SeqCst);
        }
    }

    pub(crate) fn remove(&mut self, topic: &Topic) {
        let (word, bit) = bucket(topic);
        let Some(count) = self.counts.get_mut(word * BITS + bit.trailing_zeros() as usize) else {
            return;
        };
        *count = count.saturating_sub(1);
        if *count == 0
            && let Some(shown) = self.shown.0.topics.get(word)
        {
            shown.fetch_and(!bit, Ordering::SeqCst);
        }
    }

    /// A group that names not all of its topics came.
    pub(crate) fn add_any(&mut self) {
        self.shown.0.any.fetch_add(1, Ordering::SeqCst);
    }

    /// And went.
    pub(crate) fn remove_any(&mut self) {
        self.shown.0.any.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Where a topic's bit is.
fn bucket(topic: &Topic) -> (usize, u64) {
    let mut hasher = DefaultHasher::new();
    topic.hash(&mut hasher);
    let hash = hasher.finish();
    let word = (hash >> 8) as usize % WORDS;
    (word, 1 << (hash % BITS as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_of_interest_as_long_as_somebody_wants_it() {
        let topics: Vec<Topic> =
            (0..1000).map(|nth| Topic::parse(&format!("t{nth}")).unwrap()).collect();
        let mut interests = Interests::default();
        let shown = interests.shown().clone();
        topics.iter().for_each(|topic| interests.add(topic));
        assert!(topics.iter().all(|topic| shown.may_take(std::slice::from_ref(topic))));
        topics.iter().skip(1).for_each(|topic| interests.remove(topic));
        assert!(shown.may_take(&topics[..1]));
        let still = topics.iter().filter(|topic| shown.may_take(std::slice::from_ref(topic)));
        assert!(still.count() < 10);
        interests.remove(&topics[0]);
        assert!(!shown.may_take(&topics));
        interests.add_any();
        assert!(shown.may_take(&topics[..1]));
        interests.remove_any();
        assert!(!shown.may_take(&topics[..1]));
    }
}
