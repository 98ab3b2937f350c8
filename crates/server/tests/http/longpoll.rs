//! The long poll.

use std::time::Instant;

use serde_json::{Value, json};

use crate::client::Answer;
use crate::server::Server;

const JSON: &str = "accept: application/json\r\n";

fn data(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    answer.json()["events"].as_array().unwrap().iter().map(|e| e["data"].clone()).collect()
}

/// Where to go on; never empty.
fn place(answer: &Answer) -> String {
    let place = answer.json()["last_event_id"].as_str().unwrap().to_owned();
    assert!(!place.is_empty());
    place.replace('#', "%23")
}

#[tokio::test]
async fn a_poll_waits_for_the_first_event() {
    let server = Server::start().await;
    let mut poll = server.poll("a").await;
    let id = server.publish("/events/a?type=t", "x").await;
    let answer = poll.answer().await;
    assert_eq!(data(&answer), ["x"]);
    assert_eq!(answer.header("headwater-resume"), Some("live"));
    let event = &answer.json()["events"][0];
    assert_eq!((&event["id"], &event["type"]), (&json!(id), &json!("t")));
    // The connection is kept for the next poll.
    let next = format!(
        "GET /events/a?last_event_id={}&wait=0 HTTP/1.1\r\nhost: localhost\r\n{JSON}\r\n",
        place(&answer)
    );
    poll.write(next.as_bytes()).await;
    assert_eq!(data(&poll.answer().await), [""; 0]);
}

#[tokio::test]
async fn polls_one_after_the_other_miss_nothing() {
    let server = Server::start().await;
    let first = server.get("/events/a?wait=0", JSON).await;
    assert_eq!(data(&first), [""; 0]);
    let mut from = place(&first);
    let mut seen = Vec::new();
    for round in 0..5 {
        for n in 0..round {
            server.publish("/events/a", &format!("{round}.{n}")).await;
            server.publish("/events/b", "not ours").await;
        }
        let answer = server.get(&format!("/events/a?wait=0&last_event_id={from}"), JSON).await;
        assert_eq!(answer.header("headwater-resume"), Some("exact"));
        assert!(answer.json().get("gap").is_none());
        seen.extend(data(&answer));
        from = place(&answer);
    }
    let expected: Vec<String> =
        (0..5).flat_map(|round| (0..round).map(move |n| format!("{round}.{n}"))).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_poll_ends_when_its_time_is_over() {
    let server = Server::start().await;
    let began = Instant::now();
    let answer = server.get("/events/a?wait=1", JSON).await;
    assert!(began.elapsed().as_millis() >= 1000);
    assert_eq!(data(&answer), [""; 0]);
    server.publish("/events/a", "x").await;
    let next = format!("/events/a?wait=0&last_event_id={}", place(&answer));
    assert_eq!(data(&server.get(&next, JSON).await), ["x"]);
}

#[tokio::test]
async fn an_answer_holds_at_most_a_thousand_events() {
    let server = Server::start().await;
    let batch: String =
        (0..1500).map(|n| format!("{{\"topic\":\"a\",\"data\":\"{n}\"}}\n")).collect();
    let published = server.post("/events", "content-type: application/x-ndjson\r\n", batch).await;
    assert_eq!(published.lines().len(), 1500);
    let first = server.get("/events/a?since=all", JSON).await;
    let next = format!("/events/a?last_event_id={}", place(&first));
    let second = server.get(&next, JSON).await;
    assert_eq!((data(&first).len(), data(&second).len()), (1000, 500));
    assert_eq!(data(&second)[0], "1000");
}

#[tokio::test]
async fn an_answer_is_bounded_in_bytes() {
    let server = Server::with(|config| config.limits.long_poll_bytes_max = 1000).await;
    let big = "x".repeat(200_000);
    for _ in 0..3 {
        server.publish("/events/a", &big).await;
    }
    let mut target = "/events/a?since=all".to_owned();
    let mut count = 0;
    for _ in 0..3 {
        let answer = server.get(&target, JSON).await;
        let events = data(&answer).len();
        assert_eq!(events, 1);
        count += events;
        target = format!("/events/a?last_event_id={}", place(&answer));
    }
    assert_eq!(count, 3);
}

#[tokio::test]
async fn a_gap_is_told_beside_the_events() {
    let server = Server::start().await;
    let id = server.publish("/events/a", "x").await;
    let answer = server.get("/events/a?last_event_id=nobodys", JSON).await;
    assert_eq!(answer.header("headwater-resume"), Some("gap"));
    assert_eq!(answer.json()["gap"], json!({"requested": "nobodys", "resumed": id}));
    assert_eq!(data(&answer), ["x"]);
    // With nothing to follow, the gap is the answer, and the next poll begins after it.
    let answer = server.get("/events/b?last_event_id=nobodys", JSON).await;
    assert_eq!(answer.json()["gap"], json!({"requested": "nobodys", "resumed": null}));
    let next = format!("/events/b?wait=0&last_event_id={}", place(&answer));
    let next = server.get(&next, JSON).await;
    assert_eq!(next.header("headwater-resume"), Some("exact"));
    assert!(next.json().get("gap").is_none());
}
