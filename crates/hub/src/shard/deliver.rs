//! Handing runs and the hub's own blocks to sinks.

use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use headwater_log::Position;

use super::Shard;
use super::group::GroupId;
use super::run::Run;
use super::subscriber::{Accepted, Block, BlockKind, Close, Key, Sink, Waiting};
use crate::control;
use crate::subscription::Gap;
use crate::window::{Entry, Snapshot};

/// What a turn brings the live subscribers of one group.
pub(super) struct Job {
    group: GroupId,
    entries: Vec<Arc<Entry>>,
    /// Those before it are in runs that everybody has been offered.
    next: usize,
    /// The run in hand, and whose turn it is.
    run: Option<(Run, usize)>,
    /// Where the run in hand begins.
    after: Position,
    through: Position,
}

impl Job {
    pub(super) fn new(
        group: GroupId,
        entries: Vec<Arc<Entry>>,
        after: Position,
        through: Position,
    ) -> Self {
        Self { group, entries, next: 0, run: None, after, through }
    }
}

/// What became of an attempt to send.
pub(super) enum Sent {
    /// All of it was taken.
    All,
    /// A part, or nothing: the subscriber waits for its socket.
    Part,
    /// The subscriber is gone.
    Nobody,
}

impl Shard {
    /// Sends a job's runs on, and gives it back if it is not done.
    pub(super) fn advance_job(
        &mut self,
        mut job: Job,
        now: Duration,
        snapshot: &Snapshot,
        sink: &mut dyn Sink,
    ) -> Option<Job> {
        let mut sent = 0;
        loop {
            let (run, mut member) = match job.run.take() {
                Some(in_hand) => in_hand,
                None => (self.next_run(&mut job, snapshot)?, 0),
            };
            while let Some(&slot) = self.groups.get(job.group)?.live.get(member) {
                if sent > self.settings.turn_bytes_max {
                    self.counters.turns_yielded += 1;
                    job.run = Some((run, member));
                    return Some(job);
                }
                if let Some(subscriber) = self.subscribers.get_mut(slot) {
                    subscriber.at = job.after;
                }
                sent += run.bytes.len();
                match self.send_run(slot, &run, now, sink) {
                    Sent::All => member += 1,
                    // Whoever takes its place in the list comes next.
                    Sent::Part => self.leave_live(slot),
                    Sent::Nobody => {}
                }
            }
            job.after = run.through;
        }
    }

    fn next_run(&self, job: &mut Job, snapshot: &Snapshot) -> Option<Run> {
        let group = self.groups.get(job.group)?;
        let mut bytes = 0;
        let rest = job.entries.get(job.next..).filter(|rest| !rest.is_empty())?;
        let count = rest
            .iter()
            .position(|entry| {
                bytes += entry.record().event.data.len();
                bytes >= self.settings.run_bytes_max
            })
            .map_or(rest.len(), |last| last + 1);
        let run = rest.get(..count)?;
        let through = match run.last() {
            Some(last) if count < rest.len() => last.record().position,
            _ => job.through,
        };
        job.next += count;
        let entries = run.iter().map(|entry| &**entry);
        Some(Run::of_entries(entries, through, group.encoding, &self.id_key, snapshot))
    }

    /// Offers a run to a subscriber that stands just before it, or in its first frame.
    pub(super) fn send_run(
        &mut self,
        slot: usize,
        run: &Run,
        now: Duration,
        sink: &mut dyn Sink,
    ) -> Sent {
        let Some(subscriber) = self.subscribers.get_mut(slot) else { return Sent::Nobody };
        let skip = match subscriber.cut {
            None => 0,
            Some(cut) if run.first().is_some_and(|first| first.offset == cut.offset) => cut.sent,
            Some(_) => {
                self.close(slot, Close::EventGone);
                return Sent::Nobody;
            }
        };
        let end = match run.end_of(subscriber.events_left) {
            end if end < run.bytes.len() => end,
            _ => run.bytes.len(),
        };
        let complete = end < run.bytes.len() || run.reach(end).events == subscriber.events_left;
        let block = Block {
            bytes: run.bytes.slice(skip..end),
            kind: BlockKind::Events,
            events: run.reach(end).events,
            position: if end < run.bytes.len() {
                run.reach(end).whole.unwrap_or(subscriber.at)
            } else {
                run.through
            },
            caught_up: run.through.offset >= self.applied.offset,
        };
        let key = Key { slot, generation: subscriber.generation };
        let taken = match sink.send(key, &block) {
            Accepted::Bytes(taken) => taken,
            Accepted::Closed => {
                self.close(slot, Close::Gone);
                return Sent::Nobody;
            }
        };
        if taken > 0 {
            subscriber.active = now.into();
            subscriber.told = now.into();
        }
        self.counters.bytes += taken as u64;
        if taken >= block.bytes.len() {
            self.counters.deliveries += u64::from(block.events);
            subscriber.at = block.position;
            subscriber.cut = None;
            subscriber.events_left = subscriber.events_left.saturating_sub(block.events);
            if complete {
                self.close(slot, Close::Complete);
                return Sent::Nobody;
            }
            return Sent::All;
        }
        let reach = run.reach(skip + taken);
        subscriber.at = reach.whole.unwrap_or(subscriber.at);
        subscriber.cut = reach.cut;
        subscriber.events_left = subscriber.events_left.saturating_sub(reach.events);
        self.counters.deliveries += u64::from(reach.events);
        self.wait_for_socket(slot, now);
        Sent::Part
    }

    /// Tells a gap, if one is to be told, before a run or (`None`) because nothing follows.
    pub(super) fn send_gap(
        &mut self,
        slot: usize,
        before: Option<&Run>,
        now: Duration,
        sink: &mut dyn Sink,
    ) -> Sent {
        let Some(subscriber) = self.subscribers.get_mut(slot) else { return Sent::Nobody };
        let Some(requested) = subscriber.extra.as_mut().and_then(|extra| extra.gap.take()) else {
            return Sent::All;
        };
        let (position, resumed) = match before.and_then(|run| run.first().zip(Some(run))) {
            Some((first, run)) => (first.just_before(), run.first_id(&self.id_key)),
            None => (self.applied, None),
        };
        subscriber.at = position;
        let Some(group) = self.groups.get(subscriber.group) else { return Sent::Nobody };
        self.counters.gaps += 1;
        let gap = Gap { requested, resumed };
        let block = Block {
            bytes: control::gap(group.encoding, &gap, &self.id_key.seal(position)),
            kind: BlockKind::Gap(gap),
            events: 0,
            position,
            caught_up: before.is_none(),
        };
        self.send_control(slot, block, now, sink)
    }

    /// Offers a block of the hub's own; what is not taken of it goes first when the socket drains.
    pub(super) fn send_control(
        &mut self,
        slot: usize,
        mut block: Block,
        now: Duration,
        sink: &mut dyn Sink,
    ) -> Sent {
        let Some(subscriber) = self.subscribers.get_mut(slot) else { return Sent::Nobody };
        if block.bytes.is_empty() {
            return Sent::All;
        }
        let key = Key { slot, generation: subscriber.generation };
        match sink.send(key, &block) {
            Accepted::Closed => {
                self.close(slot, Close::Gone);
                Sent::Nobody
            }
            Accepted::Bytes(taken) => {
                if taken > 0 {
                    subscriber.active = now.into();
                }
                self.counters.bytes += taken as u64;
                if taken >= block.bytes.len() {
                    return Sent::All;
                }
                block.bytes.advance(taken);
                subscriber.extra().pending = Some(block);
                self.wait_for_socket(slot, now);
                Sent::Part
            }
        }
    }

    /// A live subscriber stays in its group's list until the caller takes it out. The write timeout
    /// begins now.
    fn wait_for_socket(&mut self, slot: usize, now: Duration) {
        if let Some(subscriber) = self.subscribers.get_mut(slot) {
            subscriber.active = now.into();
            if !matches!(subscriber.waiting, Waiting::Event { .. }) {
                subscriber.waiting = Waiting::Socket;
            }
        }
    }

    /// Looks after everybody once: who has stalled, who is idle, whose place grows old.
    pub(super) fn sweep(&mut self, now: Duration, sink: &mut dyn Sink) {
        let slots: Vec<usize> = self.subscribers.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            let Some(subscriber) = self.subscribers.get(slot) else { continue };
            if subscriber.ends <= now.into() {
                self.close(slot, Close::Expired);
                continue;
            }
            let idle = subscriber.active.until(now);
            match subscriber.waiting {
                Waiting::Socket if idle >= self.settings.write_timeout => {
                    self.close(slot, Close::Stalled);
                }
                Waiting::Event { .. } | Waiting::Tail => self.keep_alive(slot, now, sink),
                Waiting::Socket | Waiting::Turn | Waiting::Page => {}
            }
        }
    }

    fn keep_alive(&mut self, slot: usize, now: Duration, sink: &mut dyn Sink) {
        let Some(subscriber) = self.subscribers.get_mut(slot) else { return };
        let Some(group) = self.groups.get(subscriber.group) else { return };
        let live = matches!(subscriber.waiting, Waiting::Event { .. });
        let old = subscriber.told.until(now) >= self.settings.checkpoint;
        let moved = subscriber.at.offset < self.applied.offset;
        let (kind, bytes) = if live && old && moved && group.encoding.is_sse() {
            let bytes = control::checkpoint(group.encoding, self.applied, &self.id_key);
            (BlockKind::Checkpoint, bytes)
        } else if subscriber.active.until(now) >= self.settings.heartbeat {
            (BlockKind::Heartbeat, control::heartbeat(group.encoding))
        } else {
            return;
        };
        let position = if live { self.applied } else { subscriber.at };
        if kind == BlockKind::Checkpoint {
            subscriber.told = now.into();
            subscriber.at = position;
        }
        let whole = bytes.len();
        let block = Block { bytes, kind, events: 0, position, caught_up: live };
        if let Sent::Part = self.send_control(slot, block, now, sink) {
            if let Some(subscriber) = self.subscribers.get_mut(slot) {
                subscriber.at = position;
                // One of which nothing went is not worth keeping: the stream is not idle.
                let unsent = |block: &mut Block| block.bytes.len() == whole;
                subscriber.extra().pending.take_if(unsent);
            }
            self.leave_live(slot);
        }
    }
}
