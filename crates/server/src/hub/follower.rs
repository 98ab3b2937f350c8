//! The reader of the log's tail.

use std::sync::Arc;
use std::time::{Duration, Instant};

use headwater_hub::{Snapshot, Window};
use headwater_log::{LogError, Record, Tail};
use tokio::sync::watch;

use super::now;
use crate::revocations::Revocations;
use crate::shard::{Meant, ShardHandle};

/// Reads the log's tail into the window, and wakes the shards that may have a taker.
pub(super) struct Follower {
    window: Window,
    /// `None` only while it is dropped.
    snapshots: Option<watch::Sender<Snapshot>>,
    set_trouble: watch::Sender<Option<LogError>>,
    shards: Vec<ShardHandle>,
    revocations: Arc<Revocations>,
}

const TAIL_RETRY: Duration = Duration::from_secs(1);
/// Shards without a taker follow this much later, so that their place does not grow old.
const LAZY: Duration = Duration::from_millis(100);

impl Drop for Follower {
    /// Without it nothing new will ever be seen: the shards end.
    fn drop(&mut self) {
        self.snapshots = None;
        self.shards.iter().for_each(|shard| shard.inbox.ring());
    }
}

impl Follower {
    pub(super) fn new(
        window: Window,
        snapshots: watch::Sender<Snapshot>,
        set_trouble: watch::Sender<Option<LogError>>,
        shards: Vec<ShardHandle>,
        revocations: Arc<Revocations>,
    ) -> Self {
        Self { window, snapshots: Some(snapshots), set_trouble, shards, revocations }
    }

    /// Takes the hub's notes to itself out of what is to be shown, and does what they say.
    fn take_notes(&self, records: &mut Vec<Arc<Record>>) {
        records.retain(|record| {
            let note = record.event.control_until().is_some();
            if note && let Some(revoked) = self.revocations.note(&record.event, now()) {
                let meant = Meant { revoked: Some(revoked), ..Meant::default() };
                self.shards.iter().for_each(|shard| shard.close_unasked(meant.clone()));
            }
            !note
        });
    }

    /// Reads until the log is closed, or nobody looks any more.
    pub(super) async fn run(mut self, mut tail: Box<dyn Tail>) {
        // When those that were not woken are.
        let mut lazy: Option<tokio::time::Instant> = None;
        loop {
            let next = match lazy {
                None => tail.next().await,
                Some(at) => match tokio::time::timeout_at(at, tail.next()).await {
                    Ok(next) => next,
                    Err(_) => {
                        self.shards.iter().for_each(|shard| shard.inbox.ring());
                        lazy = None;
                        continue;
                    }
                },
            };
            match next {
                Ok(mut batch) => {
                    self.take_notes(&mut batch.records);
                    let shown = Instant::now();
                    let records = batch.records.clone();
                    self.window.push(batch);
                    let snapshot = self.window.snapshot();
                    if self.snapshots.as_ref().is_none_or(|seen| seen.send(snapshot).is_err()) {
                        return;
                    }
                    let mut all = true;
                    for shard in &self.shards {
                        all &= records
                            .iter()
                            .any(|record| shard.ring_for(&record.event.topics, shown));
                    }
                    if !all {
                        lazy = lazy.or_else(|| Some(tokio::time::Instant::now() + LAZY));
                    }
                    self.set_trouble.send_if_modified(|trouble| trouble.take().is_some());
                }
                Err(LogError::Closed) => return,
                Err(error) => {
                    tracing::error!(%error, "the log's tail cannot be read; trying again");
                    self.set_trouble.send_replace(Some(error));
                    tokio::time::sleep(TAIL_RETRY).await;
                }
            }
        }
    }
}
