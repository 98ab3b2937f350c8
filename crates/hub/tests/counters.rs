//! What a shard counts, and that a busy topic lets the others go in between.

mod support;

use std::sync::Arc;
use std::time::Duration;

use headwater_hub::{
    Accepted, Block, BlockKind, Close, Counters, Encoding, Key, Settings, Sink, Start,
};
use headwater_log::{Filter, Log};

use support::{World, all_kept, topics};

fn counters(world: &World) -> Counters {
    world.shards[0].counters()
}

fn closes(world: &World, reason: Close) -> u64 {
    let counters = counters(world);
    let mut all = Close::ALL.iter().zip(counters.closes);
    all.find(|(known, _)| **known == reason).map_or(0, |(_, count)| count)
}

#[test]
fn what_is_sent_is_counted_once_for_each_subscriber() {
    let mut world = World::roomy();
    let pages = [0; 3].map(|_| world.connect(0, &topics(&["a"]), Start::Live));
    let _other = world.connect(0, &topics(&["b"]), Start::Live);
    assert_eq!((counters(&world).subscribers, counters(&world).lagging), (4, 4));
    world.settle();
    assert_eq!((counters(&world).subscribers, counters(&world).lagging), (4, 0));
    let before = counters(&world);
    assert_eq!(before.deliveries, 0);
    let opened: usize = pages.iter().map(|&page| world.text(page).len()).sum();
    world.publish(&["a"], "x");
    world.publish(&["a"], "y");
    world.settle();
    let sent: usize = pages.iter().map(|&page| world.text(page).len()).sum();
    let after = counters(&world);
    assert_eq!((after.deliveries, after.bytes), (6, before.bytes + sent as u64));
    assert!(before.bytes > opened as u64);
}

#[test]
fn a_frame_that_is_sent_in_pieces_is_one_delivery() {
    let mut world = World::roomy();
    let page = world.connect(0, &topics(&["a"]), Start::Live);
    world.settle();
    world.give_room(page, 0);
    world.publish(&["a"], "x");
    world.publish(&["a"], "y");
    world.settle();
    assert_eq!((counters(&world).deliveries, counters(&world).lagging), (0, 1));
    for _ in 0..500 {
        world.give_room(page, 1);
        world.settle();
    }
    assert_eq!(world.data(page), ["x", "y"]);
    assert_eq!((counters(&world).deliveries, counters(&world).lagging), (2, 0));
}

#[test]
fn ends_are_counted_by_reason_and_gaps_as_they_are_told() {
    let mut world = World::new(10_000, 1, 1, Settings::default());
    let first = world.publish(&["a"], "x");
    while world.log.bounds().floor <= first.offset {
        world.publish(&["a"], "y");
    }
    world.settle();
    let id = world.id(first);
    let back = world.connect(0, &topics(&["a"]), Start::Id(id));
    world.settle();
    assert_eq!(counters(&world).gaps, 1);
    assert!(counters(&world).pages > 0);
    world.disconnect(back);
    assert_eq!(closes(&world, Close::Gone), 1);
    world.connect_as(0, &topics(&["a"]), all_kept(), Encoding::Sse, Some(1));
    world.settle();
    assert_eq!(closes(&world, Close::Complete), 1);
    let stalled = world.connect(0, &topics(&["a"]), Start::Live);
    world.settle();
    world.give_room(stalled, 0);
    world.publish(&["a"], "z");
    world.settle();
    world.now += Duration::from_secs(31);
    world.settle();
    assert_eq!(closes(&world, Close::Stalled), 1);
    world.connect(0, &topics(&["a"]), Start::Live);
    world.stop(0);
    assert_eq!(closes(&world, Close::Stopping), 1);
    assert_eq!((counters(&world).subscribers, counters(&world).lagging), (0, 0));
}

/// Notes who is sent events, in order.
#[derive(Default)]
struct Order(Vec<Key>);

impl Sink for Order {
    fn send(&mut self, key: Key, block: &Block) -> Accepted {
        if block.kind == BlockKind::Events {
            self.0.push(key);
        }
        Accepted::Bytes(block.bytes.len())
    }
}

#[test]
fn a_busy_topic_lets_a_quiet_one_go_when_its_bytes_are_used_up() {
    let first_of_quiet = |turn_bytes_max| {
        let settings = Settings { turn_bytes_max, ..Settings::default() };
        let mut world = World::new(16 << 20, 1 << 20, 1, settings);
        for _ in 0..100 {
            world.connect(0, &topics(&["busy"]), Start::Live);
        }
        let (_, quiet) = world.connect(0, &Arc::new(Filter::all()), Start::Live);
        world.settle();
        world.publish(&["busy"], &"x".repeat(1_000));
        assert!(world.pump());
        let mut order = Order::default();
        let snapshot = world.window.snapshot();
        world.shards[0].turn(world.now, &snapshot, &mut order);
        assert_eq!(order.0.len(), 101);
        let yielded = counters(&world).turns_yielded;
        (order.0.iter().position(|&key| key == quiet).unwrap(), yielded)
    };
    assert_eq!(first_of_quiet(1 << 20), (100, 0));
    let (at, yielded) = first_of_quiet(10_000);
    assert!(at < 12, "{at}");
    assert!((5..=10).contains(&yielded), "{yielded}");
}
