//! How a command fails, and with which exit code it says so.

use std::process::ExitCode;

/// Why a command did not do what it was asked. Its text says what to do about it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The settings or the arguments are wrong, and trying again will not help.
    Usage(anyhow::Error),
    /// Anything else.
    Failed(anyhow::Error),
}

impl Failure {
    /// 64 is `EX_USAGE` of sysexits.h.
    const USAGE: u8 = 64;

    /// Tells standard error why, and the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        match self {
            Self::Usage(error) => {
                eprintln!("headwater: {error:#}");
                ExitCode::from(Self::USAGE)
            }
            Self::Failed(error) => {
                eprintln!("headwater: {error:#}");
                ExitCode::FAILURE
            }
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}
