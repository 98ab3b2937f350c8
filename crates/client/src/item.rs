//! What happens to an event source.

use crate::event::Event;
use crate::failure::Failure;
use crate::gap::Gap;
use crate::transport::TransportError;
use crate::user_agent::{Incoming, Reconnecting};

/// Something that happened to an event source. Its last error, after which nothing happens any more, is an
/// [`Error`] instead.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item {
    /// The connection is open: a browser's `open`.
    Open,
    /// An event: a browser's `message`, or what its type says.
    Message(Event),
    /// Events may be missing before the next one. A Headwater hub tells it.
    Gap(Gap),
    /// The connection is lost, or was not made, and is tried again: a browser's `error` while `readyState` is
    /// CONNECTING.
    Error(Reconnecting),
    /// A comment, without its colon and without one space after it. Only if asked for.
    Comment(String),
}

impl Item {
    /// A copy of what came in. `None` if there is nothing to show.
    pub(crate) fn take(incoming: Incoming<'_>) -> Option<Self> {
        match incoming {
            Incoming::Event(event) => Some(Self::Message(event.into())),
            Incoming::Gap(gap) => Some(Self::Gap(gap)),
            Incoming::Comment(text) => Some(Self::Comment(text.to_owned())),
            Incoming::Retry(_) | Incoming::Position => None,
        }
    }
}

/// Why there is no event source, or none any more: a browser's exception, or its `error` while `readyState`
/// is CLOSED.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is no URL, or none of HTTP.
    #[error("{url:?} is not a URL to connect to: {reason}")]
    Url {
        /// The text.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A header's name or value, or the body, cannot be sent.
    #[error("cannot make the request: {0}")]
    Request(TransportError),
    /// An id holds control characters, which no HTTP header can carry.
    #[error("the last event id {0:?} cannot be sent in a header: it holds control characters")]
    LastEventId(String),
    /// No HTTP client can be made.
    #[error("cannot make an HTTP client: {0}")]
    Client(TransportError),
    /// Neither was a transport given, nor is there one by default.
    #[error(
        "no HTTP client: give `Builder::transport` one, or enable the feature `reqwest` of headwater-client"
    )]
    NoTransport,
    /// The connection has failed for ever.
    #[error(transparent)]
    Failed(#[from] Failure),
}
