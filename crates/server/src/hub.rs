//! The hub as the dialects see it: a log, its window, and the shards that read it.

mod config;
mod follower;
mod operator;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use headwater_hub::{Access, Snapshot, Subscription, Window, open};
use headwater_log::{Append, Draft, Log, LogError, Millis, Position, Topic};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};

pub use self::config::HubConfig;
use self::follower::Follower;
pub(crate) use self::operator::{Place, RevokeError};
use crate::metrics::{Metrics, OfShard};
use crate::opened::{Listening, Opened, Seat};
use crate::revocations::Revocations;
use crate::shard::{self, Parts, ShardHandle};
use crate::stream::EventStream;

/// A running hub. Cloning costs one reference count.
#[derive(Clone)]
pub struct Hub(Arc<Shared>);

struct Shared {
    log: Arc<dyn Log>,
    config: HubConfig,
    seen: Seen,
    shards: Vec<ShardHandle>,
    /// The shards' threads, which end with what is before them.
    _threads: Threads,
    /// The runtime that the hub was started on, whose threads deliver to nobody.
    background: Handle,
    /// How many connections came: they are given to the shards in turn.
    connections: AtomicUsize,
    subscribers: Arc<AtomicUsize>,
    stopping: AtomicBool,
    /// Why the log's tail cannot be read now.
    trouble: watch::Receiver<Option<LogError>>,
    /// The reader of the log's tail.
    follower: tokio::task::AbortHandle,
    watched: Mutex<Vec<Watched>>,
    revocations: Arc<Revocations>,
    metrics: Metrics,
}

/// The threads of a hub.
struct Threads {
    /// They end when nobody has it.
    alive: Option<watch::Sender<()>>,
    joins: Vec<JoinHandle<()>>,
}

impl Drop for Threads {
    /// Waits for them, so that nothing of theirs holds the log when the hub is gone.
    fn drop(&mut self) {
        drop(self.alive.take());
        let own = thread::current().id();
        // The last one that held the hub may have been a connection of one of them.
        for join in self.joins.drain(..).filter(|join| join.thread().id() != own) {
            if join.join().is_err() {
                tracing::error!("a shard's thread ended in a panic");
            }
        }
    }
}

/// A topic whose listeners are counted.
struct Watched {
    topic: Topic,
    count: watch::Sender<usize>,
}

/// Why a subscription was not taken. It will pass, so the subscriber is told to come back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    /// The operator's limit.
    #[error("the hub has its {max} subscribers: come back later, or raise `subscribers_max`")]
    TooMany {
        /// The limit.
        max: usize,
    },
    /// The hub is on its way out.
    #[error("the hub is stopping: come back in a moment")]
    Stopping,
    /// The log cannot say where the subscription begins.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl Hub {
    /// Starts the shards' threads, which also serve connections, and the reader of the log's tail. Call it
    /// inside a tokio runtime, on which the log is then read.
    ///
    /// # Errors
    /// If the system does not give a thread.
    pub fn start(log: Arc<dyn Log>, config: &HubConfig) -> std::io::Result<Self> {
        let tail = log.bounds().tail;
        let window = Window::new(tail, config.window_bytes);
        let (snapshots, seen) = watch::channel(window.snapshot());
        let (set_trouble, trouble) = watch::channel(None);
        let reads = Arc::new(Semaphore::new(config.reads_max.max(1)));
        let (alive, is_alive) = watch::channel(());
        let revocations = Arc::<Revocations>::default();
        let parts = Parts {
            config,
            log: &log,
            revocations: &revocations,
            applied: tail,
            seen: &seen,
            reads: &reads,
            alive: &is_alive,
        };
        let mut threads = Threads { alive: Some(alive), joins: Vec::new() };
        let mut shards = Vec::new();
        for number in 0..config.shards() {
            let (shard, thread) = shard::start(number, &parts)?;
            threads.joins.push(thread);
            shards.push(shard);
        }
        let reader = log.tail(tail.offset);
        let (own, revoked) = (shards.clone(), revocations.clone());
        let follower = Follower::new(window, snapshots, set_trouble, own, revoked);
        // On the thread of a shard, which it then need not wake.
        let runtime = shards.first().map_or_else(Handle::current, |shard| shard.runtime.clone());
        let follower = runtime.spawn(follower.run(reader)).abort_handle();
        let metrics = Metrics::default();
        metrics.limit("subscribers_max", config.subscribers_max);
        metrics.limit("window_bytes", config.window_bytes);
        Ok(Self(Arc::new(Shared {
            log,
            config: config.clone(),
            seen,
            shards,
            _threads: threads,
            background: Handle::current(),
            connections: AtomicUsize::new(0),
            subscribers: Arc::default(),
            stopping: AtomicBool::new(false),
            trouble,
            follower,
            watched: Mutex::default(),
            revocations,
            metrics,
        })))
    }

    /// Appends events to the log; the answers are as durable as the log is configured to be.
    pub async fn publish(&self, drafts: Vec<Draft>) -> Append {
        let began = Instant::now();
        let answers = self.0.log.append(drafts).await;
        self.0.metrics.append.note(began.elapsed());
        self.0.metrics.publish(&answers);
        answers
    }

    /// The hub's time, for events.
    #[must_use]
    pub fn now(&self) -> Millis {
        now()
    }

    /// The id of a position.
    #[must_use]
    pub fn id(&self, position: Position) -> String {
        self.0.log.id_key().seal(position)
    }

    /// The id of the newest event, as it was handed out; of its place, if the event itself is not at hand;
    /// `None` while nothing is kept.
    pub(crate) fn last_id(&self) -> Option<String> {
        let bounds = self.0.log.bounds();
        if bounds.tail.offset <= bounds.floor {
            return None;
        }
        let seen = self.0.seen.borrow().clone();
        Some(seen.last_id(self.0.log.id_key()).unwrap_or_else(|| self.id(bounds.tail)))
    }

    /// Why the hub cannot do its work now, if it cannot.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        if self.0.stopping.load(Ordering::Relaxed) {
            return Some("the hub is stopping".to_owned());
        }
        let tail = self.0.trouble.borrow().as_ref().map(ToString::to_string);
        tail.or_else(|| self.0.log.trouble())
    }

    /// How many subscribers there are.
    #[must_use]
    pub fn subscribers(&self) -> usize {
        self.0.subscribers.load(Ordering::Relaxed)
    }

    /// The runtime that is to serve the next connection.
    pub(crate) fn runtime(&self) -> Handle {
        let turn = self.0.connections.fetch_add(1, Ordering::Relaxed);
        let shard = turn.checked_rem(self.0.shards.len()).and_then(|at| self.0.shards.get(at));
        shard.map_or_else(Handle::current, |shard| shard.runtime.clone())
    }

    /// Where to do what takes long.
    pub(crate) fn background(&self) -> &Handle {
        &self.0.background
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// What each shard has shown of its numbers.
    pub(crate) fn shards(&self) -> impl Iterator<Item = &OfShard> {
        self.0.shards.iter().map(|shard| &*shard.metrics)
    }

    pub(crate) fn log(&self) -> &dyn Log {
        &*self.0.log
    }

    /// What the window takes now.
    pub(crate) fn window_bytes(&self) -> usize {
        // Not under the channel's lock: the window's chunks are many.
        let snapshot = self.0.seen.borrow().clone();
        snapshot.bytes()
    }

    /// Opens a subscription. Asks the log once or twice.
    ///
    /// # Errors
    /// If the subscriber should come back later.
    pub async fn subscribe(
        &self,
        subscription: Subscription,
    ) -> Result<EventStream, SubscribeError> {
        let anonymous = Access::anonymous().into();
        self.open(subscription, &anonymous).await?.into_stream().ok_or(SubscribeError::Stopping)
    }

    /// Finds out where a subscription begins, and takes a seat for it at the shard that has the fewest.
    /// The shard keeps `access` if it says whose it is.
    pub(crate) async fn open(
        &self,
        subscription: Subscription,
        access: &Arc<Access>,
    ) -> Result<Opened, SubscribeError> {
        if self.0.stopping.load(Ordering::Relaxed) {
            return Err(SubscribeError::Stopping);
        }
        let max = self.0.config.subscribers_max;
        let seat = Seat::take(&self.0.subscribers, max).ok_or(SubscribeError::TooMany { max })?;
        let held = self.0.seen.borrow().base();
        let opening = open(&*self.0.log, &subscription, held, self.now()).await?;
        let shard = self
            .0
            .shards
            .iter()
            .min_by_key(|shard| shard.subscribers())
            .ok_or(SubscribeError::Stopping)?
            .clone();
        let listening = self.listen(&subscription);
        let (retry_ms, seat) = (self.retry_ms(), seat.at(&shard.seats));
        let identity = access.identity();
        let named = identity.subject.is_some() || identity.token_id.is_some();
        let owner = named.then(|| access.clone());
        let attached = None;
        Ok(Opened { subscription, opening, retry_ms, shard, seat, listening, owner, attached })
    }

    fn listen(&self, subscription: &Subscription) -> Listening {
        let watched = self.0.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let matching =
            watched.iter().filter(|watched| subscription.filter.matches_topic(&watched.topic));
        Listening::new(matching.map(|watched| watched.count.clone()).collect())
    }

    /// How many subscribers, of those who come from now on, are present and would receive a topic.
    #[must_use]
    pub fn watch_topic(&self, topic: Topic) -> watch::Receiver<usize> {
        let mut watched = self.0.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = watched.iter().find(|known| known.topic == topic) {
            return known.count.subscribe();
        }
        let (count, receiver) = watch::channel(0);
        watched.push(Watched { topic, count });
        receiver
    }

    /// A reconnection time, in milliseconds, with a spread, so that not all come back at once.
    fn retry_ms(&self) -> u64 {
        let base = self.0.config.reconnect_ms;
        base + fastrand::u64(0..=base)
    }

    /// The same with a wide spread, for those who are refused and those who are sent away.
    #[must_use]
    pub fn retry_ms_spread(&self) -> u64 {
        let base = self.0.config.reconnect_ms;
        base + fastrand::u64(0..=base.saturating_mul(WIDE_SPREAD))
    }

    /// Ends every stream with its last block, after what was published before. Returns when all shards
    /// have, or after `limit`.
    pub async fn stop(&self, limit: Duration) {
        self.0.stopping.store(true, Ordering::Relaxed);
        let spread = self.0.config.reconnect_ms.saturating_mul(WIDE_SPREAD);
        let end = async {
            let tail = self.0.log.bounds().tail.offset;
            // If the log's tail cannot be read, there is nothing to wait for.
            let _ = self.0.seen.clone().wait_for(|seen| seen.through().offset >= tail).await;
            let all = self.0.shards.iter().map(|shard| shard.stop(spread));
            futures_util::future::join_all(all).await;
        };
        if tokio::time::timeout(limit, end).await.is_err() {
            tracing::warn!("not every stream could be ended in time");
        }
        // It holds the log.
        self.0.follower.abort();
    }

    /// How the hub is set up.
    #[must_use]
    pub fn config(&self) -> &HubConfig {
        &self.0.config
    }
}

/// This machine's time.
#[must_use]
pub fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Who is refused comes back after 1 to 9 reconnection times.
const WIDE_SPREAD: u64 = 8;

/// What shards are shown of the log.
pub(crate) type Seen = watch::Receiver<Snapshot>;
