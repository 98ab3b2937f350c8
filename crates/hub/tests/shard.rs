//! What a shard sends, scene by scene.

mod support;

use std::sync::Arc;
use std::time::Duration;

use headwater_hub::{Close, Encoding, Settings, Since, Start};
use headwater_log::{Filter, Log, Offset, Position};

use support::{World, all_kept, patterns, topics};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn the_open_block_comes_first_and_says_where_the_stream_begins() {
    let mut world = World::roomy();
    let position = world.publish(&["a"], "before");
    let page = world.connect(0, &topics(&["a"]), Start::Live);
    world.settle();
    let id = world.id(position);
    assert_eq!(
        world.text(page),
        format!(":\nevent: hub.open\nretry: 1000\ndata: {{\"resume\":\"live\"}}\nid: {id}\n\n")
    );
}

#[test]
fn an_event_reaches_those_who_match_and_nobody_else() {
    let mut world = World::roomy();
    let filters =
        [topics(&["a"]), topics(&["b"]), topics(&["a", "b"]), patterns(&["/:any"]), topics(&["c"])];
    let pages = filters.map(|filter| world.connect(0, &filter, Start::Live));
    world.publish(&["a"], "1");
    world.publish(&["b", "a"], "2");
    world.settle();
    let data = pages.map(|page| world.data(page).join(" "));
    assert_eq!(data, ["1 2", "2", "1 2", "1 2", ""]);
}

#[test]
fn several_events_of_a_turn_leave_as_one_run() {
    let mut world = World::roomy();
    let page = world.connect(0, &topics(&["a"]), Start::Live);
    world.settle();
    for nth in 0..5 {
        world.publish(&["a"], &nth.to_string());
    }
    world.settle();
    let blocks = &world.socket(page).blocks;
    assert_eq!(blocks.iter().map(|block| block.events).collect::<Vec<_>>(), [0, 5]);
    assert!(blocks[1].caught_up);
}

#[test]
fn subscribers_of_the_same_share_the_same_bytes() {
    let mut world = World::roomy();
    let pages = [0; 3].map(|_| world.connect(0, &topics(&["a"]), Start::Live));
    world.settle();
    world.publish(&["a"], "x");
    world.publish(&["a"], "y");
    world.settle();
    let runs = pages.map(|page| world.socket(page).blocks[1].bytes.as_ptr());
    assert_eq!(runs, [runs[0]; 3]);
}

#[test]
fn a_stalled_subscriber_goes_on_within_the_frame_that_was_cut() {
    let mut world = World::roomy();
    let page = world.connect(0, &topics(&["a"]), Start::Live);
    world.settle();
    let open = world.socket(page).bytes.len();
    world.give_room(page, 0);
    for nth in 0..20 {
        world.publish(&["a"], &nth.to_string());
    }
    world.settle();
    assert_eq!(world.socket(page).bytes.len(), open);
    for _ in 0..2000 {
        world.give_room(page, 1);
        world.settle();
    }
    assert_eq!(world.data(page), (0..20).map(|nth| nth.to_string()).collect::<Vec<_>>());
}

#[test]
fn a_stalled_subscriber_delays_nobody() {
    let mut world = World::roomy();
    let stalled = world.connect(0, &topics(&["a"]), Start::Live);
    let other = world.connect(0, &topics(&["a"]), Start::Live);
    world.settle();
    world.socket(stalled).room = 3;
    world.publish(&["a"], "x");
    world.settle();
    assert_eq!(world.data(other), ["x"]);
}

#[test]
fn a_frame_that_was_cut_and_is_gone_closes_the_stream() {
    let mut world = World::new(4_000, 1, 1, Settings::default());
    let page = world.connect(0, &topics(&["a"]), Start::Live);
    world.settle();
    world.socket(page).room = 9;
    world.publish(&["a"], "x");
    world.settle();
    for _ in 0..300 {
        world.publish(&["b"], "filler that pushes the event out of the log");
        world.settle();
    }
    world.publish(&["a"], "y");
    world.give_room(page, 10_000);
    world.settle();
    assert_eq!(world.closed, [(page, Close::EventGone)]);
}

#[test]
fn a_page_that_was_away_gets_what_it_missed() {
    let mut world = World::roomy();
    let first = world.publish(&["a"], "1");
    world.publish(&["a"], "2");
    world.publish(&["b"], "-");
    world.publish(&["a"], "3");
    let page = world.connect(0, &topics(&["a"]), Start::Id(world.id(first)));
    world.settle();
    let text = world.text(page);
    assert!(text.contains(&format!("{{\"resume\":\"exact\"}}\nid: {}\n", world.id(first))));
    world.socket(page).bytes = text.into_bytes();
    assert_eq!(world.data(page), ["2", "3"]);
}

#[test]
fn many_who_come_back_to_the_same_place_cost_one_read() {
    let mut world = World::new(16 << 20, 1, 1, Settings::default());
    world.settle();
    let first = world.publish(&["a"], "0");
    for nth in 1..300 {
        world.publish(&["a"], &nth.to_string());
    }
    while world.pump() {}
    world.turn(0);
    let id = world.id(first);
    let pages: Vec<_> =
        (0..50).map(|_| world.connect(0, &topics(&["a"]), Start::Id(id.clone()))).collect();
    world.turn(0);
    assert_eq!(world.reads.len(), 1);
    world.settle();
    for page in pages {
        assert_eq!(world.data(page).len(), 299);
    }
}

#[test]
fn a_gap_names_what_was_asked_for_and_what_follows() {
    let mut world = World::new(4_000, 2_000, 1, Settings::default());
    let first = world.publish(&["a"], "0");
    for nth in 1..100 {
        world.publish(&["a"], &nth.to_string());
        world.settle();
    }
    let requested = world.id(first);
    let page = world.connect(0, &topics(&["a"]), Start::Id(requested.clone()));
    world.settle();
    let text = world.text(page);
    let floor = world.log.bounds().floor;
    let resumed = world.id(world.log.position(Offset::new(floor.get() + 1)));
    let before = world.id(world.log.position(floor));
    let gap = format!(
        "event: hub.gap\ndata: {{\"requested\":\"{requested}\",\"resumed\":\"{resumed}\"}}\nid: {before}\n\n"
    );
    // Until the gap has arrived, coming back tells it again.
    assert!(text.starts_with(&format!(
        ":\nevent: hub.open\nretry: 1000\ndata: {{\"resume\":\"gap\"}}\nid: {requested}\n\n{gap}"
    )));
    assert!(
        text[text.find(&gap).unwrap() + gap.len()..]
            .starts_with(&format!("data: {}\n", floor.get()))
    );
}

#[test]
fn an_id_that_nobody_knows_is_a_gap_and_then_all_that_is_kept() {
    let mut world = World::roomy();
    world.publish(&["a"], "1");
    world.publish(&["a"], "2");
    for id in ["nonsense", "#", "é"] {
        let page = world.connect(0, &topics(&["a"]), Start::Id(id.to_owned()));
        world.settle();
        let text = world.text(page);
        assert!(text.contains("{\"resume\":\"gap\"}"), "{text}");
        assert!(text.contains(&format!("\"requested\":\"{id}\"")), "{text}");
        world.socket(page).bytes = text.into_bytes();
        assert_eq!(world.data(page), ["1", "2"]);
    }
}

#[test]
fn a_gap_with_nothing_behind_it_is_told_at_once() {
    let mut world = World::roomy();
    let page = world.connect(0, &topics(&["a"]), Start::Id("nonsense".to_owned()));
    world.settle();
    let text = world.text(page);
    assert!(text.contains("data: {\"requested\":\"nonsense\",\"resumed\":null}\n"), "{text}");
}

#[test]
fn a_position_ahead_of_the_tail_waits_silently() {
    let mut world = World::roomy();
    let last = world.publish(&["a"], "1");
    let ahead = Position { offset: Offset::new(last.offset.get() + 2), ..last };
    let page = world.connect(0, &topics(&["a"]), Start::Id(world.id(ahead)));
    for data in ["2", "3", "4", "5"] {
        world.publish(&["a"], data);
        world.settle();
    }
    assert_eq!(world.data(page), ["4", "5"]);
}

#[test]
fn since_begins_where_it_says() {
    let mut world = World::roomy();
    for (topic, data) in [("a", "1"), ("b", "2"), ("a", "3"), ("b", "4"), ("c", "5")] {
        world.publish(&[topic], data);
    }
    world.settle();
    let filter = topics(&["a", "b"]);
    for (since, expected) in [
        (Since::All, vec!["1", "2", "3", "4", "6"]),
        (Since::Latest, vec!["3", "4", "6"]),
        (Since::Last(3), vec!["2", "3", "4", "6"]),
        (Since::Last(0), vec!["6"]),
        (Since::Ago(seconds(3600)), vec!["1", "2", "3", "4", "6"]),
    ] {
        let page = world.connect(0, &filter, Start::Since(since));
        world.settle();
        world.publish(&["a"], "6");
        world.settle();
        assert_eq!(world.data(page), expected, "{since:?}");
        world = World::roomy();
        for (topic, data) in [("a", "1"), ("b", "2"), ("a", "3"), ("b", "4"), ("c", "5")] {
            world.publish(&[topic], data);
        }
        world.settle();
    }
}

#[test]
fn latest_thins_out_only_what_was_there_when_it_was_asked_for() {
    let mut world = World::roomy();
    for data in ["1", "2"] {
        world.publish(&["a"], data);
    }
    let page = world.connect(0, &topics(&["a"]), Start::Since(Since::Latest));
    for data in ["3", "4"] {
        world.publish(&["a"], data);
    }
    world.settle();
    assert_eq!(world.data(page), ["3", "4"]);
}

#[test]
fn a_subscription_ends_after_the_events_it_wanted() {
    let mut world = World::roomy();
    for data in ["1", "2", "3"] {
        world.publish(&["a"], data);
    }
    world.settle();
    let filter = topics(&["a"]);
    let replayed = world.connect_as(0, &filter, all_kept(), Encoding::Ndjson, Some(2));
    let live = world.connect_as(0, &filter, Start::Live, Encoding::Sse, Some(1));
    world.settle();
    assert_eq!(world.closed, [(replayed, Close::Complete)]);
    assert_eq!(world.text(replayed).lines().count(), 2);
    world.publish(&["a"], "4");
    world.publish(&["a"], "5");
    world.settle();
    assert_eq!(world.data(live), ["4"]);
    assert_eq!(world.closed[1], (live, Close::Complete));
}

#[test]
fn an_idle_stream_gets_a_comment_and_after_a_while_its_place() {
    let mut world = World::roomy();
    let page = world.connect(0, &topics(&["quiet"]), Start::Live);
    world.settle();
    world.text(page);
    let position = world.publish(&["busy"], "x");
    for _ in 0..59 {
        world.now += seconds(1);
        world.settle();
    }
    assert_eq!(world.text(page), ":\n".repeat(3));
    world.now += seconds(1);
    world.settle();
    let id = world.id(position);
    assert_eq!(world.text(page), format!("event: hub.checkpoint\ndata:\nid: {id}\n\n"));
    for _ in 0..70 {
        world.now += seconds(1);
        world.settle();
    }
    // The log has not moved on since.
    assert_eq!(world.text(page), ":\n".repeat(4));
}

#[test]
fn a_checkpoint_that_was_cut_is_finished_before_anything_else() {
    let mut world = World::roomy();
    let page = world.connect(0, &topics(&["quiet"]), Start::Live);
    world.settle();
    let position = world.publish(&["busy"], "x");
    world.settle();
    world.text(page);
    world.socket(page).room = 10;
    world.now += seconds(60);
    world.settle();
    // It says that it would take something, and then does not.
    world.give_room(page, 0);
    world.settle();
    world.publish(&["quiet"], "y");
    world.give_room(page, 1_000);
    world.settle();
    let checkpoint = format!("event: hub.checkpoint\ndata:\nid: {}\n\n", world.id(position));
    let text = world.text(page);
    assert!(text.starts_with(&format!("{checkpoint}data: y\n")), "{text:?}");
}

#[test]
fn ndjson_has_no_open_block_and_blank_lines_for_heartbeats() {
    let mut world = World::roomy();
    let filter = topics(&["a"]);
    let page = world.connect_as(0, &filter, Start::Live, Encoding::Ndjson, None);
    let position = world.publish(&["a"], "x\r\ny");
    world.settle();
    let id = world.id(position);
    assert_eq!(
        world.text(page),
        format!(
            "{{\"id\":\"{id}\",\"topics\":[\"a\"],\"type\":\"message\",\"data\":\"x\\r\\ny\",\"time\":\"1970-01-01T00:00:01.000Z\"}}\n"
        )
    );
    world.now += seconds(15);
    world.settle();
    assert_eq!(world.text(page), "\n");
}

#[test]
fn who_takes_nothing_for_the_write_timeout_is_closed() {
    let mut world = World::roomy();
    let stalled = world.connect(0, &topics(&["a"]), Start::Live);
    let slow = world.connect(0, &topics(&["a"]), Start::Live);
    world.settle();
    world.socket(stalled).room = 0;
    world.socket(slow).room = 0;
    world.publish(&["a"], "x");
    world.settle();
    for _ in 0..40 {
        world.now += seconds(1);
        world.give_room(slow, 1);
        world.settle();
    }
    assert_eq!(world.closed, [(stalled, Close::Stalled)]);
}

#[test]
fn a_page_is_given_only_to_those_who_asked_for_these_topics() {
    let mut world = World::new(16 << 20, 1, 1, Settings::default());
    let first = world.publish(&["a"], "0");
    for _ in 0..300 {
        world.publish(&["a"], "not for b");
        world.publish(&["b"], "for b");
    }
    while world.pump() {}
    world.turn(0);
    let gone = world.connect(0, &topics(&["a"]), Start::Id(world.id(first)));
    world.turn(0);
    assert_eq!(world.reads.len(), 1);
    // The page is on its way when its only reader leaves and another takes its place.
    world.disconnect(gone);
    let page = world.connect(0, &topics(&["b"]), Start::Id(world.id(first)));
    world.settle();
    assert_eq!(world.data(page), vec!["for b"; 300]);
}

#[test]
fn the_window_finds_a_topics_events_among_many_others() {
    let mut world = World::new(16 << 20, 16 << 20, 1, Settings::default());
    let first = world.publish(&["start"], "");
    let mut expected = [const { Vec::new() }; 3];
    for nth in 0..1_500 {
        let names = [["a"].as_slice(), &["b"], &["c"], &["b", "a"]][nth % 4];
        let data = nth.to_string();
        world.publish(names, &data);
        expected[0].extend(names.contains(&"a").then(|| data.clone()));
        expected[1].extend((!names.contains(&"c")).then(|| data.clone()));
        expected[2].push(data);
    }
    world.settle();
    let filters = [topics(&["a"]), topics(&["b", "a"]), patterns(&["/:any"])];
    for (filter, expected) in filters.into_iter().zip(expected) {
        let page = world.connect(0, &filter, Start::Id(world.id(first)));
        world.settle();
        assert!(world.reads.is_empty());
        assert_eq!(world.data(page), expected, "{filter:?}");
    }
}

#[test]
fn a_window_that_moved_on_without_the_shard_loses_nothing() {
    let mut world = World::new(16 << 20, 2_000, 1, Settings::default());
    let page = world.connect(0, &topics(&["a"]), Start::Live);
    world.settle();
    let expected: Vec<String> = (0..5_000).map(|nth| nth.to_string()).collect();
    for data in &expected {
        world.publish(&["a"], data);
    }
    while world.pump() {}
    world.settle();
    assert_eq!(world.data(page), expected);
}

#[test]
fn stopping_tells_everybody_when_to_come_back() {
    let mut world = World::roomy();
    let page = world.connect(0, &topics(&["a"]), Start::Live);
    let json = world.connect_as(0, &topics(&["a"]), Start::Live, Encoding::Ndjson, None);
    world.settle();
    world.text(page);
    world.stop(0);
    assert_eq!(world.text(page), "retry: 7\n\n");
    assert_eq!(world.text(json), "");
    assert_eq!(world.closed.len(), 2);
    assert!(world.shards[0].is_empty());
}

#[test]
fn who_leaves_is_forgotten() {
    let mut world = World::roomy();
    let filters: [Arc<Filter>; 3] = [topics(&["a"]), patterns(&["/a"]), Arc::new(Filter::all())];
    for _ in 0..3 {
        let pages = filters.clone().map(|filter| world.connect(0, &filter, Start::Live));
        world.settle();
        world.publish(&["a"], "x");
        world.settle();
        for page in pages {
            assert_eq!(world.data(page), ["x"]);
            world.disconnect(page);
        }
        assert!(world.shards[0].is_empty());
    }
    assert_eq!(world.shards[0].poll_timeout(), None);
}
