//! What a user agent may choose for itself.

use std::time::Duration;

use headwater_event_stream::Limits;

use crate::statuses::Statuses;

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
    /// How long a connection must have been open for its end not to count as an attempt that came to nothing,
    /// if no event came over it. 60 s by default.
    pub backoff_reset: Duration,
    /// After how long a silence the connection is taken for dead. Never by default.
    pub read_timeout: ReadTimeout,
    /// Which statuses mean "later", not before the answer's `Retry-After`, instead of "never". A browser
    /// gives up. [`Statuses::NONE`] by default.
    pub retry_statuses: Statuses,
    /// Whether a connection that ends is made again. If not, the end of the stream is the end, and losing the
    /// connection is a failure: for a request that must not be sent twice. Yes by default.
    pub reconnect: bool,
    /// Whether comments are reported. Not by default.
    pub report_comments: bool,
    /// How large the server's lines and events may get; a larger one fails the connection. At worst about
    /// five times the limit of a line is held: see [`Limits`].
    pub limits: Limits,
}

/// After how long a silence a connection is taken for dead: the server sends neither the head of its answer,
/// nor a byte of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadTimeout {
    /// Never, as in a browser. A connection that died without a word is noticed by the operating system, if
    /// at all.
    Never,
    /// After this. It should be a multiple of the server's heartbeat.
    After(Duration),
    /// After three times the server's heartbeat, at least 45 s, as soon as it is known to have one: it is a
    /// Headwater hub, or a comment has ended a silence.
    Heartbeat,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            reconnection_time: Duration::from_secs(3),
            backoff_max: Duration::from_secs(30),
            backoff_reset: Duration::from_secs(60),
            read_timeout: ReadTimeout::Never,
            retry_statuses: Statuses::NONE,
            reconnect: true,
            report_comments: false,
            limits: Limits::default(),
        }
    }
}
