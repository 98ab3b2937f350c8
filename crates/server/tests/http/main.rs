//! The plain dialect from outside: raw bytes over loopback sockets.
#![allow(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "tests, helpers too"
)]

mod admin;
mod application;
mod browsers;
mod client;
mod dialect;
mod ingest;
mod limits;
mod longpoll;
mod malformed;
mod operator;
mod publish;
mod server;
mod stop;
mod subscribe;
mod tickets;
mod tokens;
mod versions;
