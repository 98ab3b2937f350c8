//! What a shard shows of its numbers.

use std::sync::atomic::{AtomicU64, Ordering};

use headwater_hub::{Close, Counters};

use super::Latency;

/// The last numbers that a shard has shown, once a turn: written by its thread alone, so that nobody
/// waits for anybody. Alone in its cache lines, so that shards do not take them from each other.
#[repr(align(128))]
#[derive(Default)]
pub(crate) struct OfShard {
    deliveries: AtomicU64,
    bytes: AtomicU64,
    gaps: AtomicU64,
    pages: AtomicU64,
    turns_yielded: AtomicU64,
    closes: [AtomicU64; Close::ALL.len()],
    subscribers: AtomicU64,
    lagging: AtomicU64,
    /// Of each turn with events: from when the log's tail showed the first of them until the sockets had
    /// been handed all of them.
    pub(crate) send: Latency,
}

impl OfShard {
    /// Shows these numbers.
    pub(crate) fn show(&self, counters: &Counters) {
        let Counters {
            deliveries,
            bytes,
            gaps,
            pages,
            turns_yielded,
            closes,
            subscribers,
            lagging,
        } = counters;
        let numbers = [
            (&self.deliveries, deliveries),
            (&self.bytes, bytes),
            (&self.gaps, gaps),
            (&self.pages, pages),
            (&self.turns_yielded, turns_yielded),
            (&self.subscribers, subscribers),
            (&self.lagging, lagging),
        ];
        for (shown, &number) in numbers.into_iter().chain(self.closes.iter().zip(closes)) {
            shown.store(number, Ordering::Relaxed);
        }
    }

    /// What was shown last.
    pub(super) fn counters(&self) -> Counters {
        let of = |shown: &AtomicU64| shown.load(Ordering::Relaxed);
        Counters {
            deliveries: of(&self.deliveries),
            bytes: of(&self.bytes),
            gaps: of(&self.gaps),
            pages: of(&self.pages),
            turns_yielded: of(&self.turns_yielded),
            closes: self.closes.each_ref().map(of),
            subscribers: of(&self.subscribers),
            lagging: of(&self.lagging),
        }
    }
}
