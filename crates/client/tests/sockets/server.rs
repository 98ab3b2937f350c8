//! A server that does with each connection what the test says.

use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::DEADLINE;

pub(crate) struct Server {
    listener: TcpListener,
    pub(crate) url: String,
}

/// One connection, after its request was read.
pub(crate) struct Peer {
    socket: TcpStream,
    /// Method and target.
    pub(crate) line: String,
    /// In lower case.
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

pub(crate) const STREAM: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/events/news", listener.local_addr().unwrap());
        Self { listener, url }
    }

    /// The next connection.
    pub(crate) async fn accept(&self) -> Peer {
        let (socket, _) = timeout(DEADLINE, self.listener.accept()).await.unwrap().unwrap();
        timeout(DEADLINE, Peer::read(socket)).await.unwrap()
    }

    /// The next connection, answered with the head of a stream.
    pub(crate) async fn accept_stream(&self) -> Peer {
        let mut peer = self.accept().await;
        peer.send(STREAM).await;
        peer
    }

    /// Whether nobody has connected: whose source is over has nothing left that could.
    pub(crate) async fn is_left_alone(&self) -> bool {
        tokio::task::yield_now().await;
        self.listener.accept().now_or_never().is_none()
    }
}

impl Peer {
    async fn read(mut socket: TcpStream) -> Self {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let line = lines.next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
        let pairs = lines.map(|line| line.split_once(':').unwrap());
        let headers: Vec<_> =
            pairs.map(|(n, value)| (n.to_lowercase(), value.trim().to_owned())).collect();
        let mut peer = Self { socket, line, headers, body: String::new() };
        let length = peer.header("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        peer.socket.read_exact(&mut body).await.unwrap();
        peer.body = String::from_utf8(body).unwrap();
        peer
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(n, _)| n == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "two of {name}");
        value
    }

    pub(crate) async fn send(&mut self, text: impl AsRef<[u8]>) {
        self.socket.write_all(text.as_ref()).await.unwrap();
    }

    /// Answers and closes.
    pub(crate) async fn answer(mut self, status: u16, headers: &str, body: &str) {
        let length = if status == 204 { String::new() } else { length(body) };
        let head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\n{headers}{length}\r\n");
        self.send(head + body).await;
        self.finish().await;
    }

    /// The end of the stream.
    pub(crate) async fn finish(mut self) {
        self.socket.shutdown().await.unwrap();
    }

    /// Breaks the connection.
    pub(crate) fn reset(self) {
        self.socket.set_zero_linger().unwrap();
    }

    /// Until the client has closed it.
    pub(crate) async fn closed(mut self) {
        let read = timeout(DEADLINE, self.socket.read(&mut [0])).await.unwrap();
        // Closed with unread bytes it is a reset.
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
}

fn length(body: &str) -> String {
    format!("Content-Length: {}\r\n", body.len())
}
