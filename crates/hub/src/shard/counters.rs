//! What a shard counts of its own work, in plain numbers that nobody else touches.

use super::subscriber::Close;

/// What a shard has done since it began, and how its subscribers stand now. Numbers only grow unless it
/// says otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Events of which sinks took the last byte, counted for each subscriber.
    pub deliveries: u64,
    /// Bytes that sinks took, of events and of the hub's own blocks.
    pub bytes: u64,
    /// Gaps that subscribers were told.
    pub gaps: u64,
    /// Pages of the log that were asked for, because the window had moved on or did not go back so far.
    pub pages: u64,
    /// How often the subscribers of one topic had to let others go first, because
    /// [`Settings::turn_bytes_max`](super::Settings::turn_bytes_max) was used up.
    pub turns_yielded: u64,
    /// Subscriptions that ended, in the order of [`Close::ALL`].
    pub closes: [u64; Close::ALL.len()],
    /// Subscribers at this moment.
    pub subscribers: u64,
    /// Those of them that have a place in the log of their own, behind the others: they catch up, or
    /// their socket is full.
    pub lagging: u64,
}

impl Counters {
    pub(super) fn close(&mut self, reason: Close) {
        let count = Close::ALL.iter().zip(&mut self.closes).find(|(known, _)| **known == reason);
        if let Some((_, count)) = count {
            *count += 1;
        }
    }
}
