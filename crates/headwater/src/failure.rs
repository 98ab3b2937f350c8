//! How a command fails, and with which exit code it says so.

use std::io::{self, Write};
use std::process::ExitCode;

/// Why a command did not do what it was asked. Its text says what to do about it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The settings or the arguments are wrong, and trying again will not help.
    Usage(anyhow::Error),
    /// Anything else.
    Failed(anyhow::Error),
}

/// The exit code for bad settings and arguments: `EX_USAGE` of sysexits.h.
pub(crate) const USAGE: u8 = 64;

impl Failure {
    /// Wrong settings or arguments.
    pub(crate) fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self::Usage(error.into())
    }

    /// Tells standard error why, and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        let (Self::Usage(error) | Self::Failed(error)) = self;
        // There is nobody to tell if it is closed.
        let _ = writeln!(io::stderr(), "headwater: {error:#}");
        match self {
            Self::Usage(_) => ExitCode::from(USAGE),
            Self::Failed(_) => ExitCode::FAILURE,
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}
