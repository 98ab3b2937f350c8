//! A shard's thread: feeds the state machine, and carries out what it decides.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use headwater_hub::{Accepted, Block, Key, Opening, ReadRequest, Shard, Sink, Subscription};
use headwater_log::{Log, LogError, Page, Position};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::hub::{HubConfig, Seat, Seen};
use crate::stream::{EventStream, Listening, Slot};

/// What a shard is told. There is at most one `Subscribe`, one `Gone` and one `Writable` for each
/// subscriber and one `Page` for each read on the way, and all of those have limits: so has the channel.
pub(crate) enum Command {
    Subscribe(Box<Arrival>),
    Writable(Key),
    Gone(Key),
    Page(u64, Result<Page, LogError>),
    Stop { spread_ms: u64, done: oneshot::Sender<()> },
}

/// A subscriber on its way into a shard.
pub(crate) struct Arrival {
    subscription: Subscription,
    opening: Opening,
    retry_ms: u64,
    slot: Arc<Slot>,
}

/// The way into a shard.
#[derive(Clone)]
pub(crate) struct Inbox(mpsc::UnboundedSender<Command>);

impl Inbox {
    /// A shard that has stopped needs to know nothing.
    pub(crate) fn send(&self, command: Command) {
        let _ = self.0.send(command);
    }
}

/// A running shard.
pub(crate) struct ShardHandle {
    inbox: Inbox,
    subscribers: Arc<AtomicUsize>,
}

impl ShardHandle {
    pub(crate) fn subscribers(&self) -> usize {
        self.subscribers.load(Ordering::Relaxed)
    }

    /// Hands a subscription in; `None` if the shard has stopped.
    pub(crate) fn subscribe(
        &self,
        subscription: Subscription,
        opening: Opening,
        retry_ms: u64,
        seat: Seat,
        listening: Listening,
    ) -> Option<EventStream> {
        let slot = Arc::new(Slot::default());
        let place = (opening.resume, opening.told);
        let arrival = Arrival { subscription, opening, retry_ms, slot: slot.clone() };
        self.inbox.0.send(Command::Subscribe(Box::new(arrival))).ok()?;
        Some(EventStream::new(slot, self.inbox.clone(), place, seat, listening))
    }

    /// Ends the shard's streams; is over when it has stopped.
    pub(crate) async fn stop(&self, spread_ms: u64) {
        let (done, stopped) = oneshot::channel();
        self.inbox.send(Command::Stop { spread_ms, done });
        let _ = stopped.await;
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
    let (sender, commands) = mpsc::unbounded_channel();
    let inbox = Inbox(sender);
    let subscribers = Arc::new(AtomicUsize::new(0));
    let worker = Worker {
        shard: Shard::new(config.settings(), log.id_key().clone(), applied),
        slots: Slots::default(),
        commands,
        seen,
        reader: Reader {
            log: log.clone(),
            runtime: Handle::current(),
            budget: reads.clone(),
            inbox: inbox.clone(),
        },
        subscribers: subscribers.clone(),
        began: Instant::now(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    thread::Builder::new()
        .name(format!("shard-{number}"))
        .spawn(move || runtime.block_on(worker.run()))?;
    Ok(ShardHandle { inbox, subscribers })
}

struct Worker {
    shard: Shard,
    slots: Slots,
    commands: mpsc::UnboundedReceiver<Command>,
    seen: Seen,
    reader: Reader,
    subscribers: Arc<AtomicUsize>,
    began: Instant,
}

/// At most this many commands are taken in before what they lead to is sent.
const COMMANDS_MAX: usize = 1024;

impl Worker {
    async fn run(mut self) {
        loop {
            for _ in 0..COMMANDS_MAX {
                let Ok(command) = self.commands.try_recv() else { break };
                if self.handle(command).is_break() {
                    return;
                }
            }
            let snapshot = self.seen.borrow_and_update().clone();
            let more = self.shard.turn(self.began.elapsed(), &snapshot, &mut self.slots);
            // A snapshot keeps what it shows alive.
            drop(snapshot);
            self.carry_out();
            if more {
                continue;
            }
            let timeout = self.shard.poll_timeout().unwrap_or(Duration::MAX);
            let wait = timeout.saturating_sub(self.began.elapsed()).min(LONGEST_WAIT);
            tokio::select! {
                command = self.commands.recv() => {
                    let Some(command) = command else { return };
                    if self.handle(command).is_break() {
                        return;
                    }
                }
                changed = self.seen.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn handle(&mut self, command: Command) -> std::ops::ControlFlow<()> {
        let now = self.began.elapsed();
        match command {
            Command::Subscribe(arrival) => {
                let Arrival { subscription, opening, retry_ms, slot } = *arrival;
                let key =
                    slot.take_in(|| self.shard.subscribe(now, &subscription, opening, retry_ms));
                if let Some(key) = key {
                    self.slots.0.insert(key, slot);
                }
            }
            Command::Writable(key) => self.shard.handle_writable(key),
            Command::Gone(key) => {
                self.shard.unsubscribe(key);
                self.slots.0.remove(&key);
            }
            Command::Page(ticket, page) => {
                self.shard.handle_page(now, ticket, page, &mut self.slots);
            }
            Command::Stop { spread_ms, done } => {
                // What is in the log by now still goes out to those who keep up.
                let snapshot = self.seen.borrow_and_update().clone();
                self.shard.turn(now, &snapshot, &mut self.slots);
                let retry_ms = || fastrand::u64(spread_ms / 8..=spread_ms);
                self.shard.stop(retry_ms, &mut self.slots);
                self.carry_out();
                // Whoever arrives while the hub stops finds the channel closed, or its stream ended.
                self.commands.close();
                while let Ok(command) = self.commands.try_recv() {
                    if let Command::Subscribe(arrival) = command {
                        arrival.slot.end();
                    }
                }
                let _ = done.send(());
                return std::ops::ControlFlow::Break(());
            }
        }
        std::ops::ControlFlow::Continue(())
    }

    fn carry_out(&mut self) {
        while let Some(request) = self.shard.poll_read() {
            self.reader.read(request);
        }
        while let Some((key, reason)) = self.shard.poll_close() {
            tracing::debug!(?reason, "a subscription ended");
            if let Some(slot) = self.slots.0.remove(&key) {
                slot.end();
            }
        }
        self.subscribers.store(self.shard.len(), Ordering::Relaxed);
    }
}

/// An hour: a bound, for timers that take none.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// The connections of a shard's subscribers.
#[derive(Default)]
struct Slots(HashMap<Key, Arc<Slot>>);

impl Sink for Slots {
    fn send(&mut self, key: Key, block: &Block) -> Accepted {
        self.0.get(&key).map_or(Accepted::Closed, |slot| slot.offer(block))
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
