//! Counts the instructions of a publish to one topic, in a shard with one subscriber and in shards with
//! very many: they are what the same work costs on any machine, at any load.
//!
//! `cargo run --release` runs this program under valgrind (Debian package `valgrind`), once for each case.

use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use headwater_hub::{
    Accepted, Block, Encoding, Key, Settings, Shard, Sink, Start, Subscription, Visibility, Window,
    open,
};
use headwater_log::contract::draft;
use headwater_log::{
    Epoch, Filter, IdKey, Log, MemoryLimits, MemoryLog, Millis, Pattern, Tail, Topic,
};
use url::Url;

/// What else a shard has.
struct Case {
    name: &'static str,
    /// Subscribers, each with a topic of its own.
    topics: usize,
    /// Subscribers, each with a pattern of its own that does not match.
    patterns: usize,
}

const CASES: [Case; 4] = [
    Case { name: "one subscriber", topics: 0, patterns: 0 },
    Case { name: "and 100,000 on 100,000 other topics", topics: 100_000, patterns: 0 },
    Case { name: "and 10,000 with 10,000 patterns", topics: 0, patterns: 10_000 },
    Case { name: "and both", topics: 100_000, patterns: 10_000 },
];

const EVENTS: usize = 1000;
/// "do not slow a publish to one topic beyond 20 %"
const SLOWER_MAX: f64 = 1.2;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if let Some(case) = arguments.next() {
        let case = case.parse().ok().and_then(|case: usize| CASES.get(case));
        let events = arguments.next().and_then(|events| events.parse().ok());
        return match case.zip(events) {
            Some((case, events)) => run(case, events),
            None => ExitCode::from(64),
        };
    }
    println!("instructions of a publish to a topic with one subscriber, {EVENTS} events\n");
    let mut first = None;
    let mut within = true;
    for (number, case) in CASES.iter().enumerate() {
        // Setting up is counted with it and taken off again.
        let (Some(idle), Some(busy)) = (count(number, 0), count(number, EVENTS)) else {
            eprintln!("valgrind did not run: install it (Debian package `valgrind`)");
            return ExitCode::FAILURE;
        };
        let each = (busy.saturating_sub(idle)) as f64 / EVENTS as f64;
        let ratio = each / *first.get_or_insert(each);
        within &= ratio <= SLOWER_MAX;
        println!("{:<40} {each:>8.0}   {ratio:.3}", case.name);
    }
    if within { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Instructions of a whole run.
fn count(case: usize, events: usize) -> Option<u64> {
    let own = std::env::current_exe().ok()?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(own)
        .args([case.to_string(), events.to_string()])
        .output()
        .ok()?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = told.lines().find(|line| line.contains("Collected :"))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// Takes everything.
struct Everything(usize);

impl Sink for Everything {
    fn send(&mut self, _: Key, block: &Block) -> Accepted {
        self.0 += block.events as usize;
        Accepted::Bytes(block.bytes.len())
    }
}

struct World {
    log: MemoryLog,
    tail: Box<dyn Tail>,
    window: Window,
    shard: Shard,
    sink: Everything,
}

fn run(case: &Case, events: usize) -> ExitCode {
    let log = MemoryLog::new(Epoch::new(1), IdKey::new([1; 16]), MemoryLimits::default());
    let start = log.bounds().tail;
    let mut world = World {
        tail: log.tail(start.offset),
        window: Window::new(start, 64 << 20),
        shard: Shard::new(Settings::default(), log.id_key().clone(), start),
        sink: Everything(0),
        log,
    };
    let topic = |text: &str| Topic::parse(text).ok().map(Filter::topic);
    let base = Url::parse("http://127.0.0.1:8080/").ok();
    let pattern = |nth: usize| {
        let pattern = Pattern::parse(&format!("/users/{nth}/:document"), base.as_ref()?).ok()?;
        Some(Filter::new(Vec::new(), vec![pattern]))
    };
    let filters = (0..case.topics).map(|nth| topic(&format!("other/{nth}")));
    let filters = filters.chain((0..case.patterns).map(pattern)).chain([topic("prices/gold")]);
    for filter in filters.flatten() {
        world.subscribe(filter);
    }
    while world.turn() {}
    // What is made when it is first needed is made.
    (0..300).for_each(|_| world.publish());
    let before = world.sink.0;
    (0..events).for_each(|_| world.publish());
    if world.sink.0 - before == events { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl World {
    fn subscribe(&mut self, filter: Filter) {
        let subscription = Subscription {
            filter: Arc::new(filter),
            start: Start::Live,
            visibility: Visibility::Public,
            lifetime: None,
            encoding: Encoding::Sse,
            events_max: None,
        };
        let held = self.window.snapshot().base();
        let opening = open(&self.log, &subscription, held, Millis(0)).now_or_never();
        if let Some(Ok(opening)) = opening {
            self.shard.subscribe(Duration::ZERO, &subscription, opening, 1000);
        }
    }

    fn turn(&mut self) -> bool {
        self.shard.turn(Duration::ZERO, &self.window.snapshot(), &mut self.sink)
    }

    fn publish(&mut self) {
        let _ = self.log.append(vec![draft(&["prices/gold"], "1234.50")]).now_or_never();
        if let Some(Ok(batch)) = self.tail.next().now_or_never() {
            self.window.push(batch);
        }
        while self.turn() {}
    }
}
