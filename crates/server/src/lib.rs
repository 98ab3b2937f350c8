//! The HTTP server of Headwater: dialects over HTTP, and the shell that runs the hub's shards.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a shell: clocks are read here and handed to the core, locks held for a few instructions"
)]

mod admin;
mod authority;
mod body;
mod client_script;
mod config;
mod cors;
mod front;
mod guard;
mod health;
mod hub;
mod limits;
mod mercure;
mod metrics;
mod opened;
mod plain;
mod problem;
mod revocations;
mod route;
mod shard;
mod stream;
pub mod token;

pub use headwater_hub::{
    Block, BlockKind, Encoding, Gap, Resume, Since, Start, Subscription, Visibility,
};

pub use admin::{AdminConfig, serve_admin};
pub use config::{
    AdminKey, Config, CorsOrigin, Network, Origin, Page, PublicUrl, PublishKey, SettingError,
};
pub use front::{ServeError, serve};
pub use hub::{Hub, HubConfig, SubscribeError, now};
pub use limits::Limits;
pub use mercure::{Compat, HubPath, MercureConfig};
pub use stream::EventStream;
