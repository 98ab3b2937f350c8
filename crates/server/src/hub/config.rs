//! How a hub is set up.

use std::num::NonZero;
use std::time::Duration;

use headwater_hub::Settings;
use serde::{Deserialize, Serialize};

/// The settings of a [`Hub`](super::Hub), with what each can cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HubConfig {
    /// Threads that deliver; 0 is one per core. Each costs a stack and about 1 MiB.
    pub shards: usize,
    /// Bytes of the newest events, and of their encoded frames, that are kept ready to send; one window
    /// for all shards. Who comes back from further ago is served out of the log.
    pub window_bytes: usize,
    /// An idle stream gets a comment this often, in milliseconds, so that proxies keep it open.
    pub heartbeat_ms: u64,
    /// An idle stream is told a newer position this often, in milliseconds, if the log has moved on.
    pub checkpoint_ms: u64,
    /// A subscriber that takes no byte for this long, in milliseconds, although there are some is closed.
    pub write_timeout_ms: u64,
    /// What browsers are told to wait before they reconnect, in milliseconds; each gets one to two times
    /// this, so that not all come back at once.
    pub reconnect_ms: u64,
    /// Subscribers at a time. A stream over HTTP/1 costs about half a KiB when idle, others some 20 KiB.
    pub subscribers_max: usize,
    /// Reads of the log at a time, of `run_bytes_max` each, for subscribers that come back from before the
    /// window.
    pub reads_max: usize,
    /// Bytes of events that are made into one block for all who stand at the same place, or read for one
    /// who is further back; it goes over by at most one event. A shard holds at most two such blocks for
    /// each topic that is being sent, and a subscriber over HTTP/2 or in a long poll one.
    pub run_bytes_max: usize,
    /// Bytes that are sent to the subscribers of one topic before it is another topic's turn; it goes over
    /// by at most one block. It costs no memory: less is fairer, more is cheaper.
    pub turn_bytes_max: usize,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            shards: 0,
            window_bytes: 64 << 20,
            heartbeat_ms: 15_000,
            checkpoint_ms: 60_000,
            write_timeout_ms: 30_000,
            reconnect_ms: 2_000,
            subscribers_max: 100_000,
            reads_max: 64,
            run_bytes_max: 64 << 10,
            turn_bytes_max: 256 << 10,
        }
    }
}

impl HubConfig {
    pub(crate) fn shards(&self) -> usize {
        match self.shards {
            0 => std::thread::available_parallelism().map_or(1, NonZero::get),
            shards => shards,
        }
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            heartbeat: Duration::from_millis(self.heartbeat_ms),
            checkpoint: Duration::from_millis(self.checkpoint_ms),
            write_timeout: Duration::from_millis(self.write_timeout_ms),
            run_bytes_max: self.run_bytes_max,
            turn_bytes_max: self.turn_bytes_max,
        }
    }
}
