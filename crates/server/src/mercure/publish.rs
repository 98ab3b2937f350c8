//! `POST` to the hub: publishing an event.

use headwater_log::{
    Draft, Event, EventType, EventTypeError, PublisherId, Topic, TopicError, first_invisible,
};
use http::request::Parts;
use http::{Response, StatusCode};
use hyper::body::Incoming;

use super::form::{Form, NotUtf8};
use super::wanted::EARLIEST;
use crate::body::Body;
use crate::front::Front;
use crate::plain::intake::{self, Bounds};
use crate::plain::publish::{answer, publish_one};
use crate::plain::start::number;
use crate::plain::{check_encoding, media_type};
use crate::problem::Problem;

/// Why what a publisher says is no event. The publisher has to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum UpdateError {
    #[error(transparent)]
    NotUtf8(#[from] NotUtf8),
    #[error("`topic` is missing: name what the event is about")]
    NoTopic,
    #[error(transparent)]
    Topic(#[from] TopicError),
    #[error("`*` is no topic: an event is about something")]
    Star,
    #[error(
        "more than {max} topics: publish several events, or have the operator raise topics_per_event_max"
    )]
    TooManyTopics { max: usize },
    #[error(
        "the data have {bytes} bytes and at most {max} are allowed: send less, or have the operator raise body_bytes_max"
    )]
    TooMuchData { bytes: usize, max: usize },
    #[error(transparent)]
    Type(#[from] EventTypeError),
    #[error(
        "an id cannot begin with `#` or be `earliest`, nor hold control or format characters: choose another, or leave it out and the hub makes one"
    )]
    Id,
    #[error("`retry` has to be a number of milliseconds, in digits")]
    Retry,
}

impl From<UpdateError> for Problem {
    fn from(error: UpdateError) -> Self {
        let detail = error.to_string();
        // "Limits exceeded → 413".
        let too_large = |detail| Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail);
        match error {
            UpdateError::TooManyTopics { .. } => too_large(detail).over("topics_per_event_max"),
            UpdateError::TooMuchData { .. } => too_large(detail).over("body_bytes_max"),
            UpdateError::Topic(TopicError::TooLong { .. })
            | UpdateError::Type(EventTypeError::TooLong { .. }) => too_large(detail),
            _ => Self::bad_request(detail),
        }
    }
}

/// What a form takes at most, for data of so many bytes: each may be escaped.
fn form_bytes_max(data_bytes_max: usize) -> usize {
    const OTHER_FIELDS_BYTES: usize = 256 << 10;
    data_bytes_max.saturating_mul(3).saturating_add(OTHER_FIELDS_BYTES)
}

/// Publishes a form as one event.
pub(super) async fn publish(
    front: &Front,
    request: &Parts,
    body: Incoming,
) -> Result<Response<Body>, Problem> {
    check_encoding(&request.headers)?;
    let publisher = front.publisher(request).await?;
    if media_type(&request.headers) != super::FORM {
        let detail = "an event is published as a form: send it with `Content-Type: \
                      application/x-www-form-urlencoded`";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let limits = &front.config.limits;
    let bounds = Bounds {
        bytes_max: form_bytes_max(limits.body_bytes_max),
        setting: "body_bytes_max",
        timeout: limits.body_timeout(),
    };
    let intake = intake::read(body, bounds, &front.bodies).await?;
    let event = update(front, Form::new(intake.text()?))?;
    drop(intake);
    publisher.check(front, &event.topics, event.private).await?;
    let id = publish_one(&front.hub, Draft { event, idempotency: None }).await?;
    // "Success: **200**, body = id, `Content-Type: text/plain; charset=utf-8`."
    Ok(answer("text/plain; charset=utf-8", id))
}

fn update(front: &Front, form: Form<'_>) -> Result<Event, UpdateError> {
    let limits = &front.config.limits;
    let mut topics = Vec::new();
    for text in form.all("topic") {
        if topics.len() >= limits.topics_per_event_max {
            return Err(UpdateError::TooManyTopics { max: limits.topics_per_event_max });
        }
        topics.push(topic(&text?)?);
    }
    if topics.is_empty() {
        return Err(UpdateError::NoTopic);
    }
    let data = form.first("data")?.unwrap_or_default();
    if data.len() > limits.body_bytes_max {
        return Err(UpdateError::TooMuchData { bytes: data.len(), max: limits.body_bytes_max });
    }
    let field = |name| -> Result<Option<String>, NotUtf8> {
        // An input of a page's form that nobody filled in.
        Ok(form.first(name)?.filter(|value| !value.is_empty()))
    };
    Ok(Event {
        time: front.hub.now(),
        topics: topics.into(),
        event_type: EventType::parse(&field("type")?.unwrap_or_default())?,
        data: data.into(),
        retry: field("retry")?.map(|text| number(&text).ok_or(UpdateError::Retry)).transpose()?,
        // "presence alone = private, value ignored".
        private: form.has("private"),
        publisher_id: field("id")?.map(|text| publisher_id(&text)).transpose()?.flatten(),
    })
}

fn topic(text: &str) -> Result<Topic, UpdateError> {
    match Topic::parse(text) {
        Err(TopicError::Star) => Err(UpdateError::Star),
        parsed => Ok(parsed?),
    }
}

/// An id that can be kept. "hub MAY ignore and generate": which is done with one that no header could
/// carry back, or that is long.
fn publisher_id(text: &str) -> Result<Option<PublisherId>, UpdateError> {
    // "not starting `#`, not `earliest`, no control/Cf → else 400".
    if text.starts_with('#') || text == EARLIEST || first_invisible(text).is_some() {
        return Err(UpdateError::Id);
    }
    Ok(PublisherId::parse(text).ok())
}
