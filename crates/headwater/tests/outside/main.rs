//! The binary from outside: what it says, how it ends, and what arrives over real sockets.
#![allow(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test: it waits, and fails where it stands"
)]

mod admin;
mod demo;
mod disk;
mod documents;
mod kill;
mod log;
mod serve;
mod settings;
mod support;
mod token;
