//! What clients and authorization servers may know of the hub beforehand (RFC 9728).

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method, Response};
use serde::Serialize;
use url::Url;

use super::config::MercureConfig;
use crate::body::Body;
use crate::cors::Cors;
use crate::problem::Problem;
use crate::route::READ_ONLY;

/// RFC 9728, 3: the well-known path comes between the host and the resource's own path.
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The document, and where it is.
pub(super) struct Metadata {
    pub(super) url: Url,
    document: Bytes,
}

#[derive(Serialize)]
struct Document<'a> {
    resource: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    authorization_servers: &'a [String],
    authorization_details_types_supported: [&'a str; 1],
    bearer_methods_supported: [&'a str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    mercure_cookie: Option<&'a str>,
    mercure_matcher_types_supported: [&'a str; 2],
    mercure_subscriptions: bool,
}

impl Metadata {
    /// That of a hub, and of where it looks for a token.
    pub(super) fn new(config: &MercureConfig, hub: &Url, cookie: Option<&str>) -> Self {
        let document = Document {
            resource: hub.as_str(),
            authorization_servers: &config.authorization_servers,
            authorization_details_types_supported: ["https://mercure.rocks/authorization-detail"],
            bearer_methods_supported: ["header"],
            mercure_cookie: cookie,
            mercure_matcher_types_supported: ["exact", "urlpattern"],
            mercure_subscriptions: config.subscriptions,
        };
        let mut url = hub.clone();
        url.set_path(&format!("{WELL_KNOWN}{}", hub.path()));
        // Texts always serialise; an empty document would still be one.
        let document = serde_json::to_vec(&document).unwrap_or_default().into();
        Self { url, document }
    }

    pub(super) fn answer(&self, request: &Parts) -> Result<Response<Body>, Problem> {
        match request.method {
            Method::GET | Method::HEAD => {}
            Method::OPTIONS => return Ok(Cors::answer_options(request, READ_ONLY)),
            _ => return Err(Problem::method_not_allowed(READ_ONLY)),
        }
        let mut response = Response::new(Body::full(self.document.clone()));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
        Ok(response)
    }
}
