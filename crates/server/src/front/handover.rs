//! Taking a subscription's socket from the HTTP library, for a shard to send on by itself.

use bytes::BufMut;
use http::header::{CONNECTION, DATE};
use http::{HeaderMap, Response};
use tokio::net::TcpStream;

use super::Place;
use crate::body::Body;
use crate::opened::Opened;

/// A subscription over HTTP/1, answered but for the sending.
pub(crate) struct Handover {
    head: Box<[u8]>,
    opened: Opened,
    place: Option<Place>,
}

impl Handover {
    /// What an answer needs to be sent by a shard. It takes the subscription out of the answer, and the
    /// place with it; `None` if it is none.
    pub(super) fn of(answer: &mut Response<Body>, place: &mut Option<Place>) -> Option<Self> {
        let opened = answer.body_mut().take_subscription()?;
        Some(Self { head: head(answer.headers()), opened, place: place.take() })
    }

    /// Gives a shard the socket. `held` is what is counted as long as the connection lasts.
    pub(crate) fn complete(self, stream: TcpStream, held: impl Send + 'static) {
        match stream.into_std() {
            Ok(stream) => self.opened.hand_over(stream, self.head, (held, self.place)),
            Err(error) => tracing::error!(%error, "a socket cannot be handed over"),
        }
    }
}

/// The head of a response that ends when its connection does.
fn head(headers: &HeaderMap) -> Box<[u8]> {
    let mut head = Vec::with_capacity(512);
    head.put_slice(b"HTTP/1.1 200 OK\r\n");
    let mut line = |name: &str, value: &[u8]| {
        head.put_slice(name.as_bytes());
        head.put_slice(b": ");
        head.put_slice(value);
        head.put_slice(b"\r\n");
    };
    for (name, value) in headers {
        line(name.as_str(), value.as_bytes());
    }
    line(CONNECTION.as_str(), b"close");
    let now = httpdate::fmt_http_date(std::time::SystemTime::now());
    line(DATE.as_str(), now.as_bytes());
    head.put_slice(b"\r\n");
    head.into()
}
