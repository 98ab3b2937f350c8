//! Stopping.

use std::time::{Duration, Instant};

use crate::client::Said;
use crate::server::Server;

#[tokio::test]
async fn streams_end_with_when_to_come_back() {
    let server = Server::start().await;
    let mut page = server.subscribe("/events/a", "").await;
    let mut lines = server.subscribe("/events/a", "accept: application/x-ndjson\r\n").await;
    let idle = {
        let mut connection = server.connect().await;
        connection.write(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
        assert_eq!(connection.answer().await.status, 200);
        connection
    };
    server.publish("/events/a", "last").await;
    assert_eq!(page.data().await, "last");
    assert_eq!(lines.json().await["data"], "last");
    let began = Instant::now();
    server.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5));
    let Said::Retry(ms) = page.next_said().await else { panic!("no retry") };
    assert!((1_000..=18_000).contains(&ms), "{ms}");
    assert_eq!(page.next_said().await, Said::End);
    assert_eq!(lines.piece().await, None);
    drop(idle);
}

#[tokio::test]
async fn a_long_poll_answers_and_a_published_stream_is_told() {
    let server = Server::start().await;
    let mut poll = server.poll("a").await;
    let mut publisher = server.connect().await;
    let head = "POST /events/b HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/event-stream\r\n\
                transfer-encoding: chunked\r\n\r\n";
    publisher.write(head.as_bytes()).await;
    publisher.head().await;
    let half = {
        let mut connection = server.connect().await;
        connection.write(b"GET /events/a HT").await;
        connection
    };
    let began = Instant::now();
    server.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5));
    let answer = poll.answer().await;
    assert_eq!(answer.status, 200);
    assert!(!answer.json()["last_event_id"].as_str().unwrap().is_empty());
    let last = String::from_utf8(publisher.chunk().await.unwrap()).unwrap();
    assert!(last.contains("\"status\":503") && last.contains("stopping"), "{last}");
    drop(half);
}

#[tokio::test]
async fn whoever_does_not_finish_is_cut() {
    let server = Server::start().await;
    let mut slow = server.connect().await;
    slow.write(b"POST /events/a HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\nab").await;
    let began = Instant::now();
    server.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(slow.rest().await, b"");
}
