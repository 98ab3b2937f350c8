//! The HTTP server of Headwater: dialects over HTTP, and the shell that runs the hub's shards.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a shell: clocks are read here and handed to the core, locks held for a few instructions"
)]

mod hub;
mod shard;
mod stream;

pub use headwater_hub::{Block, BlockKind, Encoding, Gap, Resume, Since, Start, Subscription};

pub use hub::{Hub, HubConfig, SubscribeError};
pub use stream::EventStream;
