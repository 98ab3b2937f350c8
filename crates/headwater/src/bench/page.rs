//! The report as one page that needs nothing else.

use std::fmt::Write;

use indicatif::{BinaryBytes, HumanCount};

use super::plot::{Axis, Line, Plot, Scale, escape};
use super::report::{Latency, Report};
use super::table::{self, time};
use super::tally::{Second, float};

const STYLE: &str = include_str!("page.css");

/// The page's HTML.
pub(crate) fn of(report: &Report) -> String {
    let (style, url) = (STYLE, escape(&report.load.url));
    let (mode, figures) = (escape(&report.load.mode), figures(report));
    let (plots, table) = (plots(report), escape(&table::of(report)));
    let version = report.version;
    let subscribers = HumanCount(report.load.subscribers as u64);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{mode} with {subscribers} subscribers: {url}</title>\n<style>\n{style}</style>\n\
         <h1>{mode}, {subscribers} subscribers</h1>\n<p class=\"load\">{url}</p>\n\
         <dl class=\"figures\">\n{figures}</dl>\n{plots}<h2>Everything that was measured</h2>\n\
         <pre>{table}</pre>\n<p class=\"load\">headwater bench {version}. Latency is from the time at which \
         an event should have been sent until a subscriber had read it.</p>\n</html>\n"
    )
}

/// What one wants to know first.
fn figures(report: &Report) -> String {
    let mut html = String::new();
    let mut add = |name: &str, value: String, bad: bool| {
        let class = if bad { " class=\"bad\"" } else { "" };
        let value = escape(&value);
        // Writing to a String cannot fail.
        let _ = writeln!(html, "<div><dt>{name}</dt><dd{class}>{value}</dd></div>");
    };
    if report.deliveries > 0 {
        add("deliveries a second", format!("{:.0}", report.deliveries_per_second), false);
    }
    let latency = report.latency.as_ref();
    let caught_up = report.storm.as_ref().and_then(|storm| storm.caught_up.as_ref());
    for (name, latency) in [("latency", latency), ("to catch up", caught_up)] {
        if let Some(Latency { p50_us, p99_us, .. }) = latency {
            add(&format!("{name}, half"), time(*p50_us), false);
            add(&format!("{name}, 99 %"), time(*p99_us), false);
        }
    }
    if let Some(server) = &report.server {
        if let Some(us) = server.cpu_us_per_delivery {
            add("server CPU a delivery", format!("{us:.2} µs"), false);
        }
        add("server memory", BinaryBytes(server.rss_bytes_end).to_string(), false);
    }
    add("connections a second", format!("{:.0}", report.connect.per_second), false);
    match report.verdict() {
        None => add("order and losses", "all right".to_owned(), false),
        Some(verdict) => add("order and losses", verdict, true),
    }
    if report.generator.limited.is_some() {
        add("measured", "the generator's limit".to_owned(), true);
    }
    html
}

fn plots(report: &Report) -> String {
    let storm = report.storm.as_ref().and_then(|storm| storm.caught_up.as_ref());
    let latencies = [("latency", report.latency.as_ref()), ("until caught up", storm)];
    let mut html = String::new();
    for (name, latency) in latencies {
        html += &latency.map(|latency| by_share(name, latency)).unwrap_or_default();
    }
    let delivered = |value: fn(&Second) -> f64| {
        over_time(report, move |second| (second.deliveries > 0).then(|| value(second)))
    };
    html += &timeline(
        "Latency over time",
        Axis { label: "latency", scale: Scale::Log, shown: tick },
        vec![
            Line { name: "half", points: delivered(|second| second.p50_us) },
            Line { name: "99 %", points: delivered(|second| second.p99_us) },
            Line { name: "slowest", points: delivered(|second| second.max_us) },
        ],
    );
    html += &timeline(
        "Throughput",
        Axis { label: "deliveries a second", scale: Scale::Linear, shown: thousands },
        vec![Line { name: "deliveries", points: delivered(|second| float(second.deliveries)) }],
    );
    let cpu = over_time(report, |second| second.server_cpu.map(|share| share * 100.0));
    html += &timeline(
        "The server's processor time",
        Axis { label: "of one core", scale: Scale::Linear, shown: |share| format!("{share} %") },
        vec![Line { name: "CPU", points: cpu }],
    );
    let memory = over_time(report, |second| second.rss_bytes.map(|bytes| float(bytes) / MIB));
    html += &timeline(
        "The server's memory",
        Axis { label: "resident", scale: Scale::Linear, shown: |mib| format!("{mib} MiB") },
        vec![Line { name: "memory", points: memory }],
    );
    html
}

const MIB: f64 = 1_048_576.0;

/// A value of each second that has one.
fn over_time(report: &Report, value: impl Fn(&Second) -> Option<f64>) -> Vec<(f64, f64)> {
    report.timeline.iter().filter_map(|second| Some((second.at, value(second)?))).collect()
}

fn timeline(title: &str, y: Axis<'_>, lines: Vec<Line<'_>>) -> String {
    let shown = |seconds: f64| format!("{seconds} s");
    let x = Axis { label: "time", scale: Scale::Linear, shown };
    Plot { title, described: title, x, y, lines }.figure()
}

/// A round time, without the digits that it does not need.
fn tick(us: f64) -> String {
    match us {
        us if us < 1e3 => format!("{us:.0} µs"),
        us if us < 1e6 => format!("{} ms", us / 1e3),
        us => format!("{} s", us / 1e6),
    }
}

fn thousands(number: f64) -> String {
    match number {
        number if number >= 1e6 => format!("{:.1} M", number / 1e6),
        number if number >= 1e4 => format!("{:.0} k", number / 1e3),
        number => format!("{number:.0}"),
    }
}

/// How long the slowest take: each step to the right is ten times rarer.
fn by_share(name: &str, latency: &Latency) -> String {
    let curve = latency.curve.iter().filter(|(share, _)| *share < 1.0);
    let points = curve.map(|(share, us)| (1.0 / (1.0 - share), *us)).collect();
    let title = format!("How many had it within what {name}");
    Plot {
        title: &title,
        described: &title,
        x: Axis { label: "of all", scale: Scale::Log, shown: share },
        y: Axis { label: name, scale: Scale::Log, shown: tick },
        lines: vec![Line { name: "", points }],
    }
    .figure()
}

/// One in so many is slower: 10 is 90 %, 10,000 is 99.99 %.
fn share(rarity: f64) -> String {
    match rarity {
        rarity if rarity < 5.0 => "0 %".to_owned(),
        rarity if rarity < 50.0 => "90 %".to_owned(),
        rarity if rarity < 500.0 => "99 %".to_owned(),
        rarity => {
            let nines = std::iter::successors(Some(1e3), |power| Some(power * 10.0));
            let nines = nines.take_while(|power| *power < rarity * 2.0).count();
            format!("99.{} %", "9".repeat(nines))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rarities_are_shown_as_shares() {
        let shown = [1.0, 10.0, 100.0, 1e3, 1e4, 1e6].map(share);
        assert_eq!(shown, ["0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.9999 %"]);
    }
}
