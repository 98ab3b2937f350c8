//! Headwater from outside: the binary over real sockets, and real browsers.
//!
//! [`Hub`] runs the built binary; [`http`] speaks to it byte by byte; [`Proxy`] stands between it and a
//! page and cuts connections where a test says; [`Browser`] drives Chromium, Firefox and WebKit.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests of whole programs live in real time, and share what they saw between tasks"
)]

mod asleep;
mod browser;
mod chunked;
mod engines;
pub mod http;
mod hub;
mod old;
mod program;
mod proxy;
mod wire;

pub use asleep::Asleep;
pub use browser::{Browser, Engine};
pub use hub::Hub;
pub use old::{OldEngine, OldPage};
pub use program::Program;
pub use proxy::{Block, Cut, Drop, Progress, Proxy};
