//! Subscribing: what a stream looks like, where it begins, and when it ends.

use headwater_log::MemoryLimits;
use serde_json::{Value, json};

use crate::client::{Said, Subscriber};
use crate::server::{Server, SetUp, within};

const NDJSON: &str = "accept: application/x-ndjson\r\n";

/// The data of what is published before `last`, and of it.
async fn until(page: &mut Subscriber, last: &str) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        let data = page.data().await;
        seen.push(data.clone());
        if data == last {
            return seen;
        }
    }
}

#[tokio::test]
async fn a_stream_begins_with_its_headers_and_the_open_block() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    connection.write(b"GET /events/a HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let head = connection.head().await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    for line in [
        "content-type: text/event-stream",
        "cache-control: no-cache, no-transform",
        "x-accel-buffering: no",
        "headwater-resume: live",
        // The shard sends on the bare socket: the stream ends when the connection does.
        "connection: close",
    ] {
        assert!(head.lines().any(|found| found == line), "{line} is missing: {head}");
    }
    let block = connection.block().await;
    let rest = block.strip_prefix(":\nevent: hub.open\nretry: ").unwrap();
    let (retry, rest) = rest.split_once('\n').unwrap();
    assert!((2_000..=4_000).contains(&retry.parse::<u64>().unwrap()), "{retry}");
    let id = rest.strip_prefix("data: {\"resume\":\"live\"}\nid: ").unwrap();
    assert_eq!((id.len(), &id[..1], &id[23..]), (25, "#", "\n\n"), "{id:?}");
    let published = server.publish("/events/a", "hello").await;
    let event = connection.block().await;
    assert_eq!(event, format!("data: hello\nid: {published}\n\n"));
}

#[tokio::test]
async fn topics_are_taken_literally() {
    let server = Server::start().await;
    for (path, query) in [
        ("a+b", "a%2Bb"),
        ("a%20b", "a+b"),
        ("a%2Fb", "a/b"),
        ("/a//b/", "/a//b/"),
        ("a/../b", "a/../b"),
        ("%25", "%25"),
        ("%E4%BB%B7", "价"),
        ("https://example.com/books/1", "https://example.com/books/1"),
    ] {
        let mut page = server.subscribe(&format!("/events?topic={query}"), "").await;
        server.publish(&format!("/events/{path}"), path).await;
        assert_eq!(page.data().await, path);
    }
}

#[tokio::test]
async fn many_topics_and_patterns_on_one_connection() {
    let server = Server::start().await;
    let many = "topic=a&topic=b&pattern=/stocks/:symbol";
    let mut by_query = server.subscribe(&format!("/events?{many}"), "").await;
    let mut connection = server.connect().await;
    let form = crate::server::post(
        "/events",
        "accept: text/event-stream\r\ncontent-type: application/x-www-form-urlencoded\r\n",
        many,
    );
    connection.write(&form).await;
    let mut by_form = connection.subscriber().await;
    for target in ["a", "c", "stocks/AAPL", "stocks/AAPL/bid", "/stocks/MSFT", "b"] {
        server.publish(&format!("/events/{target}"), target).await;
    }
    for page in [&mut by_query, &mut by_form] {
        assert_eq!(until(page, "b").await, ["a", "stocks/AAPL", "/stocks/MSFT", "b"]);
    }
}

#[tokio::test]
async fn an_event_of_several_topics_comes_once() {
    let server = Server::start().await;
    let mut page = server.subscribe("/events?topic=a&topic=b&pattern=/a", "").await;
    let batch =
        "{\"topics\":[\"a\",\"b\",\"c\"],\"data\":\"both\"}\n{\"topic\":\"b\",\"data\":\"end\"}";
    server.post("/events", "content-type: application/x-ndjson\r\n", batch).await;
    assert_eq!(until(&mut page, "end").await, ["both", "end"]);
}

#[tokio::test]
async fn since_says_how_far_back() {
    for (since, resume, expected) in [
        ("since=all", "exact", &["a1", "b1", "a2", "b2"][..]),
        ("since=latest", "exact", &["a2", "b2"]),
        ("since=-3", "exact", &["b1", "a2", "b2"]),
        ("since=-100", "exact", &["a1", "b1", "a2", "b2"]),
        ("since=1h", "exact", &["a1", "b1", "a2", "b2"]),
        ("", "live", &[]),
    ] {
        let server = Server::start().await;
        for (topic, data) in [("a", "a1"), ("b", "b1"), ("a", "a2"), ("c", "c1"), ("b", "b2")] {
            server.publish(&format!("/events/{topic}"), data).await;
        }
        let mut page = server.subscribe(&format!("/events?topic=a&topic=b&{since}"), "").await;
        assert_eq!(page.header("headwater-resume"), Some(resume), "{since}");
        // Not before they came: what is newest is looked up when it is sent.
        for data in expected {
            assert_eq!(page.data().await, *data, "{since}");
        }
        server.publish("/events/a", "end").await;
        assert_eq!(page.data().await, "end", "{since}");
    }
}

#[tokio::test]
async fn an_id_says_after_what_to_go_on() {
    let server = Server::start().await;
    let first = server.publish("/events/a", "1").await;
    server.publish("/events/a?id=mine", "2").await;
    server.publish("/events/a", "3").await;
    let encoded = first.replace('#', "%23");
    for (query, headers, expected) in [
        (String::new(), format!("last-event-id: {first}\r\n"), &["2", "3"][..]),
        (String::new(), "last-event-id: mine\r\n".into(), &["3"]),
        (format!("?last_event_id={encoded}"), String::new(), &["2", "3"]),
        (format!("?lastEventId={encoded}"), String::new(), &["2", "3"]),
        ("?lastEventID=mine".into(), String::new(), &["3"]),
        (format!("?last_event_id={encoded}&since=all"), "last-event-id: \r\n".into(), &["2", "3"]),
        (format!("?last_event_id={encoded}"), "last-event-id: mine\r\n".into(), &["3"]),
    ] {
        let mut page = server.subscribe(&format!("/events/a{query}"), &headers).await;
        assert_eq!(page.header("headwater-resume"), Some("exact"), "{query} {headers}");
        let last = expected.last().unwrap();
        assert_eq!(until(&mut page, last).await, expected, "{query} {headers}");
    }
}

#[tokio::test]
async fn a_page_that_received_nothing_yet_goes_on_from_the_open_block() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    connection.write(b"GET /events/a HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    connection.head().await;
    let block = connection.block().await;
    let (_, id) = block.trim_end().rsplit_once("id: ").unwrap();
    drop(connection);
    server.publish("/events/a", "missed").await;
    let mut page = server.subscribe("/events/a", &format!("last-event-id: {id}\r\n")).await;
    assert_eq!(page.data().await, "missed");
}

#[tokio::test]
async fn an_id_that_is_none_of_ours_is_a_gap_in_the_stream_and_the_header() {
    let server = Server::start().await;
    let kept = server.publish("/events/a", "kept").await;
    for id in ["nobody's", "#AAAAAAAAAAAAAAAAAAAAAA", "\u{e9}\u{ff}", "\"\\"] {
        let mut page = server.subscribe("/events/a", &format!("last-event-id: {id}\r\n")).await;
        assert_eq!(page.header("headwater-resume"), Some("gap"), "{id}");
        let Said::Event { event_type, data, id: place } = page.next().await else {
            panic!("no gap for {id}");
        };
        assert_eq!(event_type, "hub.gap");
        let gap: Value = serde_json::from_str(&data).unwrap();
        assert_eq!(gap, json!({"requested": id, "resumed": kept}));
        assert_eq!(page.event().await, ("kept".into(), kept.clone()));
        // The gap's own id is the place just before what follows.
        let mut again = server.subscribe("/events/a", &format!("last-event-id: {place}\r\n")).await;
        assert_eq!(again.header("headwater-resume"), Some("exact"));
        assert_eq!(again.event().await.1, kept);
    }
}

#[tokio::test]
async fn what_the_log_let_go_is_a_gap_for_whom_it_concerns() {
    let log = MemoryLimits { bytes_max: 64 << 10, ..MemoryLimits::default() };
    let mut set_up = SetUp { log, ..SetUp::default() };
    set_up.hub.window_bytes = 16 << 10;
    let server = set_up.start().await;
    let quiet = server.publish("/events/quiet", "1").await;
    let busy = server.publish("/events/busy", "1").await;
    let big = "x".repeat(8 << 10);
    for _ in 0..16 {
        server.publish("/events/busy", &big).await;
    }
    let gone = server.subscribe("/events/busy", &format!("last-event-id: {busy}\r\n")).await;
    assert_eq!(gone.header("headwater-resume"), Some("gap"));
    let same = server.subscribe("/events/other", &format!("last-event-id: {quiet}\r\n")).await;
    assert_eq!(same.header("headwater-resume"), Some("exact"));
}

#[tokio::test]
async fn json_lines_carry_the_whole_event() {
    let server = Server::start().await;
    let mut lines = server.subscribe("/events/a", NDJSON).await;
    assert_eq!(lines.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(lines.header("cache-control"), Some("no-cache, no-transform"));
    assert_eq!(lines.header("headwater-resume"), Some("live"));
    let id = server.publish("/events/a?type=t&retry=5", "x\ny").await;
    let mut event = lines.json().await;
    let time = event["time"].take();
    assert!(time.as_str().unwrap().ends_with('Z'), "{time}");
    let expected =
        json!({"id": id, "topics": ["a"], "type": "t", "data": "x\ny", "time": null, "retry": 5});
    assert_eq!(event, expected);
    // The gap is a line too.
    let headers = format!("{NDJSON}last-event-id: nobody's\r\n");
    let mut lines = server.subscribe("/events/a", &headers).await;
    assert_eq!(lines.json().await["type"], "hub.gap");
    assert_eq!(lines.json().await["id"], id);
}

#[tokio::test]
async fn an_envelope_puts_the_json_form_into_the_data() {
    let server = Server::start().await;
    let mut page = server.subscribe("/events/a?envelope=json", "").await;
    let id = server.publish("/events/a?type=t", "x").await;
    let Said::Event { event_type, data, id: place } = page.next().await else { panic!("no event") };
    assert_eq!((event_type.as_str(), &place), ("t", &id));
    let inner: Value = serde_json::from_str(&data).unwrap();
    assert_eq!(
        (&inner["id"], &inner["data"], &inner["topics"]),
        (&json!(id), &json!("x"), &json!(["a"]))
    );
}

#[tokio::test]
async fn idle_streams_get_heartbeats() {
    let mut set_up = SetUp::default();
    set_up.hub.heartbeat_ms = 150;
    let server = set_up.start().await;
    let mut page = server.subscribe("/events/a", "").await;
    assert_eq!(page.next_said().await, Said::Comment(String::new()));
    let mut lines = server.subscribe("/events/a", NDJSON).await;
    assert_eq!(lines.piece().await.unwrap(), b"\n");
}

#[tokio::test]
async fn quiet_streams_are_told_when_the_log_moves_on() {
    let mut set_up = SetUp::default();
    set_up.hub.heartbeat_ms = 150;
    set_up.hub.checkpoint_ms = 150;
    let server = set_up.start().await;
    let mut page = server.subscribe("/events/a", "").await;
    server.publish("/events/b", "x").await;
    let Said::Event { event_type, data, id } = page.next().await else { panic!("no checkpoint") };
    assert_eq!((event_type.as_str(), data.as_str()), ("hub.checkpoint", ""));
    let mut again = server.subscribe("/events/b", &format!("last-event-id: {id}\r\n")).await;
    assert_eq!(again.header("headwater-resume"), Some("exact"));
    server.publish("/events/b", "next").await;
    loop {
        match again.next().await {
            Said::Event { event_type, .. } if event_type == "hub.checkpoint" => {}
            Said::Event { data, .. } => break assert_eq!(data, "next"),
            said => panic!("{said:?}"),
        }
    }
}

#[tokio::test]
async fn a_subscriber_that_leaves_is_freed() {
    let server = Server::start().await;
    let mut listeners = server.watch("a");
    let count = |n: usize| move |count: &usize| *count == n;
    let polite = server.subscribe("/events/a", "").await;
    let other = server.subscribe("/events?pattern=*", NDJSON).await;
    within(listeners.wait_for(count(2))).await.unwrap();
    drop(polite);
    within(listeners.wait_for(count(1))).await.unwrap();
    drop(other);
    within(listeners.wait_for(count(0))).await.unwrap();
    // A long poll too, while it waits.
    let mut poll = server.connect().await;
    poll.write(b"GET /events/a HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\n\r\n")
        .await;
    within(listeners.wait_for(count(1))).await.unwrap();
    drop(poll);
    within(listeners.wait_for(count(0))).await.unwrap();
}
