//! Those who lag: out of the window, or out of the log when the window has moved on, until they are live.

use std::time::Duration;

use headwater_log::{LogError, Page, Position, Read, Record, Removals, Select};

use super::run::Run;
use super::subscriber::{Close, Key, Sink, Waiting};
use super::{ReadRequest, Readers, Shard, deliver::Sent};
use crate::window::Snapshot;

impl Shard {
    /// Hands in a page that was asked for, for all who wait for it.
    pub fn handle_page(
        &mut self,
        now: Duration,
        ticket: u64,
        page: Result<Page, LogError>,
        sink: &mut dyn Sink,
    ) {
        let Some(Readers { group, after, select, keys }) = self.readers.remove(&ticket) else {
            return;
        };
        self.reads.remove(&(group, after, select));
        let encoding = self.groups.get(group).map(|group| group.encoding);
        let (Ok(page), Some(encoding)) = (page, encoding) else {
            for key in keys {
                if self.find(key).is_some() {
                    self.close(key.slot, Close::LogUnreadable);
                }
            }
            return;
        };
        let seen: Vec<&Record> = page
            .records
            .iter()
            .map(|record| &**record)
            .filter(|record| self.groups.sees(group, &record.event))
            .collect();
        let all = seen.iter().copied();
        let whole = Run::of_records(all, page.scanned_to, encoding, &self.id_key);
        for key in keys {
            let Some(subscriber) = self.find(key) else { continue };
            let until = subscriber.wants_newest();
            // Who fell behind had begun before anything beyond its place was removed.
            let began = subscriber.extra.as_ref().map_or(Removals::NONE, |extra| extra.began);
            if page.lost_since(began) {
                let at = subscriber.at;
                if subscriber.cut.is_some() {
                    // "if the event is gone when the socket drains, it is closed": what a gap is told
                    // in the middle of would not be an event.
                    self.close(key.slot, Close::EventGone);
                    continue;
                }
                let requested = self.id_key.seal(at);
                if let Some(subscriber) = self.find(key) {
                    let extra = subscriber.extra();
                    extra.gap.get_or_insert(Some(requested));
                    extra.began = extra.began.max(page.removed);
                }
            }
            match until.filter(|&until| until < page.scanned_to.offset) {
                None => self.send_page(key, &whole, now, sink),
                Some(until) => {
                    // What came later than the request is not to be thinned out.
                    let through = Position { offset: until, ..page.scanned_to };
                    let count = seen.partition_point(|record| record.position.offset <= until);
                    let records = seen.iter().copied().take(count);
                    let part = Run::of_records(records, through, encoding, &self.id_key);
                    self.send_page(key, &part, now, sink);
                }
            }
        }
    }

    fn send_page(&mut self, key: Key, run: &Run, now: Duration, sink: &mut dyn Sink) {
        let slot = key.slot;
        self.deliver(slot, run, now, sink);
        if let Some(subscriber) = self.find(key)
            && subscriber.waiting == Waiting::Page
        {
            subscriber.waiting = Waiting::Turn;
            self.ready.push_back(key);
        }
    }

    /// Sends a run with the gap before it, if there is one; whether all of it went.
    fn deliver(&mut self, slot: usize, run: &Run, now: Duration, sink: &mut dyn Sink) -> Sent {
        if run.is_empty() {
            if let Some(subscriber) = self.subscribers.get_mut(slot) {
                subscriber.at = run.through;
            }
            return Sent::All;
        }
        match self.send_gap(slot, Some(run), now, sink) {
            Sent::All => self.send_run(slot, run, now, sink),
            stuck => stuck,
        }
    }

    /// Gives a lagging subscriber, whose turn it is, its next run.
    pub(super) fn advance(
        &mut self,
        key: Key,
        now: Duration,
        snapshot: &Snapshot,
        sink: &mut dyn Sink,
    ) {
        let slot = key.slot;
        let Some(subscriber) = self.find(key) else { return };
        if subscriber.waiting != Waiting::Turn {
            return;
        }
        if let Some(pending) = subscriber.extra.as_mut().and_then(|extra| extra.pending.take())
            && !matches!(self.send_control(slot, pending, now, sink), Sent::All)
        {
            return;
        }
        let Some(subscriber) = self.subscribers.get_mut(slot) else { return };
        if subscriber.wants_newest().is_none() {
            if let Some(extra) = &mut subscriber.extra {
                extra.newest_until = None;
            }
            if subscriber.at.offset >= self.applied.offset {
                self.go_live(slot, now, sink);
                return;
            }
        }
        if subscriber.wants_newest().is_some() || subscriber.at.offset < snapshot.base() {
            self.want_page(slot);
            return;
        }
        let Some(run) = self.gather(slot, snapshot) else { return };
        if let Some(extra) = self.subscribers.get_mut(slot).and_then(|own| own.extra.as_mut()) {
            // The window holds all that follows: what of it is gone later is lost.
            extra.began = Removals::NONE;
        }
        if let Sent::All = self.deliver(slot, &run, now, sink)
            && let Some(subscriber) = self.subscribers.get(slot)
        {
            if subscriber.at.offset >= self.applied.offset {
                self.go_live(slot, now, sink);
            } else {
                self.ready.push_back(key);
            }
        }
    }

    /// The next run out of the window; shared by all of the group who stand at the same place.
    fn gather(&mut self, slot: usize, snapshot: &Snapshot) -> Option<Run> {
        let subscriber = self.subscribers.get(slot)?;
        let (at, id) = (subscriber.at, subscriber.group);
        let group = self.groups.get(id)?;
        if let Some((_, run)) = group.gathered.as_ref().filter(|(after, _)| *after == at) {
            return Some(run.clone());
        }
        let (filter, encoding) = (group.filter.clone(), group.encoding);
        let found = snapshot.gather(
            (at.offset, self.applied.offset),
            filter.exact(),
            |event, matches| {
                (matches || self.groups.matches(id, &event.topics)) && self.groups.sees(id, event)
            },
            self.settings.run_bytes_max,
        );
        let through = found.through.unwrap_or(self.applied);
        let entries = found.entries.iter().map(|entry| &**entry);
        let run = Run::of_entries(entries, through, encoding, &self.id_key, snapshot);
        self.groups.get_mut(id)?.gathered = Some((at, run.clone()));
        self.gathered.push(id);
        Some(run)
    }

    /// Asks for the next page of the log; whoever wants the same page waits for the same one.
    fn want_page(&mut self, slot: usize) {
        let Some(subscriber) = self.subscribers.get_mut(slot) else { return };
        let Some(group) = self.groups.get(subscriber.group) else { return };
        subscriber.waiting = Waiting::Page;
        let select = match subscriber.wants_newest() {
            Some(_) => Select::NewestOfTopic,
            None => Select::Every,
        };
        let (id, after) = (subscriber.group, subscriber.at.offset);
        let key = Key { slot, generation: subscriber.generation };
        let ticket = *self.reads.entry((id, after, select)).or_insert_with(|| {
            self.tickets += 1;
            self.counters.pages += 1;
            let read = Read {
                after,
                filter: group.filter.clone(),
                select,
                bytes_max: self.settings.run_bytes_max,
            };
            self.to_read.push_back(ReadRequest { ticket: self.tickets, read });
            self.readers
                .insert(self.tickets, Readers { group: id, after, select, keys: Vec::new() });
            self.tickets
        });
        if let Some(readers) = self.readers.get_mut(&ticket) {
            readers.keys.push(key);
        }
    }

    /// A subscriber that has had everything up to the shard's applied offset, or is ahead of it.
    fn go_live(&mut self, slot: usize, now: Duration, sink: &mut dyn Sink) {
        if !matches!(self.send_gap(slot, None, now, sink), Sent::All) {
            return;
        }
        let Some(subscriber) = self.subscribers.get_mut(slot) else { return };
        subscriber.tidy();
        if subscriber.cut.is_some() {
            // The frame that was cut can no longer be found.
            self.close(slot, Close::EventGone);
        } else if subscriber.at.offset > self.applied.offset {
            subscriber.waiting = Waiting::Tail;
            self.ahead.push(Key { slot, generation: subscriber.generation });
        } else if let Some(group) = self.groups.get_mut(subscriber.group) {
            subscriber.waiting = Waiting::Event { member: group.live.len() };
            group.live.push(slot);
            self.live += 1;
        }
    }
}
