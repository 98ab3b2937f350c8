//! How much a decoder takes, and what it says when that is exceeded.

use core::fmt;

/// How large things may get before [`Decoder::decode`](crate::Decoder::decode) returns an error.
///
/// At worst a decoder holds about `event_bytes_max + 4 * line_bytes_max`, and three times that if the
/// stream is not UTF-8, because U+FFFD has three bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest line, in bytes as received, without its end. 16 MiB by default.
    pub line_bytes_max: usize,
    /// The largest event data, in bytes as received: the values of the `data` lines and the LFs between
    /// them. 16 MiB by default.
    pub event_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { line_bytes_max: 16 << 20, event_bytes_max: 16 << 20 }
    }
}

/// The stream is larger than the decoder's [`Limits`] allow.
///
/// Which error, and after which items, does not depend on how the bytes were cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// A line has grown longer than [`Limits::line_bytes_max`].
    LineTooLong {
        /// The limit.
        line_bytes_max: usize,
    },
    /// At the end of a line, the event's data are larger than [`Limits::event_bytes_max`].
    EventTooLarge {
        /// The limit.
        event_bytes_max: usize,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LineTooLong { line_bytes_max } => write!(
                f,
                "a line of the event stream is longer than {line_bytes_max} bytes; \
                 send shorter lines or raise line_bytes_max"
            ),
            Self::EventTooLarge { event_bytes_max } => write!(
                f,
                "an event's data are larger than {event_bytes_max} bytes; \
                 send smaller events or raise event_bytes_max"
            ),
        }
    }
}

impl core::error::Error for DecodeError {}
