//! The user agent, driven over `reqwest`.

use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_util::Stream;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, Url};
use tokio::time::{Instant, Sleep, sleep};

use crate::builder::Builder;
use crate::failure::Failure;
use crate::gap::Gap;
use crate::retry_after;
use crate::user_agent::{Incoming, ReadyState, Reconnecting, Response, Step, UserAgent};

/// An event source: a stream of what it receives, which reconnects and resumes by itself.
///
/// It ends after an error, after the server has said stop (204), and after [`close`](Self::close).
/// Dropping it closes the connection at once. Needs tokio with its time enabled; holds one chunk of the
/// body and what [`Limits`](crate::Limits) allow.
pub struct EventSource {
    agent: UserAgent,
    request: Request,
    transfer: Transfer,
    /// Bytes of the body that the agent has not taken.
    chunk: Bytes,
    start: Instant,
    timer: Timer,
}

/// Something that happened to an event source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// The connection is open.
    Open,
    /// An event.
    Event(Event),
    /// Events may be missing before the next one.
    Gap(Gap),
    /// The server has set the reconnection time.
    Retry(Duration),
    /// The connection is lost, or was not made, and is tried again.
    Reconnecting(Reconnecting),
}

/// An event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its type; `message` if the stream names none.
    pub event_type: String,
    /// Its data. May be empty.
    pub data: String,
    /// The last event ID string, also if an earlier event set it. May be empty.
    pub id: String,
    /// The reconnection time that came with it.
    pub retry: Option<Duration>,
}

/// Why an event source ends.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is no URL.
    #[error("{url:?} is not a URL: {reason}")]
    Url {
        /// The text.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No HTTP client can be made.
    #[error("cannot make an HTTP client: {0}")]
    Client(reqwest::Error),
    /// The request cannot be sent, now or ever.
    #[error("cannot send the request: {0}")]
    Request(reqwest::Error),
    /// An id holds control characters, which no HTTP header can carry.
    #[error("the last event id {0:?} cannot be sent in a header: it holds control characters")]
    LastEventId(String),
    /// The connection has failed for ever.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// What is sent with every connection.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) client: Client,
    pub(crate) url: Url,
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
}

/// The one connection, as far as it has come.
enum Transfer {
    None,
    Connecting(Pin<Box<dyn Future<Output = reqwest::Result<reqwest::Response>> + Send>>),
    Reading(Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>),
}

impl EventSource {
    /// Does what a browser's `new EventSource(url)` does.
    ///
    /// # Errors
    ///
    /// See [`Builder::build`].
    pub fn new(url: impl Into<String>) -> Result<Self, Error> {
        Builder::new(url).build()
    }

    /// For what a browser's cannot be told: headers, a last event id, a [`Policy`](crate::Policy).
    pub fn builder(url: impl Into<String>) -> Builder {
        Builder::new(url)
    }

    pub(crate) fn start(agent: UserAgent, request: Request) -> Self {
        Self {
            agent,
            request,
            transfer: Transfer::None,
            chunk: Bytes::new(),
            start: Instant::now(),
            timer: Timer::default(),
        }
    }

    /// The last event ID string: what an [`EventSource`] that goes on from here must be given.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        self.agent.last_event_id()
    }

    /// The state, as a browser would show it.
    #[must_use]
    pub fn ready_state(&self) -> ReadyState {
        self.agent.ready_state()
    }

    /// Ends the connection and the stream.
    pub fn close(&mut self) {
        self.agent.close();
        self.disconnect();
    }

    fn disconnect(&mut self) {
        self.transfer = Transfer::None;
        self.chunk = Bytes::new();
    }

    fn connect(&mut self, last_event_id: &str) -> Result<(), Error> {
        let sending = self.request.send(last_event_id)?;
        self.transfer = Transfer::Connecting(Box::pin(sending));
        Ok(())
    }

    /// The next item of the bytes that are here.
    fn next_item(&mut self) -> Option<Item> {
        let now = self.start.elapsed();
        while !self.chunk.is_empty() {
            let mut input = &self.chunk[..];
            let item = self.agent.handle_bytes(now, &mut input).and_then(Item::take);
            let taken = self.chunk.len() - input.len();
            self.chunk.advance(taken);
            if item.is_some() {
                return item;
            }
        }
        None
    }

    /// Ready when the agent has been told something, or its deadline has passed.
    fn poll_transfer(
        &mut self,
        cx: &mut Context<'_>,
        until: Option<Duration>,
    ) -> Poll<Result<(), Error>> {
        let now = self.start.elapsed();
        match &mut self.transfer {
            Transfer::Connecting(sending) => match sending.as_mut().poll(cx) {
                Poll::Ready(Ok(response)) => {
                    self.agent.handle_response(now, head(response.headers(), response.status()));
                    self.transfer = Transfer::Reading(Box::pin(response.bytes_stream()));
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Err(error)) => {
                    self.transfer = Transfer::None;
                    // A request that cannot be built will not be the next time either.
                    if error.is_builder() {
                        return Poll::Ready(Err(Error::Request(error)));
                    }
                    self.agent.handle_error(now, describe(&error));
                    return Poll::Ready(Ok(()));
                }
                Poll::Pending => {}
            },
            Transfer::Reading(body) => match body.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok(chunk))) => {
                    self.chunk = chunk;
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(end) => {
                    self.transfer = Transfer::None;
                    match end {
                        Some(Err(error)) => self.agent.handle_error(now, describe(&error)),
                        _ => self.agent.handle_end(now),
                    }
                    return Poll::Ready(Ok(()));
                }
                Poll::Pending => {}
            },
            Transfer::None => {}
        }
        match until {
            Some(until) => self.timer.poll(cx, now, until).map(Ok),
            None => Poll::Pending,
        }
    }
}

impl Stream for EventSource {
    type Item = Result<Item, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(item) = this.next_item() {
                return Poll::Ready(Some(Ok(item)));
            }
            let done = match this.agent.poll(this.start.elapsed()) {
                Step::Opened => return Poll::Ready(Some(Ok(Item::Open))),
                Step::Connect { last_event_id } => this.connect(&last_event_id),
                Step::Reconnecting(reconnecting) => {
                    this.disconnect();
                    return Poll::Ready(Some(Ok(Item::Reconnecting(reconnecting))));
                }
                Step::Wait(until) => ready!(this.poll_transfer(cx, until)),
                Step::Failed(failure) => Err(failure.into()),
                Step::Closed => {
                    this.disconnect();
                    return Poll::Ready(None);
                }
            };
            if let Err(error) = done {
                this.close();
                return Poll::Ready(Some(Err(error)));
            }
        }
    }
}

impl Item {
    /// A copy of what came in. `None` if there is nothing to show.
    fn take(incoming: Incoming<'_>) -> Option<Self> {
        match incoming {
            Incoming::Event(event) => Some(Self::Event(Event {
                event_type: event.event_type.to_owned(),
                data: event.data.to_owned(),
                id: event.id.to_owned(),
                retry: event.block_retry.map(Duration::from_millis),
            })),
            Incoming::Gap(gap) => Some(Self::Gap(gap)),
            Incoming::Retry(time) => Some(Self::Retry(time)),
            Incoming::Position => None,
        }
    }
}

impl Request {
    fn send(
        &self,
        last_event_id: &str,
    ) -> Result<impl Future<Output = reqwest::Result<reqwest::Response>> + Send + use<>, Error>
    {
        let mut headers = self.headers.clone();
        headers.remove(LAST_EVENT_ID);
        if !last_event_id.is_empty() {
            headers.insert(LAST_EVENT_ID, Self::last_event_id(last_event_id)?);
        }
        let request = self.client.request(self.method.clone(), self.url.clone()).headers(headers);
        Ok(match &self.body {
            Some(body) => request.body(body.clone()),
            None => request,
        }
        .send())
    }

    /// The value of `Last-Event-ID`: the id's UTF-8.
    pub(crate) fn last_event_id(id: &str) -> Result<HeaderValue, Error> {
        HeaderValue::from_bytes(id.as_bytes()).map_err(|_| Error::LastEventId(id.to_owned()))
    }
}

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

fn head(headers: &HeaderMap, status: reqwest::StatusCode) -> Response<'_> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    Response {
        status: status.as_u16(),
        content_type: text(CONTENT_TYPE),
        retry_after: text(RETRY_AFTER).and_then(|after| retry_after::parse(after, text(DATE))),
    }
}

/// What is wrong, from the innermost cause, which says it in the plainest words.
fn describe(error: &reqwest::Error) -> String {
    let mut cause: &dyn StdError = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// A timer that is set again only to fire earlier, or when it has fired: the deadline of a busy stream moves
/// on with every chunk.
#[derive(Default)]
struct Timer {
    /// When it fires, and what then does.
    set: Option<(Duration, Pin<Box<Sleep>>)>,
}

impl Timer {
    /// Ready when it has fired, possibly before `until`.
    fn poll(&mut self, cx: &mut Context<'_>, now: Duration, until: Duration) -> Poll<()> {
        let set = self.set.take().filter(|(due, _)| now < *due && *due <= until);
        let new = || (until, Box::pin(sleep(until.saturating_sub(now))));
        let (_, sleep) = self.set.insert(set.unwrap_or_else(new));
        sleep.as_mut().poll(cx)
    }
}
