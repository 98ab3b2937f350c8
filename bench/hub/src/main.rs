//! Counts instructions: they are what the same work costs on any machine, at any load.
//!
//! Of a publish to one topic, in a shard with one subscriber and in shards with very many others; and of a
//! publish to very many subscribers, of public events and of private ones that each sees by a token of its
//! own.
//!
//! `cargo run --release` runs this program under valgrind (Debian package `valgrind`), once for each case.

use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use headwater_hub::{
    Accepted, Access, Actions, Block, Encoding, Identity, Key, MatcherCache, Rule, Settings, Shard,
    Sink, Start, Subscription, TopicMatcher, Visibility, Window, open,
};
use headwater_log::contract::draft;
use headwater_log::{
    Epoch, Filter, IdKey, Log, MemoryLimits, MemoryLog, Millis, Pattern, Tail, Topic,
};
use url::Url;

/// Who listens, and to what.
struct Case {
    name: &'static str,
    /// Subscribers, each with a topic of its own.
    topics: usize,
    /// Subscribers, each with a pattern of its own that does not match.
    patterns: usize,
    /// Subscribers of what is published.
    takers: usize,
    tokens: Tokens,
    /// How much more it may cost than the first of its kind.
    times_max: Option<f64>,
}

/// What subscribers show.
#[derive(PartialEq)]
enum Tokens {
    /// Nothing: events are public.
    None,
    /// A token each, with ten matchers of which one is the topic; events are private.
    OfTopic,
    /// The same, and they subscribe to everything, of which their tokens grant a part.
    OfPart,
}

const fn others(name: &'static str, topics: usize, patterns: usize) -> Case {
    // "do not slow a publish to one topic beyond 20 %"
    Case { name, topics, patterns, takers: 1, tokens: Tokens::None, times_max: Some(1.2) }
}

const fn takers(name: &'static str, tokens: Tokens, times_max: Option<f64>) -> Case {
    Case { name, topics: 0, patterns: 0, takers: 10_000, tokens, times_max }
}

const CASES: [Case; 7] = [
    others("one subscriber", 0, 0),
    others("and 100,000 on 100,000 other topics", 100_000, 0),
    others("and 10,000 with 10,000 patterns", 0, 10_000),
    others("and both", 100_000, 10_000),
    takers("10,000 subscribers, public events", Tokens::None, None),
    // "costs within 5 % of public events"
    takers("a token each, private events", Tokens::OfTopic, Some(1.05)),
    takers("the same, subscribed to everything", Tokens::OfPart, None),
];

const EVENTS: usize = 100;

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
    println!("instructions of a publish, {EVENTS} events\n");
    let mut first = (0, 1.0);
    let mut within = true;
    for (number, case) in CASES.iter().enumerate() {
        // Setting up is counted with it and taken off again.
        let (Some(idle), Some(busy)) = (count(number, 0), count(number, EVENTS)) else {
            eprintln!("valgrind did not run: install it (Debian package `valgrind`)");
            return ExitCode::FAILURE;
        };
        let each = (busy.saturating_sub(idle)) as f64 / EVENTS as f64;
        if first.0 != case.takers {
            first = (case.takers, each);
        }
        let ratio = each / first.1;
        within &= case.times_max.is_none_or(|max| ratio <= max);
        println!("{:<40} {each:>9.0}   {ratio:.3}", case.name);
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
    for filter in filters.chain((0..case.patterns).map(pattern)).flatten() {
        world.subscribe(filter, Visibility::Public);
    }
    for nth in 0..case.takers {
        let filter = match case.tokens {
            Tokens::None | Tokens::OfTopic => topic(TOPIC),
            Tokens::OfPart => Some(Filter::all()),
        };
        let Some(filter) = filter else { continue };
        let visibility = match case.tokens {
            Tokens::None => Visibility::Public,
            _ => token(nth).visibility(&filter),
        };
        world.subscribe(filter, visibility);
    }
    while world.turn() {}
    // What is made when it is first needed is made.
    let private = case.tokens != Tokens::None;
    (0..300).for_each(|_| world.publish(private));
    let before = world.sink.0;
    (0..events).for_each(|_| world.publish(private));
    if world.sink.0 - before == events * case.takers {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

const TOPIC: &str = "prices/gold";

/// A token of somebody's own: ten matchers, of which one is the topic.
fn token(nth: usize) -> Access {
    let own = (0..9).map(|document| format!("users/{nth}/{document}"));
    let matchers = own.chain([TOPIC.to_owned()]);
    let matchers = matchers.filter_map(|text| TopicMatcher::exact(&text).ok()).collect();
    let rule = Rule { actions: Actions::ALL, matchers, payload: None };
    Access::new(Identity::default(), vec![rule], &mut MatcherCache::default())
}

impl World {
    fn subscribe(&mut self, filter: Filter, visibility: Visibility) {
        let subscription = Subscription {
            filter: Arc::new(filter),
            start: Start::Live,
            visibility,
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

    fn publish(&mut self, private: bool) {
        let mut event = draft(&[TOPIC], "1234.50");
        event.event.private = private;
        let _ = self.log.append(vec![event]).now_or_never();
        if let Some(Ok(batch)) = self.tail.next().now_or_never() {
            self.window.push(batch);
        }
        while self.turn() {}
    }
}
