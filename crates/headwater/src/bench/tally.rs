//! What a run has seen, counted.

use hdrhistogram::{CreationError, Histogram};
use serde::Serialize;

use super::process::Usage;

/// All counts. Those of events begin when measuring does; those of what went wrong hold for the whole run.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Events intended to be sent before this are not measured.
    pub(crate) from_ns: u64,
    /// From the intended time of sending to the arrival, in nanoseconds.
    pub(crate) latency: Histogram<u64>,
    /// From the beginning of a connection to the answer's head, in nanoseconds.
    pub(crate) connect: Histogram<u64>,
    /// From the sending of a publish to its answer, in nanoseconds.
    pub(crate) answer: Histogram<u64>,
    /// When a reconnect storm began, and how long after it subscribers had caught up.
    pub(crate) storm_from_ns: Option<u64>,
    pub(crate) catch_up: Histogram<u64>,
    pub(crate) published: u64,
    pub(crate) deliveries: u64,
    /// As received, with everything around the events.
    pub(crate) bytes: u64,
    pub(crate) faults: Faults,
    pub(crate) lateness: Lateness,
    /// The second that is going on, and those that have passed.
    second: Second,
    second_latency: Histogram<u64>,
    pub(crate) seconds: Vec<Second>,
}

/// What should not have happened, in the whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Faults {
    /// Deliveries that never came.
    pub(crate) lost: u64,
    /// Deliveries that came again.
    pub(crate) duplicates: u64,
    /// Deliveries that came after a later one.
    pub(crate) reordered: u64,
    /// Events of a topic at a subscriber of another.
    pub(crate) misdelivered: u64,
    /// `hub.gap` events: the server itself says that something was missed.
    pub(crate) gaps: u64,
    /// Streams that the server ended, or that broke.
    pub(crate) closed: u64,
    /// Attempts to subscribe that failed.
    pub(crate) failed: u64,
    /// Publishes that the server answered with an error.
    pub(crate) refused: u64,
}

/// Events that were sent after they were due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Lateness {
    /// More than a few milliseconds late because the generator was busy, or not running.
    pub(crate) generator: u64,
    /// Because every connection for publishing was waiting for an answer.
    pub(crate) answers: u64,
}

/// One second of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Second {
    /// Its beginning, in seconds since measuring began.
    pub(crate) at: f64,
    pub(crate) deliveries: u64,
    pub(crate) published: u64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) max_us: f64,
    /// The server's memory at its end.
    pub(crate) rss_bytes: Option<u64>,
    /// What share of one processor the server took.
    pub(crate) server_cpu: Option<f64>,
}

const SECOND_NS: u64 = 1_000_000_000;
/// A day of soaking.
const SECONDS_MAX: usize = 86_400;

impl Tally {
    pub(crate) fn new() -> Result<Self, CreationError> {
        Ok(Self {
            from_ns: u64::MAX,
            latency: histogram()?,
            connect: histogram()?,
            answer: histogram()?,
            catch_up: histogram()?,
            storm_from_ns: None,
            published: 0,
            deliveries: 0,
            bytes: 0,
            faults: Faults::default(),
            lateness: Lateness::default(),
            second: Second::default(),
            second_latency: histogram()?,
            seconds: Vec::new(),
        })
    }

    /// Measuring begins.
    pub(crate) fn begin(&mut self, now_ns: u64) {
        self.from_ns = now_ns;
        self.bytes = 0;
        self.lateness = Lateness::default();
    }

    /// An event arrived at a subscriber that has it for the first time.
    pub(crate) fn deliver(&mut self, intended_ns: u64, now_ns: u64) {
        if intended_ns < self.from_ns {
            return;
        }
        let latency = now_ns.saturating_sub(intended_ns);
        self.deliveries += 1;
        self.second.deliveries += 1;
        self.latency.saturating_record(latency);
        self.second_latency.saturating_record(latency);
    }

    /// An event was sent.
    pub(crate) fn publish(&mut self, intended_ns: u64) {
        if intended_ns >= self.from_ns {
            self.published += 1;
            self.second.published += 1;
        }
    }

    /// When the second that is going on is over.
    pub(crate) fn second_ends_ns(&self) -> u64 {
        self.from_ns.saturating_add((self.seconds.len() as u64 + 1) * SECOND_NS)
    }

    /// A second is over.
    pub(crate) fn end_second(&mut self, before: Option<Usage>, after: Option<Usage>) {
        let mut second = std::mem::take(&mut self.second);
        let at = |quantile| us(self.second_latency.value_at_quantile(quantile));
        (second.p50_us, second.p99_us) = (at(0.5), at(0.99));
        second.max_us = us(self.second_latency.max());
        second.at = float(self.seconds.len() as u64);
        second.rss_bytes = after.map(|usage| usage.rss_bytes);
        second.server_cpu = before
            .zip(after)
            .map(|(before, after)| us(after.cpu_ns.saturating_sub(before.cpu_ns)) / 1e6);
        self.second_latency.reset();
        if self.seconds.len() < SECONDS_MAX {
            self.seconds.push(second);
        }
    }
}

/// From a tenth of a microsecond to an hour, to three digits; about 200 KiB.
fn histogram() -> Result<Histogram<u64>, CreationError> {
    Histogram::new_with_bounds(100, 3600 * SECOND_NS, 3)
}

/// Nanoseconds as microseconds.
pub(crate) fn us(ns: u64) -> f64 {
    float(ns) / 1e3
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "counts of a run stay far below 2^53")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}
