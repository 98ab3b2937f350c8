//! `headwater bench`: load on any server of event streams, and what came of it.

mod arguments;
mod engine;
mod pace;
mod page;
mod payload;
mod plan;
mod plot;
mod process;
mod progress;
mod publisher;
mod report;
mod response;
mod run;
mod sequence;
mod shared;
mod socket;
mod subscriber;
mod table;
mod tally;
mod target;
mod timer;

use std::fs;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, anyhow};

use crate::failure::Failure;
use crate::signals::Signals;
pub(crate) use arguments::Args;
use plan::Plan;
use report::Report;

/// Runs the command over the process's own streams.
///
/// # Errors
///
/// Besides what could not be done: if events were lost, came twice or out of order.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let plan = Plan::of(&args)?;
    let stop = stop_on_signal()?;
    // One thread for all of it, this one, so that what it costs can be told.
    let report = tokio::task::block_in_place(|| run::run(&plan, &stop))?;
    print(&report, &args)?;
    match report.verdict() {
        None => Ok(()),
        Some(verdict) => Err(anyhow!(verdict).into()),
    }
}

/// The first signal ends the run early, with a report; the second ends it at once.
fn stop_on_signal() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut signals = Signals::new().context("cannot listen for Ctrl-C")?;
    let stopped = Arc::clone(&stop);
    tokio::spawn(async move {
        signals.next().await;
        stopped.store(true, Ordering::Relaxed);
        signals.next().await;
        std::process::exit(130);
    });
    Ok(stop)
}

fn print(report: &Report, args: &Args) -> Result<(), Failure> {
    if let Some(path) = &args.html {
        let written = fs::write(path, page::of(report));
        written.with_context(|| format!("cannot write {}", path.display()))?;
    }
    let json = serde_json::to_string_pretty(report).context("cannot write the report as JSON")?;
    let mut shown = table::of(report);
    match &args.json {
        Some(path) if path.as_os_str() == "-" => shown = format!("{json}\n"),
        Some(path) => {
            let written = fs::write(path, format!("{json}\n"));
            written.with_context(|| format!("cannot write {}", path.display()))?;
        }
        None => {}
    }
    match io::stdout().lock().write_all(shown.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")?
        }
        _ => Ok(()),
    }
}
