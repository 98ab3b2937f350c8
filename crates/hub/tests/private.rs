//! Nobody receives a private event that the rules forbid, and everybody receives what they allow, live
//! and replayed: held against a plain restatement of the rules, from a printed seed.
//!
//! `HEADWATER_SEED=n` runs one seed alone, `HEADWATER_SEEDS=n` tries so many.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failure here is a failed test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use futures_util::FutureExt as _;
use headwater_hub::{
    Access, Action, Actions, Close, Encoding, Identity, MatcherCache, Rule, Since, Start,
    Subscription, TopicMatcher,
};
use headwater_log::contract::draft;
use headwater_log::{Appended, Filter, Log, Pattern, Topic};
use support::{Connection, ROOT, World};
use url::Url;

const TOPICS: [&str; 6] = ["a", "b", "users/1", "users/2", "users/1/mail", "news"];

fn topic(text: &str) -> Topic {
    Topic::parse(text).unwrap()
}

fn base() -> Url {
    Url::parse(ROOT).unwrap()
}

/// What a token grants, as texts: a topic, a pattern with a slash in front, or everything.
fn grants(rng: &mut Rng) -> Vec<&'static str> {
    const TEXTS: [&str; 7] = ["a", "b", "users/1", "/users/:id", "/users/1/*", "/*", "*"];
    let count = [0, 1, 1, 2, 3][rng.usize(..5)];
    (0..count).map(|_| TEXTS[rng.usize(..TEXTS.len())]).collect()
}

fn access(grants: &[&str]) -> Access {
    let matcher = |text: &&str| match *text {
        pattern if pattern.starts_with('/') => TopicMatcher::pattern(pattern, &base()).unwrap(),
        text => TopicMatcher::exact(text).unwrap(),
    };
    let matchers: Vec<TopicMatcher> = grants.iter().map(matcher).collect();
    let actions = Actions { subscribe: true, publish: false };
    let rules = match matchers.is_empty() {
        true => Vec::new(),
        false => vec![Rule { actions, matchers, payload: None }],
    };
    Access::new(Identity::default(), rules, &mut MatcherCache::default())
}

/// The rule, said again: one of its topics is granted.
fn may_see(grants: &[&str], topics: &[&str]) -> bool {
    grants.iter().any(|grant| {
        topics.iter().any(|text| match *grant {
            "*" => true,
            pattern if pattern.starts_with('/') => {
                Pattern::parse(pattern, &base()).unwrap().matches(&topic(text))
            }
            exact => exact == *text,
        })
    })
}

fn filter(rng: &mut Rng) -> Filter {
    let pattern = |text| Pattern::parse(text, &base()).unwrap();
    match rng.u8(..5) {
        0 => Filter::all(),
        1 => Filter::topic(topic(TOPICS[rng.usize(..TOPICS.len())])),
        2 => Filter::new(vec![topic("a"), topic("users/1")], Vec::new()),
        3 => Filter::new(Vec::new(), vec![pattern("/users/:id")]),
        _ => Filter::new(vec![topic("b")], vec![pattern("/users/*")]),
    }
}

struct Published {
    topics: Vec<&'static str>,
    private: bool,
    data: String,
}

fn publish(world: &mut World, rng: &mut Rng, published: &mut Vec<Published>) {
    let mut topics = vec![TOPICS[rng.usize(..TOPICS.len())]];
    if rng.u8(..3) == 0 {
        topics.push(TOPICS[rng.usize(..TOPICS.len())]);
    }
    let (private, data) = (rng.bool(), format!("<{}>", published.len()));
    let mut event = draft(&topics, &data);
    event.event.private = private;
    let answer = world.log.append(vec![event]).now_or_never().unwrap().pop();
    assert!(matches!(answer, Some(Appended::Committed(_))));
    published.push(Published { topics, private, data });
}

fn simulate(seed: u64) {
    let mut rng = Rng::with_seed(seed);
    // A small window, so that some of what is replayed comes out of the log.
    let mut world = World::new(16 << 20, [2_000, 1 << 20][rng.usize(..2)], 2, Default::default());
    let mut published = Vec::new();
    let mut subscribers: Vec<(Connection, Filter, Vec<&str>, usize)> = Vec::new();
    for _ in 0..rng.usize(10..80) {
        match rng.u8(..6) {
            0 => {
                let (filter, grants, all) = (filter(&mut rng), grants(&mut rng), rng.bool());
                let subscription = Subscription {
                    filter: Arc::new(filter.clone()),
                    start: if all { Start::Since(Since::All) } else { Start::Live },
                    visibility: access(&grants).visibility(&filter),
                    encoding: Encoding::Sse,
                    events_max: None,
                    lifetime: None,
                };
                // Who begins live begins at what the shards have seen.
                world.settle();
                let connection = world.connect_with(rng.usize(..2), &subscription);
                let from = if all { 0 } else { published.len() };
                subscribers.push((connection, filter, grants, from));
            }
            1 => world.settle(),
            _ => publish(&mut world, &mut rng, &mut published),
        }
    }
    world.settle();
    for (connection, filter, grants, from) in subscribers {
        let text = String::from_utf8(world.socket(connection).bytes.clone()).unwrap();
        let seen: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("data: <")).collect();
        let allowed = published.iter().skip(from).filter(|event| {
            let topics: Vec<Topic> = event.topics.iter().map(|text| topic(text)).collect();
            filter.matches(&topics) && (!event.private || may_see(&grants, &event.topics))
        });
        let expected: Vec<&str> = allowed.map(|event| &event.data[1..]).collect();
        assert_eq!(seen, expected, "seed {seed}: {filter:?} with {grants:?} from {from}");
    }
}

#[test]
fn everybody_sees_what_the_rules_allow_and_nothing_else() {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    if let Some(seed) = number("HEADWATER_SEED") {
        return simulate(seed);
    }
    let first = fastrand::u64(..1 << 40);
    println!("seeds from {first}");
    for seed in first..first + number("HEADWATER_SEEDS").unwrap_or(300) {
        simulate(seed);
    }
}

#[test]
fn a_stream_ends_with_what_allowed_it() {
    // "A stream ends no later than its token's `exp`".
    let mut world = World::roomy();
    let filter = Filter::topic(topic("a"));
    let access = access(&["a"]);
    assert!(access.allows(Action::Subscribe, &[topic("a")]));
    let connection = world.connect_with(
        0,
        &Subscription {
            visibility: access.visibility(&filter),
            filter: Arc::new(filter),
            start: Start::Live,
            encoding: Encoding::Sse,
            events_max: None,
            lifetime: Some(Duration::from_secs(40)),
        },
    );
    world.settle();
    world.now = Duration::from_secs(39);
    world.settle();
    assert_eq!(world.closed, []);
    world.now = Duration::from_secs(41);
    world.settle();
    assert_eq!(world.closed, [(connection, Close::Expired)]);
}
