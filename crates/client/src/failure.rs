//! Why there is no connection.

use std::time::Duration;

use headwater_event_stream::DecodeError;

/// Why a connection broke or was not made. It will be tried again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Lost {
    /// The server ended the stream.
    #[error("the server ended the stream")]
    Ended,
    /// Nothing came for as long as the policy allows.
    #[error("the server was silent for {} s", .0.as_secs_f64())]
    Silent(Duration),
    /// The transport failed, and says so.
    #[error("{0}")]
    Network(String),
    /// The server answered with a status that means "later".
    #[error("the server answered {0}")]
    Status(u16),
    /// The server redirects to where the request cannot go.
    #[error("the server's redirect cannot be followed: {0}")]
    Redirect(String),
    /// The program could not say which headers to send.
    #[error("no headers to send: {0}")]
    Headers(String),
}

/// Why the connection has failed for ever.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The server's answer is no event stream.
    #[error("{0}")]
    Refused(Refusal),
    /// The stream exceeds the policy's limits. The server would send the same again.
    #[error("{0}")]
    Decode(DecodeError),
    /// The connection broke or was not made, and the policy says not to try again.
    #[error("{0}")]
    Lost(Lost),
}

/// An answer that is no event stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.describe())]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The `Content-Type`, if there is one.
    pub content_type: Option<String>,
    /// The first bytes of the body, at most [`BODY_BYTES_MAX`](Self::BODY_BYTES_MAX): enough to see what it is.
    pub body: Vec<u8>,
}

impl Refusal {
    /// How much of the body is kept.
    pub const BODY_BYTES_MAX: usize = 4096;

    fn describe(&self) -> String {
        if self.status != 200 {
            return format!("the server answered {} instead of 200", self.status);
        }
        let content_type = self.content_type.as_deref().unwrap_or("no content type");
        format!("the server answered with {content_type} instead of text/event-stream")
    }
}
