//! A hub without threads, sockets or clock: shards over a memory log, stepped by the test.
#![allow(dead_code, reason = "each test uses its own part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failure here is a failed test")]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use headwater_event_stream::{Decoder, Item};
use headwater_hub::{
    Accepted, Block, Close, Encoding, Key, ReadRequest, Settings, Shard, Since, Sink, Start,
    Subscription, Visibility, Window, open,
};
use headwater_log::contract::draft;
use headwater_log::{
    Appended, Epoch, Filter, IdKey, Log, MemoryLimits, MemoryLog, Millis, Pattern, Position, Tail,
    Topic,
};
use url::Url;

pub(crate) const ROOT: &str = "http://127.0.0.1:8080/";

/// The shards, the log, and everybody's sockets.
pub(crate) struct World {
    pub(crate) log: MemoryLog,
    tail: Box<dyn Tail>,
    pub(crate) window: Window,
    pub(crate) shards: Vec<Shard>,
    pub(crate) sockets: Sockets,
    pub(crate) reads: Vec<(usize, ReadRequest)>,
    pub(crate) closed: Vec<(Connection, Close)>,
    pub(crate) now: Duration,
}

/// What the shards write to, by subscriber. Generations are a shard's own, so there is a set for each.
#[derive(Default)]
pub(crate) struct Sockets(pub(crate) Vec<HashMap<Key, Socket>>);

/// A connection: takes bytes as long as there is room.
#[derive(Default)]
pub(crate) struct Socket {
    pub(crate) room: usize,
    pub(crate) bytes: Vec<u8>,
    pub(crate) blocks: Vec<Block>,
}

impl Sink for HashMapSink<'_> {
    fn send(&mut self, key: Key, block: &Block) -> Accepted {
        let Some(socket) = self.0.get_mut(&key) else { return Accepted::Closed };
        let taken = block.bytes.len().min(socket.room);
        socket.room -= taken;
        socket.bytes.extend_from_slice(&block.bytes[..taken]);
        if taken > 0 {
            socket.blocks.push(block.clone());
        }
        Accepted::Bytes(taken)
    }
}

struct HashMapSink<'a>(&'a mut HashMap<Key, Socket>);

/// Which connection: its shard and its key.
pub(crate) type Connection = (usize, Key);

impl World {
    pub(crate) fn new(
        log_bytes: usize,
        window_bytes: usize,
        shards: usize,
        settings: Settings,
    ) -> Self {
        let limits = MemoryLimits { bytes_max: log_bytes, ..MemoryLimits::default() };
        let log = MemoryLog::new(Epoch::new(3), IdKey::new([9; 16]), limits);
        let start = log.bounds().tail;
        Self {
            tail: log.tail(start.offset),
            window: Window::new(start, window_bytes),
            shards: (0..shards)
                .map(|_| Shard::new(settings, log.id_key().clone(), start))
                .collect(),
            sockets: Sockets((0..shards).map(|_| HashMap::new()).collect()),
            log,
            reads: Vec::new(),
            closed: Vec::new(),
            now: Duration::ZERO,
        }
    }

    pub(crate) fn roomy() -> Self {
        Self::new(16 << 20, 1 << 20, 1, Settings::default())
    }

    pub(crate) fn publish(&mut self, topics: &[&str], data: &str) -> Position {
        let answers = self.log.append(vec![draft(topics, data)]).now_or_never().unwrap();
        match &answers[..] {
            [Appended::Committed(position)] => *position,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn id(&self, position: Position) -> String {
        self.log.id_key().seal(position)
    }

    pub(crate) fn connect(
        &mut self,
        shard: usize,
        filter: &Arc<Filter>,
        start: Start,
    ) -> Connection {
        self.connect_as(shard, filter, start, Encoding::Sse, None)
    }

    pub(crate) fn connect_as(
        &mut self,
        shard: usize,
        filter: &Arc<Filter>,
        start: Start,
        encoding: Encoding,
        events_max: Option<u32>,
    ) -> Connection {
        let subscription = Subscription {
            filter: filter.clone(),
            start,
            visibility: Visibility::Public,
            encoding,
            events_max,
            lifetime: None,
        };
        self.connect_with(shard, &subscription)
    }

    pub(crate) fn connect_with(&mut self, shard: usize, subscription: &Subscription) -> Connection {
        let held = self.window.snapshot().base();
        let opening =
            open(&self.log, subscription, held, Millis(1_000)).now_or_never().unwrap().unwrap();
        let key = self.shards[shard].subscribe(self.now, subscription, opening, 1000);
        self.sockets.0[shard].insert(key, Socket { room: usize::MAX / 2, ..Socket::default() });
        (shard, key)
    }

    pub(crate) fn disconnect(&mut self, (shard, key): Connection) {
        self.shards[shard].unsubscribe(key);
        self.sockets.0[shard].remove(&key);
    }

    pub(crate) fn socket(&mut self, (shard, key): Connection) -> &mut Socket {
        self.sockets.0[shard].get_mut(&key).expect("the connection is open")
    }

    pub(crate) fn give_room(&mut self, connection: Connection, room: usize) {
        self.socket(connection).room = room;
        self.shards[connection.0].handle_writable(connection.1);
    }

    /// Brings the next batch of the log's tail into the window; whether there was one.
    pub(crate) fn pump(&mut self) -> bool {
        match self.tail.next().now_or_never() {
            Some(batch) => {
                self.window.push(batch.unwrap());
                true
            }
            None => false,
        }
    }

    /// One turn of a shard; whether there is more to do.
    pub(crate) fn turn(&mut self, shard: usize) -> bool {
        let snapshot = self.window.snapshot();
        let sink = &mut HashMapSink(&mut self.sockets.0[shard]);
        let more = self.shards[shard].turn(self.now, &snapshot, sink);
        self.collect(shard);
        more
    }

    /// Answers one of the reads that were asked for.
    pub(crate) fn answer(&mut self, nth: usize) {
        let (shard, request) = self.reads.swap_remove(nth);
        let page = self.log.read(request.read).now_or_never().unwrap();
        let sink = &mut HashMapSink(&mut self.sockets.0[shard]);
        self.shards[shard].handle_page(self.now, request.ticket, page, sink);
        self.collect(shard);
    }

    pub(crate) fn stop(&mut self, shard: usize) {
        let sink = &mut HashMapSink(&mut self.sockets.0[shard]);
        self.shards[shard].stop(|| 7, sink);
        self.collect(shard);
    }

    fn collect(&mut self, shard: usize) {
        while let Some(request) = self.shards[shard].poll_read() {
            self.reads.push((shard, request));
        }
        while let Some((key, reason)) = self.shards[shard].poll_close() {
            self.closed.push(((shard, key), reason));
        }
    }

    /// Until nobody has anything to do.
    pub(crate) fn settle(&mut self) {
        for _ in 0..100_000 {
            let mut more = self.pump();
            for shard in 0..self.shards.len() {
                more |= self.turn(shard);
            }
            while !self.reads.is_empty() {
                self.answer(0);
                more = true;
            }
            if !more {
                return;
            }
        }
        panic!("it does not settle");
    }

    /// What a connection has been sent, as text.
    pub(crate) fn text(&mut self, connection: Connection) -> String {
        String::from_utf8(std::mem::take(&mut self.socket(connection).bytes)).unwrap()
    }

    /// The data of the events that a connection has been sent, the hub's own left out.
    pub(crate) fn data(&mut self, connection: Connection) -> Vec<String> {
        let bytes = std::mem::take(&mut self.socket(connection).bytes);
        let mut page = Page::default();
        page.receive(&bytes);
        page.data()
    }
}

pub(crate) fn topics(texts: &[&str]) -> Arc<Filter> {
    let topics = texts.iter().map(|text| Topic::parse(text).unwrap()).collect();
    Arc::new(Filter::new(topics, Vec::new()))
}

pub(crate) fn patterns(texts: &[&str]) -> Arc<Filter> {
    let root = Url::parse(ROOT).unwrap();
    let patterns = texts.iter().map(|text| Pattern::parse(text, &root).unwrap()).collect();
    Arc::new(Filter::new(Vec::new(), patterns))
}

pub(crate) fn all_kept() -> Start {
    Start::Since(Since::All)
}

/// What a browser makes of the bytes.
#[derive(Default)]
pub(crate) struct Page {
    decoder: Decoder,
    pub(crate) seen: Vec<Seen>,
}

/// A dispatched event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) event_type: String,
    pub(crate) data: String,
    pub(crate) id: String,
}

impl Page {
    pub(crate) fn receive(&mut self, mut bytes: &[u8]) {
        while let Some(item) = self.decoder.decode(&mut bytes).unwrap() {
            if let Item::Event(event) = item {
                self.seen.push(Seen {
                    event_type: event.event_type.to_owned(),
                    data: event.data.to_owned(),
                    id: event.id.to_owned(),
                });
            }
        }
    }

    pub(crate) fn last_event_id(&self) -> &str {
        self.decoder.last_event_id()
    }

    /// The connection is gone, and what was not dispatched with it.
    pub(crate) fn cut_off(&mut self) {
        self.decoder.reset();
    }

    pub(crate) fn data(&self) -> Vec<String> {
        self.seen
            .iter()
            .filter(|seen| !seen.event_type.starts_with("hub."))
            .map(|seen| seen.data.clone())
            .collect()
    }
}
