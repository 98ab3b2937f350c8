//! Whoever comes back with an id that was ever handed out gets exactly what follows it and is kept, and is
//! told of a gap exactly if something is missing that was promised: over random histories, rules,
//! compactions, restarts, and kills that go back behind what was acknowledged.
//!
//! A failure prints its seed; `HEADWATER_SEED=n` runs it alone, `HEADWATER_SEEDS=n` tries so many.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failure here is a failed test")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test over real files and threads"
)]

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use futures_util::StreamExt as _;
use headwater_log::contract::draft;
use headwater_log::{
    Appended, DiskLog, DiskOptions, Filter, Keep, Log, Millis, Offset, OpenError, Outside,
    Position, Read, Retention, Select, Topic,
};
use headwater_server::{
    BlockKind, Encoding, Gap, Hub, HubConfig, Resume, Start, Subscription, Visibility,
};
use serde_json::Value;
use tempfile::TempDir;

/// Topics that promise every event, and topics that promise their newest state.
const HISTORIES: [&str; 3] = ["h1", "h2", "h3"];
const STATES: [&str; 2] = ["s1", "s3"];
/// In every filter, and published last: who has it has had everything.
const MARK: &str = "mark";

struct Published {
    position: Position,
    topics: Vec<&'static str>,
    data: String,
}

struct World {
    rng: Rng,
    seed: u64,
    directory: TempDir,
    options: DiskOptions,
    openings: u64,
    published: Vec<Published>,
    /// Ids of events that a kill took back, and the last offset that it left.
    taken_back: Vec<(String, Offset)>,
    /// Every id that was ever handed out, and for which event.
    named: HashMap<String, String>,
}

fn of(topics: &[&str]) -> Filter {
    Filter::new(topics.iter().map(|topic| Topic::parse(topic).unwrap()).collect(), Vec::new())
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let three = Keep { count_max: Some(3), ..Keep::default() };
        let small = Keep { bytes_max: Some(rng.u64(500..4000)), ..Keep::default() };
        let mut rules = vec![(of(&["s1", MARK]), Keep::LATEST), (of(&["s3"]), three)];
        if rng.bool() {
            rules.push((of(&["h3"]), small));
        }
        let options = DiskOptions {
            segment_bytes: 4096,
            bytes_max: rng.bool().then(|| rng.u64(12_000..40_000)),
            retention: Retention { rules, ..Retention::default() },
            ..DiskOptions::default()
        };
        Self {
            rng,
            seed,
            directory: TempDir::new().unwrap(),
            options,
            openings: 0,
            published: Vec::new(),
            taken_back: Vec::new(),
            named: HashMap::new(),
        }
    }

    async fn open(&mut self) -> DiskLog {
        self.openings += 1;
        let numbers = std::sync::Mutex::new(Rng::with_seed(self.seed ^ (self.openings << 40)));
        let outside = Outside {
            id_key: [5; 16],
            random: Arc::new(move || numbers.lock().unwrap().u64(..)),
            now: Arc::new(Millis::default),
        };
        // The last hub's threads may still be letting go of the log.
        for _ in 0..1000 {
            let path = self.directory.path();
            match DiskLog::open(path, self.options.clone(), outside.clone()) {
                Err(OpenError::Locked { .. }) => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                opened => return opened.unwrap().0,
            }
        }
        panic!("seed {}: the log is not let go of", self.seed);
    }

    async fn publish(&mut self, log: &DiskLog, topics: Vec<&'static str>) -> String {
        let size = self.rng.usize(..150);
        let data = format!("{}.{}.{}", self.openings, self.published.len(), "x".repeat(size));
        let position = match log.append(vec![draft(&topics, &data)]).await.pop() {
            Some(Appended::Committed(position)) => position,
            other => panic!("seed {}: {other:?}", self.seed),
        };
        let id = log.id_key().seal(position);
        let known = self.named.insert(id.clone(), data.clone());
        assert_eq!(known, None, "seed {}: an id names two events", self.seed);
        self.published.push(Published { position, topics, data });
        id
    }

    fn topics(&mut self) -> Vec<&'static str> {
        let all: Vec<&str> = HISTORIES.iter().chain(&STATES).copied().collect();
        let mut topics = vec![all[self.rng.usize(..all.len())]];
        let other = all[self.rng.usize(..all.len())];
        if self.rng.u8(..4) == 0 && other != topics[0] {
            topics.push(other);
        }
        topics
    }

    /// The directory as a kill at some earlier moment would have left it.
    fn go_back(&mut self, copy: TempDir, published: usize, log: &DiskLog) {
        let left =
            self.published.get(published - 1).map_or(Offset::START, |own| own.position.offset);
        for lost in self.published.drain(published..) {
            self.taken_back.push((log.id_key().seal(lost.position), left));
        }
        self.directory = copy;
    }

    /// Everybody who was ever told a place comes back.
    async fn check(&mut self, log: &DiskLog) {
        let hub = Hub::start(Arc::new(log.clone()), &HubConfig::default()).unwrap();
        let mark = self.publish(log, vec![MARK]).await;
        // It may have sealed a segment, after which something may go. What goes between the looking up of
        // what is kept and the stream would be told, but not be expected.
        log.compact().await.unwrap();
        let filters = [
            of(&["h1", MARK]),
            of(&["h3", MARK]),
            of(&["s1", MARK]),
            of(&["s3", MARK]),
            of(&["h2", "s1", MARK]),
            Filter::all(),
        ];
        let ids: Vec<(String, Offset, bool)> = self
            .published
            .iter()
            .map(|own| (log.id_key().seal(own.position), own.position.offset, false))
            .chain(self.taken_back.iter().map(|(id, left)| (id.clone(), *left, true)))
            .filter(|(id, ..)| *id != mark)
            .collect();
        for _ in 0..40 {
            let (id, after, lost) = &ids[self.rng.usize(..ids.len())];
            let filter = &filters[self.rng.usize(..filters.len())];
            self.come_back(&hub, log, filter, (id, *after, *lost), &mark).await;
        }
        hub.stop(Duration::from_secs(5)).await;
    }

    async fn come_back(
        &self,
        hub: &Hub,
        log: &DiskLog,
        filter: &Filter,
        (id, after, lost): (&str, Offset, bool),
        mark: &str,
    ) {
        let kept = kept(log, filter, after).await;
        let said = format!("seed {}: {id} ({after}) {filter:?}", self.seed);
        // Of the topics that it asked for, those that promise every event.
        let promised = |own: &&Published| {
            own.topics.iter().any(|topic| {
                HISTORIES.contains(topic) && filter.matches_topic(&Topic::parse(topic).unwrap())
            })
        };
        let missing = self
            .published
            .iter()
            .filter(|own| own.position.offset > after)
            .filter(promised)
            .any(|own| !kept.contains(&own.data));
        let stream = hub
            .subscribe(Subscription {
                filter: Arc::new(filter.clone()),
                start: Start::Id(id.to_owned()),
                visibility: Visibility::Public,
                lifetime: None,
                encoding: Encoding::Ndjson,
                events_max: None,
            })
            .await
            .unwrap();
        assert_eq!(stream.resume() == Resume::Gap, missing || lost, "{said}");
        let (gap, events) = until(stream, mark).await;
        let data: Vec<&str> = events.iter().map(|event| event["data"].as_str().unwrap()).collect();
        assert_eq!(data, kept, "{said}");
        match gap {
            None => assert!(!missing && !lost, "{said}: nothing was told"),
            Some(gap) => {
                assert!(missing || lost, "{said}: {gap:?}");
                assert_eq!(gap.requested.as_deref(), Some(id), "{said}");
                assert_eq!(gap.resumed.as_deref(), events[0]["id"].as_str(), "{said}");
            }
        }
        for event in &events {
            let (id, data) = (event["id"].as_str().unwrap(), event["data"].as_str().unwrap());
            assert_eq!(self.named[id], data, "{said}: an id names two events");
        }
    }
}

/// What a log keeps after a place.
async fn kept(log: &DiskLog, filter: &Filter, after: Offset) -> Vec<String> {
    let (mut after, mut data) = (after, Vec::new());
    while after < log.bounds().tail.offset {
        let filter = Arc::new(filter.clone());
        let read = Read { after, filter, select: Select::Every, bytes_max: 1000 };
        let page = log.read(read).await.unwrap();
        data.extend(page.records.iter().map(|record| record.event.data.to_string()));
        after = page.scanned_to.offset;
    }
    data
}

/// What a stream brings, up to an event.
async fn until(mut stream: headwater_server::EventStream, mark: &str) -> (Option<Gap>, Vec<Value>) {
    let (mut gap, mut events) = (None, Vec::new());
    while let Some(block) = stream.next().await {
        match block.kind {
            BlockKind::Gap(told) => {
                assert!(gap.is_none(), "told twice");
                gap = Some(told);
            }
            BlockKind::Events => {
                for line in block.bytes.split(|&byte| byte == b'\n').filter(|l| !l.is_empty()) {
                    let event: Value = serde_json::from_slice(line).unwrap();
                    let last = event["id"] == mark;
                    events.push(event);
                    if last {
                        return (gap, events);
                    }
                }
            }
            _ => {}
        }
    }
    panic!("the stream ended before {mark}");
}

fn copy_of(directory: &TempDir) -> TempDir {
    let copy = TempDir::new().unwrap();
    for entry in fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

async fn simulate(seed: u64) {
    let mut world = World::new(seed);
    for _ in 0..world.rng.usize(2..5) {
        let log = world.open().await;
        let mut copy = None;
        for _ in 0..world.rng.usize(10..120) {
            let topics = world.topics();
            world.publish(&log, topics).await;
            if world.rng.u8(..20) == 0 {
                log.compact().await.unwrap();
            }
        }
        // Nothing is compacted while files are copied: a kill leaves one moment, a copy several.
        log.compact().await.unwrap();
        if world.rng.u8(..3) == 0 {
            copy = Some((copy_of(&world.directory), world.published.len()));
            for _ in 0..world.rng.usize(1..10) {
                let topics = world.topics();
                world.publish(&log, topics).await;
            }
        }
        world.check(&log).await;
        if let Some((copy, published)) = copy {
            world.go_back(copy, published, &log);
        }
    }
    let log = world.open().await;
    log.compact().await.unwrap();
    world.check(&log).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_comes_back_gets_the_suffix_or_is_told_of_a_gap() {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    if let Some(seed) = number("HEADWATER_SEED") {
        return simulate(seed).await;
    }
    let first = fastrand::u64(..1 << 40);
    println!("seeds from {first}");
    for seed in first..first + number("HEADWATER_SEEDS").unwrap_or(20) {
        let outcome = tokio::spawn(simulate(seed)).await;
        assert!(outcome.is_ok(), "HEADWATER_SEED={seed} fails");
    }
}
