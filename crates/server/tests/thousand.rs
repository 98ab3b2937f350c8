//! A thousand subscribers each receive a thousand events, in order, with none lost.
#![allow(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "tests, helpers too"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use headwater_event_stream::{Decoder, Item};
use headwater_log::{Epoch, IdKey, MemoryLimits, MemoryLog};
use headwater_server::{Config, Hub, HubConfig, serve};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

const SUBSCRIBERS: usize = 1_000;
const EVENTS: usize = 1_000;
/// How long all of it may take, and no assertion about speed.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_subscribers_each_receive_a_thousand_events() {
    raise_open_files(SUBSCRIBERS as u64 * 2 + 200);
    let log = MemoryLog::new(Epoch::new(1), IdKey::new([1; 16]), MemoryLimits::default());
    let hub = Hub::start(Arc::new(log), &HubConfig::default()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, hub, Config::default(), async {
        let _ = stopped.await;
    }));

    let all = async {
        let mut open = JoinSet::new();
        for number in 0..SUBSCRIBERS {
            open.spawn(subscribe(address, number));
        }
        let mut received = JoinSet::new();
        while let Some(subscriber) = open.join_next().await {
            received.spawn(receive(subscriber.unwrap()));
        }
        publish(address).await;
        let mut count = 0;
        while let Some(events) = received.join_next().await {
            assert_eq!(events.unwrap(), EVENTS);
            count += 1;
        }
        assert_eq!(count, SUBSCRIBERS);
    };
    tokio::time::timeout(PATIENCE, all).await.expect("events are missing");
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}

/// One in ten asks for everything, the others for the topic.
async fn subscribe(address: SocketAddr, number: usize) -> (TcpStream, Decoder) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let target = if number.is_multiple_of(10) { "/events?pattern=*" } else { "/events/numbers" };
    let request = format!("GET {target} HTTP/1.0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    // HTTP/1.0 has no chunks: after the head, every byte is the stream's.
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.0 200 OK") || head.starts_with(b"HTTP/1.1 200 OK"));
    let mut decoder = Decoder::new();
    let mut bytes = [0; 256];
    loop {
        let count = stream.read(&mut bytes).await.unwrap();
        let mut input = &bytes[..count];
        while let Some(item) = decoder.decode(&mut input).unwrap() {
            if matches!(item, Item::Event(event) if event.event_type == "hub.open") {
                assert!(input.is_empty());
                return (stream, decoder);
            }
        }
    }
}

/// Receives until the last event; each has to be the one after the last.
async fn receive((mut stream, mut decoder): (TcpStream, Decoder)) -> usize {
    let mut bytes = vec![0; 16 << 10];
    let mut next = 0;
    while next < EVENTS {
        let count = stream.read(&mut bytes).await.unwrap();
        assert!(count > 0, "the stream ended after {next} events");
        let mut input = &bytes[..count];
        while let Some(item) = decoder.decode(&mut input).unwrap() {
            if let Item::Event(event) = item
                && event.event_type == "message"
            {
                assert_eq!(event.data.parse(), Ok(next));
                next += 1;
            }
        }
    }
    next
}

/// Publishes one event after the other, each when the one before it is in the log.
async fn publish(address: SocketAddr) {
    let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
    for number in 0..EVENTS {
        let data = number.to_string();
        let request = format!(
            "POST /events/numbers HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{data}",
            data.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut line = String::new();
        let mut length = 0;
        while line != "\r\n" {
            line.clear();
            stream.read_line(&mut line).await.unwrap();
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        assert!(body.starts_with(b"{\"id\":"));
    }
}

/// Both ends of every connection are in this process.
fn raise_open_files(wanted: u64) {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = limit.maximum.map_or(Some(wanted), |maximum| Some(maximum.min(wanted)));
        setrlimit(Resource::Nofile, limit).unwrap();
    }
}
