//! Where requests go and what they say, with places for the topic and the payload.

use std::net::{SocketAddr, ToSocketAddrs};

use anyhow::{Context, Result, anyhow, bail};
use url::Url;

/// A text with `{topic}` and `{payload}` in it.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Topic,
    Payload,
}

const TOPIC: &str = "{topic}";
const PAYLOAD: &str = "{payload}";

impl Template {
    /// Everything else, braces too, stands for itself.
    pub(crate) fn new(text: &str) -> Self {
        let mut parts = Vec::new();
        for (number, between_topics) in text.split(TOPIC).enumerate() {
            if number > 0 {
                parts.push(Part::Topic);
            }
            for (number, piece) in between_topics.split(PAYLOAD).enumerate() {
                if number > 0 {
                    parts.push(Part::Payload);
                }
                if !piece.is_empty() {
                    parts.push(Part::Text(piece.to_owned()));
                }
            }
        }
        Self { parts }
    }

    pub(crate) fn names_topic(&self) -> bool {
        self.parts.contains(&Part::Topic)
    }

    pub(crate) fn has_payload(&self) -> bool {
        self.parts.contains(&Part::Payload)
    }

    /// With the places filled.
    pub(crate) fn fill(&self, topic: &str, payload: &str) -> String {
        let text = self.parts.iter().map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Topic => topic,
            Part::Payload => payload,
        });
        text.collect()
    }
}

/// A URL with places in its path and query, and the address it resolves to.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// The `Host` header's value.
    pub(crate) host: String,
    /// Path and query.
    pub(crate) path: Template,
}

impl Target {
    /// Reads a URL and resolves its host.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let example = "write it like 'http://127.0.0.1:8080/events/{topic}'";
        let sample = Template::new(text).fill("t", "p");
        let url = Url::parse(&sample).with_context(|| format!("no URL: {text}; {example}"))?;
        match url.scheme() {
            "http" => {}
            "https" => bail!(
                "{text}: TLS is not measured here; give the server's address without TLS, http://…"
            ),
            _ => bail!("{text} must begin with http://; {example}"),
        }
        if url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
            bail!("{text} must have no `#` and no password; {example}");
        }
        let host = url.host_str().with_context(|| format!("{text} has no host; {example}"))?;
        let port = url.port_or_known_default().unwrap_or(80);
        // A resolver wants an IPv6 address without the brackets that a URL has around it.
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let mut addresses = (bare, port)
            .to_socket_addrs()
            .with_context(|| format!("cannot find {host}: is the name right?"))?
            .collect::<Vec<_>>();
        addresses.sort_by_key(SocketAddr::is_ipv6);
        let address = *addresses.first().ok_or_else(|| anyhow!("{host} has no address"))?;
        let after = text.split_once("://").map_or(text, |(_, after)| after);
        let path = match after.find(['/', '?']).map(|at| after.split_at(at).1) {
            None | Some("/") => "/events/{topic}".to_owned(),
            Some(path) if path.starts_with('?') => format!("/{path}"),
            Some(path) => path.to_owned(),
        };
        if path.chars().any(|c| c.is_ascii_control() || c == ' ' || !c.is_ascii()) {
            bail!("{text}: percent-encode what is not ASCII, and blanks");
        }
        Ok(Self { address, host: format!("{host}:{port}"), path: Template::new(&path) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_and_other_braces_stay() {
        let body = Template::new(r#"{"c":"{topic}","d":{"x":"{payload}"}}"#);
        assert_eq!(body.fill("t1", "p"), r#"{"c":"t1","d":{"x":"p"}}"#);
        assert!(body.names_topic() && body.has_payload());
        assert!(!Template::new("{other}").names_topic());
        assert_eq!(Template::new("").fill("t", "p"), "");
    }

    #[test]
    fn a_bare_address_is_a_hub() {
        for (url, host, path) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080", "/events/t"),
            ("http://127.0.0.1:8080/", "127.0.0.1:8080", "/events/t"),
            ("http://127.0.0.1/a/{topic}?x={topic}", "127.0.0.1:80", "/a/t?x=t"),
            ("http://127.0.0.1:1?topic={topic}", "127.0.0.1:1", "/?topic=t"),
            ("http://[::1]:9/x", "[::1]:9", "/x"),
        ] {
            let target = Target::parse(url).unwrap();
            assert_eq!((target.host.as_str(), target.path.fill("t", "")), (host, path.to_owned()));
        }
    }

    #[test]
    fn what_is_no_target_is_explained() {
        for (url, advice) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("https://127.0.0.1/x", "without TLS"),
            ("http://127.0.0.1/ü", "percent-encode"),
            ("http://127.0.0.1/#x", "no `#`"),
        ] {
            let error = format!("{:#}", Target::parse(url).unwrap_err());
            assert!(error.contains(advice), "{error}");
        }
    }
}
