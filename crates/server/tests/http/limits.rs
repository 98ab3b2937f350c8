//! Refusals that will pass, and clients that take nothing.

use std::time::Duration;

use crate::client::{Answer, Said};
use crate::server::{Server, SetUp, within};

/// Whether it is what a page needs to come back: an event stream that says when, and ends.
fn assert_sends_back(answer: &Answer) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    let body = &answer.body;
    let (why, retry) = body.strip_suffix("\n\n").unwrap().rsplit_once("\nretry: ").unwrap();
    assert!(why.starts_with(": "), "{body}");
    assert!((2_000..=18_000).contains(&retry.parse::<u64>().unwrap()), "{retry}");
}

fn assert_unavailable(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(answer.header("retry-after").is_some());
    assert!(!answer.detail().is_empty());
}

#[tokio::test]
async fn too_many_subscribers_are_sent_back_later() {
    let mut set_up = SetUp::default();
    set_up.hub.subscribers_max = 1;
    let server = set_up.start().await;
    let mut page = server.subscribe("/events/a", "").await;
    assert_sends_back(&server.get("/events/a", "").await);
    assert_unavailable(&server.get("/events/a", "accept: application/x-ndjson\r\n").await, 503);
    assert_unavailable(&server.get("/events/a", "accept: application/json\r\n").await, 503);
    // Publishers, and who is there, are not concerned.
    server.publish("/events/a", "x").await;
    assert_eq!(page.data().await, "x");
    let mut listeners = server.watch("a");
    drop(page);
    let _page = loop {
        let again = server.get("/events/a?wait=0", "accept: application/json\r\n").await;
        if again.status == 200 {
            break server.subscribe("/events/a", "").await;
        }
    };
    within(listeners.wait_for(|count| *count == 1)).await.unwrap();
}

#[tokio::test]
async fn too_many_connections_are_sent_back_later() {
    let server = Server::with(|config| config.limits.connections_max = 1).await;
    let mut page = server.subscribe("/events/a", "").await;
    assert_sends_back(&server.get("/events/a", "").await);
    assert_unavailable(&server.get("/events/a", "accept: application/json\r\n").await, 503);
    assert_unavailable(&server.post("/events/a", "", "x").await, 503);
    // They are not kept.
    let mut connection = server.connect().await;
    connection.write(b"GET /events/a HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert_sends_back(&connection.answer().await);
    assert_eq!(connection.rest().await, b"");
    drop(page.connection);
    // The hub has to notice that there is room again.
    for _ in 0..1000 {
        page = server.subscribe("/events/a", "").await;
        if page.header("headwater-resume").is_some() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("there was never room again");
}

#[tokio::test]
async fn too_many_connections_in_a_second_are_sent_back_later() {
    let server = Server::with(|config| config.limits.accepts_per_second_max = 2).await;
    // Another may come each half second; nobody is quick enough on a busy machine to say how many.
    let mut statuses = Vec::new();
    while !statuses.contains(&503) {
        assert!(statuses.len() < 1000, "nobody was refused");
        statuses.push(server.get("/healthz", "").await.status);
    }
    assert_eq!(statuses.first(), Some(&200));
    let mut refusal = None;
    for _ in 0..1000 {
        let mut connection = server.connect().await;
        connection.write(b"GET /events/a HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
        let head = connection.head().await;
        if !head.to_lowercase().contains("headwater-resume") {
            refusal = Some(connection.block().await);
            break;
        }
    }
    let refusal = refusal.unwrap();
    assert!(refusal.contains("accepts_per_second_max"), "{refusal}");
    assert!(refusal.contains("\nretry: "), "{refusal}");
}

#[tokio::test]
async fn an_address_behind_a_trusted_proxy_has_its_own_limit() {
    let server = Server::with(|config| {
        config.limits.connections_per_address_max = 1;
        config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    })
    .await;
    let from = |address: &str| format!("x-forwarded-for: 6.6.6.6, {address}\r\n");
    let page = server.subscribe("/events/a", &from("203.0.113.1")).await;
    assert_sends_back(&server.get("/events/a", &from("203.0.113.1")).await);
    assert_unavailable(&server.post("/events/a", &from("203.0.113.1"), "x").await, 429);
    let forwarded = "forwarded: for=203.0.113.1;proto=https\r\n";
    assert_unavailable(&server.post("/events/a", forwarded, "x").await, 429);
    assert_eq!(server.post("/events/a", &from("203.0.113.2"), "x").await.status, 200);
    let mut listeners = server.watch("a");
    listeners.mark_changed();
    drop(page);
    let mut status = 0;
    for _ in 0..1000 {
        status = server.post("/events/a", &from("203.0.113.1"), "x").await.status;
        if status == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(status, 200);
}

#[tokio::test]
async fn whose_proxy_is_not_trusted_says_nothing() {
    let server = Server::with(|config| config.limits.connections_per_address_max = 1).await;
    let _page = server.subscribe("/events/a", "x-forwarded-for: 203.0.113.1\r\n").await;
    let answer = server.post("/events/a", "x-forwarded-for: 203.0.113.1\r\n", "x").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn who_takes_nothing_is_cut_and_others_notice_nothing() {
    let mut set_up = SetUp::default();
    set_up.hub.write_timeout_ms = 300;
    let server = set_up.start().await;
    let mut page = server.subscribe("/events/a", "").await;
    let mut stalled = server.subscribe("/events/a?since=all", "").await;
    let mut listeners = server.watch("a");
    let _late = server.subscribe("/events/a", "").await;
    within(listeners.wait_for(|count| *count == 1)).await.unwrap();
    let big = "x".repeat(900_000);
    let mut sent = 0;
    // The late one is counted, does not read either, and is gone when its time is over.
    while *listeners.borrow() > 0 {
        assert!(sent < 1000, "nobody was cut");
        server.publish("/events/a", &big).await;
        assert_eq!(page.data().await.len(), big.len());
        sent += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // What it had begun is all that it gets.
    let mut received = 0;
    let cut = within(async {
        while let Some(piece) = piece_or_reset(&mut stalled).await {
            received += piece;
        }
    });
    cut.await;
    assert!(received < sent * big.len());
    server.publish("/events/a", "end").await;
    assert_eq!(page.data().await, "end");
}

async fn piece_or_reset(stalled: &mut crate::client::Subscriber) -> Option<usize> {
    let rest = stalled.connection.rest().await.len();
    (rest > 0).then_some(rest)
}

#[tokio::test]
async fn all_bodies_share_a_budget() {
    let server = Server::with(|config| config.limits.bodies_bytes_max = 1000).await;
    let mut slow = server.connect().await;
    let head = b"POST /events/a HTTP/1.1\r\nhost: localhost\r\ncontent-length: 900\r\n\r\n";
    slow.write(head).await;
    slow.write(&[b'x'; 800]).await;
    // Refused as soon as the slow body's bytes have been read.
    let mut status = 200;
    for _ in 0..1000 {
        let answer = server.post("/events/a", "", [b'x'; 500]).await;
        status = answer.status;
        if status == 503 {
            assert!(answer.detail().contains("bodies_bytes_max"));
            break;
        }
    }
    assert_eq!(status, 503);
    assert_eq!(server.post("/events/a", "", [b'x'; 100]).await.status, 200);
    slow.write(&[b'x'; 100]).await;
    assert_eq!(slow.answer().await.status, 200);
    assert_eq!(server.post("/events/a", "", [b'x'; 500]).await.status, 200);
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let server = Server::with(|config| config.limits.idle_timeout_ms = 200).await;
    let mut connection = server.connect().await;
    connection.write(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert_eq!(connection.answer().await.status, 200);
    assert_eq!(connection.rest().await, b"");
    // A stream is not idle, however quiet.
    let mut page = server.subscribe("/events/a", "").await;
    // Others that came after it are closed meanwhile.
    for _ in 0..2 {
        let mut idle = server.connect().await;
        idle.write(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
        assert_eq!(idle.answer().await.status, 200);
        assert_eq!(idle.rest().await, b"");
    }
    server.publish("/events/a", "x").await;
    assert!(matches!(page.next().await, Said::Event { data, .. } if data == "x"));
}
