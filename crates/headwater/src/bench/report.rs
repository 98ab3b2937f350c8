//! What a run found: the form of `--json`, and what the table and the page are made from.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::arguments::Mode;
use super::pace::Pace;
use super::plan::Plan;
use super::process::Usage;
use super::tally::{Faults, Lateness, Second, Tally, float, us};

/// Numbers have their unit in their names; what was not measured is null.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) version: &'static str,
    pub(crate) load: Load,
    pub(crate) connect: Connect,
    /// For how long events were published, or connections kept.
    pub(crate) seconds: f64,
    pub(crate) published: u64,
    pub(crate) deliveries: u64,
    /// From the first publish until the last delivery.
    pub(crate) deliveries_per_second: f64,
    /// As received, with everything around the events.
    pub(crate) bytes_per_second: f64,
    /// From the intended time of sending to the arrival.
    pub(crate) latency: Option<Latency>,
    /// From the sending of a publish to its answer.
    pub(crate) publish_answer: Option<Latency>,
    pub(crate) faults: Faults,
    pub(crate) late: Lateness,
    pub(crate) storm: Option<Storm>,
    pub(crate) stalled: Option<Stalled>,
    pub(crate) server: Option<Server>,
    pub(crate) generator: Generator,
    /// What the server said when it first refused to publish.
    pub(crate) refusal: Option<String>,
    pub(crate) timeline: Vec<Second>,
}

/// What was asked for.
#[derive(Debug, Serialize)]
pub(crate) struct Load {
    pub(crate) url: String,
    pub(crate) mode: String,
    pub(crate) subscribers: usize,
    pub(crate) topics: usize,
    pub(crate) events_per_second: Option<f64>,
    pub(crate) in_flight: Option<usize>,
    pub(crate) payload_bytes: usize,
    pub(crate) publishers: usize,
    pub(crate) churn_per_second: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Connect {
    pub(crate) connections: usize,
    pub(crate) seconds: f64,
    pub(crate) per_second: f64,
    pub(crate) latency: Option<Latency>,
}

/// Quantiles, in microseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) min_us: f64,
    pub(crate) mean_us: f64,
    pub(crate) p50_us: f64,
    pub(crate) p90_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) max_us: f64,
    /// (share, microseconds) for a curve.
    pub(crate) curve: Vec<(f64, f64)>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Storm {
    pub(crate) missed_per_topic: usize,
    /// Until the last was connected again.
    pub(crate) all_connected_seconds: f64,
    /// Since the first came back, until subscribers had everything.
    pub(crate) caught_up: Option<Latency>,
    pub(crate) caught_up_subscribers: u64,
    pub(crate) server_cpu_us_per_leaving: Option<f64>,
    pub(crate) server_cpu_us_per_returning: Option<f64>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Stalled {
    pub(crate) connections: usize,
    /// How many of them the server has closed by the end.
    pub(crate) closed: usize,
}

#[derive(Debug, Serialize)]
pub(crate) struct Server {
    pub(crate) pid: u32,
    pub(crate) processes: usize,
    pub(crate) cpu_seconds: Option<f64>,
    pub(crate) cpu_us_per_delivery: Option<f64>,
    pub(crate) cpu_us_per_publish: Option<f64>,
    pub(crate) rss_bytes_before: u64,
    pub(crate) rss_bytes_connected: u64,
    pub(crate) rss_bytes_end: u64,
    pub(crate) rss_bytes_per_connection: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Generator {
    /// The share of one processor that it took while events were published.
    pub(crate) cpu: f64,
    /// Whether what was measured may be its limit, not the server's, and why.
    pub(crate) limited: Option<String>,
}

/// What was measured besides the tally.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    pub(crate) connect_time: Duration,
    /// While events were published.
    pub(crate) time: Duration,
    /// And until the last arrived.
    pub(crate) whole: Duration,
    pub(crate) own_cpu_ns: u64,
    pub(crate) server_cpu_ns: Option<u64>,
    pub(crate) before: Option<Usage>,
    pub(crate) connected: Option<Usage>,
    pub(crate) end: Option<Usage>,
    pub(crate) open: usize,
    pub(crate) cut_off: usize,
    pub(crate) refusal: Option<String>,
    pub(crate) storm: Option<StormMeasured>,
}

#[derive(Debug)]
pub(crate) struct StormMeasured {
    pub(crate) all_open: Duration,
    pub(crate) leaving_cpu_ns: Option<u64>,
    pub(crate) returning_cpu_ns: Option<u64>,
}

/// More of a processor than this, and the generator had no time to wait.
const CPU_LIMIT: f64 = 0.9;
/// More of the events than this sent late, and latencies say more about the generator.
const LATE_LIMIT: f64 = 0.01;

impl Report {
    pub(crate) fn new(plan: &Plan, tally: &Tally, measured: &Measured) -> Self {
        let (seconds, whole) = (measured.time.as_secs_f64(), measured.whole.as_secs_f64());
        let connections = plan.connections();
        let connect_seconds = measured.connect_time.as_secs_f64();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            load: Load::of(plan),
            connect: Connect {
                connections,
                seconds: connect_seconds,
                per_second: float(connections as u64) / connect_seconds,
                latency: Latency::of(&tally.connect),
            },
            seconds,
            published: tally.published,
            deliveries: tally.deliveries,
            deliveries_per_second: float(tally.deliveries) / whole,
            bytes_per_second: float(tally.bytes) / whole,
            latency: Latency::of(&tally.latency),
            publish_answer: Latency::of(&tally.answer),
            faults: tally.faults,
            late: tally.lateness,
            storm: measured.storm.as_ref().map(|storm| Storm::of(plan, tally, storm)),
            stalled: (plan.stalled > 0)
                .then_some(Stalled { connections: plan.stalled, closed: measured.cut_off }),
            server: Server::of(plan, tally, measured),
            generator: Generator::of(plan, tally, measured),
            refusal: measured.refusal.clone(),
            timeline: tally.seconds.clone(),
        }
    }

    /// What was wrong with the server, if anything was.
    pub(crate) fn verdict(&self) -> Option<String> {
        let Faults { lost, duplicates, reordered, misdelivered, refused, .. } = self.faults;
        let found = [
            (lost, "lost"),
            (duplicates, "delivered twice"),
            (reordered, "out of order"),
            (misdelivered, "delivered to others"),
            (refused, "refused by the server"),
        ];
        let found = found.iter().filter(|(count, _)| *count > 0);
        let said: Vec<_> = found.map(|(count, what)| format!("{count} {what}")).collect();
        (!said.is_empty()).then(|| format!("events went wrong: {}", said.join(", ")))
    }
}

impl Load {
    fn of(plan: &Plan) -> Self {
        let (events_per_second, in_flight) = match plan.pace {
            _ if matches!(plan.mode, Mode::Idle | Mode::Storm) => (None, None),
            Pace::Rate(rate) => (Some(rate), None),
            Pace::Window(limit) => (None, Some(limit)),
        };
        let mode = clap::ValueEnum::to_possible_value(&plan.mode);
        Self {
            url: plan.url.clone(),
            mode: mode.map_or_else(String::new, |value| value.get_name().to_owned()),
            subscribers: plan.subscribers,
            topics: plan.topics,
            events_per_second,
            in_flight,
            payload_bytes: plan.size,
            publishers: plan.publishers,
            churn_per_second: plan.churn,
        }
    }
}

impl Latency {
    /// `None` if nothing was recorded. Takes nanoseconds.
    fn of(histogram: &Histogram<u64>) -> Option<Self> {
        if histogram.is_empty() {
            return None;
        }
        let at = |share| us(histogram.value_at_quantile(share));
        Some(Self {
            min_us: us(histogram.min()),
            mean_us: histogram.mean() / 1e3,
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: us(histogram.max()),
            curve: histogram
                .iter_quantiles(5)
                .map(|step| (step.quantile(), us(step.value_iterated_to())))
                .collect(),
        })
    }
}

impl Storm {
    fn of(plan: &Plan, tally: &Tally, storm: &StormMeasured) -> Self {
        let each = |cpu_ns: Option<u64>| cpu_ns.map(|ns| us(ns) / float(plan.subscribers as u64));
        Self {
            missed_per_topic: plan.missed,
            all_connected_seconds: storm.all_open.as_secs_f64(),
            caught_up: Latency::of(&tally.catch_up),
            caught_up_subscribers: tally.catch_up.len(),
            server_cpu_us_per_leaving: each(storm.leaving_cpu_ns),
            server_cpu_us_per_returning: each(storm.returning_cpu_ns),
        }
    }
}

impl Server {
    fn of(plan: &Plan, tally: &Tally, measured: &Measured) -> Option<Self> {
        let (before, connected) = (measured.before?, measured.connected?);
        let end = measured.end.unwrap_or_default();
        let per = |count: u64| {
            measured.server_cpu_ns.filter(|_| count > 0).map(|ns| us(ns) / float(count))
        };
        let grown = float(connected.rss_bytes) - float(before.rss_bytes);
        Some(Self {
            pid: plan.server_pid?,
            processes: connected.processes,
            cpu_seconds: measured.server_cpu_ns.map(|ns| us(ns) / 1e6),
            cpu_us_per_delivery: per(tally.deliveries),
            cpu_us_per_publish: per(tally.published),
            rss_bytes_before: before.rss_bytes,
            rss_bytes_connected: connected.rss_bytes,
            rss_bytes_end: end.rss_bytes,
            rss_bytes_per_connection: grown / float(plan.connections() as u64),
        })
    }
}

impl Generator {
    fn of(plan: &Plan, tally: &Tally, measured: &Measured) -> Self {
        let cpu = us(measured.own_cpu_ns) / 1e6 / measured.time.as_secs_f64().max(1e-9);
        let late = float(tally.lateness.generator) / float(tally.published.max(1));
        let limited = if plan.mode == Mode::Idle {
            None
        } else if cpu > CPU_LIMIT {
            Some(format!(
                "it took {:.0} % of its processor: ask for less, or give it one of its own (taskset)",
                cpu * 100.0
            ))
        } else if late > LATE_LIMIT {
            Some(format!(
                "{:.1} % of the events were sent late because it was busy or did not get a processor in \
                 time: ask for less, or give it a processor of its own (taskset)",
                late * 100.0
            ))
        } else {
            None
        };
        Self { cpu, limited }
    }
}
