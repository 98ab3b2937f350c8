//! What the program tells its operator, on standard error.

use std::env;
use std::io::{self, IsTerminal};

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::failure::Failure;
use crate::settings::LogLevel;

/// Shows everything of this level from now on, in colour if somebody looks at it.
pub(crate) fn start(level: &LogLevel) {
    // https://no-color.org: "when present and not an empty string (regardless of its value), prevents
    // the addition of ANSI color."
    let plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(!plain && io::stderr().is_terminal());
    tracing_subscriber::registry().with(lines).with(level.targets()).init();
}

/// The level of commands that have no settings: of the flag, of the environment, or warnings only.
///
/// # Errors
/// If it is none.
pub(crate) fn client_level(flag: Option<&str>) -> Result<LogLevel, Failure> {
    let variable = env::var("HEADWATER_LOG_LEVEL").ok();
    let level = flag.or(variable.as_deref()).unwrap_or("warn");
    level.parse().map_err(Failure::usage)
}
