//! A shard's thread: a runtime of its own, which serves the connections that it was given, and on it the
//! worker that feeds the state machine and carries out what it decides.
//!
//! A publisher's request, the reading of the log's tail and the sending to subscribers meet on one thread
//! where they can, so that an event that is published wakes nobody.

mod inbox;
mod outlet;
mod sockets;
mod visit;
mod worker;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use headwater_hub::{Interest, Shard};
use headwater_log::{Log, Position, Topic};
use tokio::runtime::{self, Handle};
use tokio::sync::{Semaphore, oneshot, watch};

pub(crate) use self::inbox::{Arrival, Command, Inbox};
use self::outlet::Outlets;
pub(crate) use self::outlet::{Outlet, Socket};
pub(crate) use self::visit::{Meant, Present, Visit};
use self::worker::{Reader, Worker};
use crate::hub::{HubConfig, Seen};
use crate::metrics::OfShard;
use crate::revocations::Revocations;

/// A running shard. Cloning costs a few reference counts.
#[derive(Clone)]
pub(crate) struct ShardHandle {
    pub(crate) inbox: Inbox,
    interest: Interest,
    /// Subscribers that it has, or is about to have.
    pub(crate) seats: Arc<AtomicUsize>,
    pub(crate) metrics: Arc<OfShard>,
    /// Its thread's runtime.
    pub(crate) runtime: Handle,
}

impl ShardHandle {
    pub(crate) fn subscribers(&self) -> usize {
        self.seats.load(Ordering::Relaxed)
    }

    /// Wakes the shard if it may have a taker for an event with these topics, which it has been shown.
    pub(crate) fn ring_for(&self, topics: &[Topic], shown: Instant) -> bool {
        let taker = self.interest.may_take(topics);
        if taker {
            self.inbox.ring_for_events(shown);
        }
        taker
    }

    /// The listeners that are meant, from a slot on and at most so many; and how many are meant in all.
    pub(crate) async fn list(
        &self,
        meant: Meant,
        from: usize,
        max: usize,
    ) -> (Vec<Present>, usize) {
        let (answer, answered) = oneshot::channel();
        self.inbox.send(Command::Visit(Visit::List { meant, from, max, answer }));
        // A shard that has stopped has none.
        answered.await.unwrap_or_default()
    }

    /// Closes the streams of those that are meant.
    pub(crate) fn close_unasked(&self, meant: Meant) {
        let (answer, _) = oneshot::channel();
        self.inbox.send(Command::Visit(Visit::Close { meant, answer }));
    }

    /// Closes the streams of those that are meant, and says how many they were.
    pub(crate) async fn close(&self, meant: Meant) -> usize {
        let (answer, answered) = oneshot::channel();
        self.inbox.send(Command::Visit(Visit::Close { meant, answer }));
        answered.await.unwrap_or_default()
    }

    /// Ends the shard's streams; is over when it has stopped.
    pub(crate) async fn stop(&self, spread_ms: u64) {
        let (done, stopped) = oneshot::channel();
        if self.inbox.send(Command::Stop { spread_ms, done }) {
            let _ = stopped.await;
        }
    }
}

/// What shards are started with.
pub(crate) struct Parts<'a> {
    pub(crate) config: &'a HubConfig,
    pub(crate) log: &'a Arc<dyn Log>,
    pub(crate) revocations: &'a Arc<Revocations>,
    pub(crate) applied: Position,
    pub(crate) seen: &'a Seen,
    /// How many reads of the log there may be at a time.
    pub(crate) reads: &'a Arc<Semaphore>,
    /// Threads end when nobody holds its sender any more.
    pub(crate) alive: &'a watch::Receiver<()>,
}

/// Starts a shard and its thread. What it reads of the log is read on the runtime from which this is called.
///
/// # Errors
/// If the system does not give what it takes.
pub(crate) fn start(number: usize, parts: &Parts<'_>) -> io::Result<(ShardHandle, JoinHandle<()>)> {
    let Parts { config, log, revocations, applied, seen, reads, alive } = parts;
    let own = runtime::Builder::new_current_thread().enable_all().build()?;
    let (inbox, commands) = Inbox::new();
    let shard = Shard::new(config.settings(), log.id_key().clone(), *applied);
    let interest = shard.interest().clone();
    let metrics = Arc::<OfShard>::default();
    let reader = Reader::new(log, Handle::current(), reads, &inbox);
    let outlets = {
        let _runtime = own.enter();
        Outlets::new()?
    };
    let worker = Worker {
        shard,
        outlets,
        owners: HashMap::new(),
        revocations: (*revocations).clone(),
        commands,
        seen: (*seen).clone(),
        reader,
        began: Instant::now(),
        metrics: metrics.clone(),
    };
    let handle = own.handle().clone();
    let mut alive = (*alive).clone();
    let thread = thread::Builder::new().name(format!("shard-{number}")).spawn(move || {
        own.spawn(worker.run());
        own.block_on(async {
            // It is never sent anything: it only closes.
            while alive.changed().await.is_ok() {}
        });
    })?;
    let shard = ShardHandle { inbox, interest, seats: Arc::default(), metrics, runtime: handle };
    Ok((shard, thread))
}
