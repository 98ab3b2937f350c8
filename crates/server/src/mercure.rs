//! The Mercure dialect: one address to subscribe and publish at, and what lies below it.

mod config;
mod form;
mod namespace;
mod publish;
mod subscribe;
mod wanted;

use std::sync::Arc;

use headwater_log::Topic;
use http::request::Parts;
use http::{Method, Response, StatusCode};
use hyper::body::Incoming;
use url::Url;

pub use self::config::{Compat, HubPath, MercureConfig};
pub(crate) use self::namespace::Namespace;
use crate::Hub;
use crate::body::Body;
use crate::cors::Cors;
use crate::front::Front;
use crate::plain::draft::DraftError;
use crate::problem::Problem;

const METHODS: &str = "GET, HEAD, QUERY, POST, OPTIONS";
const FORM: &str = "application/x-www-form-urlencoded";
/// RFC 10008: GET with content.
const QUERY: &str = "QUERY";

/// What all requests of the dialect share.
pub(crate) struct Mercure {
    /// The hub's URL, as it is seen from outside.
    pub(crate) url: Url,
    pub(crate) namespace: Namespace,
    enabled: bool,
}

/// Which of the dialect's addresses a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Address {
    /// The hub itself.
    Hub,
}

impl Mercure {
    /// A hub below a root.
    pub(crate) fn new(config: &MercureConfig, root: &Url) -> Self {
        let mut url = root.clone();
        url.set_path(config.path.as_str());
        Self { namespace: Namespace::new(&url), url, enabled: config.enabled }
    }

    /// Whether these topics may be published to: none of them is the hub's own.
    pub(crate) fn check_topics(&self, topics: &[Topic]) -> Result<(), DraftError> {
        match topics.iter().find(|topic| self.enabled && self.namespace.has(topic)) {
            Some(topic) => Err(DraftError::Reserved { topic: topic.clone() }),
            None => Ok(()),
        }
    }

    /// The address that a path is, if it is one.
    pub(crate) fn address(&self, path: &str) -> Option<Address> {
        if !self.enabled {
            return None;
        }
        match path.strip_prefix(self.url.path())? {
            "" => Some(Address::Hub),
            _ => None,
        }
    }
}

/// Answers a request to one of the dialect's addresses.
pub(crate) async fn answer(
    front: &Arc<Front>,
    request: &Parts,
    body: Incoming,
    address: Address,
) -> Result<Response<Body>, Problem> {
    match address {
        Address::Hub => hub(front, request, body).await,
    }
}

/// "MUST support GET; MAY support other safe methods with form body, notably `QUERY`".
async fn hub(
    front: &Arc<Front>,
    request: &Parts,
    body: Incoming,
) -> Result<Response<Body>, Problem> {
    match &request.method {
        &Method::GET | &Method::HEAD => subscribe::by_query(front, request).await,
        &Method::POST => publish::publish(front, request, body).await,
        &Method::OPTIONS => Ok(Cors::answer_options(request, METHODS)),
        method if method.as_str() == QUERY => subscribe::by_form(front, request, body).await,
        _ => Err(Problem::method_not_allowed(METHODS)),
    }
}

/// Whether a request is one to subscribe.
fn subscribes(request: &Parts) -> bool {
    matches!(request.method, Method::GET | Method::HEAD) || request.method.as_str() == QUERY
}

/// Refuses a request for now, whatever it asks for.
pub(crate) fn refuse(
    hub: &Hub,
    request: &Parts,
    address: Address,
    status: StatusCode,
    detail: &str,
) -> Response<Body> {
    match address {
        Address::Hub if subscribes(request) => subscribe::refuse(hub, detail),
        Address::Hub => Problem::passing(status, detail).into_response(),
    }
}
