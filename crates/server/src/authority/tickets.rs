//! `POST /tickets`: what stands for a token in the URL of a native `EventSource`.

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, Uri};
use hyper::body::Incoming;
use serde::Serialize;

use crate::body::Body;
use crate::cors::Cors;
use crate::front::Front;
use crate::plain::intake::{self, Bounds};
use crate::plain::query::Query;
use crate::problem::Problem;
use crate::token::{Authorization, Binding, Credential, Judge, Refusal, Tickets, Via};

const METHODS: &str = "POST, OPTIONS";

#[derive(Serialize)]
struct Answer<'a> {
    ticket: &'a str,
    /// Seconds within which it has to be used.
    expires_in: u64,
}

/// Answers a request to `/tickets`.
pub(crate) async fn answer(
    front: &Front,
    request: &Parts,
    body: Incoming,
) -> Result<Response<Body>, Problem> {
    match request.method {
        Method::POST => issue(front, request, body).await,
        Method::OPTIONS => Ok(Cors::answer_options(request, METHODS)),
        _ => Err(Problem::method_not_allowed(METHODS)),
    }
}

async fn issue(front: &Front, request: &Parts, body: Incoming) -> Result<Response<Body>, Problem> {
    let Some(Authorization { judge: Judge::Tokens(tokens), .. }) = &front.config.authorization
    else {
        let detail = "a ticket stands for a token, and this hub knows no issuer of any: have the \
                      operator set up an [[issuer]]";
        return Err(Problem::new(StatusCode::NOT_IMPLEMENTED, detail));
    };
    // A page that a browser sends a cookie for needs no ticket, and must not be made to give one away.
    let token = match front.presented(request)? {
        Credential::Token { token, via: Via::Header } => token,
        _ => return Err(Refusal::missing().into()),
    };
    let access = front.verify(tokens, &token).await?;
    let binding = binding(front, body).await?;
    let mut random = [0; 28];
    let no_randomness = || Problem::unavailable("the system gives no random numbers");
    aws_lc_rs::rand::fill(&mut random).map_err(|_| no_randomness())?;
    let expires = access.identity().expires;
    let tickets = front.tickets.as_ref().ok_or_else(no_randomness)?;
    let issued = {
        let tickets = tickets.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        tickets.issue(&token, expires, binding, random, front.hub.now())
    };
    let ticket = issued.map_err(|error| Problem::bad_request(error.to_string()))?;
    let answer = Answer { ticket: &ticket, expires_in: Tickets::CLAIM_MS / 1000 };
    let mut response =
        Response::new(Body::full(serde_json::to_string(&answer).unwrap_or_default()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// For which subscription the ticket is to be, if the form in the body says so.
async fn binding(front: &Front, body: Incoming) -> Result<Option<Binding>, Problem> {
    let limits = &front.config.limits;
    let bounds = Bounds {
        bytes_max: limits.form_bytes_max,
        setting: "form_bytes_max",
        timeout: limits.body_timeout(),
    };
    let intake = intake::read(body, bounds, &front.bodies).await?;
    let form = Query::new(intake.text()?);
    let Some(url) = form.one("url").map_err(|error| Problem::bad_request(error.to_string()))?
    else {
        return Ok(None);
    };
    let bad = || {
        let detail = "`url` is not the URL of a subscription, such as /events/news or \
                      https://events.example.com/events?topic=a&topic=b";
        Problem::bad_request(detail)
    };
    let url: Uri = url.parse().map_err(|_| bad())?;
    if !url.path().starts_with('/') {
        return Err(bad());
    }
    Ok(Some(Binding::of(url.path(), url.query())))
}
