//! The one connection of an event source, as far as it has come.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Response};

use crate::redirect::Attempt;
use crate::request::Template;
use crate::transport::{Body, Sending, Transport, TransportError};

/// Makes headers before a connection is made, such as a token that does not last.
pub(crate) type FreshHeaders = Box<dyn FnMut() -> Preparing + Send>;

type Preparing = Pin<Box<dyn Future<Output = Result<HeaderMap, TransportError>> + Send>>;

/// Makes connections, one at a time. Dropping it closes the one that there is.
pub(crate) struct Connection {
    transport: Arc<dyn Transport>,
    template: Template,
    make_headers: Option<FreshHeaders>,
    /// What was made for this connection; its redirects within the origin get the same.
    fresh: HeaderMap,
    stage: Stage,
}

enum Stage {
    None,
    Preparing(Attempt, Preparing),
    Sending(Sending),
    Reading(Body),
}

/// What has come of it.
pub(crate) enum Arrival {
    Head(Response<()>),
    Chunk(Bytes),
    End,
    NoHeaders(TransportError),
    Error(TransportError),
}

impl Connection {
    pub(crate) fn new(
        transport: Arc<dyn Transport>,
        template: Template,
        make_headers: Option<FreshHeaders>,
    ) -> Self {
        Self { transport, template, make_headers, fresh: HeaderMap::new(), stage: Stage::None }
    }

    /// Leaves the connection that there is, and begins another. An error is for ever.
    pub(crate) fn begin(&mut self, attempt: Attempt) -> Result<(), TransportError> {
        self.stage = match &mut self.make_headers {
            Some(make) if attempt.redirects == 0 => Stage::Preparing(attempt, make()),
            _ => self.send(&attempt)?,
        };
        Ok(())
    }

    pub(crate) fn leave(&mut self) {
        self.stage = Stage::None;
    }

    fn send(&self, attempt: &Attempt) -> Result<Stage, TransportError> {
        let request = self.template.request(attempt, &self.fresh)?;
        Ok(Stage::Sending(self.transport.send(request)))
    }

    /// Pending for ever where there is no connection.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Arrival> {
        if let Stage::Preparing(attempt, preparing) = &mut self.stage {
            match ready!(preparing.as_mut().poll(cx)) {
                Ok(fresh) => {
                    self.fresh = fresh;
                    let attempt = attempt.clone();
                    match self.send(&attempt) {
                        Ok(stage) => self.stage = stage,
                        Err(error) => return self.end(Arrival::NoHeaders(error)),
                    }
                }
                Err(error) => return self.end(Arrival::NoHeaders(error)),
            }
        }
        match &mut self.stage {
            Stage::None | Stage::Preparing(..) => Poll::Pending,
            Stage::Sending(sending) => match ready!(sending.as_mut().poll(cx)) {
                Ok(answer) => {
                    let (head, body) = answer.into_parts();
                    self.stage = Stage::Reading(body);
                    Poll::Ready(Arrival::Head(Response::from_parts(head, ())))
                }
                Err(error) => self.end(Arrival::Error(error)),
            },
            Stage::Reading(body) => match ready!(body.as_mut().poll_next(cx)) {
                Some(Ok(chunk)) => Poll::Ready(Arrival::Chunk(chunk)),
                Some(Err(error)) => self.end(Arrival::Error(error)),
                None => self.end(Arrival::End),
            },
        }
    }

    fn end(&mut self, arrival: Arrival) -> Poll<Arrival> {
        self.leave();
        Poll::Ready(arrival)
    }
}
