//! `GET {hub}/subscriptions…`: who is subscribed.

use headwater_hub::Action;
use headwater_log::{Filter, Topic};
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LINK, VARY};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use sha2::{Digest as _, Sha256};
use url::form_urlencoded;

use super::document::{self, Named};
use super::form::Form;
use super::registry::{Registry, Update};
use super::wanted::{EARLIEST, Kind};
use crate::body::Body;
use crate::cors::Cors;
use crate::front::Front;
use crate::plain::start::number;
use crate::problem::Problem;
use crate::route::READ_ONLY;
use crate::token::Refusal;

const JSON: &str = "application/json";
const JSON_LD: &str = "application/ld+json";
/// Subscriptions in an answer, of some hundred bytes each, if not asked for fewer.
const PAGE_MAX: usize = 1000;

/// A part of a list.
struct Page {
    count: usize,
    after: Option<Named>,
}

/// Answers a request to what lies below `{hub}/subscriptions`.
pub(super) async fn answer(
    front: &Front,
    request: &Parts,
    rest: &str,
) -> Result<Response<Body>, Problem> {
    match request.method {
        Method::GET | Method::HEAD => {}
        Method::OPTIONS => return Ok(Cors::answer_options(request, READ_ONLY)),
        _ => return Err(Problem::method_not_allowed(READ_ONLY)),
    }
    let own = &front.mercure;
    let Some(registry) = &own.registry else {
        let detail = "this hub does not tell who is subscribed: have the operator set \
                      mercure.subscriptions";
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    };
    let compat = front.config.mercure.compat.is_on();
    let named = Named::parse(rest, compat).ok_or_else(no_such_thing)?;
    check(front, request, &named).await?;
    // What is subscribed after it was listed has an event after this one.
    let last = front.hub.last_id().unwrap_or_else(|| EARLIEST.to_owned());
    let in_compat = compat && is_compat(&request.headers, &named);
    let mut links = vec![hub_link(own.url.path(), &last)];
    let document = match &named {
        Named::One(place) => {
            let found = registry.get(place).ok_or_else(no_such_thing)?;
            document::subscription(own.url.path(), &found)
        }
        Named::All | Named::Of(_) => {
            let page = page(request, own.url.path(), compat)?;
            let (listed, more) = list(registry, &named, &page, in_compat);
            links.extend(next_link(own.url.path(), &named, &listed, page.count).filter(|_| more));
            let last = in_compat.then_some(last.as_str());
            document::subscriptions(own.url.path(), &named, &listed, last)
        }
    };
    let content_type = if in_compat { JSON_LD } else { JSON };
    Ok(respond(request, document.to_string(), content_type, &links))
}

fn no_such_thing() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "there is no such subscription, or not any more")
}

/// "token must grant `subscribe` on the relative path else 403".
async fn check(front: &Front, request: &Parts, named: &Named) -> Result<(), Problem> {
    let path = named.path(front.mercure.url.path());
    let topic = Topic::parse_kept(&path).map_err(|_| no_such_thing())?;
    let topics = [topic];
    let [topic] = &topics;
    let access = front.subscriber(request, &Filter::topic(topic.clone())).await?;
    if access.allows(Action::Subscribe, &topics) {
        return Ok(());
    }
    Err(if access.is_anonymous() {
        Refusal::missing().into()
    } else {
        Refusal::insufficient_scope(format!("subscribing to {topic} is not granted")).into()
    })
}

/// Whether a document is to be as 0.x has it. Where both have the path, `Accept` decides, and those who say
/// nothing are taken for those who are there already.
fn is_compat(headers: &HeaderMap, named: &Named) -> bool {
    let kind = match named {
        Named::All => {
            let accept = headers.get(ACCEPT).map(HeaderValue::as_bytes).unwrap_or_default();
            return !accept.windows(JSON.len()).any(|name| name == JSON.as_bytes());
        }
        Named::Of(matcher) => matcher.kind,
        Named::One(place) => place.matcher.kind,
    };
    kind == Kind::Selector
}

fn page(request: &Parts, hub_path: &str, compat: bool) -> Result<Page, Problem> {
    let form = Form::new(request.uri.query().unwrap_or_default());
    let count = match form.first_lossy("limit") {
        None => PAGE_MAX,
        Some(text) => number(&text)
            .and_then(|count| usize::try_from(count).ok())
            .filter(|count| (1..=PAGE_MAX).contains(count))
            .ok_or_else(|| Problem::bad_request(format!("`limit` is from 1 to {PAGE_MAX}")))?,
    };
    let after = match form.first_lossy("after") {
        None => None,
        Some(id) => {
            let rest =
                id.strip_prefix(hub_path).and_then(|rest| rest.strip_prefix("/subscriptions"));
            let named = rest.and_then(|rest| Named::parse(rest, compat));
            match named {
                Some(one @ Named::One(_)) => Some(one),
                _ => {
                    let detail =
                        "`after` is the `id` of a subscription, the last one that was listed";
                    return Err(Problem::bad_request(detail));
                }
            }
        }
    };
    Ok(Page { count, after })
}

fn list(registry: &Registry, named: &Named, page: &Page, in_compat: bool) -> (Vec<Update>, bool) {
    let matcher = match named {
        Named::Of(matcher) => Some(matcher),
        Named::All | Named::One(_) => None,
    };
    let after = match &page.after {
        Some(Named::One(place)) => Some(place),
        _ => None,
    };
    registry.list(matcher, |kind| (kind == Kind::Selector) == in_compat, after, page.count)
}

/// "each response Link `<hub>; rel=\"mercure\"; last-event-id=\"…\"; type=\"mercure\";
/// content-type=\"application/json\"`".
fn hub_link(hub_path: &str, last: &str) -> String {
    // RFC 9110, 5.6.4: a quoted-string escapes these two.
    let last = last.replace('\\', "\\\\").replace('"', "\\\"");
    format!(
        "<{hub_path}>; rel=\"mercure\"; last-event-id=\"{last}\"; type=\"mercure\"; \
         content-type=\"{JSON}\""
    )
}

/// RFC 8288, and the relation `next` of HTML: where the rest is.
fn next_link(hub_path: &str, named: &Named, listed: &[Update], count: usize) -> Option<String> {
    let last = Named::One(listed.last()?.place.clone()).path(hub_path);
    let last: String = form_urlencoded::byte_serialize(last.as_bytes()).collect();
    let path = named.path(hub_path);
    Some(format!("<{path}?limit={count}&after={last}>; rel=\"next\""))
}

fn respond(
    request: &Parts,
    document: String,
    content_type: &'static str,
    links: &[String],
) -> Response<Body> {
    let hash: String =
        Sha256::digest(document.as_bytes()).iter().take(16).map(|b| format!("{b:02x}")).collect();
    let tag = format!("\"{hash}\"");
    let known = request.headers.get_all(IF_NONE_MATCH).iter().any(|value| {
        let tags = value.to_str().unwrap_or_default();
        // RFC 9110, 13.1.2: "a recipient MUST use the weak comparison function".
        tags.split(',').any(|other| matches!(other.trim().trim_start_matches("W/"), own if own == tag || own == "*"))
    });
    let mut response = Response::new(if known { Body::empty() } else { Body::full(document) });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache, must-revalidate"));
    headers.insert(VARY, HeaderValue::from_static("Authorization, Cookie, Accept"));
    headers.extend(HeaderValue::try_from(tag).ok().map(|tag| (ETAG, tag)));
    for link in links {
        headers.extend(HeaderValue::try_from(link).ok().map(|link| (LINK, link)));
    }
    response
}
