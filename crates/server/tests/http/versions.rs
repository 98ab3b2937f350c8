//! HTTP/1.0 and cleartext HTTP/2.

use bytes::Bytes;
use headwater_event_stream::{Decoder, Item};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2;
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::server::{Server, SetUp, within};

#[tokio::test]
async fn http_1_0_gets_a_stream_without_chunks() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    connection.write(b"GET /events/a HTTP/1.0\r\n\r\n").await;
    let mut page = connection.subscriber().await;
    assert_eq!(page.header("transfer-encoding"), None);
    assert_eq!(page.header("content-type"), Some("text/event-stream"));
    let id = server.publish("/events/a", "x").await;
    let event = String::from_utf8(page.piece().await.unwrap()).unwrap();
    assert_eq!(event, format!("data: x\nid: {id}\n\n"));
    server.stop().await;
    let rest = page.connection.rest().await;
    assert!(rest.starts_with(b"retry: "), "{}", String::from_utf8_lossy(&rest));
}

#[tokio::test]
async fn http_1_0_publishes() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    connection.write(b"POST /events/a HTTP/1.0\r\ncontent-length: 1\r\n\r\nx").await;
    let answer = connection.answer().await;
    assert_eq!(answer.status, 200);
    assert!(answer.json()["id"].is_string());
    assert_eq!(connection.rest().await, b"");
}

/// A client of HTTP/2 with prior knowledge.
struct Http2 {
    sender: http2::SendRequest<Full<Bytes>>,
    authority: String,
}

impl Http2 {
    async fn connect(server: &Server) -> Self {
        let stream = TcpStream::connect(server.address).await.unwrap();
        let io = TokioIo::new(stream);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        Self { sender, authority: server.address.to_string() }
    }

    async fn send(&mut self, method: &str, target: &str, body: &str) -> Response<Incoming> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{target}", self.authority))
            .body(Full::new(Bytes::from(body.to_owned())))
            .unwrap();
        within(self.sender.send_request(request)).await.unwrap()
    }
}

async fn next_event(body: &mut Incoming, decoder: &mut Decoder) -> Option<String> {
    loop {
        let frame = within(body.frame()).await?.unwrap();
        let Ok(data) = frame.into_data() else { continue };
        let mut input = &data[..];
        while let Some(item) = decoder.decode(&mut input).unwrap() {
            if let Item::Event(event) = item
                && event.event_type != "hub.open"
            {
                return Some(event.data.to_owned());
            }
        }
    }
}

#[tokio::test]
async fn http_2_carries_many_streams_on_one_connection() {
    let server = Server::start().await;
    let mut client = Http2::connect(&server).await;
    let mut pages = Vec::new();
    for _ in 0..20 {
        let response = client.send("GET", "/events/a", "").await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert!(!response.headers().contains_key("transfer-encoding"));
        pages.push((response.into_body(), Decoder::new()));
    }
    // The open block is sent before anything is published.
    for data in ["one", "two"] {
        let published = client.send("POST", "/events/a", data).await;
        assert_eq!(published.status(), 200);
        for (body, decoder) in &mut pages {
            assert_eq!(next_event(body, decoder).await.as_deref(), Some(data));
        }
    }
    let head = client.send("HEAD", "/events/a", "").await;
    assert_eq!(head.headers()["headwater-resume"], "live");
    assert!(head.into_body().frame().await.is_none());
    let problem = client.send("HEAD", "/nowhere", "").await;
    assert_eq!(problem.status(), 404);
    assert!(problem.into_body().frame().await.is_none());
    // Dropping one stream frees it and leaves the others.
    let mut listeners = server.watch("b");
    let one = client.send("GET", "/events/b", "").await;
    let other = client.send("GET", "/events/b", "").await;
    within(listeners.wait_for(|count| *count == 2)).await.unwrap();
    drop(one);
    within(listeners.wait_for(|count| *count == 1)).await.unwrap();
    drop(other);
    within(listeners.wait_for(|count| *count == 0)).await.unwrap();
}

#[tokio::test]
async fn http_2_bodies_have_limits_too() {
    let server = Server::with(|config| config.limits.body_bytes_max = 1000).await;
    let mut client = Http2::connect(&server).await;
    let big = client.send("POST", "/events/a", &"x".repeat(1 << 20)).await;
    assert_eq!(big.status(), 413);
    let good = client.send("POST", "/events/a", &"x".repeat(1000)).await;
    assert_eq!(good.status(), 200);
}

#[tokio::test]
async fn a_stream_that_is_not_read_ends_alone() {
    let mut set_up = SetUp::default();
    set_up.hub.write_timeout_ms = 300;
    // Stalled streams are looked for fifteen times as often.
    set_up.hub.heartbeat_ms = 150;
    let server = set_up.start().await;
    let mut client = Http2::connect(&server).await;
    let mut stalled = client.send("GET", "/events/a", "").await.into_body();
    let (mut body, mut decoder) =
        (client.send("GET", "/events/a", "").await.into_body(), Decoder::new());
    let big = "x".repeat(900_000);
    for number in 0..5 {
        let published = client.send("POST", "/events/a", &big).await;
        assert_eq!(published.status(), 200);
        let data = next_event(&mut body, &mut decoder).await.unwrap();
        assert_eq!(data.len(), big.len(), "{number}");
    }
    // Longer than the write timeout: the hub has let go of the one that was not read.
    tokio::time::sleep(std::time::Duration::from_millis(800)).await;
    let (mut decoder_of_stalled, mut seen) = (Decoder::new(), 0);
    let ended = within(async {
        while next_event(&mut stalled, &mut decoder_of_stalled).await.is_some() {
            seen += 1;
        }
    });
    ended.await;
    assert!(seen < 5, "{seen}");
    client.send("POST", "/events/a", "end").await;
    assert_eq!(next_event(&mut body, &mut decoder).await.as_deref(), Some("end"));
}
