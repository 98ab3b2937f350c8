//! A run from its beginning to its report.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::arguments::Mode;
use super::engine::Engine;
use super::plan::Plan;
use super::process::{Usage, ours};
use super::report::{Measured, Report, StormMeasured};
use super::socket;

/// Does what the plan says.
///
/// # Errors
/// If the server cannot be reached or refuses from the start. Losses are no error here.
pub(crate) fn run(plan: &Plan, stop: &AtomicBool) -> Result<Report> {
    socket::raise_file_limit(plan.connections() + plan.publishers)?;
    let mut engine = Engine::new(plan, stop)?;
    let before = engine.server_usage();
    let connecting = Instant::now();
    engine.connect_all()?;
    let connect_time = connecting.elapsed();
    engine.progress.doing("waiting until the server is at rest");
    engine.rest_for(SETTLE)?;
    let connected = engine.server_usage();
    let mut measured = match plan.mode {
        Mode::Idle => idle(&mut engine)?,
        Mode::FanOut | Mode::Topics | Mode::Stalled => publish(&mut engine)?,
        Mode::Storm => storm(&mut engine)?,
    };
    engine.count_missing();
    measured.connect_time = connect_time;
    (measured.before, measured.connected, measured.end) =
        (before, connected, engine.server_usage());
    (measured.open, measured.cut_off) = (engine.open(), engine.cut_off());
    measured.refusal = engine.publishers.refusal().map(str::to_owned);
    Ok(Report::new(plan, &engine.shared.tally, &measured))
}

/// What a server may do after the last connection before it is at rest.
const SETTLE: Duration = Duration::from_millis(500);

fn idle(engine: &mut Engine<'_>) -> Result<Measured> {
    engine.progress.doing("measuring idle connections");
    measure(engine, |engine| engine.rest_for(engine.shared.plan.duration))
}

fn publish(engine: &mut Engine<'_>) -> Result<Measured> {
    engine.connect_publishers()?;
    engine.progress.doing("warming up");
    engine.publish_for(engine.shared.plan.warmup)?;
    engine.drain()?;
    engine.progress.doing("measuring");
    measure(engine, |engine| engine.publish_for(engine.shared.plan.duration))
}

/// Measures what happens in it, and until all that it sent has arrived.
fn measure<'a>(
    engine: &mut Engine<'a>,
    during: impl FnOnce(&mut Engine<'a>) -> Result<()>,
) -> Result<Measured> {
    let (server, own, begin) = (engine.server_usage(), ours().cpu_ns(), Instant::now());
    engine.begin(server);
    during(engine)?;
    let (own_cpu_ns, time) = (ours().cpu_ns() - own, begin.elapsed());
    engine.drain()?;
    let whole = begin.elapsed();
    let server_cpu_ns = cpu_between(server, engine.server_usage());
    Ok(Measured { time, whole, own_cpu_ns, server_cpu_ns, ..Measured::default() })
}

fn storm(engine: &mut Engine<'_>) -> Result<Measured> {
    let plan = engine.shared.plan;
    engine.connect_publishers()?;
    engine.progress.doing("publishing what everybody has");
    // Every subscriber needs an event id to come back with, and not every server gives one at once.
    engine.publish_at_once(plan.topics)?;
    engine.drain()?;
    let (server, own, begin) = (engine.server_usage(), ours().cpu_ns(), Instant::now());
    engine.progress.doing("everybody leaves; publishing what they miss");
    engine.leave_all();
    engine.rest_for(SETTLE)?;
    let left = engine.server_usage();
    engine.publish_at_once(plan.missed.saturating_mul(plan.topics))?;
    engine.rest_for(SETTLE)?;
    let published = engine.server_usage();
    engine.progress.doing("everybody comes back");
    let returning = Instant::now();
    engine.shared.tally.storm_from_ns = Some(engine.shared.now_ns());
    engine.return_all()?;
    let all_open = returning.elapsed();
    engine.drain()?;
    let storm = StormMeasured {
        all_open,
        leaving_cpu_ns: cpu_between(server, left),
        returning_cpu_ns: cpu_between(published, engine.server_usage()),
    };
    let (time, own_cpu_ns) = (begin.elapsed(), ours().cpu_ns() - own);
    Ok(Measured { time, whole: time, own_cpu_ns, storm: Some(storm), ..Measured::default() })
}

fn cpu_between(before: Option<Usage>, after: Option<Usage>) -> Option<u64> {
    before.zip(after).map(|(before, after)| after.cpu_ns.saturating_sub(before.cpu_ns))
}
