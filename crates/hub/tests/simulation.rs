//! Many subscribers that stall, drop and resume while events are published and the window and the log
//! move on: each sees exactly the events of its matchers after its position, once, in log order, or one
//! gap that names the first event delivered.
//!
//! A failure prints its seed; `HEADWATER_SEED=n cargo test -p headwater-hub --test simulation` runs it
//! alone, `HEADWATER_SEEDS=n` makes it try so many.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failure here is a failed test")]

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use headwater_hub::{Settings, Since, Start};
use headwater_log::{Filter, Log, Offset, Topic};

use support::{Connection, Page, Seen, World, patterns, topics};

const TOPICS: [&str; 8] =
    ["a", "b", "c", "stocks/X", "stocks/Y", "/stocks/Z", "rooms/1/chat", "quiet"];

struct Simulation {
    seed: u64,
    rng: Rng,
    world: World,
    published: Vec<Published>,
    by_id: HashMap<String, usize>,
    subscribers: Vec<Subscriber>,
}

struct Published {
    offset: Offset,
    topics: Vec<Topic>,
}

struct Subscriber {
    filter: Arc<Filter>,
    start: Start,
    page: Page,
    connection: Option<Connection>,
    /// Of its connection's bytes, how many the page has been given.
    given: usize,
    /// The events that it is to see begin after this one; known once it has opened.
    from: Offset,
    /// Where `from` would be if the open block of the present connection arrives.
    opening: Offset,
    /// How far the log's front had gone when each of `page.seen` arrived.
    floors: Vec<Offset>,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let settings = Settings {
            heartbeat: Duration::from_secs(15),
            checkpoint: Duration::from_secs(20),
            write_timeout: Duration::from_secs(3600),
            run_bytes_max: rng.usize(1..600),
            turn_bytes_max: rng.usize(1..2_000),
        };
        let (log_bytes, window_bytes) = (rng.usize(3_000..40_000), rng.usize(1..30_000));
        let world = World::new(log_bytes, window_bytes, rng.usize(1..4), settings);
        let subscribers = (0..rng.usize(2..12)).map(|_| Subscriber::new(&mut rng)).collect();
        Self { seed, rng, world, published: Vec::new(), by_id: HashMap::new(), subscribers }
    }

    fn run(&mut self) {
        for _ in 0..self.rng.usize(50..500) {
            self.step();
        }
        // Who was closed because of a half-sent event that is gone comes back once more.
        for _ in 0..2 {
            for nth in 0..self.subscribers.len() {
                self.connect(nth);
                if let Some(connection) = self.subscribers[nth].connection {
                    self.world.give_room(connection, usize::MAX / 2);
                }
            }
            self.world.settle();
            self.forget_closed();
        }
        for nth in 0..self.subscribers.len() {
            self.give(nth, usize::MAX);
            self.check(nth);
        }
    }

    fn step(&mut self) {
        let nth = self.rng.usize(0..self.subscribers.len());
        match self.rng.u8(0..100) {
            0..25 => self.publish(),
            25..40 => {
                self.world.pump();
            }
            40..65 => {
                let shard = self.rng.usize(0..self.world.shards.len());
                self.world.turn(shard);
            }
            65..73 if !self.world.reads.is_empty() => {
                let read = self.rng.usize(0..self.world.reads.len());
                self.world.answer(read);
            }
            73..80 => self.connect(nth),
            80..84 => self.drop_connection(nth),
            84..92 => {
                if let Some(connection) = self.subscribers[nth].connection {
                    let room = self.rng.usize(0..400);
                    self.world.give_room(connection, room);
                }
            }
            92..97 => {
                let count = self.rng.usize(0..500);
                self.give(nth, count);
            }
            _ => self.world.now += Duration::from_secs(self.rng.u64(0..12)),
        }
        self.forget_closed();
    }

    fn publish(&mut self) {
        for _ in 0..self.rng.usize(1..12) {
            let mut names: Vec<&str> =
                (0..self.rng.usize(1..3)).map(|_| TOPICS[self.rng.usize(0..7)]).collect();
            if self.rng.u8(..) == 0 {
                names = vec!["quiet"];
            }
            let data = format!("{}{}", self.published.len(), "\n.".repeat(self.rng.usize(0..40)));
            let position = self.world.publish(&names, &data);
            self.by_id.insert(self.world.id(position), self.published.len());
            let topics = names.iter().map(|name| Topic::parse(name).unwrap()).collect();
            self.published.push(Published { offset: position.offset, topics });
        }
    }

    fn connect(&mut self, nth: usize) {
        let subscriber = &mut self.subscribers[nth];
        if subscriber.connection.is_some() {
            return;
        }
        let id = subscriber.page.last_event_id();
        let start = match id {
            "" => subscriber.start.clone(),
            id => Start::Id(id.to_owned()),
        };
        let bounds = self.world.log.bounds();
        subscriber.opening = match &start {
            Start::Live => bounds.tail.offset,
            Start::Since(Since::Last(count)) => {
                let matching: Vec<Offset> = self
                    .published
                    .iter()
                    .filter(|event| event.offset > bounds.floor)
                    .filter(|event| subscriber.filter.matches(&event.topics))
                    .map(|event| event.offset)
                    .collect();
                let count = usize::try_from(*count).unwrap();
                let first = matching.len().saturating_sub(count);
                matching.get(first).map_or(bounds.tail.offset, |first| first.just_before())
            }
            Start::Since(_) => bounds.floor,
            Start::Id(_) => subscriber.from,
        };
        let shard = self.rng.usize(0..self.world.shards.len());
        let filter = subscriber.filter.clone();
        let connection = self.world.connect(shard, &filter, start);
        self.world.socket(connection).room = self.rng.usize(0..2_000);
        self.subscribers[nth].connection = Some(connection);
        self.subscribers[nth].given = 0;
    }

    fn drop_connection(&mut self, nth: usize) {
        let count = self.rng.usize(0..300);
        self.give(nth, count);
        if let Some(connection) = self.subscribers[nth].connection.take() {
            self.world.disconnect(connection);
            self.subscribers[nth].page.cut_off();
        }
    }

    /// Connections that a shard closed: only because an event that was cut is gone.
    fn forget_closed(&mut self) -> bool {
        let closed = std::mem::take(&mut self.world.closed);
        for &(connection, reason) in &closed {
            assert_eq!(reason, headwater_hub::Close::EventGone, "seed {}", self.seed);
            for nth in 0..self.subscribers.len() {
                if self.subscribers[nth].connection == Some(connection) {
                    self.drop_connection(nth);
                }
            }
        }
        !closed.is_empty()
    }

    /// Some of the bytes that are on their way arrive at the page.
    fn give(&mut self, nth: usize, count: usize) {
        let subscriber = &mut self.subscribers[nth];
        let Some(connection) = subscriber.connection else { return };
        let bytes = &self.world.socket(connection).bytes;
        let to = subscriber.given.saturating_add(count).min(bytes.len());
        subscriber.page.receive(&bytes[subscriber.given..to]);
        subscriber.given = to;
        let floor = self.world.log.bounds().floor;
        if subscriber.floors.is_empty() && !subscriber.page.seen.is_empty() {
            subscriber.from = subscriber.opening;
        }
        subscriber.floors.resize(subscriber.page.seen.len(), floor);
    }

    /// Holds what a page saw against what was published.
    fn check(&self, nth: usize) {
        let (seed, subscriber) = (self.seed, &self.subscribers[nth]);
        let wanted: Vec<&Published> = self
            .published
            .iter()
            .filter(|event| event.offset > subscriber.from)
            .filter(|event| subscriber.filter.matches(&event.topics))
            .collect();
        let mut next = 0;
        let mut gap: Option<(&Seen, Offset)> = None;
        for (seen, &floor) in subscriber.page.seen.iter().zip(&subscriber.floors) {
            match seen.event_type.as_str() {
                "hub.open" | "hub.checkpoint" => continue,
                "hub.gap" => {
                    gap = Some((seen, floor));
                    continue;
                }
                _ => {}
            }
            let published = *self.by_id.get(&seen.id).expect("an id that was published");
            assert!(seen.data.starts_with(&published.to_string()), "seed {seed}");
            let offset = self.published[published].offset;
            let found = wanted.iter().position(|event| event.offset == offset);
            let found = found.unwrap_or_else(|| panic!("seed {seed}: {seen:?} was not asked for"));
            if let Some((gap, floor)) = gap.take() {
                // Null is right if the event was published only after the gap had been told.
                let names_it = gap.data.contains(&format!("\"resumed\":\"{}\"", seen.id));
                let nothing_yet = gap.data.contains("\"resumed\":null");
                assert!(names_it || nothing_yet, "seed {seed}: {gap:?} before {seen:?}");
                assert!(found > next, "seed {seed}: a gap without a loss: {gap:?}");
                let last_missed = wanted[found - 1].offset;
                assert!(last_missed <= floor, "seed {seed}: {gap:?} skips what is kept");
            } else {
                assert_eq!(found, next, "seed {seed}: subscriber {nth}: {:?}", subscriber.filter);
            }
            next = found + 1;
        }
        if let Some((gap, floor)) = gap {
            assert!(gap.data.contains("\"resumed\":null"), "seed {seed}: {gap:?}");
            assert!(wanted[next..].iter().all(|event| event.offset <= floor), "seed {seed}");
            assert!(next < wanted.len(), "seed {seed}: a gap without a loss: {gap:?}");
        } else {
            assert_eq!(next, wanted.len(), "seed {seed}: subscriber {nth} has not had everything");
        }
    }
}

impl Subscriber {
    fn new(rng: &mut Rng) -> Self {
        let filter = match rng.u8(0..6) {
            0 => topics(&["a"]),
            1 => topics(&["a", "b", "stocks/X"]),
            2 => patterns(&["/stocks/:symbol"]),
            3 => patterns(&["/rooms/*", "/b"]),
            4 => topics(&["quiet"]),
            _ => Arc::new(Filter::all()),
        };
        let start = match rng.u8(0..4) {
            0 => Start::Since(Since::All),
            1 => Start::Since(Since::Last(rng.u64(0..9))),
            _ => Start::Live,
        };
        Self {
            filter,
            start,
            page: Page::default(),
            connection: None,
            given: 0,
            from: Offset::START,
            opening: Offset::START,
            floors: Vec::new(),
        }
    }
}

#[test]
fn everybody_sees_exactly_what_it_asked_for() {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    if let Some(seed) = number("HEADWATER_SEED") {
        return Simulation::new(seed).run();
    }
    let first = fastrand::u64(..1 << 40);
    println!("seeds from {first}");
    for seed in first..first + number("HEADWATER_SEEDS").unwrap_or(200) {
        let outcome = std::panic::catch_unwind(|| Simulation::new(seed).run());
        assert!(outcome.is_ok(), "HEADWATER_SEED={seed} fails");
    }
}
