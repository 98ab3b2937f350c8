//! The rows of the comparison: what is measured, and what Headwater has set itself.

use anyhow::{Result, bail};

use super::arguments::Arguments;
use super::peers::Peer;

/// One row, at one size.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Its name in files and on the command line.
    pub(crate) id: String,
    pub(crate) title: String,
    /// The generator's arguments.
    pub(crate) load: Vec<String>,
    /// Where the report has the value, as a JSON pointer.
    pub(crate) value: &'static str,
    pub(crate) unit: &'static str,
    /// What the ratio is to.
    pub(crate) reference: Reference,
    pub(crate) budget: Option<Budget>,
    /// Whether subscribers have to get back what they missed.
    resumes: bool,
    /// How many topics the servers need to know of.
    pub(crate) topics: usize,
}

/// What a server's value is divided by, in the same round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    /// The bare loop's value in this row, or in another.
    Bare(String),
    /// The server's own value in another row.
    Itself(String),
    Peer(Peer),
}

/// What Headwater has set itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Budget {
    /// At most so many times the reference.
    Ratio(f64),
    /// At most so much, in the row's unit.
    Value(f64),
}

const CPU_PER_DELIVERY: &str = "/server/cpu_us_per_delivery";
const CPU_PER_PUBLISH: &str = "/server/cpu_us_per_publish";

impl Row {
    /// Whether the server can do what it takes.
    pub(crate) fn applies_to(&self, peer: Peer) -> bool {
        !self.resumes || peer.resumes()
    }
}

/// The rows that the arguments name, or all.
pub(crate) fn chosen(arguments: &Arguments) -> Result<Vec<Row>> {
    let all = all(arguments);
    for name in &arguments.rows {
        if !all.iter().any(|row| row.id == *name) {
            let names: Vec<_> = all.iter().map(|row| row.id.as_str()).collect();
            bail!("no row is called {name}; there are {}", names.join(", "));
        }
    }
    let chosen = |row: &Row| arguments.rows.is_empty() || arguments.rows.contains(&row.id);
    Ok(all.into_iter().filter(chosen).collect())
}

fn all(arguments: &Arguments) -> Vec<Row> {
    let mut rows = Vec::new();
    for &size in &arguments.subscribers {
        rows.extend([one_at_a_time(size), in_flight(size)]);
    }
    let most = arguments.subscribers.iter().copied().max().unwrap_or(1);
    let least = arguments.subscribers.iter().copied().min().unwrap_or(1);
    rows.extend([
        topics(most, 1),
        topics(most, 16),
        idle(most),
        storm(most),
        latency(least),
        stalled(least),
    ]);
    rows
}

fn row(id: String, title: String, load: &str, value: &'static str, unit: &'static str) -> Row {
    let reference = Reference::Bare(id.clone());
    let load = load.split_whitespace().map(str::to_owned).collect();
    Row { id, title, load, value, unit, reference, budget: None, resumes: false, topics: 1 }
}

fn one_at_a_time(size: usize) -> Row {
    let title = format!("CPU per delivery, one event at a time, {size} subscribers");
    let load = format!("--subscribers {size} --in-flight 1");
    let budget = Some(Budget::Ratio(1.15));
    Row { budget, ..row(format!("fanout-{size}"), title, &load, CPU_PER_DELIVERY, "µs") }
}

fn in_flight(size: usize) -> Row {
    let title = format!("CPU per delivery, 16 events in flight, {size} subscribers");
    let load = format!("--subscribers {size} --in-flight 16");
    let reference = Reference::Bare(format!("fanout-{size}"));
    let budget = Some(Budget::Ratio(0.25));
    let row = row(format!("inflight-{size}"), title, &load, CPU_PER_DELIVERY, "µs");
    Row { reference, budget, ..row }
}

fn topics(size: usize, in_flight: usize) -> Row {
    let title =
        format!("CPU per publish, {size} topics with a subscriber each, {in_flight} in flight");
    let load = format!("--mode topics --subscribers {size} --in-flight {in_flight}");
    // The budget is for publishes that come one after the other; 16 at a time show what batching saves.
    let budget = (in_flight == 1).then_some(Budget::Ratio(1.25));
    let row = row(format!("topics-{size}-{in_flight}"), title, &load, CPU_PER_PUBLISH, "µs");
    Row { budget, topics: size, ..row }
}

fn idle(size: usize) -> Row {
    let title = format!("Memory per idle subscriber, {size} subscribers");
    let load = format!("--mode idle --subscribers {size}");
    let budget = Some(Budget::Value(512.0));
    let value = "/server/rss_bytes_per_connection";
    Row { budget, ..row(format!("idle-{size}"), title, &load, value, "bytes") }
}

fn storm(size: usize) -> Row {
    let title = format!("CPU per subscriber that comes back, {size} at once, 20 events missed");
    let load = format!("--mode storm --subscribers {size} --missed 20");
    let value = "/storm/server_cpu_us_per_returning";
    let row = row(format!("storm-{size}"), title, &load, value, "µs");
    let (reference, budget) = (Reference::Peer(Peer::Nchan), Some(Budget::Ratio(0.2)));
    Row { reference, budget, resumes: true, ..row }
}

fn latency(size: usize) -> Row {
    let title = format!("99 % of deliveries within, 20 events/s, {size} subscribers");
    let load = format!("--subscribers {size} --rate 20");
    row(format!("latency-{size}"), title, &load, "/latency/p99_us", "µs")
}

fn stalled(size: usize) -> Row {
    let title = format!("CPU per delivery beside 100 subscribers that do not read, {size} that do");
    let load = format!("--mode stalled --stalled 100 --subscribers {size} --in-flight 1");
    let reference = Reference::Itself(format!("fanout-{size}"));
    let row = row(format!("stalled-{size}"), title, &load, CPU_PER_DELIVERY, "µs");
    Row { reference, budget: Some(Budget::Ratio(1.05)), ..row }
}
