//! Refusals that will pass.

use headwater_event_stream::{EventFields, encode, encode_comment};
use http::request::Parts;
use http::{Method, Response, StatusCode};

use super::Address;
use super::accept::{self, Form};
use crate::Hub;
use crate::body::Body;
use crate::problem::Problem;

/// Refuses a request for now, whatever it asks for.
pub(crate) fn refuse(
    hub: &Hub,
    request: &Parts,
    status: StatusCode,
    detail: &str,
) -> Response<Body> {
    let form = match request.method {
        Method::GET | Method::HEAD => accept::negotiate(&request.headers).ok(),
        Method::POST => accept::named(&request.headers),
        _ => None,
    };
    match (Address::of(request.uri.path()), form) {
        (Some(_), Some(form)) => refuse_form(hub, form, status, detail),
        _ => Problem::passing(status, detail).into_response(),
    }
}

/// Refuses a subscription for now.
///
/// WHATWG HTML 9.2.3: "if res's status is not 200, or if res's `Content-Type` is not
/// `text/event-stream`, then fail the connection": a page would never come back. So an event stream is
/// opened, told when to come again, and ended.
pub(super) fn refuse_form(
    hub: &Hub,
    form: Form,
    status: StatusCode,
    detail: &str,
) -> Response<Body> {
    if form != Form::EventStream {
        return Problem::passing(status, detail).into_response();
    }
    // A colon line first, as in the open block.
    let mut bytes = Vec::new();
    encode_comment(detail, &mut bytes);
    let retry = EventFields { retry: Some(hub.retry_ms_spread()), ..EventFields::default() };
    let written = encode(&retry, &mut bytes);
    debug_assert!(written.is_ok(), "a number can be represented");
    super::stream_response(form, Body::full(bytes))
}
