//! Where the hub is, for the commands that speak to one.

use std::error::Error as StdError;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::Context;
use headwater_log::Topic;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, ClientBuilder, Url};
use serde::Deserialize;

use crate::failure::Failure;

/// The hub's address and what it asks for.
#[derive(clap::Args)]
pub(crate) struct Endpoint {
    /// Where the hub is
    #[arg(
        long,
        value_name = "URL",
        env = "HEADWATER_URL",
        default_value = "http://127.0.0.1:8080",
        value_parser = parse_url
    )]
    url: Url,
    /// The key or token that the hub asks for; better given as HEADWATER_TOKEN, which other users of this
    /// machine do not see
    #[arg(long, value_name = "TOKEN", env = "HEADWATER_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

/// What answers of a problem say to do.
#[derive(Deserialize)]
pub(crate) struct Problem {
    pub(crate) detail: String,
}

impl Endpoint {
    /// A hub there.
    pub(crate) fn new(url: Url, token: Option<String>) -> Self {
        Self { url, token }
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// `/events` of the hub.
    pub(crate) fn events(&self) -> Url {
        let mut url = self.url.clone();
        // A URL with a host always has path segments.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("events");
        }
        url
    }

    /// `/events/{topic}` of the hub; `None` for a topic that no path can name, because a segment `.` or `..`
    /// is taken out of every URL.
    pub(crate) fn events_of(&self, topic: &Topic) -> Option<Url> {
        let mut segments = topic.as_str().split('/');
        if segments.any(|segment| matches!(segment, "." | "..")) {
            return None;
        }
        let mut url = self.events();
        url.path_segments_mut().ok()?.extend(topic.as_str().split('/'));
        Some(url)
    }

    /// A client that shows the token and waits for a connection, but not for an answer, with a time-out.
    pub(crate) fn client(
        &self,
        shape: impl Fn(ClientBuilder) -> ClientBuilder,
    ) -> Result<Client, Failure> {
        let headers: HeaderMap =
            self.bearer()?.map(|bearer| (AUTHORIZATION, bearer)).into_iter().collect();
        self.anonymous_client(|client| shape(client.default_headers(headers.clone())))
    }

    /// What shows the token.
    pub(crate) fn bearer(&self) -> Result<Option<HeaderValue>, Failure> {
        let Some(token) = self.token.as_deref().filter(|token| !token.is_empty()) else {
            return Ok(None);
        };
        let bearer = HeaderValue::try_from(format!("Bearer {token}"));
        let mut bearer = bearer
            .context("the token has characters that no header can hold")
            .map_err(Failure::Usage)?;
        bearer.set_sensitive(true);
        Ok(Some(bearer))
    }

    /// The same without the token.
    pub(crate) fn anonymous_client(
        &self,
        shape: impl Fn(ClientBuilder) -> ClientBuilder,
    ) -> Result<Client, Failure> {
        let new = || {
            let client = Client::builder()
                .user_agent(concat!("headwater/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT_TIMEOUT);
            // A proxy is for other machines, even where the environment forgets to say so.
            shape(if self.is_loopback() { client.no_proxy() } else { client })
        };
        let client = new().build().or_else(|error| match self.url.scheme() {
            // Without the system's certificates, as in an empty container, cleartext still works.
            "http" => new().tls_certs_only([]).build(),
            _ => Err(error),
        });
        let advice =
            "cannot prepare for https: are certificates installed (Debian: ca-certificates)?";
        Ok(client.context(advice)?)
    }

    fn is_loopback(&self) -> bool {
        let host = self.url.host_str().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    /// Why a refusal of the hub was one: what its problem document says, or as much of the answer as helps.
    pub(crate) fn explain(&self, status: u16, body: &[u8]) -> String {
        let mut text = match serde_json::from_slice::<Problem>(body) {
            Ok(problem) => problem.detail,
            Err(_) => {
                let first = String::from_utf8_lossy(body);
                let first = first.trim().lines().next().unwrap_or_default();
                let first: String = first.chars().take(200).collect();
                format!("{} answered {status}: {first}", self.url)
            }
        };
        if status == 401 && self.token.is_none() {
            text.push_str(" (give the key with --token or HEADWATER_TOKEN)");
        }
        text
    }

    /// Why there is no answer.
    pub(crate) fn unreachable(&self, error: &reqwest::Error) -> String {
        let mut cause: &dyn StdError = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        let mut text = format!("no answer from {}: {cause}", self.url);
        if error.is_connect() {
            text.push_str("; is the hub running there? `headwater serve` starts one");
        }
        text
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) fn parse_url(text: &str) -> Result<Url, String> {
    let example = "write it like http://127.0.0.1:8080";
    let url = Url::parse(text).map_err(|error| format!("{error}; {example}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("it must begin with http:// or https://; {example}"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("it must end before the `?` or `#`; {example}"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str) -> Endpoint {
        Endpoint { url: parse_url(url).unwrap(), token: None }
    }

    #[test]
    fn topics_are_encoded_as_paths() {
        for (topic, path) in [
            ("news", "/events/news"),
            ("/stocks/AAPL", "/events//stocks/AAPL"),
            ("a b/ü?#%+", "/events/a%20b/%C3%BC%3F%23%25+"),
            ("https://example.com/x//", "/events/https:%2F%2F"),
        ] {
            let url = endpoint("http://h:1").events_of(&Topic::parse(topic).unwrap()).unwrap();
            if !topic.contains("://") {
                assert_eq!(url.path(), path);
            }
            let decoded = percent_decode(url.path().strip_prefix("/events/").unwrap());
            assert_eq!(decoded, topic);
        }
        for topic in [".", "..", "a/../b", "./a"] {
            assert!(endpoint("http://h").events_of(&Topic::parse(topic).unwrap()).is_none());
        }
    }

    fn percent_decode(text: &str) -> String {
        let plus_kept = text.replace('+', "%2B");
        let query = format!("x={plus_kept}");
        let url = Url::parse(&format!("http://h/?{query}")).unwrap();
        url.query_pairs().next().unwrap().1.into_owned()
    }

    #[test]
    fn a_hub_may_lie_below_a_path() {
        for base in ["http://h/hub", "http://h/hub/"] {
            assert_eq!(endpoint(base).events().as_str(), "http://h/hub/events");
        }
        assert_eq!(endpoint("http://h").events().as_str(), "http://h/events");
    }

    #[test]
    fn refuses_what_is_no_address_of_a_hub() {
        for text in
            ["127.0.0.1:8080", "localhost:8080", "ftp://h", "http://h/?x", "http://h/#x", ""]
        {
            let error = parse_url(text).unwrap_err();
            assert!(error.contains("http://127.0.0.1:8080"), "{error}");
        }
    }

    #[test]
    fn only_this_machine_is_reached_without_a_proxy() {
        for url in ["http://localhost:1", "http://127.0.0.2", "http://[::1]:8080"] {
            assert!(endpoint(url).is_loopback(), "{url}");
        }
        for url in ["http://example.com", "http://10.0.0.1", "http://[::2]"] {
            assert!(!endpoint(url).is_loopback(), "{url}");
        }
    }

    #[test]
    fn explains_with_the_problems_detail_or_with_what_there_is() {
        let hub = endpoint("http://h");
        assert_eq!(hub.explain(400, br#"{"title":"Bad Request","detail":"do this"}"#), "do this");
        assert_eq!(hub.explain(502, b"\n<h1>Bad\nGateway"), "http://h/ answered 502: <h1>Bad");
        assert!(hub.explain(401, br#"{"detail":"key"}"#).contains("--token"));
    }
}
