//! What the hub counts, for whoever operates it.
//!
//! The shards, which deliver, count in numbers of their own and show them once a turn ([`OfShard`]); what
//! happens once a connection or a request is counted here, in atomics that all share.

mod latency;
mod of_shard;
mod page;

use std::sync::atomic::{AtomicU64, Ordering};

use headwater_log::Appended;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

pub(crate) use self::latency::Latency;
pub(crate) use self::of_shard::OfShard;
pub(crate) use self::page::Page;

/// A label and its value.
type Label = [(&'static str, &'static str); 1];

/// What all of a hub's servers and publishers count together.
pub(crate) struct Metrics {
    connections: Gauge,
    accepted: Counter,
    refused: Family<Label, Counter>,
    limits: Family<Label, Gauge>,
    published: [AtomicU64; OUTCOMES.len()],
    /// From a request to publish until the log has its events.
    pub(crate) append: Latency,
}

/// The limits whose refusals will pass: they are counted from 0 on, so that the first one is seen to be an
/// increase. Others appear when they are first exceeded.
const PASSING: [&str; 5] = [
    "connections_max",
    "connections_per_address_max",
    "accepts_per_second_max",
    "subscribers_max",
    "bodies_bytes_max",
];

/// What becomes of an event that is published.
const OUTCOMES: [&str; 4] = ["committed", "duplicate", "rejected", "unknown"];

/// An open connection; not counted any more when dropped.
pub(crate) struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let refused = Family::<Label, Counter>::default();
        for limit in PASSING {
            drop(refused.get_or_create(&[("limit", limit)]));
        }
        Self {
            connections: Gauge::default(),
            accepted: Counter::default(),
            refused,
            limits: Family::default(),
            published: Default::default(),
            append: Latency::default(),
        }
    }
}

impl Metrics {
    /// A connection has come, and is served.
    pub(crate) fn open(&self) -> Open {
        self.accepted.inc();
        self.connections.inc();
        Open(self.connections.clone())
    }

    /// Somebody was refused something because of a limit, which has its setting's name.
    pub(crate) fn refuse(&self, limit: &'static str) {
        self.refused.get_or_create(&[("limit", limit)]).inc();
    }

    /// Tells how high a limit is.
    pub(crate) fn limit(&self, setting: &'static str, max: usize) {
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        self.limits.get_or_create(&[("setting", setting)]).set(max);
    }

    /// The log has answered.
    pub(crate) fn publish(&self, answers: &[Appended]) {
        let mut counts = [0; OUTCOMES.len()];
        for answer in answers {
            let [committed, duplicate, rejected, unknown] = &mut counts;
            *match answer {
                Appended::Committed(_) => committed,
                Appended::Duplicate { .. } => duplicate,
                Appended::Rejected(_) => rejected,
                Appended::Unknown { .. } => unknown,
            } += 1;
        }
        for (total, count) in self.published.iter().zip(counts).filter(|&(_, count)| count > 0) {
            total.fetch_add(count, Ordering::Relaxed);
        }
    }
}
