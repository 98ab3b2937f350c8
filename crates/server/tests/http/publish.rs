//! Publishing single events and batches.

use serde_json::json;

use crate::client::Said;
use crate::server::{Server, post};

const NDJSON: &str = "content-type: application/x-ndjson\r\n";

#[tokio::test]
async fn any_body_is_the_data_whatever_its_type() {
    let server = Server::start().await;
    let mut page = server.subscribe("/events/a", "").await;
    for (headers, body, data) in [
        ("", "plain", "plain"),
        ("content-type: application/x-www-form-urlencoded\r\n", "hello=a%20b&c", "hello=a%20b&c"),
        ("content-type: application/json\r\n", "{\"a\":1}", "{\"a\":1}"),
        ("content-type: text/plain; charset=utf-8\r\n", "é价\u{1f600}", "é价\u{1f600}"),
        ("content-encoding: identity\r\n", "", ""),
        ("", "two\nlines\n", "two\nlines\n"),
        ("", " leading space", " leading space"),
        ("", "cr\rcrlf\r\nend", "cr\ncrlf\nend"),
        ("", "\u{feff}bom", "\u{feff}bom"),
    ] {
        let answer = server.post("/events/a", headers, body).await;
        assert_eq!(answer.status, 200, "{body:?}: {}", answer.body);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert!(answer.body.ends_with("}\n"), "{:?}", answer.body);
        let (received, id) = page.event().await;
        assert_eq!(received, data);
        assert_eq!(answer.json(), json!({ "id": id }));
        assert!(id.starts_with('#') && id.len() == 23, "{id}");
    }
}

#[tokio::test]
async fn line_ends_stay_as_they_are_in_json() {
    let server = Server::start().await;
    let mut lines = server.subscribe("/events/a", "accept: application/x-ndjson\r\n").await;
    server.publish("/events/a", "cr\rcrlf\r\nend").await;
    assert_eq!(lines.json().await["data"], "cr\rcrlf\r\nend");
}

#[tokio::test]
async fn the_query_gives_type_id_and_retry() {
    let server = Server::start().await;
    let mut page = server.subscribe("/events/a", "").await;
    let id = server.publish("/events/a?type=price&id=urn%3A1&retry=1234&unknown=1", "x").await;
    assert_eq!(id, "urn:1");
    assert_eq!(page.next_said().await, Said::Retry(1234));
    let said = Said::Event { event_type: "price".into(), data: "x".into(), id };
    assert_eq!(page.next_said().await, said);
    // Neither writes an `event:` line.
    for query in ["?type=", "?type=message"] {
        server.publish(&format!("/events/a{query}"), "y").await;
        let piece = String::from_utf8(page.piece().await.unwrap()).unwrap();
        assert!(piece.starts_with("data: y\nid: #"), "{piece:?}");
    }
}

#[tokio::test]
async fn what_is_no_event_is_refused() {
    let server = Server::start().await;
    for (target, headers, body, status, says) in [
        ("/events/a", "", &b"ab\xffcd"[..], 400, "not UTF-8 at byte 2"),
        ("/events/a?type=hub.x", "", b"x", 400, "reserved"),
        ("/events/a?type=a%0Adata:x", "", b"x", 400, "invisible character"),
        ("/events/a?id=%23x", "", b"x", 400, "cannot begin with `#`"),
        ("/events/a?id=a&id=b", "", b"x", 400, "more than once"),
        ("/events/a?retry=soon", "", b"x", 400, "milliseconds"),
        ("/events/a?private", "", b"x", 501, "private"),
        ("/events/a?private=true", "", b"x", 501, "private"),
        ("/events/", "", b"x", 400, "the topic is empty"),
        ("/events/*", "", b"x", 400, "`*` is not a topic"),
        ("/events/%ff", "", b"x", 400, "not UTF-8"),
        ("/events/%0a", "", b"x", 400, "invisible character"),
        ("/events/a", "content-encoding: gzip\r\n", b"x", 415, "without Content-Encoding"),
        ("/events/a", NDJSON, b"{}", 415, "send it to /events"),
        ("/events", "", b"x", 415, "/events/TOPIC"),
        // What `curl -d` sends when the topic was forgotten.
        (
            "/events",
            "accept: */*\r\ncontent-type: application/x-www-form-urlencoded\r\n",
            b"topic=a",
            415,
            "/events/TOPIC",
        ),
        ("/events/a", "idempotency-key: \r\n", b"x", 400, "Idempotency-Key"),
        ("/events/a", "idempotency-key: a\r\nidempotency-key: b\r\n", b"x", 400, "given once"),
    ] {
        let answer = server.post(target, headers, body).await;
        assert_eq!(answer.status, status, "{target} {headers}: {}", answer.body);
        assert!(answer.detail().contains(says), "{target} {headers}: {}", answer.body);
    }
    let long = server.post(&format!("/events/{}", "x".repeat(1025)), "", "x").await;
    assert_eq!((long.status, long.detail().contains("1025 bytes")), (400, true));
    assert_eq!(
        server
            .get("/events?pattern=*&since=all&wait=0", "accept: application/json\r\n")
            .await
            .json()["events"],
        json!([])
    );
}

#[tokio::test]
async fn an_idempotency_key_publishes_once() {
    let server = Server::start().await;
    let mut page = server.subscribe("/events/a", "").await;
    let key = "idempotency-key: k1\r\n";
    let first = server.post("/events/a", key, "x").await.json();
    assert_eq!(server.post("/events/a", key, "x").await.json(), first);
    for (target, body) in [("/events/a", "y"), ("/events/b", "x"), ("/events/a?type=t", "x")] {
        let other = server.post(target, key, body).await;
        assert_eq!(other.status, 422, "{target}");
        assert!(other.detail().contains("Idempotency-Key"));
    }
    server.post("/events/a", "idempotency-key: k2\r\n", "last").await;
    assert_eq!((page.data().await, page.data().await), ("x".into(), "last".into()));
    // The id that its publisher gave is the answer again.
    let key = "idempotency-key: k3\r\n";
    for _ in 0..2 {
        assert_eq!(server.post("/events/a?id=mine", key, "x").await.json(), json!({"id":"mine"}));
    }
}

#[tokio::test]
async fn a_batch_is_published_line_by_line() {
    let server = Server::start().await;
    let mut page = server.subscribe("/events?pattern=*", "").await;
    let body = "{\"topic\":\"a\",\"data\":\"1\"}\n\n{\"topics\":[\"b\",\"c\"],\"data\":\"2\",\"id\":\"two\",\"type\":\"t\"}\r\n{\"topic\":\"a\",\"data\":\"\"}";
    let answer = server.post("/events", NDJSON, body).await;
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let mut ids = Vec::new();
    for data in ["1", "2", ""] {
        let (received, id) = page.event().await;
        assert_eq!(received, data);
        ids.push(json!({ "id": id }));
    }
    assert_eq!(answer.lines(), ids);
    assert_eq!(ids[1], json!({"id": "two"}));
}

#[tokio::test]
async fn a_batch_with_a_bad_line_publishes_nothing() {
    let server = Server::start().await;
    for (body, status, says) in [
        ("{\"topic\":\"a\",\"data\":\"1\"}\n{\"topic\":\"a\"", 400, "line 2"),
        ("{\"topic\":\"a\",\"data\":\"1\"}\n{\"topic\":\"*\",\"data\":\"1\"}", 400, "line 2"),
        ("{\"topic\":\"a\",\"data\":\"1\",\"private\":true}", 501, "line 1"),
        ("", 400, "the batch is empty"),
    ] {
        let answer = server.post("/events", NDJSON, body).await;
        assert_eq!(answer.status, status, "{body}");
        assert!(answer.detail().contains(says), "{}", answer.body);
    }
    let answer = server.post("/events", NDJSON, b"{\"topic\":\"a\",\"data\":\"\xff\"}").await;
    assert!(answer.status == 400 && answer.detail().contains("byte 21"), "{}", answer.body);
    let kept =
        server.get("/events?pattern=*&since=all&wait=0", "accept: application/json\r\n").await;
    assert_eq!(kept.json()["events"], json!([]));
}

#[tokio::test]
async fn a_batch_under_a_key_is_published_once() {
    let server = Server::start().await;
    let headers = format!("{NDJSON}idempotency-key: k\r\n");
    let two = "{\"topic\":\"a\",\"data\":\"1\"}\n{\"topic\":\"a\",\"data\":\"2\"}\n";
    let first = server.post("/events", &headers, two).await.lines();
    assert_eq!(first.len(), 2);
    assert_eq!(server.post("/events", &headers, two).await.lines(), first);
    // A longer batch under the same key is not its continuation.
    let three = format!("{two}{{\"topic\":\"a\",\"data\":\"3\"}}\n");
    assert_eq!(server.post("/events", &headers, three).await.status, 422);
    let kept = server.get("/events/a?since=all&wait=0", "accept: application/json\r\n").await;
    assert_eq!(kept.json()["events"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn requests_may_be_pipelined() {
    let server = Server::start().await;
    let mut page = server.subscribe("/events/a", "").await;
    let mut connection = server.connect().await;
    let requests: Vec<u8> = (0..50).flat_map(|n| post("/events/a", "", n.to_string())).collect();
    connection.write(&requests).await;
    for n in 0..50 {
        let answer = connection.answer().await;
        let (data, id) = page.event().await;
        assert_eq!((data, answer.json()), (n.to_string(), json!({ "id": id })));
    }
}
