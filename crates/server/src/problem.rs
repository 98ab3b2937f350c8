//! Errors as HTTP answers them: `application/problem+json` whose `detail` says what to do.

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde::Serialize;

use crate::body::Body;
use crate::token::Refusal;

/// What went wrong with a request, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
    header: Option<Box<(HeaderName, HeaderValue)>>,
    /// If it is one of what was presented to be let in.
    refusal: Option<Box<Refusal>>,
    limit: Option<Exceeded>,
}

/// The setting whose limit a request exceeded. It goes with the response, to be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exceeded(pub(crate) &'static str);

/// RFC 9457: "The canonical model for problem details is a JSON object."
#[derive(Serialize)]
struct Form<'a> {
    title: &'a str,
    status: u16,
    detail: &'a str,
}

/// When to come again after a refusal that will pass, in seconds.
const RETRY_AFTER_S: u16 = 5;

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), header: None, refusal: None, limit: None }
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// RFC 9110, 15.5.6: "The origin server MUST generate an Allow header field in a 405 response".
    pub(crate) fn method_not_allowed(allow: &'static str) -> Self {
        let detail = format!("This address takes {allow} only: use one of these methods.");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, detail)
            .with(ALLOW, HeaderValue::from_static(allow))
    }

    /// RFC 9110, 11.6.1: "A server generating a 401 response MUST send a WWW-Authenticate header field".
    pub(crate) fn unauthorized(detail: &str) -> Self {
        let challenge = HeaderValue::from_static("Bearer realm=\"headwater\"");
        Self::new(StatusCode::UNAUTHORIZED, detail).with(WWW_AUTHENTICATE, challenge)
    }

    /// The same, where the resource that was asked for has a document about what lets one in.
    pub(crate) fn described_at(self, metadata: &str) -> Self {
        match self.refusal.as_ref().and_then(|refusal| refusal.challenge(Some(metadata))) {
            Some(challenge) => self.with(WWW_AUTHENTICATE, challenge),
            None => self,
        }
    }

    /// A refusal that will pass: 429 or 503, with `Retry-After`.
    pub(crate) fn passing(status: StatusCode, detail: impl Into<String>) -> Self {
        Self::new(status, detail).with(RETRY_AFTER, RETRY_AFTER_S.into())
    }

    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::passing(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// The same as a part of something larger.
    pub(crate) fn within(self, before: &str, after: &str) -> Self {
        Self { detail: format!("{before}{}{after}", self.detail), ..self }
    }

    /// The problem is that this setting's limit was exceeded.
    pub(crate) fn over(self, setting: &'static str) -> Self {
        Self { limit: Some(Exceeded(setting)), ..self }
    }

    /// The setting whose limit was exceeded, if it was that.
    pub(crate) fn exceeded(&self) -> Option<Exceeded> {
        self.limit
    }

    fn with(self, name: HeaderName, value: HeaderValue) -> Self {
        Self { header: Some((name, value).into()), ..self }
    }

    /// The problem as one line of JSON.
    pub(crate) fn to_line(&self) -> String {
        let form = Form {
            title: self.status.canonical_reason().unwrap_or_default(),
            status: self.status.as_u16(),
            detail: &self.detail,
        };
        // Strings and a number always serialise; an empty object would still be a line.
        let mut line = serde_json::to_string(&form).unwrap_or_else(|_| "{}".to_owned());
        line.push('\n');
        line
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::full(self.to_line()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.header.map(|header| *header));
        if let Some(limit) = self.limit {
            response.extensions_mut().insert(limit);
        }
        response
    }

    /// The problem as the whole answer to a request that HTTP/1.1 could not make out, after which the
    /// connection ends.
    pub(crate) fn to_last_answer(&self) -> Vec<u8> {
        let line = self.to_line();
        format!(
            "HTTP/1.1 {}\r\nconnection: close\r\ncontent-type: application/problem+json\r\n\
             content-length: {}\r\n\r\n{line}",
            self.status,
            line.len(),
        )
        .into_bytes()
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let Refusal { status, detail, .. } = refusal.clone();
        let problem = match refusal.challenge(None) {
            Some(challenge) => Self::new(status, detail).with(WWW_AUTHENTICATE, challenge),
            None => Self::passing(status, detail),
        };
        Self { refusal: Some(refusal.into()), ..problem }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_and_how_to_mend_it_in_json() {
        let problem = Problem::bad_request("no \"topic\"");
        assert_eq!(
            problem.to_line(),
            "{\"title\":\"Bad Request\",\"status\":400,\"detail\":\"no \\\"topic\\\"\"}\n"
        );
        let response = problem.into_response();
        assert_eq!(response.status(), 400);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    }

    #[test]
    fn carries_the_header_that_http_asks_for() {
        let header = |problem: Problem, name: HeaderName| {
            problem.into_response().headers().get(name).cloned().unwrap()
        };
        assert_eq!(header(Problem::method_not_allowed("GET, HEAD"), ALLOW), "GET, HEAD");
        assert_eq!(header(Problem::unavailable("full"), RETRY_AFTER), "5");
        assert_eq!(
            header(Problem::unauthorized("key"), WWW_AUTHENTICATE),
            "Bearer realm=\"headwater\""
        );
    }

    #[test]
    fn can_be_written_where_no_request_was_understood() {
        let text = String::from_utf8(Problem::bad_request("x").to_last_answer()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n"), "{head}");
        assert!(head.ends_with(&format!("content-length: {}", body.len())), "{head}");
    }
}
