//! One measurement: a fresh server, the generator, the report.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::arguments::Arguments;
use super::peers::{Peer, Ready};
use super::rows::Row;
use super::server::{Server, pinned};

/// What the generator reported.
#[derive(Clone, Debug)]
pub(crate) struct Measurement {
    pub(crate) value: f64,
    /// What went wrong, or nothing.
    pub(crate) faults: String,
    /// Whether the generator may have been the limit.
    pub(crate) limited: bool,
    /// The report, without what is for plots of a single run.
    pub(crate) report: Value,
}

/// Starts the server, loads it, stops it.
pub(crate) fn one(
    row: &Row,
    peer: Peer,
    ready: &Ready,
    headwater: &Path,
    arguments: &Arguments,
) -> Result<Measurement> {
    let server = Server::start(peer, ready, arguments.server_core, row.topics)?;
    let mut command = pinned(arguments.generator_core);
    command.arg(headwater).arg("bench").args(&row.load);
    command.args(["--json", "-", "--server-pid", &server.pid().to_string()]);
    command.args(["--duration", &format!("{}s", arguments.seconds)]);
    command.args(peer.bench_arguments(server.port(), server.publish_port()));
    let output = without_settings(&mut command).stdin(Stdio::null()).output();
    let output = output.context("cannot start the generator")?;
    let mut report: Value = match serde_json::from_slice(&output.stdout) {
        Ok(report) => report,
        Err(_) => {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("{}", said.trim().lines().next_back().unwrap_or("the generator said nothing"));
        }
    };
    let value = report.pointer(row.value).and_then(Value::as_f64);
    let value = value.with_context(|| format!("the report has no {}", row.value))?;
    let limited = report.pointer("/generator/limited").is_some_and(Value::is_string);
    leave_out_curves(&mut report);
    Ok(Measurement { value, faults: faults(&report), limited, report })
}

/// Takes out what is only for plots of a single run, which is nearly all of a report.
fn leave_out_curves(report: &mut Value) {
    let Some(fields) = report.as_object_mut() else { return };
    fields.remove("timeline");
    fields.remove("curve");
    fields.values_mut().for_each(leave_out_curves);
}

/// Without settings from the environment of whoever measures.
pub(crate) fn without_settings(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HEADWATER_") {
            command.env_remove(name);
        }
    }
    command
}

fn faults(report: &Value) -> String {
    let counts = report.pointer("/faults").and_then(Value::as_object);
    let counts = counts.into_iter().flatten();
    let found = counts.filter(|(_, count)| count.as_u64() != Some(0));
    found.map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", ")
}
