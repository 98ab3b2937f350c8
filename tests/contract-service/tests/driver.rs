//! A small driver that asks of the service what the public harness asks of it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../../../crates/client/tests/sockets/server.rs"]
mod server;

use std::time::Duration;

use headwater_tests::Program;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::server::{STREAM, Server};

const DEADLINE: Duration = Duration::from_secs(30);

/// The service, a server of streams, and where the service reports to.
struct Driver {
    program: Program,
    service: String,
    client: reqwest::Client,
    streams: Server,
    callbacks: Server,
    heard: u32,
}

impl Driver {
    async fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_headwater-contract-service"));
        let mut program = Program::start(command.arg("127.0.0.1:0")).unwrap();
        let first_line = |said: &str| said.split_once('\n').map(|(url, _)| url.to_owned());
        let service = program.says(DEADLINE, first_line).await.unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let (streams, callbacks) = (Server::start().await, Server::start().await);
        Self { program, service, client, streams, callbacks, heard: 0 }
    }

    async fn post(&self, path: &str, body: &Value) -> reqwest::Response {
        let request = self.client.post(format!("{}{path}", self.service));
        request.body(body.to_string()).send().await.unwrap()
    }

    /// Creates a stream; its resource.
    async fn create(&mut self, settings: Value) -> String {
        self.heard = 0;
        let mut all = json!({
            "streamUrl": self.streams.url,
            "callbackUrl": self.callbacks.url,
            "tag": "driver",
            "initialDelayMs": 0,
        });
        all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let answer = self.post("/", &all).await;
        assert_eq!(answer.status(), 201);
        answer.headers()["location"].to_str().unwrap().to_owned()
    }

    /// The next report. They come in order, under numbers that begin at 1.
    async fn heard(&mut self) -> Value {
        let peer = self.callbacks.accept().await;
        self.heard += 1;
        assert_eq!(peer.line, format!("POST /events/news/{}", self.heard));
        let message = serde_json::from_str(&peer.body).unwrap();
        peer.answer(202, "", "").await;
        message
    }

    async fn hears_event(&mut self, kind: &str, data: &str, id: &str) {
        let event = json!({ "type": kind, "data": data, "id": id });
        assert_eq!(self.heard().await, json!({ "kind": "event", "event": event }));
    }

    async fn hears_error(&mut self) {
        assert_eq!(self.heard().await["kind"], "error");
    }

    async fn delete(&self, path: &str) -> u16 {
        let request = self.client.delete(format!("{}{path}", self.service));
        request.send().await.unwrap().status().as_u16()
    }
}

#[tokio::test]
async fn it_says_what_it_can_and_refuses_what_it_does_not_understand() {
    let mut driver = Driver::start().await;
    let answer = driver.client.get(&driver.service).send().await.unwrap();
    let told: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    let capabilities = [
        "bom",
        "comments",
        "event-type-listeners",
        "headers",
        "last-event-id",
        "post",
        "read-timeout",
        "report",
        "restart",
        "server-directed-shutdown-request",
    ];
    assert_eq!(told["capabilities"], json!(capabilities));
    assert_eq!(driver.post("/", &json!({ "streamUrl": "x" })).await.status(), 400);
    let no_url = json!({ "streamUrl": "x", "callbackUrl": "y" });
    assert_eq!(driver.post("/", &no_url).await.status(), 400);
    assert_eq!(driver.post("/streams/9", &json!({ "command": "restart" })).await.status(), 404);
    assert_eq!(driver.delete("/streams/9").await, 404);
    let stream = driver.create(json!({})).await;
    assert_eq!(driver.post(&stream, &json!({ "command": "dance" })).await.status(), 400);
    assert_eq!(driver.delete("/").await, 204);
    assert!(driver.program.ended(DEADLINE).await.unwrap().success());
}

#[tokio::test]
async fn events_comments_types_and_a_bom() {
    let mut driver = Driver::start().await;
    let stream = driver.create(json!({})).await;
    let mut peer = driver.streams.accept_stream().await;
    peer.send("\u{feff}data: a\nid: 1\n\n:Hello\n").await;
    driver.hears_event("message", "a", "1").await;
    assert_eq!(driver.heard().await, json!({ "kind": "comment", "comment": "Hello" }));
    let listen = json!({ "command": "listen", "listen": { "type": " greeting" } });
    assert!(driver.post(&stream, &listen).await.status().is_success());
    peer.send("event: other\ndata: not listened for\n\nevent:  greeting\ndata: b\n\n").await;
    driver.hears_event(" greeting", "b", "1").await;
    assert_eq!(driver.delete(&stream).await, 204);
    peer.closed().await;
    assert_eq!(driver.delete(&stream).await, 404);
}

#[tokio::test]
async fn headers_bodies_and_ids_go_with_every_connection() {
    for method in ["POST", "REPORT"] {
        // One each: the other's client goes on coming back.
        let mut driver = Driver::start().await;
        let body = "{\"hello\": \"world\"}";
        driver
            .create(json!({
                "method": method,
                "body": body,
                "lastEventId": "abc",
                "headers": { "content-type": "application/json; charset=utf-8", "x-one": "1" },
            }))
            .await;
        for _ in 0..2 {
            let mut peer = driver.streams.accept().await;
            assert_eq!(peer.line, format!("{method} /events/news"));
            assert_eq!(peer.body, body);
            assert_eq!(peer.header("content-type"), Some("application/json; charset=utf-8"));
            assert_eq!(peer.header("x-one"), Some("1"));
            assert_eq!(peer.header("last-event-id"), Some("abc"));
            peer.send(STREAM).await;
            peer.reset();
            driver.hears_error().await;
        }
    }
}

#[tokio::test]
async fn a_restart_and_a_silence_make_a_new_connection() {
    let mut driver = Driver::start().await;
    let stream = driver.create(json!({})).await;
    let mut first = driver.streams.accept_stream().await;
    first.send("data: Hello\n\n").await;
    driver.hears_event("message", "Hello", "").await;
    let restart = json!({ "command": "restart" });
    assert!(driver.post(&stream, &restart).await.status().is_success());
    first.closed().await;
    let mut second = driver.streams.accept_stream().await;
    second.send("data: Thanks\n\n").await;
    driver.hears_event("message", "Thanks", "").await;
    driver.delete(&stream).await;

    driver.create(json!({ "readTimeoutMs": 2000 })).await;
    let mut silent = driver.streams.accept_stream().await;
    silent.send("data: Hello\n\n").await;
    driver.hears_event("message", "Hello", "").await;
    driver.hears_error().await;
    silent.closed().await;
    driver.streams.accept().await.reset();
}

#[tokio::test]
async fn redirects_are_followed_and_204_is_the_end() {
    let mut driver = Driver::start().await;
    for status in [301, 307] {
        driver.create(json!({})).await;
        let to = format!("Location: {}/there\r\n", driver.streams.url);
        driver.streams.accept().await.answer(status, &to, "").await;
        let mut peer = driver.streams.accept_stream().await;
        assert_eq!(peer.line, "GET /events/news/there");
        peer.send("data: hello\n\n").await;
        driver.hears_event("message", "hello", "").await;
        peer.finish().await;
        driver.hears_error().await;
        driver.streams.accept().await.answer(204, "", "").await;
    }
    driver.create(json!({})).await;
    driver.streams.accept().await.answer(301, "", "").await;
    driver.hears_error().await;
    assert!(driver.streams.is_left_alone().await);
}
