//! A connection's socket, and what is known of the traffic on it.
//!
//! The HTTP library asks for no body while the socket is full and tells nobody that it waits, so that
//! deadlines are kept here, below it. It also answers what it cannot parse with a status and nothing
//! else; here that becomes an answer that says what is wrong.

use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::StatusCode;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::handover::Handover;
use crate::problem::Problem;

/// A socket, shared by the HTTP library and those who watch over it.
pub(crate) struct Wire {
    stream: TcpStream,
    traffic: Mutex<Traffic>,
}

/// The HTTP library's end of a wire.
pub(crate) struct Socket {
    wire: Arc<Wire>,
    /// What stands in for an answer of the library's own.
    last_words: Bytes,
}

/// A request that has not been answered to its end.
pub(crate) struct InFlight(Arc<Wire>);

struct Traffic {
    in_flight: usize,
    /// A request has been understood.
    greeted: bool,
    http2: bool,
    /// Since when there is nothing in flight.
    quiet: Instant,
    /// Since when a request's head is arriving, and whether its first line is complete.
    head: Option<(Instant, bool)>,
    /// Since when the client takes nothing.
    blocked: Option<Instant>,
    /// Since when the client has sent all that it will.
    ended: Option<Instant>,
    /// What is in flight lasts as long as the client is there.
    listening: bool,
    /// Of the HTTP library, from which the client's end is kept.
    waker: Option<Waker>,
    /// A request was answered before it was read.
    unread: bool,
    /// The setting whose limit a request's head exceeded.
    exceeded: Option<&'static str>,
    /// The connection is to become this.
    handover: Option<Handover>,
}

/// What a connection runs into if nothing happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// A request's head has begun and does not end.
    HalfHead,
    /// No request.
    Idle,
    /// The client takes nothing of what it is sent.
    Stalled,
}

/// How long each may last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) head: Duration,
    pub(crate) idle: Duration,
    pub(crate) write: Duration,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Arc<Self> {
        let traffic = Traffic {
            in_flight: 0,
            greeted: false,
            http2: false,
            quiet: Instant::now(),
            head: None,
            blocked: None,
            ended: None,
            listening: false,
            waker: None,
            unread: false,
            exceeded: None,
            handover: None,
        };
        Arc::new(Self { stream, traffic: Mutex::new(traffic) })
    }

    pub(crate) fn socket(self: &Arc<Self>) -> Socket {
        Socket { wire: self.clone(), last_words: Bytes::new() }
    }

    /// A request has been understood.
    pub(crate) fn begin(self: &Arc<Self>, http2: bool) -> InFlight {
        let mut traffic = self.traffic();
        traffic.in_flight += 1;
        traffic.greeted = true;
        traffic.http2 = http2;
        traffic.head = None;
        traffic.listening = false;
        InFlight(self.clone())
    }

    /// The request in flight is one of somebody who listens.
    pub(crate) fn listen(&self) {
        let mut traffic = self.traffic();
        traffic.listening = true;
        traffic.wake();
    }

    /// Whether the client takes nothing of what it was sent before.
    pub(crate) fn is_blocked(&self) -> bool {
        self.traffic().blocked.is_some()
    }

    /// The request in flight is a subscription, which is to have the connection for itself. Whoever polls
    /// the connection takes it from here.
    pub(crate) fn hand_over(&self, handover: Handover) {
        self.traffic().handover = Some(handover);
    }

    pub(crate) fn take_handover(&self) -> Option<Handover> {
        self.traffic().handover.take()
    }

    /// The bare socket.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// A request was answered although its body may go on.
    pub(crate) fn leave_unread(&self) {
        self.traffic().unread = true;
    }

    /// The setting whose limit a request's head exceeded, if one did.
    pub(crate) fn exceeded(&self) -> Option<&'static str> {
        self.traffic().exceeded
    }

    /// When the connection expires if nothing happens, and why.
    pub(crate) fn expiry(&self, patience: Patience) -> Option<(Instant, Expiry)> {
        let traffic = self.traffic();
        if let Some(since) = traffic.blocked {
            return Some((since + patience.write, Expiry::Stalled));
        }
        if traffic.in_flight > 0 {
            return traffic.ended.map(|since| (since + LINGER_MAX, Expiry::Idle));
        }
        match traffic.head {
            // Under HTTP/2 bytes that are no request keep the connection: settings, pings.
            Some((since, _)) if !traffic.http2 => Some((since + patience.head, Expiry::HalfHead)),
            _ if traffic.greeted => Some((traffic.quiet + patience.idle, Expiry::Idle)),
            _ => Some((traffic.quiet + patience.head, Expiry::Idle)),
        }
    }

    /// Answers a request whose head did not end. Best effort: the answer is small and the client slow.
    pub(crate) fn give_up_on_head(&self, patience: Patience) {
        let detail = format!(
            "the request's head did not arrive within {} ms: send request line and headers at once",
            patience.head.as_millis()
        );
        let answer = Problem::new(StatusCode::REQUEST_TIMEOUT, detail).to_last_answer();
        if self.stream.try_write(&answer).is_ok() {
            self.traffic().unread = true;
        }
        self.shut();
    }

    /// Drops what the client did not take, at once.
    pub(crate) fn reset(&self) {
        // Without it the system would go on offering for minutes what nobody takes.
        let _ = self.stream.set_zero_linger();
    }

    /// Reads on for a while after an answer that came before the request's end: a socket that is closed
    /// with bytes unread resets the connection, and the answer might be lost with it.
    pub(crate) async fn linger(&self) {
        if !self.has_unread() {
            return;
        }
        self.shut();
        let drain = async {
            let mut scratch = vec![0; LINGER_READ_BYTES];
            let mut left = LINGER_BYTES_MAX;
            while left > 0 && self.stream.readable().await.is_ok() {
                match self.stream.try_read(&mut scratch) {
                    Ok(0) => return,
                    Ok(count) => left = left.saturating_sub(count),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
        };
        let _ = tokio::time::timeout(LINGER_MAX, drain).await;
    }

    fn has_unread(&self) -> bool {
        let traffic = self.traffic();
        traffic.unread && traffic.ended.is_none()
    }

    fn shut(&self) {
        let _ = SockRef::from(&self.stream).shutdown(Shutdown::Write);
    }

    fn traffic(&self) -> MutexGuard<'_, Traffic> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what there is. After fewer bytes than there was room for the socket counts as empty, which
    /// saves the call to the system that would find it so.
    fn read_once(&self, buffer: &mut ReadBuf<'_>) -> io::Result<()> {
        let mut read = Err(io::ErrorKind::WouldBlock.into());
        // What the outer call is told is what becomes of the readiness that it saw before the read.
        let _: io::Result<()> = self.stream.try_io(Interest::READABLE, || {
            read = self.stream.try_read_buf(buffer);
            match read {
                // epoll(7): "the condition that the read/write I/O space is exhausted can also be detected
                // by checking the amount of data read from / written to the target file descriptor."
                Ok(1..) if buffer.remaining() > 0 => Err(io::ErrorKind::WouldBlock.into()),
                _ => Ok(()),
            }
        });
        read.map(drop)
    }

    fn note_read(&self, bytes: &[u8]) {
        let mut traffic = self.traffic();
        if bytes.is_empty() {
            traffic.ended = Some(Instant::now());
        } else if traffic.in_flight == 0 {
            if !traffic.greeted && traffic.head.is_none() {
                traffic.http2 = bytes.starts_with(b"PRI ");
            }
            let (since, lined) = traffic.head.unwrap_or_else(|| (Instant::now(), false));
            traffic.head = Some((since, lined || bytes.contains(&b'\n')));
        }
    }

    fn note_written(&self, poll: &Poll<io::Result<usize>>) {
        let mut traffic = self.traffic();
        match poll {
            Poll::Pending => {
                traffic.blocked.get_or_insert_with(Instant::now);
            }
            Poll::Ready(_) => traffic.blocked = None,
        }
    }
}

impl Traffic {
    /// Whether the HTTP library may know that the client has sent all that it will. It would drop what is
    /// in flight, which a publisher that has said everything still wants to have answered.
    fn shows_end(&self) -> bool {
        self.in_flight == 0 || self.listening || self.http2
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// How much and how long is read from a client that was answered before its end; and how long a client
/// that has sent all that it will waits for its answer.
const LINGER_BYTES_MAX: usize = 16 << 20;
const LINGER_MAX: Duration = Duration::from_secs(2);
const LINGER_READ_BYTES: usize = 16 << 10;

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut traffic = self.0.traffic();
        traffic.in_flight -= 1;
        if traffic.in_flight == 0 {
            traffic.quiet = Instant::now();
            traffic.wake();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.wire.traffic().ended.is_some() {
            return self.poll_end(cx);
        }
        let before = buffer.filled().len();
        loop {
            ready!(self.wire.stream.poll_read_ready(cx))?;
            match self.wire.read_once(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => {
                    read?;
                    break;
                }
            }
        }
        let read = buffer.filled().get(before..).unwrap_or_default();
        self.wire.note_read(read);
        if read.is_empty() { self.poll_end(cx) } else { Poll::Ready(Ok(())) }
    }
}

impl Socket {
    /// Shows the client's end as soon as it may be known.
    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut traffic = self.wire.traffic();
        if traffic.shows_end() {
            return Poll::Ready(Ok(()));
        }
        traffic.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Writes what `write` tries to, as soon as the socket takes something.
    fn poll_try(
        &self,
        cx: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let stream = &self.wire.stream;
        let poll = loop {
            match stream.poll_write_ready(cx) {
                Poll::Pending => break Poll::Pending,
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) => match write(stream) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    written => break Poll::Ready(written),
                },
            }
        };
        self.wire.note_written(&poll);
        poll
    }

    /// Takes note of a bare answer at the end of what is to be written, and says how much lies before it.
    fn replace_bare_answer(&mut self, bytes: &[u8]) -> Option<usize> {
        let (at, status) = bare_answer(bytes)?;
        let in_first_line = self.wire.traffic().head.is_some_and(|(_, lined)| !lined);
        let problem = match status {
            b"431" if in_first_line => Problem::new(
                StatusCode::URI_TOO_LONG,
                "the address is too long: shorten it, send the topics of a subscription as a form, or \
                 have the operator raise uri_bytes_max and header_bytes_max",
            ),
            b"431" => Problem::new(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "the headers are too large or too many: send fewer (cookies are not needed here), or \
                 have the operator raise header_bytes_max",
            ),
            b"414" => Problem::new(
                StatusCode::URI_TOO_LONG,
                "the address is too long: shorten it, or send the topics of a subscription as a form",
            ),
            _ => Problem::bad_request(
                "this is not an HTTP/1.1 request: check the request line and the headers, and that \
                 the client speaks plain HTTP, not TLS",
            ),
        };
        if at == 0 {
            self.last_words = problem.to_last_answer().into();
            if status == b"431" {
                self.wire.traffic().exceeded = Some("header_bytes_max");
            }
            // The rest of what was not understood may still be on its way.
            self.wire.leave_unread();
        }
        Some(at)
    }

    fn poll_last_words(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.last_words.is_empty() {
            let written = ready!(self.poll_try(cx, |stream| stream.try_write(&self.last_words)))?;
            self.last_words.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.replace_bare_answer(bytes) {
            // Said in other words when the library flushes.
            Some(0) => Poll::Ready(Ok(bytes.len())),
            at => {
                let bytes = bytes.get(..at.unwrap_or(bytes.len())).unwrap_or(bytes);
                self.poll_try(cx, |stream| stream.try_write(bytes))
            }
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // A bare answer is the last piece: nothing follows it on its connection.
        if let Some((last, before)) = pieces.split_last()
            && bare_answer(last).is_some()
        {
            return match before.iter().find(|piece| !piece.is_empty()) {
                Some(piece) => self.poll_try(cx, |stream| stream.try_write(piece)),
                None => self.poll_write(cx, last),
            };
        }
        self.poll_try(cx, |stream| stream.try_write_vectored(pieces))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_last_words(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_last_words(cx))?;
        self.wire.shut();
        Poll::Ready(Ok(()))
    }
}

/// Where an answer that the HTTP library made by itself stands at the end of `bytes`, and its status.
///
/// It has no content; ours always say what is wrong. Events cannot look like it: none of our encodings
/// writes a CR.
fn bare_answer(bytes: &[u8]) -> Option<(usize, &[u8])> {
    const START: &[u8] = b"HTTP/1.1 4";
    if !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let tail_at = bytes.len().saturating_sub(BARE_ANSWER_BYTES_MAX);
    let tail = bytes.get(tail_at..)?;
    let at = tail.windows(START.len()).rposition(|window| window == START)?;
    let answer = tail.get(at..)?;
    let has = |name: &[u8]| answer.windows(name.len()).any(|window| window == name);
    let bare = has(b"\r\ncontent-length: 0\r\n") && !has(b"\r\ncontent-type:");
    Some((tail_at + at, answer.get(9..12)?)).filter(|_| bare)
}

const BARE_ANSWER_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n\
        content-length: 0\r\ndate: Sun, 22 Nov 2026 08:00:00 GMT\r\n\r\n";

    #[test]
    fn a_bare_answer_is_found_at_the_end() {
        assert_eq!(bare_answer(BARE), Some((0, &b"431"[..])));
        let after = [&b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"[..], BARE].concat();
        assert_eq!(bare_answer(&after), Some((after.len() - BARE.len(), &b"431"[..])));
    }

    #[test]
    fn our_own_answers_and_bodies_are_not_bare() {
        for bytes in [
            &b""[..],
            b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 404 Not Found\r\ncontent-type: application/problem+json\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 431 x\r\ncontent-length: 5\r\n\r\n",
            b"data: HTTP/1.1 431 x\n\n",
            &BARE[..BARE.len() - 1],
        ] {
            assert_eq!(bare_answer(bytes), None, "{:?}", String::from_utf8_lossy(bytes));
        }
    }
}
