//! A shard's thread: feeds the state machine, and carries out what it decides.

mod inbox;
mod outlet;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use headwater_hub::{Interest, Key, ReadRequest, Shard};
use headwater_log::{Log, Position, Topic};
use mio::{Events, Poll};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};

pub(crate) use self::inbox::{Arrival, Command, Inbox};
use self::inbox::{Commands, WAKER};
use self::outlet::{Event, Outlets};
pub(crate) use self::outlet::{Outlet, Socket};
use crate::hub::{HubConfig, Seen};
use crate::metrics::OfShard;

/// A running shard. Cloning costs a few reference counts.
#[derive(Clone)]
pub(crate) struct ShardHandle {
    pub(crate) inbox: Inbox,
    interest: Interest,
    /// Subscribers that it has, or is about to have.
    pub(crate) seats: Arc<AtomicUsize>,
    pub(crate) metrics: Arc<OfShard>,
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

    /// Ends the shard's streams; is over when it has stopped.
    pub(crate) async fn stop(&self, spread_ms: u64) {
        let (done, stopped) = oneshot::channel();
        if self.inbox.send(Command::Stop { spread_ms, done }) {
            let _ = stopped.await;
        }
    }
}

/// Starts a shard's thread.
pub(crate) fn start(
    number: usize,
    config: &HubConfig,
    log: &Arc<dyn Log>,
    applied: Position,
    seen: Seen,
    reads: &Arc<Semaphore>,
) -> std::io::Result<ShardHandle> {
    let poll = Poll::new()?;
    let (inbox, commands) = Inbox::new(poll.registry())?;
    let shard = Shard::new(config.settings(), log.id_key().clone(), applied);
    let interest = shard.interest().clone();
    let metrics = Arc::<OfShard>::default();
    let worker = Worker {
        outlets: Outlets::new(poll.registry().try_clone()?),
        poll,
        shard,
        commands,
        seen,
        reader: Reader {
            log: log.clone(),
            runtime: Handle::current(),
            budget: reads.clone(),
            inbox: inbox.clone(),
        },
        began: Instant::now(),
        metrics: metrics.clone(),
    };
    thread::Builder::new().name(format!("shard-{number}")).spawn(move || worker.run())?;
    Ok(ShardHandle { inbox, interest, seats: Arc::default(), metrics })
}

struct Worker {
    poll: Poll,
    shard: Shard,
    outlets: Outlets,
    commands: Commands,
    seen: Seen,
    reader: Reader,
    began: Instant,
    metrics: Arc<OfShard>,
}

/// At most this many commands are taken in before what they lead to is sent.
const COMMANDS_MAX: usize = 1024;
const EVENTS_MAX: usize = 1024;

impl Worker {
    fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        loop {
            self.commands.attend();
            let mut taken = 0;
            while taken < COMMANDS_MAX
                && let Ok(command) = self.commands.receiver.try_recv()
            {
                taken += 1;
                if self.handle(command).is_break() {
                    return;
                }
            }
            if self.seen.has_changed().is_err() {
                return;
            }
            let news = self.commands.take_news();
            let snapshot = self.seen.borrow_and_update().clone();
            let more = self.shard.turn(self.began.elapsed(), &snapshot, &mut self.outlets);
            // A snapshot keeps what it shows alive.
            drop(snapshot);
            self.carry_out();
            self.metrics.show(&self.shard.counters());
            if let Some(since) = news {
                self.metrics.send.note(since.elapsed());
            }
            let wait = if more || taken == COMMANDS_MAX {
                Some(Duration::ZERO)
            } else {
                let timeout = self.shard.poll_timeout();
                timeout.map(|timeout| timeout.saturating_sub(self.began.elapsed()))
            };
            if let Err(error) = self.poll.poll(&mut events, wait)
                && error.kind() != std::io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "a shard cannot wait for its sockets");
                // Nothing is lost by looking again, only time.
                thread::sleep(Duration::from_millis(100));
            }
            for event in events.iter().filter(|event| event.token() != WAKER) {
                let gone = event.is_readable() || event.is_read_closed() || event.is_error();
                match self.outlets.event(event.token().0, gone, event.is_writable()) {
                    Some(Event::Gone(key)) => self.forget(key),
                    Some(Event::Writable(key)) => self.shard.handle_writable(key),
                    None => {}
                }
            }
        }
    }

    fn forget(&mut self, key: Key) {
        self.shard.unsubscribe(key);
        self.outlets.remove(key);
    }

    fn handle(&mut self, command: Command) -> std::ops::ControlFlow<()> {
        let now = self.began.elapsed();
        match command {
            Command::Subscribe(arrival) => self.take_in(*arrival, now),
            Command::Writable(key) => self.shard.handle_writable(key),
            Command::Gone(key) => self.forget(key),
            Command::Page(ticket, page) => {
                self.shard.handle_page(now, ticket, page, &mut self.outlets);
            }
            Command::Stop { spread_ms, done } => {
                // What is in the log by now still goes out to those who keep up.
                let snapshot = self.seen.borrow_and_update().clone();
                self.shard.turn(now, &snapshot, &mut self.outlets);
                let retry_ms = || fastrand::u64(spread_ms / 8..=spread_ms);
                self.shard.stop(retry_ms, &mut self.outlets);
                self.carry_out();
                self.metrics.show(&self.shard.counters());
                // Whoever arrives while the hub stops finds its connection closed.
                while let Ok(command) = self.commands.receiver.try_recv() {
                    if let Command::Subscribe(arrival) = command
                        && let Outlet::Body(slot) = arrival.outlet
                    {
                        slot.end();
                    }
                }
                let _ = done.send(());
                return std::ops::ControlFlow::Break(());
            }
        }
        std::ops::ControlFlow::Continue(())
    }

    fn take_in(&mut self, arrival: Arrival, now: Duration) {
        let Arrival { subscription, opening, retry_ms, outlet } = arrival;
        let encoding = subscription.encoding;
        let subscribe = || self.shard.subscribe(now, &subscription, opening, retry_ms);
        let key = match &outlet {
            Outlet::Body(slot) => slot.take_in(subscribe),
            Outlet::Socket(_) => Some(subscribe()),
        };
        if let Some(key) = key
            && let Err(error) = self.outlets.insert(key, outlet, encoding.is_sse())
        {
            tracing::debug!(%error, "a connection ended before its stream began");
            self.shard.unsubscribe(key);
        }
    }

    fn carry_out(&mut self) {
        while let Some(request) = self.shard.poll_read() {
            self.reader.read(request);
        }
        while let Some((key, reason)) = self.shard.poll_close() {
            tracing::debug!(?reason, "a subscription ended");
            self.outlets.close(key, reason);
        }
    }
}

/// Reads the log for a shard, which never waits for it.
struct Reader {
    log: Arc<dyn Log>,
    runtime: Handle,
    budget: Arc<Semaphore>,
    inbox: Inbox,
}

impl Reader {
    fn read(&self, ReadRequest { ticket, read }: ReadRequest) {
        let (log, budget, inbox) = (self.log.clone(), self.budget.clone(), self.inbox.clone());
        self.runtime.spawn(async move {
            let Ok(_permit) = budget.acquire().await else { return };
            let page = log.read(read).await;
            inbox.send(Command::Page(ticket, page));
        });
    }
}
