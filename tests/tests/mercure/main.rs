//! The Mercure dialect with clients that nobody here wrote, over HTTPS and through nginx.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    missing_docs,
    reason = "programs and browsers live in real time, and share a network with the test"
)]

mod browsers;
mod cases;
mod clients;
mod cuts;
mod stage;
