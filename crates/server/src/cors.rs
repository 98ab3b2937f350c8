//! Which other sites' pages may read our answers.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, ALLOW, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use crate::body::Body;
use crate::config::{Config, CorsOrigin, Origin};

/// Same-origin unless origins are listed.
#[derive(Debug)]
pub(crate) struct Cors {
    any: bool,
    origins: Vec<Origin>,
}

/// What a page may send. `fetch` and XHR are preflighted for `Last-Event-ID`.
const REQUEST_HEADERS: &str =
    "Accept, Authorization, Cache-Control, Content-Type, Idempotency-Key, Last-Event-ID";
const RESPONSE_HEADERS: &str =
    "Headwater-Resume, Last-Event-ID, Link, Mercure-Last-Event-ID, Retry-After";
/// Two hours: what browsers allow at most.
const MAX_AGE_S: u16 = 7200;

impl Cors {
    pub(crate) fn new(config: &Config) -> Self {
        let listed = config.cors_origins.iter().filter_map(|origin| match origin {
            CorsOrigin::Any => None,
            CorsOrigin::One(origin) => Some(origin),
        });
        Self {
            any: config.cors_origins.contains(&CorsOrigin::Any),
            origins: listed.chain(&config.publish_origins).cloned().collect(),
        }
    }

    /// Adds to an answer what lets the page that asked read it, if it may.
    pub(crate) fn allow(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        if self.origins.is_empty() && !self.any {
            return;
        }
        if !self.origins.is_empty() {
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
        let Some(origin) = origin else { return };
        if self.origins.iter().any(|listed| listed.is(origin.as_bytes())) {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        } else if self.any {
            // Never the origin that asked: with `*`, browsers send no credentials.
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        } else {
            return;
        }
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(RESPONSE_HEADERS));
    }

    /// Answers `OPTIONS`, a browser's preflight too; [`allow`](Self::allow) then says whether it is let.
    pub(crate) fn answer_options(request: &Parts, allow: &'static str) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(ALLOW, HeaderValue::from_static(allow));
        let asked = &request.headers;
        if asked.contains_key(ORIGIN) && asked.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(allow));
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(REQUEST_HEADERS));
            headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE_S.into());
        }
        response
    }

    /// The origin of the page that sent a request.
    pub(crate) fn origin(request: &Parts) -> Option<HeaderValue> {
        request.headers.get(ORIGIN).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(cors: &[&str], publish: &[&str], origin: &'static str) -> HeaderMap {
        let config = Config {
            cors_origins: cors.iter().map(|text| text.parse().unwrap()).collect(),
            publish_origins: publish.iter().map(|text| text.parse().unwrap()).collect(),
            ..Config::default()
        };
        let mut headers = HeaderMap::new();
        Cors::new(&config).allow(Some(&HeaderValue::from_static(origin)), &mut headers);
        headers
    }

    #[test]
    fn without_a_list_nobody_else_may_read() {
        assert!(allowed(&[], &[], "https://a.example").is_empty());
    }

    #[test]
    fn a_listed_origin_may_read_with_credentials() {
        for headers in [
            allowed(&["https://a.example"], &[], "https://a.example"),
            allowed(&["*", "https://a.example"], &[], "https://a.example"),
            allowed(&[], &["https://a.example"], "https://a.example"),
        ] {
            assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "https://a.example");
            assert_eq!(headers[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
            assert_eq!(headers[ACCESS_CONTROL_EXPOSE_HEADERS], RESPONSE_HEADERS);
            assert_eq!(headers[VARY], "Origin");
        }
        let other = allowed(&["https://a.example"], &[], "https://b.example");
        assert_eq!(other.len(), 1);
        assert_eq!(other[VARY], "Origin");
    }

    #[test]
    fn anybody_may_read_without_credentials() {
        for headers in [
            allowed(&["*"], &[], "https://b.example"),
            allowed(&["*", "https://a.example"], &[], "https://b.example"),
            allowed(&["*"], &[], "null"),
        ] {
            assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
            assert!(!headers.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS));
        }
    }
}
