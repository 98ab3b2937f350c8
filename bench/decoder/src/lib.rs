//! The event-stream codec beside its peers: the same bytes in the same chunks, decoded by each, and the
//! same events, encoded by each.

pub mod decoders;
pub mod encoders;
pub mod workloads;
