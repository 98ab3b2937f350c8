//! The bodies of answers.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, future};
use http_body::{Frame, SizeHint};

use crate::front::Held;
use crate::opened::Opened;

/// The body of an answer, and what is counted as long as it is being sent.
pub(crate) struct Body {
    content: Content,
    /// Given back when the HTTP library lets the body go: sent, or its connection gone.
    held: Option<Held>,
}

enum Content {
    Full(Bytes),
    Stream(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
    /// Whoever sends the answer decides how: see [`Body::take_subscription`] and [`Body::polled`].
    Subscription(Box<Opened>),
}

impl Body {
    pub(crate) fn empty() -> Self {
        Self::full(Bytes::new())
    }

    pub(crate) fn full(bytes: impl Into<Bytes>) -> Self {
        Self { content: Content::Full(bytes.into()), held: None }
    }

    /// A body of which each piece is sent as it comes.
    pub(crate) fn stream(pieces: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        Self { content: Content::Stream(Box::pin(pieces)), held: None }
    }

    /// The blocks of a subscription.
    pub(crate) fn subscription(opened: Opened) -> Self {
        Self { content: Content::Subscription(Box::new(opened)), held: None }
    }

    /// The subscription, if it is one, for a shard to send by itself.
    pub(crate) fn take_subscription(&mut self) -> Option<Opened> {
        if !matches!(self.content, Content::Subscription(_)) {
            return None;
        }
        match std::mem::replace(&mut self.content, Content::Full(Bytes::new())) {
            Content::Subscription(opened) => Some(*opened),
            Content::Full(_) | Content::Stream(_) => None,
        }
    }

    /// The body as one to be polled. A subscription whose shard has stopped is at its end.
    pub(crate) fn polled(self) -> Self {
        let held = self.held;
        let content = match self.content {
            Content::Subscription(mut opened) => {
                let attached = opened.attached.take();
                match opened.into_stream() {
                    None => Content::Full(Bytes::new()),
                    Some(blocks) => {
                        let pieces = blocks
                            .map(|block| block.bytes)
                            .filter(|bytes| future::ready(!bytes.is_empty()));
                        Content::Stream(match attached {
                            None => Box::pin(pieces),
                            Some(attached) => Box::pin(pieces.inspect(move |_| {
                                let _ = &attached;
                            })),
                        })
                    }
                }
            }
            content => content,
        };
        Self { content, held }
    }

    pub(crate) fn hold(mut self, held: Held) -> Self {
        self.held = Some(held);
        self
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.content {
            Content::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Content::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Content::Stream(pieces) => {
                pieces.as_mut().poll_next(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
            }
            Content::Subscription(_) => {
                let this = &mut *self;
                let body = std::mem::replace(this, Self::empty());
                *this = body.polled();
                self.poll_frame(cx)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.content, Content::Full(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Stream(_) | Content::Subscription(_) => SizeHint::default(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.content {
            Content::Full(bytes) => f.debug_tuple("Full").field(bytes).finish(),
            Content::Stream(_) => f.write_str("Stream(..)"),
            Content::Subscription(_) => f.write_str("Subscription(..)"),
        }
    }
}
