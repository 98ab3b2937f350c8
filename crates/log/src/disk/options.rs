//! How a disk log is set up.

use std::time::Duration;

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
    /// Remove the oldest segments when all of them have more bytes than this.
    pub bytes_max: Option<u64>,
    /// Remove a segment when its newest event is older than this, by the hub's time.
    pub age_max: Option<Duration>,
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
            age_max: None,
            removed_topics_max: 100_000,
            queue_max: 4096,
        }
    }
}
