//! `POST /events/{topic}`: publishing one event.

use headwater_log::{Appended, Draft, PublisherId, Rejection, Topic};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use hyper::body::Incoming;
use serde::Serialize;

use super::draft::Fields;
use super::idempotency::{RequestKey, RequestKeyError};
use super::intake::{self, Bounds};
use super::query::Query;
use crate::Hub;
use crate::authority::Publisher;
use crate::body::Body;
use crate::front::Front;
use crate::problem::Problem;

/// Publishes a body as the data of one event.
pub(crate) async fn publish(
    front: &Front,
    request: &Parts,
    publisher: &Publisher,
    topic: Topic,
    body: Incoming,
) -> Result<Response<Body>, Problem> {
    let fields = Fields::from_query(&Query::new(request.uri.query().unwrap_or_default()))?;
    publisher.check(front, std::slice::from_ref(&topic), fields.private).await?;
    let key = RequestKey::from_headers(&request.headers)?;
    let limits = &front.config.limits;
    let bounds = Bounds {
        bytes_max: limits.body_bytes_max,
        setting: "body_bytes_max",
        timeout: limits.body_timeout(),
    };
    let intake = intake::read(body, bounds, &front.bodies).await?;
    let data = intake.text()?;
    let query = request.uri.query().unwrap_or_default();
    let parts = [topic.as_str().as_bytes(), query.as_bytes(), data.as_bytes()];
    let idempotency = key.map(|key| key.of_event(0, &parts));
    let draft = fields.into_draft(front.hub.now(), [topic].into(), data.into(), idempotency);
    drop(intake);
    let id = publish_one(&front.hub, draft).await?;
    Ok(answer("application/json", answer_line(&id)))
}

/// Publishes one event and gives its id.
pub(crate) async fn publish_one(hub: &Hub, draft: Draft) -> Result<String, Problem> {
    let publisher_id = draft.event.publisher_id.clone();
    let appended = hub.publish(vec![draft]).await;
    match appended.into_iter().next() {
        Some(appended) => id_of(hub, appended, publisher_id),
        None => Err(Problem::unavailable("the log gave no answer: send it again")),
    }
}

/// The id of an event that the log has, or why it has not.
pub(crate) fn id_of(
    hub: &Hub,
    appended: Appended,
    publisher_id: Option<PublisherId>,
) -> Result<String, Problem> {
    let (position, publisher_id) = match appended {
        Appended::Committed(position) => (position, publisher_id),
        Appended::Duplicate { first, publisher_id } => (first, publisher_id),
        Appended::Rejected(rejection) => return Err(rejection.into()),
        Appended::Unknown { reason } => {
            return Err(Problem::unavailable(format!(
                "the event may be in the log or not ({reason}): send it again with an \
                 Idempotency-Key, so that it is not published twice"
            )));
        }
    };
    Ok(publisher_id.map_or_else(|| hub.id(position), |id| id.as_str().to_owned()))
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        let detail = rejection.to_string();
        match rejection {
            Rejection::KeyReused => Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail),
            Rejection::TooLarge { .. } => Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail),
            Rejection::Unavailable { .. } => Self::unavailable(detail),
        }
    }
}

impl From<RequestKeyError> for Problem {
    fn from(error: RequestKeyError) -> Self {
        Self::bad_request(error.to_string())
    }
}

/// `{"id":"…"}` and a line end.
pub(crate) fn answer_line(id: &str) -> String {
    #[derive(Serialize)]
    struct Answer<'a> {
        id: &'a str,
    }
    // A string always serialises; an empty object would still be a line.
    let mut line = serde_json::to_string(&Answer { id }).unwrap_or_else(|_| "{}".to_owned());
    line.push('\n');
    line
}

/// An answer that is not to be kept by caches.
pub(crate) fn answer(content_type: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(Body::full(text));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
