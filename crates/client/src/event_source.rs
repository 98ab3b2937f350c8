//! The user agent, driven over a transport.

use std::pin::Pin;
use std::str;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_util::Stream;
use http::header::{CONTENT_TYPE, DATE, LOCATION, RETRY_AFTER};
use http::{HeaderName, Response};
use tokio::time::Instant;
use url::Url;

use crate::builder::Builder;
use crate::connection::{Arrival, Connection};
use crate::events::{Events, OfType};
use crate::item::{Error, Item};
use crate::retry_after;
use crate::timer::Timer;
use crate::transport::describe;
use crate::user_agent::{ReadyState, Response as Head, Step, UserAgent};

/// An event source: a stream of what happens to it, which reconnects and resumes by itself.
///
/// It ends after an error, after the server has said stop (204), and after [`close`](Self::close).
/// Dropping it closes the connection at once. Needs tokio with its time enabled; holds one chunk of the
/// body and what [`Limits`](crate::Limits) allow. Nothing is read ahead: a reader that is slow slows down
/// the server.
pub struct EventSource {
    agent: UserAgent,
    connection: Connection,
    /// Bytes of the body that the agent has not taken.
    chunk: Bytes,
    /// When they came.
    arrived: Duration,
    start: Instant,
    timer: Timer,
}

impl EventSource {
    /// Does what a browser's `new EventSource(url)` does.
    ///
    /// # Errors
    ///
    /// See [`Builder::build`].
    #[cfg(feature = "reqwest")]
    pub fn new(url: impl Into<String>) -> Result<Self, Error> {
        Builder::new(url).build()
    }

    /// For what a browser's cannot be told: a method and a body, headers, when to try again.
    pub fn builder(url: impl Into<String>) -> Builder {
        Builder::new(url)
    }

    pub(crate) fn start(agent: UserAgent, connection: Connection) -> Self {
        Self {
            agent,
            connection,
            chunk: Bytes::new(),
            arrived: Duration::ZERO,
            start: Instant::now(),
            timer: Timer::default(),
        }
    }

    /// Only the events: a stream of `Result<Event, Error>`. That a connection opens, breaks or misses
    /// something is passed over.
    #[must_use]
    pub fn events(self) -> Events {
        Events::new(self)
    }

    /// Only the events of one type; `message` is the type of those that name none.
    #[must_use]
    pub fn events_of_type(self, event_type: &str) -> OfType<Events> {
        OfType::new(self.events(), event_type)
    }

    /// The last event ID string: what an [`EventSource`] that goes on from here must be given.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        self.agent.last_event_id()
    }

    /// The URL of the last request, after redirects; its origin is that of the events.
    #[must_use]
    pub fn url(&self) -> &Url {
        self.agent.url()
    }

    /// The state, as a browser would show it.
    #[must_use]
    pub fn ready_state(&self) -> ReadyState {
        self.agent.ready_state()
    }

    /// How long is waited before connecting again, as the server has last set it.
    #[must_use]
    pub fn reconnection_time(&self) -> Duration {
        self.agent.reconnection_time()
    }

    /// Leaves the connection and makes another at once, as after a change of networks. Nothing after the end.
    pub fn reconnect(&mut self) {
        self.agent.reconnect();
        self.leave();
    }

    /// Ends the connection and the stream.
    pub fn close(&mut self) {
        self.agent.close();
        self.leave();
    }

    fn leave(&mut self) {
        self.connection.leave();
        self.chunk = Bytes::new();
    }

    /// The next item of the bytes that are here.
    fn next_item(&mut self) -> Option<Item> {
        while !self.chunk.is_empty() {
            let mut input = &self.chunk[..];
            let item = self.agent.handle_bytes(self.arrived, &mut input).and_then(Item::take);
            let taken = self.chunk.len() - input.len();
            self.chunk.advance(taken);
            if item.is_some() {
                return item;
            }
        }
        None
    }

    /// Ready when the agent has been told something, or its deadline has passed.
    fn poll_connection(
        &mut self,
        cx: &mut Context<'_>,
        now: Duration,
        until: Option<Duration>,
    ) -> Poll<()> {
        let Poll::Ready(arrival) = self.connection.poll(cx) else {
            return match until {
                Some(until) => self.timer.poll(cx, now, until),
                None => Poll::Pending,
            };
        };
        match arrival {
            Arrival::Head(head) => tell(&mut self.agent, now, &head),
            Arrival::Chunk(chunk) => {
                self.chunk = chunk;
                self.arrived = now;
            }
            Arrival::End => self.agent.handle_end(now),
            Arrival::Error(error) => self.agent.handle_error(now, describe(&error)),
            Arrival::NoHeaders(error) => self.agent.handle_headers_error(now, describe(&error)),
        }
        Poll::Ready(())
    }
}

impl Stream for EventSource {
    type Item = Result<Item, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(item) = this.next_item() {
            return Poll::Ready(Some(Ok(item)));
        }
        // Read once: what the loop does takes no time that matters.
        let now = this.start.elapsed();
        loop {
            if let Some(item) = this.next_item() {
                return Poll::Ready(Some(Ok(item)));
            }
            match this.agent.poll(now) {
                Step::Opened => return Poll::Ready(Some(Ok(Item::Open))),
                Step::Connect(attempt) => {
                    this.leave();
                    if let Err(error) = this.connection.begin(attempt) {
                        this.close();
                        return Poll::Ready(Some(Err(Error::Request(error))));
                    }
                }
                Step::Reconnecting(reconnecting) => {
                    this.leave();
                    return Poll::Ready(Some(Ok(Item::Error(reconnecting))));
                }
                Step::Wait(until) => ready!(this.poll_connection(cx, now, until)),
                Step::Failed(failure) => {
                    this.close();
                    return Poll::Ready(Some(Err(failure.into())));
                }
                Step::Closed => {
                    this.leave();
                    return Poll::Ready(None);
                }
            }
        }
    }
}

fn tell(agent: &mut UserAgent, now: Duration, head: &Response<()>) {
    let text =
        |name: HeaderName| head.headers().get(name).and_then(|v| str::from_utf8(v.as_bytes()).ok());
    let retry_after = text(RETRY_AFTER).and_then(|after| retry_after::parse(after, text(DATE)));
    let response = Head {
        status: head.status().as_u16(),
        content_type: text(CONTENT_TYPE),
        location: text(LOCATION),
        retry_after,
    };
    agent.handle_response(now, response);
}
