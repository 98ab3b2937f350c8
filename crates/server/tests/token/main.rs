//! Tokens against the rules, with real keys and over real sockets on loopback.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test fails by panicking, and has clocks and locks"
)]

mod attacks;
mod backend;
mod claims;
mod keys;
mod remote;
mod support;
