#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod backoff;
mod builder;
mod connection;
mod decode;
mod event;
mod event_source;
mod events;
mod failure;
mod gap;
mod heartbeat;
mod item;
mod policy;
mod redirect;
mod request;
mod retry_after;
mod statuses;
mod timer;
mod transport;
mod user_agent;

pub use builder::Builder;
pub use decode::{BodyError, Decode, decode};
pub use event::Event;
pub use event_source::EventSource;
pub use events::{EventStream, Events, Json, JsonError, OfType};
pub use failure::{Failure, Lost, Refusal};
pub use gap::Gap;
pub use headwater_event_stream::{DecodeError, Limits};
pub use http;
pub use item::{Error, Item};
pub use policy::{Policy, ReadTimeout};
pub use redirect::Attempt;
pub use smol_str::SmolStr;
pub use statuses::Statuses;
#[cfg(feature = "hyper")]
pub use transport::Hyper;
#[cfg(feature = "reqwest")]
pub use transport::Reqwest;
pub use transport::{Body, Sending, Transport, TransportError};
pub use url::Url;
pub use user_agent::{Incoming, ReadyState, Reconnecting, Response, Step, UserAgent};
