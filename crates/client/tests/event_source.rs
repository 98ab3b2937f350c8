//! `EventSource` over sockets, against a server that follows a script.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use futures_util::StreamExt;
use headwater_client::{Error, Event, EventSource, Failure, Item, Lost, Policy, Reconnecting};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const HEAD: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";

/// Answers one connection after the other with these bytes and closes it. Gives the requests' heads.
async fn serve(answers: Vec<String>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/events/news", listener.local_addr().unwrap());
    let requests = tokio::spawn(async move {
        let mut requests = Vec::new();
        for answer in answers {
            let (mut socket, _) = listener.accept().await.unwrap();
            requests.push(read_head(&mut socket).await);
            socket.write_all(answer.as_bytes()).await.unwrap();
            socket.shutdown().await.unwrap();
        }
        requests
    });
    (url, requests)
}

async fn read_head(socket: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap().to_lowercase()
}

fn quick() -> Policy {
    let mut policy = Policy::default();
    policy.reconnection_time = Duration::from_millis(1);
    policy.backoff_max = Duration::ZERO;
    policy
}

fn event(data: &str, id: &str) -> Item {
    let (event_type, data, id) = ("message".into(), data.into(), id.into());
    Item::Event(Event { event_type, data, id, retry: None })
}

fn lost(cause: Lost) -> Item {
    Item::Reconnecting(Reconnecting { delay: Duration::from_millis(1), cause })
}

#[tokio::test]
async fn reconnects_with_its_last_event_id_until_it_is_told_to_stop() {
    let (url, requests) = serve(vec![
        format!("{HEAD}data: a\nid: 1\n\ndata: b\n\nid: 9\ndata: half"),
        format!("{HEAD}data: c\n\n"),
        "HTTP/1.1 204 No Content\r\n\r\n".into(),
    ])
    .await;
    let source = EventSource::builder(url).policy(quick()).build().unwrap();
    let items: Vec<_> = source.map(Result::unwrap).collect().await;
    assert_eq!(
        items,
        [
            Item::Open,
            event("a", "1"),
            event("b", "1"),
            lost(Lost::Ended),
            Item::Open,
            event("c", "1"),
            lost(Lost::Ended),
        ]
    );
    let requests = requests.await.unwrap();
    // WHATWG HTML 9.2.2: "User agents may set (`Accept`, `text/event-stream`) in request's header list."
    assert!(requests.iter().all(|head| head.contains("\r\naccept: text/event-stream\r\n")));
    assert!(requests.iter().all(|head| head.contains("\r\ncache-control: no-cache\r\n")));
    assert!(!requests[0].contains("last-event-id"));
    assert!(requests[1].contains("\r\nlast-event-id: 1\r\n"));
    assert!(requests[2].contains("\r\nlast-event-id: 1\r\n"));
}

#[tokio::test]
async fn a_refusal_is_an_error_that_says_why() {
    let body = r#"{"detail":"no such thing"}"#;
    let (url, _requests) = serve(vec![format!(
        "HTTP/1.1 404 Not Found\r\nContent-Type: application/problem+json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )])
    .await;
    let mut source = EventSource::new(url).unwrap();
    let Some(Err(Error::Failed(Failure::Refused(refusal)))) = source.next().await else { panic!() };
    assert_eq!(refusal.status, 404);
    assert_eq!(refusal.content_type.as_deref(), Some("application/problem+json"));
    assert_eq!(refusal.body, body.as_bytes());
    assert!(source.next().await.is_none());
}

#[tokio::test]
async fn a_closed_port_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut source =
        EventSource::builder(format!("http://{address}/")).policy(quick()).build().unwrap();
    for _ in 0..3 {
        let item = source.next().await.unwrap().unwrap();
        let Item::Reconnecting(Reconnecting { cause: Lost::Network(what), .. }) = item else {
            panic!("{item:?}");
        };
        assert!(what.contains("refused"), "{what}");
    }
}

/// The silence is awaited, not measured: the server sees its connection closed.
#[tokio::test]
async fn a_silent_server_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let left = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        read_head(&mut socket).await;
        socket.write_all(format!("{HEAD}data: a\n\n").as_bytes()).await.unwrap();
        // Until the client has closed the connection.
        socket.read(&mut [0]).await.unwrap()
    });
    let mut policy = quick();
    policy.silence_max = Some(Duration::from_secs(2));
    let mut source = EventSource::builder(url).policy(policy).build().unwrap();
    assert_eq!(source.next().await.unwrap().unwrap(), Item::Open);
    assert_eq!(source.next().await.unwrap().unwrap(), event("a", ""));
    assert_eq!(source.next().await.unwrap().unwrap(), lost(Lost::Silent(Duration::from_secs(2))));
    assert_eq!(left.await.unwrap(), 0);
}

#[tokio::test]
async fn dropping_it_closes_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let closed = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        read_head(&mut socket).await;
        socket.write_all(HEAD.as_bytes()).await.unwrap();
        socket.read(&mut [0]).await.unwrap()
    });
    let mut source = EventSource::new(url).unwrap();
    assert_eq!(source.next().await.unwrap().unwrap(), Item::Open);
    drop(source);
    assert_eq!(closed.await.unwrap(), 0);
}

#[tokio::test]
async fn a_method_a_body_headers_and_a_first_id_go_with_every_connection() {
    let (url, requests) =
        serve(vec![format!("{HEAD}retry: 2\n\n"), "HTTP/1.1 204 No Content\r\n\r\n".into()]).await;
    let mut source = EventSource::builder(url)
        .method(reqwest::Method::POST, "topic=a")
        .header(reqwest::header::AUTHORIZATION, "Bearer secret".parse().unwrap())
        .last_event_id("#é")
        .policy(quick())
        .build()
        .unwrap();
    let mut items = Vec::new();
    while let Some(item) = source.next().await {
        items.push(item.unwrap());
    }
    let delay = Duration::from_millis(2);
    assert_eq!(
        items,
        [
            Item::Open,
            Item::Retry(delay),
            Item::Reconnecting(Reconnecting { delay, cause: Lost::Ended }),
        ]
    );
    for head in requests.await.unwrap() {
        assert!(head.starts_with("post /events/news http/1.1\r\n"), "{head}");
        assert!(head.contains("\r\nauthorization: bearer secret\r\n"), "{head}");
        assert!(head.contains("\r\ncontent-length: 7\r\n"), "{head}");
        assert!(head.contains("\r\nlast-event-id: #é\r\n"), "{head}");
    }
}

#[test]
fn what_cannot_be_asked_for_is_refused_at_once() {
    assert!(matches!(EventSource::new("no url"), Err(Error::Url { .. })));
    let bad_id = EventSource::builder("http://localhost/").last_event_id("\u{1}").build();
    assert!(matches!(bad_id, Err(Error::LastEventId(_))));
}

#[tokio::test]
async fn a_scheme_that_no_connection_can_be_made_with_is_final() {
    let mut source = EventSource::new("ftp://localhost/").unwrap();
    assert!(matches!(source.next().await, Some(Err(Error::Request(_)))));
    assert!(source.next().await.is_none());
}
