//! What a user agent may choose for itself.

use std::time::Duration;

use headwater_event_stream::Limits;

/// What the standard leaves open, and where a program may want more than a browser does.
///
/// The default is a browser's: it never gives up a silent connection, and an answer other than 200 is
/// final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// The reconnection time until the server sets one with `retry`. 3 s by default.
    ///
    /// WHATWG HTML 9.2.2: "This must initially be an implementation-defined value, probably in the region
    /// of a few seconds."
    pub reconnection_time: Duration,
    /// The most that is waited on top of the reconnection time after attempts that came to nothing. 30 s by
    /// default.
    pub backoff_max: Duration,
    /// Reconnect if the server is silent for so long: it sends neither the head of its answer, nor an event,
    /// nor a comment. Not at all by default. Set it to a multiple of the server's heartbeat.
    pub silence_max: Option<Duration>,
    /// Whether 429 and 5xx mean "later", not before the answer's `Retry-After`, instead of "never". A
    /// browser gives up. Not by default.
    pub retry_refusals: bool,
    /// How large the server's lines and events may get; a larger one fails the connection. At worst about
    /// five times the limit of a line is held: see [`Limits`].
    pub limits: Limits,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            reconnection_time: Duration::from_secs(3),
            backoff_max: Duration::from_secs(30),
            silence_max: None,
            retry_refusals: false,
            limits: Limits::default(),
        }
    }
}
