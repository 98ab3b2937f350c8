//! Events out of a body that one already has.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use headwater_event_stream::{DecodeError, Decoder, Item, Limits};
use pin_project_lite::pin_project;

use crate::event::Event;

/// The events of a body, such as `response.bytes_stream()`, in chunks of any size.
///
/// ```
/// use futures_util::{StreamExt, stream};
/// use headwater_client::decode;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let body = stream::iter(["data: a\n\nda", "ta: b\n\n"].map(Ok::<_, std::io::Error>));
/// let mut events = decode(body);
/// while let Some(event) = events.next().await {
///     println!("{}", event?.data);
/// }
/// # Ok::<(), headwater_client::BodyError<std::io::Error>>(())
/// # }).unwrap();
/// ```
///
/// It ends with the body, or with its first error. Every event is given as it is, also a hub's own.
pub fn decode<S, B, E>(body: S) -> Decode<S, B>
where
    S: Stream<Item = Result<B, E>>,
    B: AsRef<[u8]>,
{
    Decode::with_limits(body, Limits::default())
}

pin_project! {
    /// The events of a body. See [`decode`](decode()).
    pub struct Decode<S, B> {
        #[pin]
        body: S,
        decoder: Decoder,
        // The last chunk, and how much of it was taken.
        chunk: Option<B>,
        taken: usize,
        ended: bool,
    }
}

/// Why there are no more events.
#[derive(Debug, thiserror::Error)]
pub enum BodyError<E> {
    /// The stream is larger than its limits allow.
    #[error(transparent)]
    Decode(DecodeError),
    /// The body has failed.
    #[error(transparent)]
    Body(E),
}

impl<S, B> Decode<S, B> {
    /// The same as [`decode`](decode()), with limits of your own.
    pub fn with_limits(body: S, limits: Limits) -> Self {
        let decoder = Decoder::with_limits(limits);
        Self { body, decoder, chunk: None, taken: 0, ended: false }
    }

    /// The last event ID string.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        self.decoder.last_event_id()
    }
}

impl<S, B, E> Stream for Decode<S, B>
where
    S: Stream<Item = Result<B, E>>,
    B: AsRef<[u8]>,
{
    type Item = Result<Event, BodyError<E>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        loop {
            if *this.ended {
                return Poll::Ready(None);
            }
            if let Some(chunk) = this.chunk {
                match next_event(this.decoder, chunk.as_ref(), this.taken) {
                    Ok(Some(event)) => return Poll::Ready(Some(Ok(event))),
                    Ok(None) => *this.chunk = None,
                    Err(error) => {
                        *this.ended = true;
                        return Poll::Ready(Some(Err(BodyError::Decode(error))));
                    }
                }
            }
            *this.taken = 0;
            match ready!(this.body.as_mut().poll_next(cx)) {
                Some(Ok(chunk)) => *this.chunk = Some(chunk),
                Some(Err(error)) => {
                    *this.ended = true;
                    return Poll::Ready(Some(Err(BodyError::Body(error))));
                }
                None => *this.ended = true,
            }
        }
    }
}

fn next_event(
    decoder: &mut Decoder,
    chunk: &[u8],
    taken: &mut usize,
) -> Result<Option<Event>, DecodeError> {
    let mut input = chunk.get(*taken..).unwrap_or_default();
    loop {
        let item = decoder.decode(&mut input)?;
        let event = match item {
            None => return Ok(None),
            Some(Item::Event(event)) => Event::from(event),
            Some(Item::Retry(_) | Item::Comment(_)) => continue,
        };
        *taken = chunk.len() - input.len();
        return Ok(Some(event));
    }
}
