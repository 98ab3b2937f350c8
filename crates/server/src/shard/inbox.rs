//! The way into a shard, and what wakes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use headwater_hub::{Access, Key, Opening, Subscription};
use headwater_log::{LogError, Page};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, oneshot};

use super::outlet::Outlet;
use super::visit::Visit;

/// What a shard is told. There is at most one `Subscribe`, one `Gone` and one `Writable` for each
/// subscriber, one `Page` for each read and one `Visit` for each request of the operator on the way, and
/// all of those have limits: so has the channel.
pub(crate) enum Command {
    Subscribe(Box<Arrival>),
    Writable(Key),
    Gone(Key),
    Page(u64, Result<Page, LogError>),
    Visit(Visit),
    Stop { spread_ms: u64, done: oneshot::Sender<()> },
}

/// A subscriber on its way into a shard.
pub(crate) struct Arrival {
    pub(crate) subscription: Subscription,
    pub(crate) opening: Opening,
    pub(crate) retry_ms: u64,
    pub(crate) outlet: Outlet,
    /// What it showed, if that has a name.
    pub(crate) owner: Option<Arc<Access>>,
}

/// The way into a shard.
#[derive(Clone)]
pub(crate) struct Inbox(Arc<Bell>);

struct Bell {
    commands: UnboundedSender<Command>,
    rung: Arc<Notify>,
    news: Arc<News>,
}

/// Since when the shard has had events to look at: nanoseconds since some moment, 0 while there is none.
struct News {
    began: Instant,
    since: AtomicU64,
}

/// The shard's end.
pub(super) struct Commands {
    receiver: UnboundedReceiver<Command>,
    /// Rung when there may be something new; once however often.
    pub(super) bell: Arc<Notify>,
    news: Arc<News>,
}

impl Inbox {
    pub(super) fn new() -> (Self, Commands) {
        let (commands, receiver) = unbounded_channel();
        let rung = Arc::<Notify>::default();
        let news = Arc::new(News { began: Instant::now(), since: AtomicU64::new(0) });
        let bell = Bell { commands, rung: rung.clone(), news: news.clone() };
        (Self(Arc::new(bell)), Commands { receiver, bell: rung, news })
    }

    /// Whether the shard is still there to be told; one that has stopped needs to know nothing.
    pub(crate) fn send(&self, command: Command) -> bool {
        let sent = self.0.commands.send(command).is_ok();
        self.ring();
        sent
    }

    /// Makes the shard look at events that it was shown at this moment.
    pub(crate) fn ring_for_events(&self, shown: Instant) {
        let News { began, since } = &*self.0.news;
        let ns = shown.saturating_duration_since(*began).as_nanos();
        let ns = u64::try_from(ns).unwrap_or(u64::MAX).max(1);
        // The oldest that it has not looked at counts.
        let _ = since.compare_exchange(0, ns, Ordering::AcqRel, Ordering::Relaxed);
        self.ring();
    }

    /// Makes the shard look, once however often it is called before it does. Of its own thread it costs
    /// no call to the system.
    pub(crate) fn ring(&self) {
        self.0.rung.notify_one();
    }
}

impl Commands {
    /// What it is told next, if anything.
    pub(super) fn next(&mut self) -> Option<Command> {
        self.receiver.try_recv().ok()
    }

    /// Since when there have been events to look at, which the shard is about to.
    pub(super) fn take_news(&self) -> Option<Instant> {
        let News { began, since } = &*self.news;
        if since.load(Ordering::Acquire) == 0 {
            return None;
        }
        Some(*began + Duration::from_nanos(since.swap(0, Ordering::AcqRel)))
    }
}
