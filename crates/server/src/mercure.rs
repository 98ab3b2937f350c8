//! The Mercure dialect: one address to subscribe and publish at, and what lies below it.

mod config;
mod document;
mod form;
mod metadata;
mod namespace;
mod publish;
mod registry;
mod subscribe;
mod subscriptions;
mod wanted;

use std::sync::Arc;

use headwater_log::Topic;
use http::request::Parts;
use http::{Method, Response, StatusCode};
use hyper::body::Incoming;
use url::Url;

pub use self::config::{Compat, HubPath, MercureConfig};
use self::metadata::Metadata;
use self::namespace::Namespace;
pub(crate) use self::registry::Registry;
use crate::Hub;
use crate::body::Body;
use crate::config::Config;
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
    namespace: Namespace,
    /// Who is subscribed, if the hub tells it.
    pub(crate) registry: Option<Registry>,
    metadata: Metadata,
    enabled: bool,
}

/// Which of the dialect's addresses a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Address<'a> {
    /// The hub itself.
    Hub,
    /// What lies below its subscriptions: what follows `{hub}/subscriptions` in the path.
    Subscriptions(&'a str),
    /// What is to be known of it beforehand.
    Metadata,
}

impl Mercure {
    /// A hub below a root.
    pub(crate) fn new(config: &Config, root: &Url) -> Self {
        let own = &config.mercure;
        let mut url = root.clone();
        url.set_path(own.path.as_str());
        let authorization = config.authorization.as_ref();
        let cookie = authorization.map(|authorization| authorization.credentials.cookie.as_str());
        Self {
            namespace: Namespace::new(&url),
            registry: own.subscriptions.then(|| Registry::new(url.path())),
            metadata: Metadata::new(own, &url, cookie),
            url,
            enabled: own.enabled,
        }
    }

    /// Whether these topics may be published to: none of them is the hub's own.
    pub(crate) fn check_topics(&self, topics: &[Topic]) -> Result<(), DraftError> {
        match topics.iter().find(|topic| self.enabled && self.namespace.has(topic)) {
            Some(topic) => Err(DraftError::Reserved { topic: topic.clone() }),
            None => Ok(()),
        }
    }

    /// The address that a path is, if it is one.
    pub(crate) fn address<'a>(&self, path: &'a str) -> Option<Address<'a>> {
        if !self.enabled {
            return None;
        }
        if path == self.metadata.url.path() {
            return Some(Address::Metadata);
        }
        match path.strip_prefix(self.url.path())? {
            "" => Some(Address::Hub),
            below => match below.strip_prefix("/subscriptions")? {
                rest if rest.is_empty() || rest.starts_with('/') => {
                    Some(Address::Subscriptions(rest))
                }
                _ => None,
            },
        }
    }
}

/// Answers a request to one of the dialect's addresses.
pub(crate) async fn answer(
    front: &Arc<Front>,
    request: &Parts,
    body: Incoming,
    address: Address<'_>,
) -> Result<Response<Body>, Problem> {
    let answered = match address {
        Address::Hub => hub(front, request, body).await,
        Address::Subscriptions(rest) => subscriptions::answer(front, request, rest).await,
        Address::Metadata => front.mercure.metadata.answer(request),
    };
    // "none presented but needed → 401 `WWW-Authenticate: Bearer resource_metadata=\"…\"`".
    answered.map_err(|problem| problem.described_at(front.mercure.metadata.url.as_str()))
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
    address: Address<'_>,
    status: StatusCode,
    detail: &str,
) -> Response<Body> {
    match address {
        Address::Hub if subscribes(request) => subscribe::refuse(hub, detail),
        _ => Problem::passing(status, detail).into_response(),
    }
}
