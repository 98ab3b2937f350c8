//! What is no HTTP, too large, or too slow.

use std::time::Duration;

use crate::client::Answer;
use crate::server::{Server, post};

#[tokio::test]
async fn what_is_no_request_is_told_so() {
    let server = Server::start().await;
    for (bytes, status, says) in [
        (&b"hello\r\n\r\n"[..], 400, "not an HTTP/1.1 request"),
        (b"GET /events/a\r\n\r\n", 400, "not an HTTP/1.1 request"),
        (b"GET /events/a HTTP/3.0\r\n\r\n", 400, "not an HTTP/1.1 request"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400, "not an HTTP/1.1 request"),
        (b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n", 400, "not an HTTP/1.1 request"),
        // A TLS handshake.
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "not TLS"),
    ] {
        let answer = server.ask(bytes).await;
        let shown = String::from_utf8_lossy(bytes);
        assert_eq!(answer.status, status, "{shown}");
        assert!(answer.detail().contains(says), "{shown}: {}", answer.body);
    }
    assert_eq!(server.get("/healthz", "").await.status, 200);
}

#[tokio::test]
async fn a_bad_request_after_a_good_one_spoils_only_itself() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    let mut both = post("/events/a", "", "x");
    both.extend_from_slice(b"nonsense\r\n\r\n");
    connection.write(&both).await;
    assert_eq!(connection.answer().await.status, 200);
    assert_eq!(connection.answer().await.status, 400);
    assert_eq!(connection.rest().await, b"");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let server = Server::start().await;
    for size in [20 << 10, 200 << 10, 2 << 20] {
        let large = server.get("/events/a", &format!("x: {}\r\n", "x".repeat(size))).await;
        assert_eq!(large.status, 431, "{size}");
        assert!(large.detail().contains("header_bytes_max"), "{}", large.body);
    }
    let many = server.get("/events/a", &"a: b\r\n".repeat(150)).await;
    assert_eq!((many.status, many.detail().contains("too many")), (431, true));
    for size in [9 << 10, 30 << 10, 100 << 10] {
        let long = server.get(&format!("/events/{}", "x".repeat(size)), "").await;
        assert_eq!(long.status, 414, "{size}");
        assert!(long.detail().contains("shorten it"), "{}", long.body);
    }
    // Below the limits nothing is wrong but the topic's own length.
    let topic = server.get(&format!("/events/{}", "x".repeat(8000)), "").await;
    assert_eq!((topic.status, topic.detail().contains("8000 bytes")), (400, true));
}

/// Sends more than is read, and gets the answer all the same.
async fn too_large(server: &Server, head: &str, body: &[u8]) -> Answer {
    let mut connection = server.connect().await;
    connection.write(head.as_bytes()).await;
    // The server stops reading: not all of it may go through.
    connection.try_write(body).await;
    connection.answer().await
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_it_is_read() {
    let server = Server::with(|config| {
        config.limits.body_bytes_max = 1000;
        config.limits.batch_bytes_max = 1000;
        config.limits.form_bytes_max = 1000;
    })
    .await;
    let big = vec![b'x'; 4 << 20];
    let ndjson = "content-type: application/x-ndjson\r\n";
    let form = "content-type: application/x-www-form-urlencoded\r\naccept: text/event-stream\r\n";
    for (target, kind, setting) in [
        ("/events/a", "", "body_bytes_max"),
        ("/events", ndjson, "batch_bytes_max"),
        ("/events", form, "form_bytes_max"),
    ] {
        let head = format!("POST {target} HTTP/1.1\r\nhost: localhost\r\n{kind}");
        let announced = format!("{head}content-length: {}\r\n\r\n", big.len());
        let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n{:x}\r\n", big.len());
        for head in [announced, chunked] {
            let answer = too_large(&server, &head, &big).await;
            assert_eq!(answer.status, 413, "{head}");
            assert!(answer.detail().contains(setting), "{}", answer.body);
        }
        // Who asks before sending is told at once.
        let head = format!("{head}expect: 100-continue\r\ncontent-length: 1001\r\n\r\n");
        assert_eq!(server.ask(head).await.status, 413);
    }
    assert_eq!(server.post("/events/a", "", vec![b'x'; 1000]).await.status, 200);
}

#[tokio::test]
async fn half_a_head_runs_out_of_time() {
    let server = Server::with(|config| config.limits.header_timeout_ms = 200).await;
    for half in ["GET /events/a HTT", "GET /events/a HTTP/1.1\r\nhost: local", "P"] {
        let answer = server.ask(half).await;
        assert_eq!(answer.status, 408, "{half}");
        assert!(answer.detail().contains("200 ms"), "{}", answer.body);
    }
    // Who says nothing at all is hung up on.
    assert_eq!(server.connect().await.rest().await, b"");
    // So is half a request after a whole one.
    let mut connection = server.connect().await;
    connection.write(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert_eq!(connection.answer().await.status, 200);
    connection.write(b"GET /he").await;
    assert_eq!(connection.answer().await.status, 408);
}

#[tokio::test]
async fn a_byte_now_and_then_is_not_enough() {
    let server = Server::with(|config| {
        config.limits.header_timeout_ms = 300;
        config.limits.body_timeout_ms = 300;
    })
    .await;
    let head = b"GET /events/a HTTP/1.1\r\nhost: localhost\r\nx: a very slow client\r\n\r\n";
    let body = b"POST /events/a HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n";
    for (at_once, says) in [(&b""[..], "300 ms"), (body, "body_timeout_ms")] {
        let mut connection = server.connect().await;
        connection.write(at_once).await;
        let drip = async {
            for byte in head.iter().cycle().take(200) {
                if !connection.try_write(&[*byte]).await {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        // A slow client: what is awaited is the server's patience.
        let _ = tokio::time::timeout(Duration::from_secs(1), drip).await;
        let answer = connection.answer().await;
        assert_eq!(answer.status, 408);
        assert!(answer.detail().contains(says), "{}", answer.body);
    }
    let half = server
        .ask("POST /events/a HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\nab")
        .await;
    assert_eq!(half.status, 408);
    let kept = server.get("/events/a?since=all&wait=0", "accept: application/json\r\n").await;
    assert_eq!(kept.json()["events"], serde_json::json!([]));
}

#[tokio::test]
async fn who_has_said_everything_is_answered() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    connection.write(&post("/events/a", "", "x")).await;
    connection.end().await;
    assert_eq!(connection.answer().await.status, 200);
    assert_eq!(connection.rest().await, b"");
    let mut connection = server.connect().await;
    let stream = "content-type: text/event-stream\r\n";
    connection.write(&post("/events/a", stream, "data: y\n\n")).await;
    connection.end().await;
    assert!(connection.answer().await.lines()[0]["id"].is_string());
    // Half a request is no request, and nobody waits for the other half.
    let mut connection = server.connect().await;
    connection
        .write(b"POST /events/a HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\nab")
        .await;
    connection.end().await;
    assert_eq!(connection.rest().await, b"");
}
