//! The Mercure dialect from outside: every requirement of the protocol, quoted beside what proves it.
#![allow(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "tests, helpers too"
)]

#[path = "../http/client.rs"]
#[allow(dead_code, reason = "it is another binary's too")]
mod client;
#[path = "../http/server.rs"]
#[allow(dead_code, reason = "it is another binary's too")]
mod server;

mod compat;
mod coverage;
mod hub;
mod metadata;
mod publish;
mod resume;
mod subscribe;
mod subscriptions;
mod tokens;
