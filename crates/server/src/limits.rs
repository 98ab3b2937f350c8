//! What a client may use up.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Limits of the HTTP server, each with its default and what it can cost at worst.
///
/// Exceeding one is an error to the one who did it and nothing to anybody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections at the same time, 20,000 by default. One with a stream over HTTP/1 costs about half
    /// a KiB when idle, others some 20 KiB, and at most `2 * header_bytes_max` plus one block of events
    /// when busy; under HTTP/2 that much for each of its `streams_per_connection_max`. The system's limit on open files has to be above it.
    pub connections_max: usize,
    /// Connections (and requests through trusted proxies) of one IPv4 address or IPv6 /64 network at the
    /// same time, 1,000 by default. Loopback and trusted proxies are not counted.
    pub connections_per_address_max: usize,
    /// New connections in a second, 20,000 by default: all of a full house may come back in one. What is
    /// beyond it is refused, and costs about as much as to be served.
    pub accepts_per_second_max: u32,
    /// Requests at the same time on one HTTP/2 connection, 100 by default.
    pub streams_per_connection_max: u32,
    /// The head of a request (request line and headers), in bytes; 16 KiB by default, at least 8 KiB. A
    /// larger one is a 431. Also the size of the two buffers that a busy connection has.
    pub header_bytes_max: usize,
    /// The path and query of a request, in bytes; 8 KiB by default. A longer one is a 414.
    pub uri_bytes_max: usize,
    /// The data of an event, in bytes; 1 MiB by default. More is a 413.
    pub body_bytes_max: usize,
    /// The body of a batch, in bytes; 8 MiB by default. Larger is a 413.
    pub batch_bytes_max: usize,
    /// The events of a batch, 10,000 by default. More is a 413.
    pub batch_lines_max: usize,
    /// All bodies that are being read at the same time, in bytes; 256 MiB by default, and parsed they
    /// take as much again. Beyond it a publisher gets a 503.
    pub bodies_bytes_max: usize,
    /// The topics of an event, 32 by default, of at most 1 KiB each.
    pub topics_per_event_max: usize,
    /// The topics and patterns of a subscription, 1,000 by default, of at most 1 KiB each.
    pub matchers_max: usize,
    /// The patterns of a subscription, 16 by default. Each takes at most a few hundred KiB, and a
    /// microsecond for each topic that is new to it.
    pub patterns_max: usize,
    /// The body of a subscription sent as a form, in bytes; 256 KiB by default. Larger is a 413.
    pub form_bytes_max: usize,
    /// The events in the answer of a long poll, in bytes, 1 MiB by default. It goes over by at most one
    /// block of events; what did not fit comes with the next poll.
    pub long_poll_bytes_max: usize,
    /// How long a request's head may take, from its first byte, in milliseconds; 10 s by default. Longer
    /// is a 408.
    pub header_timeout_ms: u64,
    /// How long a connection is kept without a request, in milliseconds; 75 s by default.
    pub idle_timeout_ms: u64,
    /// How long a body may take that is not an event stream, in milliseconds; 30 s by default. Longer is
    /// a 408.
    pub body_timeout_ms: u64,
    /// How long a published event stream may be silent, in milliseconds; 10 min by default. A comment
    /// line keeps it open.
    pub ingest_idle_timeout_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 20_000,
            connections_per_address_max: 1_000,
            accepts_per_second_max: 20_000,
            streams_per_connection_max: 100,
            header_bytes_max: 16 << 10,
            uri_bytes_max: 8 << 10,
            body_bytes_max: 1 << 20,
            batch_bytes_max: 8 << 20,
            batch_lines_max: 10_000,
            bodies_bytes_max: 256 << 20,
            topics_per_event_max: 32,
            matchers_max: 1_000,
            patterns_max: 16,
            form_bytes_max: 256 << 10,
            long_poll_bytes_max: 1 << 20,
            header_timeout_ms: 10_000,
            idle_timeout_ms: 75_000,
            body_timeout_ms: 30_000,
            ingest_idle_timeout_ms: 600_000,
        }
    }
}

impl Limits {
    /// The smallest `header_bytes_max`: what the HTTP library reads at once.
    pub const HEADER_BYTES_MIN: usize = 8 << 10;

    pub(crate) fn header_timeout(&self) -> Duration {
        Duration::from_millis(self.header_timeout_ms)
    }

    pub(crate) fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }

    pub(crate) fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.body_timeout_ms)
    }

    pub(crate) fn ingest_idle_timeout(&self) -> Duration {
        Duration::from_millis(self.ingest_idle_timeout_ms)
    }
}
