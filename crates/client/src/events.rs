//! The events alone, by type, and as what their data say.

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use pin_project_lite::pin_project;
use serde::de::DeserializeOwned;
use smol_str::SmolStr;

use crate::event::Event;
use crate::event_source::EventSource;
use crate::item::{Error, Item};

/// The events of an [`EventSource`], and its last error.
pub struct Events {
    source: EventSource,
}

impl Events {
    pub(crate) fn new(source: EventSource) -> Self {
        Self { source }
    }

    /// The event source that they come from.
    #[must_use]
    pub fn source(&self) -> &EventSource {
        &self.source
    }

    /// Ends the connection and the stream.
    pub fn close(&mut self) {
        self.source.close();
    }
}

impl Stream for Events {
    type Item = Result<Event, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match ready!(Pin::new(&mut self.source).poll_next(cx)) {
                Some(Ok(Item::Message(event))) => return Poll::Ready(Some(Ok(event))),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

/// What can be done with any stream of events: that of an [`EventSource`], and that of [`decode`](crate::decode()).
pub trait EventStream<E>: Stream<Item = Result<Event, E>> + Sized {
    /// Only the events of one type; `message` is the type of those that name none.
    fn events_of_type(self, event_type: &str) -> OfType<Self> {
        OfType::new(self, event_type)
    }

    /// What the events' data, as JSON, are. What is not a `T` is an error, after which the stream goes on.
    fn json<T: DeserializeOwned>(self) -> Json<Self, T> {
        Json { events: self, of: PhantomData }
    }
}

impl<S, E> EventStream<E> for S where S: Stream<Item = Result<Event, E>> {}

pin_project! {
    /// The events of one type.
    pub struct OfType<S> {
        #[pin]
        events: S,
        event_type: SmolStr,
    }
}

impl<S> OfType<S> {
    pub(crate) fn new(events: S, event_type: &str) -> Self {
        Self { events, event_type: SmolStr::new(event_type) }
    }
}

impl<S, E> Stream for OfType<S>
where
    S: Stream<Item = Result<Event, E>>,
{
    type Item = Result<Event, E>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        loop {
            match ready!(this.events.as_mut().poll_next(cx)) {
                Some(Ok(event)) if event.event != *this.event_type => {}
                next => return Poll::Ready(next),
            }
        }
    }
}

pin_project! {
    /// What the events' data are.
    pub struct Json<S, T> {
        #[pin]
        events: S,
        of: PhantomData<fn() -> T>,
    }
}

/// Why there is no value.
#[derive(Debug, thiserror::Error)]
pub enum JsonError<E> {
    /// The event's data are not what was expected. The stream goes on.
    #[error("an event of type {} is not what was expected: {source}", .event.event)]
    Data {
        /// The event.
        event: Event,
        /// What is wrong with its data.
        source: serde_json::Error,
    },
    /// The stream has failed.
    #[error(transparent)]
    Stream(E),
}

impl<S, E, T> Stream for Json<S, T>
where
    S: Stream<Item = Result<Event, E>>,
    T: DeserializeOwned,
{
    type Item = Result<T, JsonError<E>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(self.project().events.poll_next(cx));
        Poll::Ready(next.map(|event| {
            let event = event.map_err(JsonError::Stream)?;
            event.json().map_err(|source| JsonError::Data { event, source })
        }))
    }
}
