//! `EventSource` for Rust.
//!
//! [`EventSource`] is a [`Stream`](futures_util::Stream) that keeps a subscription alive as a browser does:
//! it reconnects when the connection breaks, waits as long as the server asks for, and resumes after the
//! last event that it has seen.
//!
//! ```no_run
//! use futures_util::StreamExt;
//! use headwater_client::{EventSource, Item};
//!
//! # async fn tail() -> Result<(), headwater_client::Error> {
//! let mut source = EventSource::new("http://127.0.0.1:8080/events/news")?;
//! while let Some(item) = source.next().await {
//!     if let Item::Event(event) = item? {
//!         println!("{}: {}", event.event_type, event.data);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`UserAgent`] is the same without sockets and without a clock, for other transports and for tests.

#![forbid(unsafe_code)]

mod backoff;
mod builder;
mod event_source;
mod failure;
mod gap;
mod policy;
mod retry_after;
mod user_agent;

pub use builder::Builder;
pub use event_source::{Error, Event, EventSource, Item};
pub use failure::{Failure, Lost, Refusal};
pub use gap::Gap;
pub use headwater_event_stream::{DecodeError, Limits};
pub use policy::Policy;
pub use user_agent::{Incoming, ReadyState, Reconnecting, Response, Step, UserAgent};
