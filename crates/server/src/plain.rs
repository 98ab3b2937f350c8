//! The plain dialect: `/events` and `/events/{topic}`.

mod accept;
mod batch;
pub(crate) mod draft;
mod idempotency;
mod ingest;
pub(crate) mod intake;
mod longpoll;
pub(crate) mod publish;
pub(crate) mod query;
mod refuse;
pub(crate) mod start;
mod subscribe;
mod utf8;

use std::sync::Arc;

use headwater_hub::{Encoding, Subscription};
use headwater_log::Topic;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use hyper::body::Incoming;

use self::accept::{Form, NotAcceptable};
use self::intake::Bounds;
use self::query::Query;
pub(crate) use self::refuse::refuse;
use self::subscribe::{Subscribe, SubscribeRequestError};
use crate::body::Body;
use crate::cors::Cors;
use crate::front::Front;
use crate::hub::SubscribeError;
use crate::problem::Problem;

const METHODS: &str = "GET, HEAD, POST, OPTIONS";
/// How a stream relates to where its subscriber was: `live`, `exact` or `gap`.
pub(crate) const RESUME: HeaderName = HeaderName::from_static("headwater-resume");

const NDJSON: &str = "application/x-ndjson";
const EVENT_STREAM: &str = "text/event-stream";
const FORM: &str = "application/x-www-form-urlencoded";

/// Which of the dialect's addresses a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Address<'a> {
    /// `/events`
    Many,
    /// `/events/{topic}`, as it stands in the path.
    One(&'a str),
}

impl<'a> Address<'a> {
    pub(crate) fn of(path: &'a str) -> Option<Self> {
        match path.strip_prefix("/events")? {
            "" => Some(Self::Many),
            rest => rest.strip_prefix('/').map(Self::One),
        }
    }

    fn topic(self) -> Result<Option<Topic>, Problem> {
        let Self::One(raw) = self else { return Ok(None) };
        let text = query::decode_path(raw)
            .map_err(|error| Problem::bad_request(format!("the topic in the path is {error}")))?;
        let topic = Topic::parse(&text).map_err(|error| Problem::bad_request(error.to_string()))?;
        Ok(Some(topic))
    }
}

/// Answers a request to one of the dialect's addresses.
pub(crate) async fn answer(
    front: &Arc<Front>,
    request: &Parts,
    body: Incoming,
    address: Address<'_>,
) -> Result<Response<Body>, Problem> {
    match request.method {
        Method::GET | Method::HEAD => {
            let form = accept::negotiate(&request.headers)?;
            let query = request.uri.query().unwrap_or_default();
            subscribe(front, request, address, query, form).await
        }
        Method::POST => post(front, request, body, address).await,
        Method::OPTIONS => Ok(Cors::answer_options(request, METHODS)),
        _ => Err(Problem::method_not_allowed(METHODS)),
    }
}

async fn post(
    front: &Arc<Front>,
    request: &Parts,
    body: Incoming,
    address: Address<'_>,
) -> Result<Response<Body>, Problem> {
    check_encoding(&request.headers)?;
    let media_type = media_type(&request.headers);
    let form = accept::named(&request.headers);
    if let (Address::Many, FORM, Some(form)) = (address, &*media_type, form) {
        return subscribe_by_form(front, request, body, form).await;
    }
    let publisher = front.publisher(request).await?;
    match (address.topic()?, &*media_type) {
        (Some(topic), EVENT_STREAM) => {
            ingest::publish(front.clone(), request, publisher, topic, body).await
        }
        (Some(_), NDJSON) => Err(unsupported(
            "a batch names its topics line by line: send it to /events, without a topic in the path",
        )),
        (Some(topic), _) => publish::publish(front, request, &publisher, topic, body).await,
        (None, NDJSON) => batch::publish(front, request, publisher, body).await,
        (None, _) => Err(unsupported(
            "to publish one event, send its data to /events/TOPIC; to publish many, send JSON lines \
             with `Content-Type: application/x-ndjson`; to subscribe by a form, send \
             `Content-Type: application/x-www-form-urlencoded` and `Accept: text/event-stream`",
        )),
    }
}

async fn subscribe_by_form(
    front: &Arc<Front>,
    request: &Parts,
    body: Incoming,
    form: Form,
) -> Result<Response<Body>, Problem> {
    let limits = &front.config.limits;
    let bounds = Bounds {
        bytes_max: limits.form_bytes_max,
        setting: "form_bytes_max",
        timeout: limits.body_timeout(),
    };
    let intake = intake::read(body, bounds, &front.bodies).await?;
    let query = format!("{}&{}", request.uri.query().unwrap_or_default(), intake.text()?);
    drop(intake);
    subscribe(front, request, Address::Many, &query, form).await
}

async fn subscribe(
    front: &Arc<Front>,
    request: &Parts,
    address: Address<'_>,
    query: &str,
    form: Form,
) -> Result<Response<Body>, Problem> {
    let (hub, limits) = (&front.hub, &front.config.limits);
    let query = Query::new(query);
    let wanted = Subscribe::parse(address.topic()?, query, &request.headers, limits, &front.base)?;
    let access = front.subscriber(request, &wanted.filter).await?;
    let visibility = access.visibility(&wanted.filter);
    let subscription = Subscription {
        filter: wanted.filter,
        visibility,
        lifetime: front.lifetime(&access),
        start: wanted.start,
        encoding: match form {
            Form::EventStream if wanted.envelope => Encoding::SseEnvelope,
            Form::EventStream => Encoding::Sse,
            Form::Ndjson | Form::LongPoll => Encoding::Ndjson,
        },
        events_max: (form == Form::LongPoll).then_some(longpoll::EVENTS_MAX),
    };
    let refuse = |error: SubscribeError| {
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        if let SubscribeError::TooMany { .. } = error {
            hub.metrics().refuse("subscribers_max");
        }
        refuse::refuse_form(hub, form, unavailable, &error.to_string())
    };
    let opened = match hub.open(subscription, &access).await {
        Ok(opened) => opened,
        Err(error) => return Ok(refuse(error)),
    };
    let resume = opened.resume();
    let mut response = if request.method == Method::HEAD {
        stream_response(form, Body::empty())
    } else if form == Form::LongPoll {
        let bytes_max = limits.long_poll_bytes_max;
        let Some(stream) = opened.into_stream() else {
            return Ok(refuse(SubscribeError::Stopping));
        };
        publish::answer(
            form.content_type(),
            longpoll::collect(hub, stream, wanted.wait, bytes_max).await,
        )
    } else {
        stream_response(form, Body::subscription(opened))
    };
    response.headers_mut().insert(RESUME, HeaderValue::from_static(resume.as_str()));
    Ok(response)
}

/// An answer that goes on, kept by nobody on the way.
fn stream_response(form: Form, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(form.content_type()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// The body's media type in lower case, without parameters; empty if none is given.
pub(crate) fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let value = value.split(|&byte| byte == b';').next().unwrap_or_default();
    String::from_utf8_lossy(value.trim_ascii()).to_ascii_lowercase()
}

pub(crate) fn check_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    let plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(CONTENT_ENCODING).iter().all(plain) {
        return Ok(());
    }
    Err(unsupported("compressed bodies are not understood: send it without Content-Encoding"))
}

fn unsupported(detail: &str) -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
}

impl From<NotAcceptable> for Problem {
    fn from(error: NotAcceptable) -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, error.to_string())
    }
}

impl From<SubscribeRequestError> for Problem {
    fn from(error: SubscribeRequestError) -> Self {
        let problem = Self::bad_request(error.to_string());
        match error {
            SubscribeRequestError::TooManyMatchers { .. } => problem.over("matchers_max"),
            SubscribeRequestError::TooManyPatterns { .. } => problem.over("patterns_max"),
            _ => problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_of_the_addresses_or_none() {
        for (path, address) in [
            ("/events", Some(Address::Many)),
            ("/events/", Some(Address::One(""))),
            ("/events/a", Some(Address::One("a"))),
            ("/events//a/", Some(Address::One("/a/"))),
            ("/eventsa", None),
            ("/event", None),
            ("/", None),
        ] {
            assert_eq!(Address::of(path), address, "{path}");
        }
    }

    #[test]
    fn a_topic_in_the_path_is_decoded_once() {
        let topic = |raw| Address::One(raw).topic().map(|topic| topic.unwrap().to_string());
        assert_eq!(topic("a%20b+c%2F").unwrap(), "a b+c/");
        assert_eq!(topic("%2541").unwrap(), "%41");
        for raw in ["", "%", "%zz", "%ff", "*", "%0A"] {
            assert_eq!(topic(raw).unwrap_err().into_response().status(), 400, "{raw}");
        }
    }

    #[test]
    fn a_media_type_is_read_without_parameters() {
        let of = |value: &str| {
            media_type(&[(CONTENT_TYPE, value.parse().unwrap())].into_iter().collect())
        };
        assert_eq!(of("Text/Event-Stream; charset=utf-8"), EVENT_STREAM);
        assert_eq!(of("application/x-ndjson"), NDJSON);
        assert_eq!(media_type(&HeaderMap::new()), "");
    }
}
