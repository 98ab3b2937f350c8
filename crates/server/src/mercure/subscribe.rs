//! `GET` and `QUERY` to the hub: subscribing.

use headwater_hub::{Encoding, Opening, Resume, Since, Start, Subscription};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use hyper::body::Incoming;

use super::form::Form;
use super::wanted::{EARLIEST, Terms, Wanted, WantedError};
use crate::body::Body;
use crate::front::Front;
use crate::hub::{Hub, SubscribeError};
use crate::plain::intake::{self, Bounds};
use crate::plain::start::LAST_EVENT_ID;
use crate::plain::{RESUME, check_encoding, media_type};
use crate::problem::Problem;

/// Where the stream begins, for those who asked for a place.
pub(super) const WHERE: HeaderName = HeaderName::from_static("mercure-last-event-id");
/// The same in 0.x.
const WHERE_COMPAT: HeaderName = HeaderName::from_static("last-event-id");

/// Subscribes to what the query says.
pub(super) async fn by_query(front: &Front, request: &Parts) -> Result<Response<Body>, Problem> {
    subscribe(front, request, request.uri.query().unwrap_or_default()).await
}

/// Subscribes to what the query and a form say.
///
/// Mercure 1.0: "body `application/x-www-form-urlencoded`, union with query pairs; `last_event_id` in both →
/// query wins".
pub(super) async fn by_form(
    front: &Front,
    request: &Parts,
    body: Incoming,
) -> Result<Response<Body>, Problem> {
    check_encoding(&request.headers)?;
    if media_type(&request.headers) != super::FORM {
        let detail = "a query is sent as a form: send it with `Content-Type: \
                      application/x-www-form-urlencoded`";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let limits = &front.config.limits;
    let bounds = Bounds {
        bytes_max: limits.form_bytes_max,
        setting: "form_bytes_max",
        timeout: limits.body_timeout(),
    };
    let intake = intake::read(body, bounds, &front.bodies).await?;
    // What is in the query comes first, and of a name that is given twice the first counts.
    let form = format!("{}&{}", request.uri.query().unwrap_or_default(), intake.text()?);
    drop(intake);
    subscribe(front, request, &form).await
}

async fn subscribe(front: &Front, request: &Parts, form: &str) -> Result<Response<Body>, Problem> {
    let (hub, own) = (&front.hub, &front.mercure);
    let config = &front.config.mercure;
    let terms = Terms { limits: &front.config.limits, base: &own.url, compat: config.compat };
    let wanted = Wanted::parse(Form::new(form), &request.headers, terms)?;
    let access = front.subscriber(request, &wanted.filter).await?;
    let lifetime = front
        .lifetime(&access)
        .map_or_else(|| config.lifetime(), |lifetime| lifetime.min(config.lifetime()));
    let start = wanted.start.clone();
    let subscription = Subscription {
        visibility: access.visibility(&wanted.filter),
        filter: wanted.filter,
        lifetime: Some(lifetime),
        start: wanted.start,
        encoding: encoding(&request.headers, Form::new(form)),
        events_max: None,
    };
    let mut opened = match hub.open(subscription, &access).await {
        Ok(opened) => opened,
        Err(error) => {
            if let SubscribeError::TooMany { .. } = error {
                hub.metrics().refuse("subscribers_max");
            }
            return Ok(refuse(hub, &error.to_string()));
        }
    };
    let resume = opened.resume();
    let begins = wanted.says_start.then(|| where_it_begins(hub, &start, &opened.opening));
    let body = match request.method {
        Method::HEAD => Body::empty(),
        _ => {
            if let Some(registry) = &own.registry {
                let presence = registry.enter(wanted.matchers, &access);
                opened.attached =
                    presence.map(|presence| Box::new(presence) as Box<dyn Send + Sync>);
            }
            Body::subscription(opened)
        }
    };
    let mut response = stream_response(body);
    let headers = response.headers_mut();
    headers.insert(RESUME, HeaderValue::from_static(resume.as_str()));
    if let Some(begins) = begins {
        let name = if wanted.compat { WHERE_COMPAT } else { WHERE };
        headers.insert(name, begins);
    }
    Ok(response)
}

/// How the hub's own blocks are written: as what no client takes for an event, or as events that no page
/// listens to, which they are to those who have no other way to hold a place or to begin anew.
fn encoding(headers: &HeaderMap, form: Form<'_>) -> Encoding {
    // A ticket is ours, and so are the clients that have one: a native EventSource comes back with it only
    // if it was told its place, also before its first event.
    if form.has("ticket") || is_webkit_back(headers) { Encoding::Sse } else { Encoding::Mercure }
}

/// Whether WebKit's own `EventSource` comes back. It glues what is left of an event that a reset cut off onto
/// the next response's first event, unless a block that nobody listens to comes between them. What pages
/// write themselves, with `fetch`, asks without `Cache-Control`.
fn is_webkit_back(headers: &HeaderMap) -> bool {
    let says = |name: &HeaderName, text: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|own| own.contains(text))
    };
    headers.contains_key(LAST_EVENT_ID)
        && says(&CACHE_CONTROL, "no-cache")
        && says(&USER_AGENT, "AppleWebKit/")
        && !says(&USER_AGENT, "Chrome/")
}

/// "id of the event preceding the first sent, or `earliest` (empty history, unknown or discarded id)".
fn where_it_begins(hub: &Hub, start: &Start, opening: &Opening) -> HeaderValue {
    let earliest = HeaderValue::from_static(EARLIEST);
    let id = match start {
        Start::Since(Since::All) => return earliest,
        Start::Id(id) if opening.resume == Resume::Exact => id.clone(),
        // A place that a crash took: the stream goes on from what took its place.
        Start::Id(_) if opening.went_elsewhere() => hub.id(opening.cursor),
        Start::Id(_) => return earliest,
        Start::Live | Start::Since(_) => match hub.last_id() {
            Some(id) => id,
            None => return earliest,
        },
    };
    // An id that is known is of visible characters.
    HeaderValue::try_from(id).unwrap_or(earliest)
}

fn stream_response(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static(
            "private, no-cache, no-store, no-transform, must-revalidate, max-age=0",
        ),
    );
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// Refuses a subscription for now: a stream that says when to come again and ends, because a page never
/// comes back from anything else.
pub(super) fn refuse(hub: &Hub, detail: &str) -> Response<Body> {
    let retry_ms = hub.retry_ms_spread();
    let detail = detail.replace(['\r', '\n'], " ");
    stream_response(Body::full(format!(": {detail}\nretry: {retry_ms}\n")))
}

impl From<WantedError> for Problem {
    fn from(error: WantedError) -> Self {
        let problem = Self::bad_request(error.to_string());
        match error {
            WantedError::TooManyMatchers { .. } => problem.over("matchers_max"),
            WantedError::TooManyPatterns { .. } => problem.over("patterns_max"),
            _ => problem,
        }
    }
}
