//! `EventSource` with servers that others wrote, and with this project's own, through its restarts.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod foreign;
mod hub;

use std::time::Duration;

/// How long anything that must come may take.
const DEADLINE: Duration = Duration::from_secs(60);
