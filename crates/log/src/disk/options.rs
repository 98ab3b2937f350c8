//! How a disk log is set up.

use std::sync::Arc;
use std::time::Duration;

use crate::event::Millis;
use crate::retention::Retention;

/// When an event counts as published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// When it is on disk: whatever was acknowledged or delivered survives a power cut. Many publishers
    /// share one sync.
    Always,
    /// When it is written; synced this often. A power cut may take what came after the last sync, and
    /// whoever had received it is told of a gap.
    Interval(Duration),
    /// When it is written; the operating system syncs when it likes. The same, for longer.
    Os,
}

/// How a disk log is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskOptions {
    /// When an event counts as published.
    pub durability: Durability,
    /// The size of a segment file, reserved when it is begun. A record cannot be larger. Retention
    /// removes whole segments.
    pub segment_bytes: u32,
    /// When all segments have more bytes than this, the oldest lose what no topic keeps as its newest
    /// state.
    pub bytes_max: Option<u64>,
    /// What is kept of which topics.
    pub retention: Retention,
    /// Topics of removed events of which is remembered that something was removed; see
    /// [`MemoryLimits`](crate::MemoryLimits).
    pub removed_topics_max: usize,
    /// Requests that wait to be written: a publisher beyond them waits for room.
    pub queue_max: usize,
}

impl Default for DiskOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Always,
            segment_bytes: 64 << 20,
            bytes_max: None,
            retention: Retention::default(),
            removed_topics_max: 100_000,
            queue_max: 4096,
        }
    }
}

/// What a log needs that it cannot make itself.
#[derive(Clone)]
pub struct Outside {
    /// The key of the ids, for a log that has none yet: 16 bytes that nobody can guess.
    pub id_key: [u8; 16],
    /// Random numbers, of the epoch and the segments' nonces: they have to differ from opening to
    /// opening, and need not be secret.
    pub random: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// The hub's time, by which events grow old.
    pub now: Arc<dyn Fn() -> Millis + Send + Sync>,
}
