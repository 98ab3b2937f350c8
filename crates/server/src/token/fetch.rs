//! Documents from elsewhere, within limits of size and time.

use std::error::Error as _;
use std::time::Duration;

use futures_util::StreamExt;
use headwater_log::BoxFuture;
use http::HeaderMap;
use http::header::CACHE_CONTROL;
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use url::Url;

/// Gets documents. [`HttpFetch`] does it over HTTP; a test says what comes.
pub trait Fetch: Send + Sync {
    /// Gets one, of at most [`Fetched::BYTES_MAX`] bytes, within [`Fetched::TIME_MAX`].
    fn fetch<'a>(&'a self, url: &'a Url) -> BoxFuture<'a, Result<Fetched, FetchError>>;
}

/// A document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Its bytes.
    pub body: Vec<u8>,
    /// For how long it says it may be kept, if it says so.
    pub max_age: Option<Duration>,
}

impl Fetched {
    /// The largest document, in bytes.
    pub const BYTES_MAX: usize = 256 << 10;
    /// The longest that one may take, from the first step to the last byte.
    pub const TIME_MAX: Duration = Duration::from_secs(5);
}

/// Why a document could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Nobody there, or cut off.
    #[error("no answer: {why}")]
    Connection {
        /// What the connection says.
        why: String,
    },
    /// Longer than [`Fetched::TIME_MAX`].
    #[error("no whole answer within {} s", Fetched::TIME_MAX.as_secs())]
    Slow,
    /// Larger than [`Fetched::BYTES_MAX`].
    #[error("the answer is larger than {max} bytes")]
    Huge {
        /// The limit.
        max: usize,
    },
    /// An answer, and no document. Redirects are not followed: the settings name the place.
    #[error("the answer is {status}")]
    Status {
        /// Its status.
        status: u16,
    },
}

/// Gets documents over HTTP and HTTPS.
#[derive(Debug, Clone)]
pub struct HttpFetch(Client);

impl HttpFetch {
    /// A client for documents.
    ///
    /// # Errors
    /// If the machine is not prepared for HTTPS; without certificates, HTTP still works.
    pub fn new() -> Result<Self, FetchError> {
        client().map(Self)
    }
}

/// A client that goes where the settings say and nowhere else, for as long as a document may take.
pub(super) fn client() -> Result<Client, FetchError> {
    let new = || {
        Client::builder()
            .user_agent(concat!("headwater/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .timeout(Fetched::TIME_MAX)
    };
    // Without the system's certificates, as in an empty container, cleartext still works.
    let client = new().build().or_else(|_| new().tls_certs_only([]).build());
    client.map_err(|error| failed(&error))
}

impl Fetch for HttpFetch {
    fn fetch<'a>(&'a self, url: &'a Url) -> BoxFuture<'a, Result<Fetched, FetchError>> {
        Box::pin(async move {
            let answer = self.0.get(url.clone()).send().await.map_err(|error| failed(&error))?;
            if answer.status() != 200 {
                return Err(FetchError::Status { status: answer.status().as_u16() });
            }
            let max_age = max_age(answer.headers());
            Ok(Fetched { body: body(answer, Fetched::BYTES_MAX).await?, max_age })
        })
    }
}

/// The body of an answer, read no further than the limit.
pub(super) async fn body(answer: Response, max: usize) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    let mut pieces = answer.bytes_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| failed(&error))?;
        if body.len() + piece.len() > max {
            return Err(FetchError::Huge { max });
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

pub(super) fn failed(error: &reqwest::Error) -> FetchError {
    if error.is_timeout() {
        return FetchError::Slow;
    }
    // The outermost text has the URL, which the settings have too and which may hold a key.
    let mut cause = error.source();
    let mut why = "the connection failed".to_owned();
    while let Some(inner) = cause {
        why = inner.to_string();
        cause = inner.source();
    }
    FetchError::Connection { why }
}

/// RFC 9111, 5.2.2.1: "The max-age response directive indicates that the response is to be considered stale
/// after its age is greater than the specified number of seconds." What may not be stored has no age.
pub(super) fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let mut age = None;
    for value in headers.get_all(CACHE_CONTROL) {
        for directive in value.to_str().unwrap_or_default().split(',') {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "no-store" | "no-cache" => return Some(Duration::ZERO),
                "max-age" => {
                    let seconds = value.trim().trim_matches('"').parse().ok();
                    age = age.or(seconds.map(Duration::from_secs));
                }
                _ => {}
            }
        }
    }
    age
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn an_age_is_what_cache_control_says() {
        let age = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CACHE_CONTROL, HeaderValue::from_static(value));
            }
            max_age(&headers).map(|age| age.as_secs())
        };
        assert_eq!(age(&[]), None);
        assert_eq!(age(&["public, Max-Age=60"]), Some(60));
        assert_eq!(age(&["max-age=\"5\""]), Some(5));
        assert_eq!(age(&["max-age=60", "no-store"]), Some(0));
        assert_eq!(age(&["max-age=60, no-cache"]), Some(0));
        assert_eq!(age(&["max-age=soon"]), None);
        assert_eq!(age(&["max-age=-1"]), None);
    }
}
