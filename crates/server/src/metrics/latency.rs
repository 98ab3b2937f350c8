//! How long something took, as a histogram.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// So many took so long. Noting one costs two additions to atomics.
#[derive(Default)]
pub(crate) struct Latency {
    counts: [AtomicU64; BOUNDS_US.len() + 1],
    sum_ns: AtomicU64,
}

/// The buckets' upper bounds in microseconds; what took longer has a last one.
const BOUNDS_US: [u64; 15] = [
    25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000,
    1_000_000, 5_000_000,
];

/// A histogram at one moment.
pub(super) struct Counted {
    /// In seconds.
    pub(super) sum: f64,
    pub(super) count: u64,
    /// Upper bounds in seconds, and how many lie up to there and beyond the one before.
    pub(super) buckets: Vec<(f64, u64)>,
}

impl Latency {
    pub(crate) fn note(&self, took: Duration) {
        let us = took.as_micros();
        let bucket = BOUNDS_US.partition_point(|&bound| u128::from(bound) < us);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.sum_ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// All of several together.
    pub(super) fn sum_of<'a>(all: impl Iterator<Item = &'a Self>) -> Counted {
        #[expect(clippy::cast_precision_loss, reason = "these bounds are small numbers")]
        let bounds = BOUNDS_US.iter().map(|&us| us as f64 / 1e6).chain([f64::INFINITY]);
        let mut buckets: Vec<(f64, u64)> = bounds.map(|bound| (bound, 0)).collect();
        let mut sum = 0.0;
        for latency in all {
            sum += Duration::from_nanos(latency.sum_ns.load(Ordering::Relaxed)).as_secs_f64();
            for ((_, total), count) in buckets.iter_mut().zip(&latency.counts) {
                *total += count.load(Ordering::Relaxed);
            }
        }
        Counted { sum, count: buckets.iter().map(|&(_, count)| count).sum(), buckets }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_counted_where_it_belongs() {
        let (one, other) = (Latency::default(), Latency::default());
        for us in [0, 25, 26] {
            one.note(Duration::from_micros(us));
        }
        other.note(Duration::from_secs(60));
        let Counted { sum, count, buckets } = Latency::sum_of([&one, &other].into_iter());
        assert_eq!(count, 4);
        assert!((sum - 60.000_051).abs() < 1e-9, "{sum}");
        let some: Vec<_> = buckets.into_iter().filter(|&(_, count)| count > 0).collect();
        assert_eq!(some, [(0.000_025, 2), (0.000_05, 1), (f64::INFINITY, 1)]);
    }
}
