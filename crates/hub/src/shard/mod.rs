//! One shard: a state machine over its own subscribers.

mod counters;
mod deliver;
mod group;
mod replay;
mod run;
mod subscriber;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use headwater_log::{IdKey, Offset, Position, Read, Select};
use slab::Slab;

pub use self::counters::Counters;
use self::deliver::Job;
use self::group::{GroupId, Groups};
pub use self::subscriber::{Accepted, Block, BlockKind, Close, Key, Listener, Sink};
use self::subscriber::{Extra, Subscriber, Waiting};
use crate::control;
use crate::interest::Interest;
use crate::open::Opening;
use crate::subscription::Subscription;
use crate::window::Snapshot;

/// When a shard does what nobody asked for, and how much at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// An idle stream gets a comment this often.
    pub heartbeat: Duration,
    /// An idle stream is told a newer position this often, if there is one.
    pub checkpoint: Duration,
    /// Who takes no byte for this long although there are some is closed.
    pub write_timeout: Duration,
    /// What is made for one group, or read for one subscriber, at a time.
    pub run_bytes_max: usize,
    /// So many bytes are sent to the subscribers of one group before it is another's turn.
    pub turn_bytes_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(15),
            checkpoint: Duration::from_secs(60),
            write_timeout: Duration::from_secs(30),
            run_bytes_max: 64 * 1024,
            turn_bytes_max: 256 * 1024,
        }
    }
}

/// A part of the log that a shard wants read. The answer goes to [`Shard::handle_page`].
#[derive(Debug, Clone)]
pub struct ReadRequest {
    /// Which request an answer belongs to.
    pub ticket: u64,
    /// What to read.
    pub read: Read,
}

/// The subscribers of one thread, and what each is sent next.
///
/// `now` is the time since some fixed moment of the shell's choice. Call [`turn`](Self::turn) when the
/// log moved on, when anything was handed in, and when [`poll_timeout`](Self::poll_timeout) is over,
/// until it has nothing more to do; then empty [`poll_read`](Self::poll_read) and
/// [`poll_close`](Self::poll_close). A caught-up subscriber costs nothing until something for it comes.
pub struct Shard {
    settings: Settings,
    id_key: IdKey,
    subscribers: Slab<Subscriber>,
    groups: Groups,
    /// Everything up to here has been handed to whoever is live.
    applied: Position,
    jobs: VecDeque<Job>,
    /// Those who wait for their turn, each once; who has left meanwhile is passed over.
    ready: VecDeque<Key>,
    /// Those who are ahead of the tail, likewise.
    ahead: Vec<Key>,
    reads: HashMap<(GroupId, Offset, Select), u64>,
    readers: HashMap<u64, Readers>,
    to_read: VecDeque<ReadRequest>,
    closed: VecDeque<(Key, Close)>,
    /// Groups for which something was gathered in this turn.
    gathered: Vec<GroupId>,
    generations: u64,
    tickets: u64,
    swept: Duration,
    /// Its `subscribers` and `lagging` are filled in by [`Shard::counters`].
    counters: Counters,
    /// How many are in their groups' live lists.
    live: usize,
}

/// Those who wait for the same page.
struct Readers {
    group: GroupId,
    after: Offset,
    select: Select,
    keys: Vec<Key>,
}

/// At most this many records are applied in a turn, so that what is handed in is not kept waiting.
const TURN_RECORDS_MAX: usize = 1024;
/// At most this many lagging subscribers advance in a turn, by a run each.
const TURN_READY_MAX: usize = 256;

impl Shard {
    /// A shard that has applied the log up to a position.
    #[must_use]
    pub fn new(settings: Settings, id_key: IdKey, applied: Position) -> Self {
        Self {
            settings,
            id_key,
            subscribers: Slab::new(),
            groups: Groups::default(),
            applied,
            jobs: VecDeque::new(),
            ready: VecDeque::new(),
            ahead: Vec::new(),
            reads: HashMap::new(),
            readers: HashMap::new(),
            to_read: VecDeque::new(),
            closed: VecDeque::new(),
            gathered: Vec::new(),
            generations: 0,
            tickets: 0,
            swept: Duration::ZERO,
            counters: Counters::default(),
            live: 0,
        }
    }

    /// How many subscribers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.subscribers.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.subscribers.is_empty()
    }

    /// What it has done, and how its subscribers stand now. Costs a copy of a dozen numbers.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let subscribers = self.subscribers.len();
        Counters {
            subscribers: subscribers as u64,
            lagging: subscribers.saturating_sub(self.live) as u64,
            ..self.counters
        }
    }

    /// What its subscribers are interested in, to be asked by others.
    #[must_use]
    pub fn interest(&self) -> &Interest {
        self.groups.interests.shown()
    }

    /// Takes a subscriber in. Its open block, with this reconnection time, is sent in the next turn.
    pub fn subscribe(
        &mut self,
        now: Duration,
        subscription: &Subscription,
        opening: Opening,
        retry_ms: u64,
    ) -> Key {
        let Subscription { filter, visibility, encoding, events_max, lifetime, .. } = subscription;
        let Opening { resume, told, cursor, requested, newest_until, began } = opening;
        let open = control::open(*encoding, resume, retry_ms, &self.id_key.seal(told));
        let gap = (resume == crate::Resume::Gap).then_some(requested);
        let pending = (!open.is_empty()).then_some(Block {
            bytes: open,
            kind: BlockKind::Open,
            events: 0,
            position: told,
            caught_up: false,
        });
        self.generations += 1;
        let slot = self.subscribers.insert(Subscriber {
            generation: self.generations,
            group: self.groups.join(filter, *encoding, visibility),
            waiting: Waiting::Turn,
            at: cursor,
            cut: None,
            events_left: events_max.unwrap_or(u32::MAX),
            ends: lifetime.map_or(Duration::MAX, |lifetime| now.saturating_add(lifetime)).into(),
            active: now.into(),
            told: now.into(),
            extra: Some(Box::new(Extra { pending, gap, newest_until, began })),
        });
        let key = Key { slot, generation: self.generations };
        self.ready.push_back(key);
        key
    }

    /// Forgets a subscriber whose connection is gone.
    pub fn unsubscribe(&mut self, key: Key) {
        if self.find(key).is_some() {
            self.counters.close(Close::Gone);
            self.remove(key.slot);
        }
    }

    /// A sink that did not take everything would take something again.
    pub fn handle_writable(&mut self, key: Key) {
        if let Some(subscriber) = self.find(key)
            && subscriber.waiting == Waiting::Socket
        {
            subscriber.waiting = Waiting::Turn;
            self.ready.push_back(key);
        }
    }

    /// Applies what the log has brought, sends what can be sent, and looks after idle streams if it is
    /// time. Says whether there is more to do at once.
    pub fn turn(&mut self, now: Duration, snapshot: &Snapshot, sink: &mut dyn Sink) -> bool {
        self.apply(snapshot);
        while let Some(job) = self.jobs.pop_front() {
            if let Some(rest) = self.advance_job(job, now, snapshot, sink) {
                self.jobs.push_back(rest);
            }
        }
        for _ in 0..TURN_READY_MAX {
            let Some(key) = self.ready.pop_front() else { break };
            self.advance(key, now, snapshot, sink);
        }
        for group in self.gathered.drain(..) {
            if let Some(group) = self.groups.get_mut(group) {
                group.gathered = None;
            }
        }
        if now >= self.swept + self.sweep_interval() {
            self.swept = now;
            self.sweep(now, sink);
        }
        !self.ready.is_empty() || self.applied.offset < snapshot.through().offset
    }

    /// What to read from the log, if something is wanted.
    pub fn poll_read(&mut self) -> Option<ReadRequest> {
        self.to_read.pop_front()
    }

    /// Whom to disconnect, if somebody is to be. The shard has forgotten it.
    pub fn poll_close(&mut self) -> Option<(Key, Close)> {
        self.closed.pop_front()
    }

    /// When the next turn is due although nothing happened.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        (!self.subscribers.is_empty()).then(|| self.swept + self.sweep_interval())
    }

    /// Ends every stream: with the time after which to come back, where the sink takes it.
    pub fn stop(&mut self, mut retry_ms: impl FnMut() -> u64, sink: &mut dyn Sink) {
        let slots: Vec<usize> = self.subscribers.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            let Some(subscriber) = self.subscribers.get(slot) else { continue };
            let whole = subscriber.cut.is_none()
                && subscriber.extra.as_ref().is_none_or(|extra| extra.pending.is_none());
            if whole && let Some(group) = self.groups.get(subscriber.group) {
                let block = Block {
                    bytes: control::end(group.encoding, retry_ms()),
                    kind: BlockKind::End,
                    events: 0,
                    position: subscriber.at,
                    caught_up: false,
                };
                // The stream ends whether or not this arrives.
                let _ = sink.send(Key { slot, generation: subscriber.generation }, &block);
            }
            self.close(slot, Close::Stopping);
        }
    }

    /// Puts what is new into the turns of the groups that want it.
    fn apply(&mut self, snapshot: &Snapshot) {
        if self.applied.offset >= snapshot.through().offset {
            return;
        }
        if self.applied.offset < snapshot.base() {
            // The window has moved on without this shard: everybody reads the log.
            self.all_lag();
            self.applied = snapshot.through();
        } else {
            let entries = snapshot.after(self.applied.offset, TURN_RECORDS_MAX);
            let through = entries
                .last()
                .filter(|_| entries.len() == TURN_RECORDS_MAX)
                .map_or(snapshot.through(), |last| last.record().position);
            let mut touched = Vec::new();
            for entry in &entries {
                self.groups.put(entry, &mut touched);
            }
            for group in touched {
                if let Some(entries) =
                    self.groups.get_mut(group).map(|g| std::mem::take(&mut g.turn))
                {
                    self.jobs.push_back(Job::new(group, entries, self.applied, through));
                }
            }
            self.applied = through;
        }
        for key in std::mem::take(&mut self.ahead) {
            if let Some(subscriber) = self.find(key)
                && subscriber.waiting == Waiting::Tail
            {
                subscriber.waiting = Waiting::Turn;
                self.ready.push_back(key);
            }
        }
    }

    fn all_lag(&mut self) {
        for group in self.groups.iter_mut() {
            for slot in group.live.drain(..) {
                self.live -= 1;
                if let Some(subscriber) = self.subscribers.get_mut(slot) {
                    subscriber.at = self.applied;
                    subscriber.waiting = Waiting::Turn;
                    self.ready.push_back(Key { slot, generation: subscriber.generation });
                }
            }
        }
    }

    fn find(&mut self, key: Key) -> Option<&mut Subscriber> {
        self.subscribers
            .get_mut(key.slot)
            .filter(|subscriber| subscriber.generation == key.generation)
    }

    /// Its subscribers, the one with the smallest slot first.
    pub fn listeners(&self) -> impl Iterator<Item = Listener> {
        self.subscribers.iter().filter_map(|(slot, subscriber)| {
            let group = self.groups.get(subscriber.group)?;
            Some(Listener {
                key: Key { slot, generation: subscriber.generation },
                filter: group.filter.clone(),
                encoding: group.encoding,
                live: matches!(subscriber.waiting, Waiting::Event { .. }),
            })
        })
    }

    /// Closes a subscriber's stream for the operator.
    pub fn disconnect(&mut self, key: Key) {
        if self.find(key).is_some() {
            self.close(key.slot, Close::Removed);
        }
    }

    fn close(&mut self, slot: usize, reason: Close) {
        if let Some(subscriber) = self.subscribers.get(slot) {
            self.closed.push_back((Key { slot, generation: subscriber.generation }, reason));
            self.counters.close(reason);
            self.remove(slot);
        }
    }

    fn remove(&mut self, slot: usize) {
        self.leave_live(slot);
        let subscriber = self.subscribers.remove(slot);
        if self.groups.leave(subscriber.group) {
            // Who joins a group with the same number must not be given a page of this one's events.
            self.reads.retain(|&(group, ..), _| group != subscriber.group);
        }
    }

    /// Takes a subscriber out of its group's live list, if it is in it.
    fn leave_live(&mut self, slot: usize) {
        let Some(subscriber) = self.subscribers.get_mut(slot) else { return };
        let Waiting::Event { member } = subscriber.waiting else { return };
        subscriber.waiting = Waiting::Socket;
        let Some(group) = self.groups.get_mut(subscriber.group) else { return };
        group.live.swap_remove(member);
        self.live -= 1;
        if let Some(&moved) = group.live.get(member)
            && let Some(moved) = self.subscribers.get_mut(moved)
        {
            moved.waiting = Waiting::Event { member };
        }
    }

    fn sweep_interval(&self) -> Duration {
        (self.settings.heartbeat / 15).max(Duration::from_millis(10))
    }
}
