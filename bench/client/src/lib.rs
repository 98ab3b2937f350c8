//! The event source and its peers, each reading the same streams from a server on the loopback.

pub mod clients;
pub mod server;
pub mod workloads;
