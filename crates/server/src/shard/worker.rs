//! The worker of a shard: the only one that touches its state machine.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Instant;

use headwater_hub::{Access, Key, ReadRequest, Shard};
use headwater_log::Log;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::Sleep;

use super::inbox::{Arrival, Command, Commands, Inbox};
use super::outlet::{Event, Outlet, Outlets};
use crate::hub::{self, Seen};
use crate::metrics::OfShard;
use crate::revocations::Revocations;

/// What a shard's worker holds.
pub(super) struct Worker {
    pub(super) shard: Shard,
    pub(super) outlets: Outlets,
    /// What those showed who showed something that has a name.
    pub(super) owners: HashMap<Key, Arc<Access>>,
    pub(super) revocations: Arc<Revocations>,
    pub(super) commands: Commands,
    pub(super) seen: Seen,
    pub(super) reader: Reader,
    pub(super) began: Instant,
    pub(super) metrics: Arc<OfShard>,
}

/// At most this many commands are taken in before what they lead to is sent.
const COMMANDS_MAX: usize = 1024;

/// What becomes of the worker after a turn.
enum Next {
    /// There is more to do at once.
    GoOn,
    /// It waits.
    Wait,
    Stop,
}

impl Worker {
    /// Works until the shard is told to stop, or nothing new will ever be seen.
    pub(super) async fn run(mut self) {
        // One timer, which is moved only when what comes first changes.
        let mut timer = pin!(tokio::time::sleep_until(self.began.into()));
        loop {
            match self.turn() {
                Next::Stop => return,
                Next::GoOn => {
                    self.look();
                    // The connections of this thread have their turn.
                    tokio::task::yield_now().await;
                    continue;
                }
                Next::Wait => {}
            }
            let timed = self.set(timer.as_mut());
            let rung = tokio::select! {
                // What was rung for is looked at in any case.
                () = self.commands.bell.notified() => true,
                () = self.outlets.sockets.ready() => false,
                () = timer.as_mut(), if timed => true,
            };
            if !rung {
                self.look();
            }
        }
    }

    /// Takes in what there is, and sends what there is to send.
    fn turn(&mut self) -> Next {
        let mut taken = 0;
        while taken < COMMANDS_MAX
            && let Some(command) = self.commands.next()
        {
            taken += 1;
            if self.handle(command).is_break() {
                return Next::Stop;
            }
        }
        if self.seen.has_changed().is_err() {
            return Next::Stop;
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
        if more || taken == COMMANDS_MAX { Next::GoOn } else { Next::Wait }
    }

    /// Sets the timer to when the shard wants to be looked at; whether it wants to be.
    fn set(&self, timer: Pin<&mut Sleep>) -> bool {
        let Some(timeout) = self.shard.poll_timeout() else { return false };
        let at = tokio::time::Instant::from(self.began + timeout);
        if timer.deadline() != at {
            timer.reset(at);
        }
        true
    }

    /// Finds out what became of the sockets.
    fn look(&mut self) {
        for ready in self.outlets.sockets.take() {
            match self.outlets.event(&ready) {
                Some(Event::Gone(key)) => self.forget(key),
                Some(Event::Writable(key)) => self.shard.handle_writable(key),
                None => {}
            }
        }
    }

    fn forget(&mut self, key: Key) {
        self.shard.unsubscribe(key);
        self.outlets.remove(key);
        self.owners.remove(&key);
    }

    fn handle(&mut self, command: Command) -> ControlFlow<()> {
        let now = self.began.elapsed();
        match command {
            Command::Subscribe(arrival) => self.take_in(*arrival),
            Command::Writable(key) => self.shard.handle_writable(key),
            Command::Gone(key) => self.forget(key),
            Command::Page(ticket, page) => {
                self.shard.handle_page(now, ticket, page, &mut self.outlets);
            }
            Command::Visit(visit) => self.visit(visit),
            Command::Stop { spread_ms, done } => {
                // What is in the log by now still goes out to those who keep up.
                let snapshot = self.seen.borrow_and_update().clone();
                self.shard.turn(now, &snapshot, &mut self.outlets);
                let retry_ms = || fastrand::u64(spread_ms / 8..=spread_ms);
                self.shard.stop(retry_ms, &mut self.outlets);
                self.carry_out();
                self.metrics.show(&self.shard.counters());
                // Whoever arrives while the hub stops finds its connection closed.
                while let Some(command) = self.commands.next() {
                    if let Command::Subscribe(arrival) = command
                        && let Outlet::Body(slot) = arrival.outlet
                    {
                        slot.end();
                    }
                }
                let _ = done.send(());
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn take_in(&mut self, arrival: Arrival) {
        let Arrival { subscription, opening, retry_ms, outlet, owner } = arrival;
        let (encoding, now) = (subscription.encoding, self.began.elapsed());
        // It may have been revoked since it was looked at, when its stream was not here yet to be closed.
        let revoked = |owner: &Arc<Access>| self.revocations.cover(owner.identity(), hub::now());
        if owner.as_ref().is_some_and(revoked) {
            if let Outlet::Body(slot) = outlet {
                slot.end();
            }
            return;
        }
        let subscribe = || self.shard.subscribe(now, &subscription, opening, retry_ms);
        let key = match &outlet {
            Outlet::Body(slot) => slot.take_in(subscribe),
            Outlet::Socket(_) => Some(subscribe()),
        };
        let Some(key) = key else { return };
        if let Err(error) = self.outlets.insert(key, outlet, encoding.is_sse()) {
            tracing::debug!(%error, "a connection ended before its stream began");
            self.shard.unsubscribe(key);
        } else if let Some(owner) = owner {
            self.owners.insert(key, owner);
        }
    }

    pub(super) fn carry_out(&mut self) {
        while let Some(request) = self.shard.poll_read() {
            self.reader.read(request);
        }
        while let Some((key, reason)) = self.shard.poll_close() {
            tracing::debug!(?reason, "a subscription ended");
            self.outlets.close(key, reason);
            self.owners.remove(&key);
        }
    }
}

/// Reads the log for a shard, which never waits for it.
pub(super) struct Reader {
    log: Arc<dyn Log>,
    runtime: Handle,
    budget: Arc<Semaphore>,
    inbox: Inbox,
}

impl Reader {
    /// Reads on a runtime, and answers to an inbox.
    pub(super) fn new(
        log: &Arc<dyn Log>,
        runtime: Handle,
        budget: &Arc<Semaphore>,
        inbox: &Inbox,
    ) -> Self {
        Self { log: log.clone(), runtime, budget: budget.clone(), inbox: inbox.clone() }
    }

    fn read(&self, ReadRequest { ticket, read }: ReadRequest) {
        let (log, budget, inbox) = (self.log.clone(), self.budget.clone(), self.inbox.clone());
        self.runtime.spawn(async move {
            let Ok(_permit) = budget.acquire().await else { return };
            let page = log.read(read).await;
            inbox.send(Command::Page(ticket, page));
        });
    }
}
