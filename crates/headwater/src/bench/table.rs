//! The report as text.

use std::fmt::Write;

use indicatif::{BinaryBytes, HumanCount};

use super::report::{Latency, Report};

/// A line for each figure.
pub(crate) fn of(report: &Report) -> String {
    let mut table = Table::default();
    load(&mut table, report);
    events(&mut table, report);
    server(&mut table, report);
    faults(&mut table, report);
    let mut text = table.text;
    if let Some(limited) = &report.generator.limited {
        let _ = write!(text, "\nThe generator itself may have been the limit: {limited}.\n");
    }
    text
}

#[derive(Default)]
struct Table {
    text: String,
}

impl Table {
    fn line(&mut self, name: &str, value: impl AsRef<str>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{name:<22} {}", value.as_ref());
    }

    fn latency(&mut self, name: &str, latency: Option<&Latency>) {
        let Some(latency) = latency else { return };
        let Latency { p50_us, p90_us, p99_us, p999_us, max_us, .. } = latency;
        let [p50, p90, p99, p999, max] =
            [p50_us, p90_us, p99_us, p999_us, max_us].map(|us| time(*us));
        self.line(name, format!("p50 {p50}, p90 {p90}, p99 {p99}, p99.9 {p999}, max {max}"));
    }
}

/// A time in the unit that fits it.
pub(crate) fn time(us: f64) -> String {
    match us {
        us if us < 1e3 => format!("{us:.0} µs"),
        us if us < 1e6 => format!("{:.2} ms", us / 1e3),
        us => format!("{:.2} s", us / 1e6),
    }
}

fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

fn load(table: &mut Table, report: &Report) {
    let load = &report.load;
    let pace = match (load.events_per_second, load.in_flight) {
        (Some(rate), _) => format!(", {rate} events/s of {} bytes", load.payload_bytes),
        (_, Some(limit)) => format!(", {limit} in flight, {} bytes", load.payload_bytes),
        _ => String::new(),
    };
    let (subscribers, topics) = (count(load.subscribers as u64), count(load.topics as u64));
    table.line("load", format!("{}: {subscribers} subscribers, {topics} topics{pace}", load.mode));
    let connect = &report.connect;
    let all = count(connect.connections as u64);
    table.line(
        "connected",
        format!("{all} in {:.2} s, {:.0} a second", connect.seconds, connect.per_second),
    );
    table.latency("  until the head", connect.latency.as_ref());
}

fn events(table: &mut Table, report: &Report) {
    if report.published > 0 {
        let (published, deliveries) = (count(report.published), count(report.deliveries));
        let [rate, bytes] = [report.deliveries_per_second, report.bytes_per_second];
        table.line("published", format!("{published} events in {:.1} s", report.seconds));
        table.line(
            "delivered",
            format!("{deliveries}, {rate:.0} a second, {:.1} MB/s", bytes / 1e6),
        );
    }
    table.latency("  latency", report.latency.as_ref());
    table.latency("  until the answer", report.publish_answer.as_ref());
    if let Some(storm) = &report.storm {
        table.line(
            "came back",
            format!(
                "all connected after {:.2} s, {} had all {} events of their topic",
                storm.all_connected_seconds,
                count(storm.caught_up_subscribers),
                storm.missed_per_topic
            ),
        );
        table.latency("  until caught up", storm.caught_up.as_ref());
        if let (Some(leaving), Some(returning)) =
            (storm.server_cpu_us_per_leaving, storm.server_cpu_us_per_returning)
        {
            table.line(
                "  server CPU each",
                format!("{leaving:.1} µs to leave, {returning:.1} µs to come back"),
            );
        }
    }
    if let Some(stalled) = &report.stalled {
        table.line(
            "stalled",
            format!(
                "{} that do not read, {} closed by the server",
                stalled.connections, stalled.closed
            ),
        );
    }
}

fn server(table: &mut Table, report: &Report) {
    let Some(server) = &report.server else { return };
    if let Some(cpu) = server.cpu_seconds {
        let share = cpu / report.seconds * 100.0;
        let each = server.cpu_us_per_delivery.map(|us| format!(", {us:.2} µs a delivery"));
        let publish = server.cpu_us_per_publish.map(|us| format!(", {us:.1} µs a publish"));
        let (each, publish) = (each.unwrap_or_default(), publish.unwrap_or_default());
        table.line("server CPU", format!("{cpu:.2} s, {share:.0} % of a core{each}{publish}"));
    }
    let [before, connected, end] =
        [server.rss_bytes_before, server.rss_bytes_connected, server.rss_bytes_end]
            .map(BinaryBytes);
    table.line(
        "server memory",
        format!(
            "{before} before, {connected} connected ({:.0} bytes a connection), {end} at the end",
            server.rss_bytes_per_connection
        ),
    );
}

fn faults(table: &mut Table, report: &Report) {
    let faults = &report.faults;
    let mut found: Vec<String> = Vec::new();
    for (number, what) in [
        (faults.lost, "lost"),
        (faults.duplicates, "twice"),
        (faults.reordered, "out of order"),
        (faults.misdelivered, "at the wrong subscriber"),
        (faults.refused, "publishes refused"),
        (faults.gaps, "gaps told"),
        (faults.closed, "streams ended"),
        (faults.failed, "subscriptions failed"),
    ] {
        if number > 0 {
            found.push(format!("{} {what}", count(number)));
        }
    }
    let order =
        if found.is_empty() { "each once and in order".to_owned() } else { found.join(", ") };
    table.line("verified", order);
    if let Some(refusal) = &report.refusal {
        table.line("  first refusal", refusal);
    }
    if report.late.answers > 0 {
        table.line(
            "late",
            format!(
                "{} events waited for a free connection: the server answered too slowly for \
                 --publishers {}",
                count(report.late.answers),
                report.load.publishers
            ),
        );
    }
    table.line("generator CPU", format!("{:.0} % of a core", report.generator.cpu * 100.0));
}
