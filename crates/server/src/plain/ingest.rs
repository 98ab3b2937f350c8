//! `POST /events/{topic}` with `text/event-stream`: publishing every event of a stream as it arrives.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use headwater_event_stream::{DecodeError, Decoder, Event, Item, Limits as DecoderLimits};
use headwater_log::{Draft, PublisherId, Topic};
use http::request::Parts;
use http::{Response, StatusCode};
use hyper::body::Incoming;

use super::accept::Form;
use super::draft::{DraftError, Fields, RawFields};
use super::idempotency::RequestKey;
use super::intake::{Share, next_piece};
use super::publish::{answer_line, id_of};
use super::query::Query;
use super::utf8::Utf8Check;
use crate::authority::Publisher;
use crate::body::Body;
use crate::front::Front;
use crate::problem::{Exceeded, Problem};
use crate::token::Refusal;

/// A stream that is being published.
struct Ingest {
    front: Arc<Front>,
    publisher: Publisher,
    topic: Topic,
    key: Option<RequestKey>,
    body: Incoming,
    utf8: Utf8Check,
    decoder: Decoder,
    /// Pays for what the decoder holds of an event that is not complete.
    held: Share,
    /// How many events came.
    events: u64,
    ended: bool,
}

/// Why a stream of events ends before its body does. The publisher has to mend it.
#[derive(Debug, thiserror::Error)]
enum IngestError {
    #[error("event {number} of the stream: {error}; those before it are published")]
    Event { number: u64, error: DraftError },
    #[error("{error} (body_bytes_max); the events before this one are published")]
    Decode { error: DecodeError },
    #[error(
        "the stream was silent for {timeout_ms} ms: send a comment line (`:`) now and then, or have the operator raise ingest_idle_timeout_ms"
    )]
    Silent { timeout_ms: u64 },
    #[error(
        "the stream ended within an event, which was not published: end each with a blank line"
    )]
    Unfinished,
    #[error(
        "the token has expired: go on with a new one; the events that were answered are published"
    )]
    Expired,
    #[error("the hub is stopping: send what was not answered again in a few seconds")]
    Stopping,
}

impl From<IngestError> for Problem {
    fn from(error: IngestError) -> Self {
        let detail = error.to_string();
        match error {
            IngestError::Event { error, .. } => Self::new(error.status(), detail),
            IngestError::Unfinished => Self::bad_request(detail),
            IngestError::Decode { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail).over("body_bytes_max")
            }
            IngestError::Silent { .. } => {
                Self::new(StatusCode::REQUEST_TIMEOUT, detail).over("ingest_idle_timeout_ms")
            }
            IngestError::Expired => Refusal::invalid_token(detail).into(),
            IngestError::Stopping => Self::unavailable(detail),
        }
    }
}

/// What a line may be longer than an event's data: the field's name.
const FIELD_NAME_BYTES: usize = 16;

/// Answers at once, with a line for each event as it is published; a problem is the last line.
pub(crate) async fn publish(
    front: Arc<Front>,
    request: &Parts,
    publisher: Publisher,
    topic: Topic,
    body: Incoming,
) -> Result<Response<Body>, Problem> {
    let query = Query::new(request.uri.query().unwrap_or_default());
    for name in ["type", "id", "retry", "private"] {
        if query.all(name).next().is_some() {
            return Err(Problem::bad_request(format!(
                "`{name}=` does not apply to an event stream, whose events say it themselves: \
                 leave it out"
            )));
        }
    }
    publisher.check(&front, std::slice::from_ref(&topic), false).await?;
    let bytes_max = front.config.limits.body_bytes_max;
    let ingest = Ingest {
        key: RequestKey::from_headers(&request.headers)?,
        topic,
        body,
        utf8: Utf8Check::default(),
        decoder: Decoder::with_limits(DecoderLimits {
            line_bytes_max: bytes_max.saturating_add(FIELD_NAME_BYTES),
            event_bytes_max: bytes_max,
        }),
        held: front.bodies.share(),
        events: 0,
        ended: false,
        publisher,
        front,
    };
    let answers = stream::unfold(ingest, |mut ingest| async move {
        let lines = ingest.next_answers().await?;
        Some((lines, ingest))
    });
    Ok(super::stream_response(Form::Ndjson, Body::stream(answers)))
}

impl Ingest {
    /// The next answer lines; `None` after the end.
    async fn next_answers(&mut self) -> Option<Bytes> {
        let mut answers = String::new();
        while answers.is_empty() && !self.ended {
            let done = match self.next_piece().await {
                Ok(Some(piece)) => self.publish_piece(&piece, &mut answers).await,
                Ok(None) => self.end(),
                Err(problem) => Err(problem),
            };
            if let Err(problem) = done {
                // The answer's head has long been sent, which else is what refusals are counted by.
                if let Some(Exceeded(setting)) = problem.exceeded() {
                    self.front.hub.metrics().refuse(setting);
                }
                answers.push_str(&problem.to_line());
                self.ended = true;
            }
        }
        (!answers.is_empty()).then(|| answers.into())
    }

    async fn next_piece(&mut self) -> Result<Option<Bytes>, Problem> {
        let limits = &self.front.config.limits;
        let piece = tokio::time::timeout(limits.ingest_idle_timeout(), next_piece(&mut self.body));
        tokio::select! {
            piece = piece => match piece {
                Ok(piece) => Ok(piece?),
                Err(_) => {
                    Err(IngestError::Silent { timeout_ms: limits.ingest_idle_timeout_ms }.into())
                }
            },
            () = self.front.stopping() => Err(IngestError::Stopping.into()),
        }
    }

    /// Publishes the events that a piece of the body completes, up to the first that is none.
    async fn publish_piece(&mut self, piece: &[u8], answers: &mut String) -> Result<(), Problem> {
        if self.publisher.has_expired(self.front.hub.now()) {
            return Err(IngestError::Expired.into());
        }
        self.held.grow(piece.len())?;
        let (valid, utf8) = self.utf8.check(piece);
        let mut drafts = Vec::new();
        let decoded = self.decode(valid, &mut drafts);
        if !drafts.is_empty() {
            self.held.clear();
            self.append(drafts, answers).await;
        }
        decoded?;
        Ok(utf8?)
    }

    fn decode(&mut self, mut input: &[u8], drafts: &mut Vec<Draft>) -> Result<(), IngestError> {
        let now = self.front.hub.now();
        loop {
            let item = self.decoder.decode(&mut input);
            let event = match item.map_err(|error| IngestError::Decode { error })? {
                Some(Item::Event(event)) => event,
                Some(Item::Retry(_) | Item::Comment(_)) => continue,
                None => return Ok(()),
            };
            let number = self.events + 1;
            let fields = fields(&event).map_err(|error| IngestError::Event { number, error })?;
            let (topic, data) = (self.topic.clone(), event.data);
            let parts =
                [topic.as_str(), event.event_type, event.block_id.unwrap_or_default(), data];
            let idempotency =
                self.key.as_ref().map(|key| key.of_event(self.events, &parts.map(str::as_bytes)));
            drafts.push(fields.into_draft(now, [topic].into(), data.into(), idempotency));
            self.events = number;
        }
    }

    /// Appends events, with an answer each. One that the log does not take is the last of the stream.
    async fn append(&mut self, drafts: Vec<Draft>, answers: &mut String) {
        let ids: Vec<Option<PublisherId>> =
            drafts.iter().map(|draft| draft.event.publisher_id.clone()).collect();
        let appended = self.front.hub.publish(drafts).await;
        for (appended, publisher_id) in appended.into_iter().zip(ids) {
            match id_of(&self.front.hub, appended, publisher_id) {
                Ok(id) => answers.push_str(&answer_line(&id)),
                Err(problem) => {
                    answers.push_str(&problem.to_line());
                    self.ended = true;
                }
            }
        }
    }

    /// The body has ended.
    ///
    /// WHATWG HTML 9.2.6: "Once the end of the file is reached, any pending data must be discarded." Its
    /// publisher should know: where two line ends make an event, one was pending.
    fn end(&mut self) -> Result<(), Problem> {
        self.ended = true;
        self.utf8.end()?;
        let mut line_ends: &[u8] = b"\n\n";
        while let Ok(Some(item)) = self.decoder.decode(&mut line_ends) {
            if matches!(item, Item::Event(_)) {
                return Err(IngestError::Unfinished.into());
            }
        }
        Ok(())
    }
}

/// An event's fields. An id that its publisher could not give, such as one that a hub made, is replaced
/// by a generated one.
fn fields(event: &Event<'_>) -> Result<Fields, DraftError> {
    Fields::parse(&RawFields {
        event_type: Some(event.event_type),
        id: event.block_id.filter(|id| PublisherId::parse(id).is_ok()),
        retry: event.block_retry,
        private: false,
    })
}
