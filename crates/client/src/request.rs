//! What is sent with every connection.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_LANGUAGE, AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LANGUAGE,
    CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_TYPE, HOST, USER_AGENT,
};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use url::Url;

use crate::item::Error;
use crate::redirect::Attempt;
use crate::transport::TransportError;

/// The part of the program's request that the user agent has no interest in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Template {
    /// What the program has set, once and for this connection.
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Template {
    /// The request of one attempt; `fresh` are the headers that were made for this connection.
    pub(crate) fn request(
        &self,
        attempt: &Attempt,
        fresh: &HeaderMap,
    ) -> Result<Request<Bytes>, TransportError> {
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = attempt.method.clone();
        *request.uri_mut() = attempt.url.as_str().try_into()?;
        let headers = request.headers_mut();
        headers.clone_from(&self.headers);
        replace(headers, fresh);
        if attempt.is_foreign {
            let kept = headers.iter().filter(|(name, value)| is_harmless(name, value));
            *headers = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
        }
        // The standard's and the transport's own.
        for name in [LAST_EVENT_ID, CONTENT_LENGTH, HOST] {
            headers.remove(name);
        }
        // WHATWG HTML 9.2.2: "User agents may set (`Accept`, `text/event-stream`) in request's header list."
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("text/event-stream"));
        // WHATWG HTML 9.2.2: "Set request's cache mode to "no-store"", which Fetch sends as `no-cache`.
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
        if !attempt.last_event_id.is_empty() {
            let id = HeaderValue::from_bytes(attempt.last_event_id.as_bytes())?;
            headers.insert(LAST_EVENT_ID, id);
        }
        if attempt.has_body {
            *request.body_mut() = self.body.clone();
        } else {
            // Fetch 4.4: "For each headerName of request-body-header name, delete headerName from request's
            // header list."
            for name in [CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_TYPE] {
                request.headers_mut().remove(name);
            }
        }
        Ok(request)
    }

    /// Shows a URL's user and password, as HTTP clients do.
    pub(crate) fn authorize(&mut self, url: &Url) -> Result<(), Error> {
        if url.username().is_empty() && url.password().is_none() {
            return Ok(());
        }
        let decode = |text: &str| percent_encoding::percent_decode_str(text).collect::<Vec<_>>();
        let mut credentials = decode(url.username());
        credentials.push(b':');
        credentials.extend(decode(url.password().unwrap_or_default()));
        let value = format!("Basic {}", BASE64_STANDARD.encode(credentials));
        let mut value = HeaderValue::try_from(value).map_err(|e| Error::Request(e.into()))?;
        value.set_sensitive(true);
        self.headers.entry(AUTHORIZATION).or_insert(value);
        Ok(())
    }
}

/// Whether a `Last-Event-ID` can be sent.
pub(crate) fn check_last_event_id(id: &str) -> Result<(), Error> {
    let value = HeaderValue::from_bytes(id.as_bytes());
    value.map(drop).map_err(|_| Error::LastEventId(id.to_owned()))
}

/// Every header of `with` takes the place of those of its name.
fn replace(headers: &mut HeaderMap, with: &HeaderMap) {
    for name in with.keys() {
        headers.remove(name);
    }
    headers.extend(with.iter().map(|(name, value)| (name.clone(), value.clone())));
}

/// A header that may go to another origin. Fetch's "CORS-safelisted request-header" names, and two that say
/// nothing of who asks; any other may be a credential, whatever it is called.
fn is_harmless(name: &HeaderName, value: &HeaderValue) -> bool {
    const HARMLESS: [HeaderName; 6] =
        [ACCEPT, ACCEPT_LANGUAGE, CONTENT_LANGUAGE, CONTENT_TYPE, CACHE_CONTROL, USER_AGENT];
    HARMLESS.contains(name) && !value.is_sensitive()
}

pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let value = HeaderValue::from_static;
        pairs.iter().map(|(name, text)| (HeaderName::from_static(name), value(text))).collect()
    }

    fn sent(template: &Template, attempt: &Attempt) -> Vec<String> {
        let fresh = headers(&[("authorization", "fresh")]);
        let request = template.request(attempt, &fresh).unwrap();
        let told = request.headers().iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap()));
        let mut told: Vec<_> = told.collect();
        told.sort();
        told.push(String::from_utf8(request.body().to_vec()).unwrap());
        told
    }

    #[test]
    fn only_harmless_headers_go_to_another_origin_and_body_headers_only_with_a_body() {
        let template = Template {
            headers: headers(&[
                ("authorization", "stale"),
                ("cookie", "c"),
                ("x-api-key", "k"),
                ("accept-language", "en"),
                ("content-type", "text/plain"),
                ("last-event-id", "forged"),
                ("content-length", "99"),
            ]),
            body: "body".into(),
        };
        let url = Url::parse("http://a.test/").unwrap();
        let mut attempt = Attempt::new(url, Method::POST);
        attempt.last_event_id = "7".to_owned();
        let own = ["accept-language: en", "accept: text/event-stream"];
        assert_eq!(
            sent(&template, &attempt),
            [
                own[0],
                own[1],
                "authorization: fresh",
                "cache-control: no-cache",
                "content-type: text/plain",
                "cookie: c",
                "last-event-id: 7",
                "x-api-key: k",
                "body"
            ]
        );
        let foreign = Attempt { is_foreign: true, ..attempt.clone() };
        let tail = ["cache-control: no-cache", "content-type: text/plain", "last-event-id: 7"];
        assert_eq!(sent(&template, &foreign), [&own[..], &tail[..], &["body"]].concat());
        let bare = Attempt { has_body: false, is_foreign: true, ..attempt };
        assert_eq!(sent(&template, &bare), [&own[..], &[tail[0], tail[2], ""]].concat());
    }

    #[test]
    fn a_password_in_the_url_is_shown_as_a_header() {
        let mut template = Template::default();
        template.authorize(&Url::parse("http://Aladdin:open%20sesame@a.test/").unwrap()).unwrap();
        // RFC 7617, section 2, with this user and this password.
        assert_eq!(template.headers[AUTHORIZATION], "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        template.authorize(&Url::parse("http://other@a.test/").unwrap()).unwrap();
        assert_eq!(template.headers[AUTHORIZATION], "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }
}
