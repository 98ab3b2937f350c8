//! An HTTP/1.1 client that shows every byte.

use std::net::SocketAddr;

use headwater_event_stream::{Decoder, Item};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::server::within;

pub(crate) struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
    ToEnd,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = within(TcpStream::connect(address)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, read: Vec::new() }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        within(self.stream.write_all(bytes)).await.unwrap();
    }

    /// Writes what the server may not want to read.
    pub(crate) async fn try_write(&mut self, bytes: &[u8]) -> bool {
        within(self.stream.write_all(bytes)).await.is_ok()
    }

    /// Says that nothing more will be sent.
    pub(crate) async fn end(&mut self) {
        within(self.stream.shutdown()).await.unwrap();
    }

    /// Reads more; false at the end.
    async fn more(&mut self) -> bool {
        within(self.stream.read_buf(&mut self.read)).await.is_ok_and(|count| count > 0)
    }

    /// The head of the next answer.
    pub(crate) async fn head(&mut self) -> String {
        loop {
            if let Some(at) = find(&self.read, b"\r\n\r\n") {
                let rest = self.read.split_off(at + 4);
                let head = std::mem::replace(&mut self.read, rest);
                let head = String::from_utf8(head).unwrap();
                // An interim answer is followed by the answer.
                if !head.starts_with("HTTP/1.1 100 ") {
                    return head;
                }
            } else {
                let before = String::from_utf8_lossy(&self.read).into_owned();
                assert!(self.more().await, "the connection ended before an answer: {before:?}");
            }
        }
    }

    /// The next answer, whole.
    pub(crate) async fn answer(&mut self) -> Answer {
        let head = self.head().await;
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut body = Vec::new();
        match framing(&head) {
            Framing::Length(length) => {
                while self.read.len() < length {
                    assert!(self.more().await, "the body broke off");
                }
                body.extend(self.read.drain(..length));
            }
            Framing::Chunked => {
                while let Some(chunk) = self.chunk().await {
                    body.extend(chunk);
                }
            }
            Framing::ToEnd => body = self.rest().await,
        }
        Answer { status, head, body: String::from_utf8(body).unwrap() }
    }

    /// The head of an answer to `HEAD`.
    pub(crate) async fn answer_without_body(&mut self) -> Answer {
        let head = self.head().await;
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body: String::new() }
    }

    /// The next chunk of a chunked body; `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = find(&self.read, b"\r\n") {
                let size = std::str::from_utf8(&self.read[..at]).unwrap();
                let size = usize::from_str_radix(size, 16).unwrap();
                if self.read.len() >= at + 2 + size + 2 {
                    let chunk = self.read[at + 2..at + 2 + size].to_vec();
                    self.read.drain(..at + 2 + size + 2);
                    return (size > 0).then_some(chunk);
                }
            }
            assert!(self.more().await, "a chunked body broke off");
        }
    }

    /// The next block of an event stream that is sent without chunks.
    pub(crate) async fn block(&mut self) -> String {
        loop {
            if let Some(at) = find(&self.read, b"\n\n") {
                return String::from_utf8(self.read.drain(..at + 2).collect()).unwrap();
            }
            assert!(self.more().await, "the stream broke off");
        }
    }

    /// Everything up to the end of the connection.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.read)
    }

    /// The stream that the next answer is, from its first byte.
    pub(crate) async fn stream(mut self) -> Subscriber {
        let head = self.head().await;
        let framing = framing(&head);
        let decoder = Decoder::new().report_comments(true);
        Subscriber { connection: self, head, framing, decoder, seen: Default::default() }
    }

    /// The stream that the next answer is; an event stream has begun.
    pub(crate) async fn subscriber(self) -> Subscriber {
        let mut subscriber = self.stream().await;
        if subscriber.head.contains("content-type: text/event-stream") {
            subscriber.next().await;
        }
        subscriber
    }
}

/// Something that an event stream said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    Event {
        event_type: String,
        data: String,
        id: String,
    },
    Retry(u64),
    Comment(String),
    /// The stream ended.
    End,
}

/// An answer that goes on.
pub(crate) struct Subscriber {
    pub(crate) connection: Connection,
    pub(crate) head: String,
    framing: Framing,
    decoder: Decoder,
    seen: std::collections::VecDeque<Said>,
}

impl Subscriber {
    /// The next piece of the body; `None` at its end.
    pub(crate) async fn piece(&mut self) -> Option<Vec<u8>> {
        if self.framing == Framing::Chunked {
            return self.connection.chunk().await;
        }
        if self.connection.read.is_empty() && !self.connection.more().await {
            return None;
        }
        Some(std::mem::take(&mut self.connection.read))
    }

    /// What the stream says next, comments and `retry` left out.
    pub(crate) async fn next(&mut self) -> Said {
        loop {
            match self.next_said().await {
                Said::Retry(_) | Said::Comment(_) => {}
                said => return said,
            }
        }
    }

    pub(crate) async fn next_said(&mut self) -> Said {
        loop {
            if let Some(said) = self.seen.pop_front() {
                return said;
            }
            let Some(piece) = self.piece().await else { return Said::End };
            let mut input = &piece[..];
            while let Some(item) = self.decoder.decode(&mut input).unwrap() {
                self.seen.push_back(match item {
                    Item::Event(event) => Said::Event {
                        event_type: event.event_type.to_owned(),
                        data: event.data.to_owned(),
                        id: event.id.to_owned(),
                    },
                    Item::Retry(ms) => Said::Retry(ms),
                    Item::Comment(text) => Said::Comment(text.to_owned()),
                });
            }
        }
    }

    /// The data of the next event, and its id.
    pub(crate) async fn event(&mut self) -> (String, String) {
        match self.next().await {
            Said::Event { data, id, .. } => (data, id),
            said => panic!("{said:?} where an event was expected"),
        }
    }

    pub(crate) async fn data(&mut self) -> String {
        self.event().await.0
    }

    /// The next line of a stream of JSON objects, heartbeats left out.
    pub(crate) async fn json(&mut self) -> Value {
        let mut line = Vec::new();
        loop {
            if let Some(at) = line.iter().position(|&byte| byte == b'\n') {
                let rest = line.split_off(at + 1);
                // What is not of this line comes first next time.
                self.connection.read.splice(..0, rest);
                if line.len() > 1 {
                    return serde_json::from_slice(&line).unwrap();
                }
                line.clear();
            }
            line.extend(self.piece().await.expect("the stream ended"));
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {:?}", self.body))
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        self.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    /// The detail of a problem, having checked that it is one.
    pub(crate) fn detail(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{self:?}");
        problem["detail"].as_str().unwrap().to_owned()
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn framing(head: &str) -> Framing {
    if header(head, "transfer-encoding") == Some("chunked") {
        Framing::Chunked
    } else if let Some(length) = header(head, "content-length") {
        Framing::Length(length.parse().unwrap())
    } else if head.split(' ').nth(1) == Some("204") {
        Framing::Length(0)
    } else {
        Framing::ToEnd
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
