//! HTTP/1.x byte by byte: what is sent is exactly what the test wrote, and a body is read as it arrives.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::chunked::Chunked;

/// How long anything that must come may take.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// One connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// Came in and was not consumed yet.
    received: Vec<u8>,
    /// Payload that came and was not handed out yet.
    payload: Vec<u8>,
    framing: Framing,
    deadline: Duration,
}

/// How the body that is being read ends.
#[derive(Debug)]
enum Framing {
    Length(usize),
    Chunked(Chunked),
    Close,
}

/// A status line and its header fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// For instance 200.
    pub status: u16,
    /// Names in lower case, in the order in which they came.
    pub fields: Vec<(String, String)>,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status and header fields.
    pub head: Head,
    /// The body without its transfer coding.
    pub body: String,
}

impl Head {
    /// The value of a field, by its name in lower case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn parse(head: &str) -> Result<Self> {
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let status = status.with_context(|| format!("no status line: {head:?}"))?;
        let fields = lines.filter_map(|line| line.split_once(':'));
        let fields = fields.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().into()));
        Ok(Self { status, fields: fields.collect() })
    }
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (received, payload) = (Vec::new(), Vec::new());
        Ok(Self { stream, received, payload, framing: Framing::Close, deadline: DEADLINE })
    }

    /// Waits at most this long for anything from now on.
    pub fn set_deadline(&mut self, deadline: Duration) {
        self.deadline = deadline;
    }

    /// Sends these bytes and no others.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        Ok(self.stream.write_all(bytes.as_ref()).await?)
    }

    /// Sends no more (FIN); answers can still come.
    pub async fn finish(&mut self) -> Result<()> {
        Ok(self.stream.shutdown().await?)
    }

    /// Sends a request without a body; every line of `fields` ends in CRLF.
    pub async fn get(&mut self, target: &str, fields: &str) -> Result<Head> {
        let host = self.stream.peer_addr()?;
        self.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n")).await?;
        self.head().await
    }

    /// Reads the next head, and learns from it how the body ends. Interim answers (1xx) are passed over.
    pub async fn head(&mut self) -> Result<Head> {
        loop {
            let end = loop {
                if let Some(at) = find(&self.received, b"\r\n\r\n") {
                    break at;
                }
                ensure!(
                    self.fill().await?,
                    "closed before the end of the head: {:?}",
                    lossy(&self.received)
                );
            };
            let head: Vec<u8> = self.received.drain(..end + 4).collect();
            let head = Head::parse(&String::from_utf8_lossy(&head))?;
            if head.status >= 200 {
                self.framing = Framing::of(&head)?;
                return Ok(head);
            }
        }
    }

    /// The next bytes of the body as they arrive, `None` at its end. An end before the one that its framing
    /// promised is an error.
    pub async fn some(&mut self) -> Result<Option<Vec<u8>>> {
        while self.payload.is_empty() {
            if !self.more().await? {
                return Ok(None);
            }
        }
        Ok(Some(std::mem::take(&mut self.payload)))
    }

    /// Reads the body until it holds `text`; what was read until then, and no byte more.
    pub async fn until(&mut self, text: &str) -> Result<String> {
        loop {
            if let Some(at) = find(&self.payload, text.as_bytes()) {
                let body = self.payload.drain(..at + text.len()).collect();
                return Ok(String::from_utf8(body)?);
            }
            let shown = || format!("while waiting for {text:?}");
            let more = self.more().await.with_context(shown);
            let after = || format!("after {:?}", lossy(&self.payload));
            ensure!(more.with_context(after)?, "the body ended {} {}", shown(), after());
        }
    }

    /// Reads the body to its end.
    pub async fn rest(&mut self) -> Result<String> {
        let mut body = Vec::new();
        while let Some(payload) = self.some().await? {
            body.extend(payload);
        }
        Ok(String::from_utf8(body)?)
    }

    /// More payload; false at the end of the body.
    async fn more(&mut self) -> Result<bool> {
        loop {
            let before = self.payload.len();
            self.framing.take(&mut self.received, &mut self.payload);
            if self.payload.len() > before {
                return Ok(true);
            }
            if self.framing.ended() {
                return Ok(false);
            }
            if !self.fill().await? {
                ensure!(matches!(self.framing, Framing::Close), "closed inside the body");
                return Ok(false);
            }
        }
    }

    /// More from the socket; false at its end.
    async fn fill(&mut self) -> Result<bool> {
        let mut buffer = [0; 16 * 1024];
        let read = timeout(self.deadline, self.stream.read(&mut buffer)).await;
        let read = read.with_context(|| format!("nothing came for {:?}", self.deadline))??;
        self.received.extend_from_slice(buffer.get(..read).unwrap_or_default());
        Ok(read > 0)
    }
}

impl Framing {
    fn of(head: &Head) -> Result<Self> {
        let chunked = head.field("transfer-encoding").is_some_and(|coding| coding == "chunked");
        Ok(match head.field("content-length") {
            _ if chunked => Self::Chunked(Chunked::new()),
            Some(length) => Self::Length(length.parse()?),
            None if [204, 304].contains(&head.status) => Self::Length(0),
            None => Self::Close,
        })
    }

    /// Moves the payload out of what came in; bytes after the body's end stay.
    fn take(&mut self, received: &mut Vec<u8>, payload: &mut Vec<u8>) {
        match self {
            Self::Close => payload.append(received),
            Self::Length(left) => {
                let now = received.len().min(*left);
                *left -= now;
                payload.extend(received.drain(..now));
            }
            Self::Chunked(chunked) => {
                let mut taken = 0;
                while let Some(byte) = received.get(taken).filter(|_| !chunked.ended()) {
                    payload.extend(chunked.take(*byte).then_some(*byte));
                    taken += 1;
                }
                received.drain(..taken);
            }
        }
    }

    fn ended(&self) -> bool {
        match self {
            Self::Close => false,
            Self::Length(left) => *left == 0,
            Self::Chunked(chunked) => chunked.ended(),
        }
    }
}

/// Sends one request on a connection of its own and reads the whole answer. Every line of `fields` ends in
/// CRLF; the body's length is added.
pub async fn request(
    address: SocketAddr,
    method: &str,
    target: &str,
    fields: &str,
    body: impl AsRef<[u8]>,
) -> Result<Answer> {
    let body = body.as_ref();
    let mut connection = Connection::open(address).await?;
    let length = body.len();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Length: {length}\r\n{fields}\r\n"
    );
    connection.send([head.as_bytes(), body].concat()).await?;
    let head = connection.head().await?;
    Ok(Answer { head, body: connection.rest().await? })
}

/// Publishes an event to a topic (as it stands in a path; a query may follow it), and expects that the log
/// has it.
pub async fn publish(address: SocketAddr, topic: &str, data: &str) -> Result<()> {
    let fields = "Content-Type: text/plain\r\n";
    let answer = request(address, "POST", &format!("/events/{topic}"), fields, data).await?;
    ensure!(answer.head.status == 200, "publishing to {topic} was refused: {answer:?}");
    Ok(())
}

/// The first place of `what` in `bytes`.
pub(crate) fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    /// A server that answers the first request with these bytes, then closes.
    async fn answering(bytes: &'static str) -> Connection {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while find(&request, b"\r\n\r\n").is_none() {
                assert!(stream.read_buf(&mut request).await.unwrap() > 0);
            }
            stream.write_all(bytes.as_bytes()).await.unwrap();
        });
        Connection::open(address).await.unwrap()
    }

    #[tokio::test]
    async fn a_chunked_body_is_read_as_it_comes() {
        let wire = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n\
                    3\r\none\r\n5\r\n two \r\n0\r\n\r\n";
        let mut connection = answering(wire).await;
        let head = connection.get("/", "").await.unwrap();
        assert_eq!((head.status, head.field("x-a")), (200, Some("b")));
        assert_eq!(connection.until("t").await.unwrap(), "one t");
        assert_eq!(connection.rest().await.unwrap(), "wo ");
    }

    #[tokio::test]
    async fn a_body_that_was_cut_is_an_error() {
        for wire in [
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\none",
        ] {
            let mut connection = answering(wire).await;
            connection.get("/", "").await.unwrap();
            assert!(connection.rest().await.is_err(), "{wire}");
        }
    }

    #[tokio::test]
    async fn bodies_end_by_length_or_by_close() {
        let mut connection = answering("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nonemore").await;
        connection.get("/", "").await.unwrap();
        assert_eq!(connection.rest().await.unwrap(), "one");
        let mut connection = answering("HTTP/1.0 200 OK\r\n\r\nall").await;
        connection.get("/", "").await.unwrap();
        assert_eq!(connection.rest().await.unwrap(), "all");
    }
}
