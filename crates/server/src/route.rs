//! From a request to what answers it.

use std::sync::Arc;

use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;

use crate::authority;
use crate::body::Body;
use crate::client_script;
use crate::config::Page;
use crate::cors::Cors;
use crate::front::{Front, Full, Peer, Place, Wire, forwarded_for};
use crate::health;
use crate::mercure;
use crate::plain::{self, Address};
use crate::problem::{Exceeded, Problem};

/// Answers a request; with the place that the answer takes up among its client's.
pub(crate) async fn answer(
    front: &Arc<Front>,
    peer: Peer,
    request: Request<Incoming>,
    wire: &Wire,
) -> (Response<Body>, Option<Place>) {
    let (request, body) = request.into_parts();
    let may_go_on = !body.is_end_stream();
    let mut place = None;
    let mut response = match place_for(front, peer, &request) {
        Ok(taken) => {
            place = taken;
            // Who only listens is gone when its end of the connection is.
            if request.method == Method::GET && Address::of(request.uri.path()).is_some() {
                wire.listen();
            }
            let answered = dispatch(front, &request, body).await;
            answered.unwrap_or_else(Problem::into_response)
        }
        Err(full) => match front.mercure.address(request.uri.path()) {
            Some(address) => {
                mercure::refuse(&front.hub, &request, address, full.status(), full.detail())
            }
            None => plain::refuse(&front.hub, &request, full.status(), full.detail()),
        },
    };
    if response.headers().contains_key(plain::RESUME) {
        wire.listen();
    }
    if let Some(Exceeded(setting)) = response.extensions_mut().remove() {
        front.hub.metrics().refuse(setting);
    }
    let status = response.status();
    if may_go_on && (status.is_client_error() || status.is_server_error() || peer.refused.is_some())
    {
        wire.leave_unread();
    }
    front.cors.allow(Cors::origin(&request).as_ref(), response.headers_mut());
    if request.method == Method::HEAD {
        response = without_body(response);
    }
    tracing::debug!(
        client = %peer.address, method = %request.method, path = request.uri.path(),
        status = status.as_u16(), "answered"
    );
    (response, place)
}

/// A place for the request among those of its client, if it came through a proxy.
fn place_for(front: &Front, peer: Peer, request: &Parts) -> Result<Option<Place>, Full> {
    if let Some(full) = peer.refused {
        return Err(full);
    }
    let trusted = &front.config.trusted_proxies;
    let client = peer.trusted.then(|| forwarded_for(&request.headers, trusted)).flatten();
    let Some(client) = client else { return Ok(None) };
    front.addresses.take(client).map(Some).ok_or_else(|| {
        // Connections are counted at the door.
        front.hub.metrics().refuse(Full::Address.setting());
        Full::Address
    })
}

async fn dispatch(
    front: &Arc<Front>,
    request: &Parts,
    body: Incoming,
) -> Result<Response<Body>, Problem> {
    let uri_bytes = request.uri.path_and_query().map_or(0, |target| target.as_str().len());
    let uri_bytes_max = front.config.limits.uri_bytes_max;
    if uri_bytes > uri_bytes_max {
        let detail = format!(
            "the address has {uri_bytes} bytes and at most {uri_bytes_max} are allowed: shorten it, \
             or send the topics of a subscription as a form"
        );
        return Err(Problem::new(StatusCode::URI_TOO_LONG, detail).over("uri_bytes_max"));
    }
    front.guard.check_host(request)?;
    let path = request.uri.path();
    if let Some(address) = Address::of(path) {
        return plain::answer(front, request, body, address).await;
    }
    if path == TICKETS {
        return authority::answer_tickets(front, request, body).await;
    }
    if let Some(address) = front.mercure.address(path) {
        return mercure::answer(front, request, body, address).await;
    }
    let page = front.config.pages.iter().find(|page| page.path == path);
    let response = match (page, path) {
        (Some(page), _) => page_response(page),
        (None, "/") => text("text/plain; charset=utf-8", front.welcome()),
        (None, "/healthz") => health::answer(&front.hub),
        _ => client_script::answer(request)
            .ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, NOT_FOUND))?,
    };
    match request.method {
        Method::GET | Method::HEAD => Ok(response),
        Method::OPTIONS => Ok(Cors::answer_options(request, READ_ONLY)),
        _ => Err(Problem::method_not_allowed(READ_ONLY)),
    }
}

const TICKETS: &str = "/tickets";
pub(crate) const READ_ONLY: &str = "GET, HEAD, OPTIONS";
const NOT_FOUND: &str = "there is nothing here: events are at /events/TOPIC, many topics at \
                         /events?topic=A&topic=B, the hub's health at /healthz";

impl Front {
    /// What a person sees who opens the hub in a browser.
    fn welcome(&self) -> String {
        let base = &self.base;
        format!(
            "This is a Headwater hub: it delivers events to every page that subscribes to them.\n\n\
             Subscribe:  curl -N {base}events/news\n\
             In a page:  new EventSource(\"{base}events/news\").onmessage = e => console.log(e.data)\n\
             Publish:    curl -d 'hello' {base}events/news\n\
             Health:     {base}healthz\n"
        )
    }
}

fn page_response(page: &Page) -> Response<Body> {
    let mut response = Response::new(Body::full(page.bytes.clone()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(page.content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'self'"));
    response
}

pub(crate) fn text(content_type: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(Body::full(text));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// RFC 9110, 9.3.2: "The HEAD method is identical to GET except that the server MUST NOT send content in
/// the response."
pub(crate) fn without_body(mut response: Response<Body>) -> Response<Body> {
    if let Some(length) = response.body().size_hint().exact().filter(|&length| length > 0) {
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    response.map(|_| Body::empty())
}
