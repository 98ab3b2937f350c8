//! The browser client in real engines: every way that it connects, and everything that it survives.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    missing_docs,
    reason = "browsers live in real time, and share a network with the test"
)]

mod buffering;
mod examples;
mod gate;
mod old;
mod origins;
mod raw;
mod reconnect;
mod scene;
mod schedule;
mod sharing;
mod sleep;
mod standard;
mod topics;
mod transports;
