//! Publishing an event stream while it is still open.

use serde_json::{Value, json};

use crate::client::{Connection, Said};
use crate::server::Server;

const STREAM: &str = "content-type: text/event-stream\r\n";

/// An ingest whose body goes on.
struct Publisher(Connection);

impl Publisher {
    async fn open(server: &Server, target: &str, headers: &str) -> Self {
        let mut connection = server.connect().await;
        let head = format!(
            "POST {target} HTTP/1.1\r\nhost: localhost\r\n{STREAM}{headers}transfer-encoding: chunked\r\n\r\n"
        );
        connection.write(head.as_bytes()).await;
        let answer = connection.head().await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.contains("content-type: application/x-ndjson\r\n"), "{answer}");
        Self(connection)
    }

    async fn send(&mut self, bytes: &[u8]) {
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        self.0.write(&chunk).await;
    }

    async fn end(&mut self) {
        self.0.write(b"0\r\n\r\n").await;
    }

    /// The next answer lines; `None` at the end.
    async fn answers(&mut self) -> Option<Vec<Value>> {
        let chunk = String::from_utf8(self.0.chunk().await?).unwrap();
        Some(chunk.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }

    /// The last line, which is a problem, and that nothing follows.
    async fn problem(&mut self) -> Value {
        let mut answers = self.answers().await.unwrap();
        assert_eq!(self.answers().await, None);
        answers.pop().unwrap()
    }
}

#[tokio::test]
async fn every_event_is_published_and_answered_while_the_stream_is_open() {
    let server = Server::start().await;
    let mut page = server.subscribe("/events/a", "").await;
    let mut publisher = Publisher::open(&server, "/events/a", "").await;
    publisher.send(b"data: one\n").await;
    publisher.send(b"\n").await;
    let (data, id) = page.event().await;
    assert_eq!((data.as_str(), publisher.answers().await), ("one", Some(vec![json!({"id": id})])));
    publisher.send(b": comment\nevent: t\nretry: 5\nid: mine\ndata: two\ndata: lines\n\n").await;
    assert_eq!(page.next_said().await, Said::Retry(5));
    assert_eq!(
        page.next_said().await,
        Said::Event { event_type: "t".into(), data: "two\nlines".into(), id: "mine".into() }
    );
    assert_eq!(publisher.answers().await, Some(vec![json!({"id": "mine"})]));
    // The next event's block has no id, and a hub's id is no publisher's: both get a generated one.
    publisher.send(b"data: three\n\ndata: four\nid: #AAAAAAAAAAAAAAAAAAAAAA\n\n").await;
    let (third, fourth) = (page.event().await, page.event().await);
    assert_eq!((third.0.as_str(), fourth.0.as_str()), ("three", "four"));
    assert!(third.1.starts_with('#') && fourth.1 != "#AAAAAAAAAAAAAAAAAAAAAA");
    let answers = publisher.answers().await;
    assert_eq!(answers, Some(vec![json!({"id": third.1}), json!({"id": fourth.1})]));
    publisher.end().await;
    assert_eq!(publisher.answers().await, None);
    // The connection is kept.
    publisher.0.write(&crate::server::post("/events/a", "", "five")).await;
    assert_eq!(publisher.0.answer().await.status, 200);
}

#[tokio::test]
async fn a_bad_event_ends_the_stream_and_what_was_answered_stands() {
    let server = Server::start().await;
    for (bad, status, says) in [
        (&b"event: hub.x\ndata: bad\n\n"[..], 400, "event 2"),
        (b"event: error\ndata: bad\n\n", 400, "reserved"),
        (b"data: b\xff\n\n", 400, "not UTF-8 at byte 19"),
    ] {
        let mut page = server.subscribe("/events/a", "").await;
        let mut publisher = Publisher::open(&server, "/events/a", "").await;
        publisher.send(b"data: good\n\n").await;
        let (_, id) = page.event().await;
        assert_eq!(publisher.answers().await, Some(vec![json!({ "id": id })]));
        publisher.send(bad).await;
        let problem = publisher.problem().await;
        assert_eq!(problem["status"], status);
        assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
        // Nothing of the bad one was published.
        server.publish("/events/a", "end").await;
        assert_eq!(page.data().await, "end");
    }
}

#[tokio::test]
async fn an_event_that_is_cut_off_is_told() {
    let server = Server::start().await;
    let answer = server.post("/events/a", STREAM, "data: whole\n\ndata: cut\n").await;
    let lines = answer.lines();
    assert_eq!(lines.len(), 2, "{}", answer.body);
    assert!(lines[0]["id"].is_string());
    assert!(lines[1]["detail"].as_str().unwrap().contains("end each with a blank line"));
    for complete in
        ["", "data: x\n\n", "data: x\r\r", "\u{feff}data: x\n\n: comment\n", "retry: 5\n"]
    {
        let answer = server.post("/events/a", STREAM, complete).await;
        assert!(answer.lines().iter().all(|line| line["id"].is_string()), "{}", answer.body);
    }
}

#[tokio::test]
async fn an_event_that_is_too_large_ends_the_stream() {
    let server = Server::with(|config| config.limits.body_bytes_max = 100).await;
    let mut publisher = Publisher::open(&server, "/events/a", "").await;
    publisher.send(format!("data: {}\n\n", "x".repeat(100)).as_bytes()).await;
    assert!(publisher.answers().await.unwrap()[0]["id"].is_string());
    publisher.send(format!("data: {}", "x".repeat(200)).as_bytes()).await;
    let problem = publisher.problem().await;
    assert_eq!(problem["status"], 413);
    assert!(problem["detail"].as_str().unwrap().contains("body_bytes_max"), "{problem}");
}

#[tokio::test]
async fn a_silent_stream_ends() {
    let server = Server::with(|config| config.limits.ingest_idle_timeout_ms = 200).await;
    let mut publisher = Publisher::open(&server, "/events/a", "").await;
    let problem = publisher.problem().await;
    assert_eq!(problem["status"], 408);
    assert!(problem["detail"].as_str().unwrap().contains("comment line"), "{problem}");
}

#[tokio::test]
async fn a_key_makes_a_stream_repeatable() {
    let server = Server::start().await;
    let headers = format!("{STREAM}idempotency-key: k\r\n");
    let first = server.post("/events/a", &headers, "data: 1\n\ndata: 2\n\n").await.lines();
    let again =
        server.post("/events/a", &headers, "data: 1\n\ndata: 2\n\ndata: 3\n\n").await.lines();
    assert_eq!((first.len(), again.len()), (2, 3));
    assert_eq!(first, again[..2]);
    let other = server.post("/events/a", &headers, "data: other\n\n").await.lines();
    assert_eq!(other[0]["status"], 422);
}

#[tokio::test]
async fn what_events_say_themselves_is_no_query() {
    let server = Server::start().await;
    for query in ["type=t", "id=i", "retry=5", "private=true"] {
        let answer = server.post(&format!("/events/a?{query}"), STREAM, "data: x\n\n").await;
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.detail().contains("leave it out"));
    }
}
