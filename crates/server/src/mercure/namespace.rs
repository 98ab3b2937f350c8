//! The hub's own part of all topics: its URL and what lies below.

use headwater_log::Topic;
use percent_encoding::percent_decode_str;
use url::Url;

/// Topics that only the hub itself publishes to.
#[derive(Debug, Clone)]
pub(crate) struct Namespace {
    hub: Url,
    /// The last segment of the hub's path, which every topic of the namespace has in it, as it is or with
    /// some of it escaped.
    mark: String,
}

impl Namespace {
    /// That of a hub with this URL, whose path is of unreserved characters.
    pub(crate) fn new(hub: &Url) -> Self {
        let mark = hub.path().rsplit('/').next().unwrap_or_default().to_owned();
        Self { hub: hub.clone(), mark }
    }

    /// Whether a topic addresses the hub's namespace.
    ///
    /// Mercure 1.0: "resolve against hub URL with WHATWG parser, remove dot segments, decode percent-encoded
    /// unreserved chars, then path == hub path or starts with hub path + `/`, regardless of scheme/host".
    /// "Unparsable topic → allowed."
    ///
    /// Costs a search of the topic, and the parsing of a URL if it may be one of those.
    pub(crate) fn has(&self, topic: &Topic) -> bool {
        let text = topic.as_str();
        // The parser takes off what is around it, and a query or fragment alone is the hub's own URL.
        let relative = matches!(text.trim_matches(' ').bytes().next(), None | Some(b'?' | b'#'));
        if !relative && !text.contains('%') && !text.contains(&self.mark) {
            return false;
        }
        let Ok(url) = self.hub.join(text) else { return false };
        let path = decode_unreserved(url.path());
        path.strip_prefix(self.hub.path())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// RFC 3986, 6.2.2.2: "These URIs should be normalized by decoding any percent-encoded octet that
/// corresponds to an unreserved character". The parser has already taken `%2e` for a dot.
fn decode_unreserved(path: &str) -> String {
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        let (before, from) = rest.split_at(at);
        decoded.push_str(before);
        let escape = from.get(..3).unwrap_or(from);
        let unreserved = percent_decode_str(escape)
            .next()
            .filter(|byte| escape.len() == 3 && *byte != b'%')
            .map(char::from)
            .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~'));
        match unreserved {
            Some(character) => decoded.push(character),
            None => decoded.push_str(escape),
        }
        rest = from.get(escape.len()..).unwrap_or_default();
    }
    decoded.push_str(rest);
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(topic: &str) -> bool {
        let hub = Url::parse("https://hub.example/.well-known/mercure").unwrap();
        Namespace::new(&hub).has(&Topic::parse(topic).unwrap())
    }

    #[test]
    fn is_found_behind_dot_segments_escapes_and_other_hosts() {
        for topic in [
            "/.well-known/mercure",
            "/.well-known/mercure/",
            "/.well-known/mercure/subscriptions/exact/a/b",
            "https://hub.example/.well-known/mercure/x",
            "http://elsewhere.example:81/.well-known/mercure/x",
            "foo://h/.well-known/mercure",
            "//h/.well-known/mercure",
            "mercure",
            "mercure/subscriptions",
            "./mercure/x",
            "?a",
            "#a",
            " ?a",
            "/a/../.well-known/mercure/x",
            "/a/%2e%2E/.well-known/mercure",
            "/.well-known/./mercure",
            "/.well-known/%6dercure",
            "/.well-known/%6D%65%72%63%75%72%65/x",
            "/%2ewell-known/mercure",
            "/%2Ewell%2dknown/mercur%65/subscriptions",
            "\\.well-known\\mercure",
            "/.well-known/mercure?a",
            "/.well-known/mercure#a",
        ] {
            assert!(has(topic), "{topic}");
        }
    }

    #[test]
    fn is_nothing_else() {
        for topic in [
            "news",
            "https://example.com/books/1",
            "/.well-known/mercury",
            "/.well-known/mercures",
            "/.well-known/Mercure",
            "/.well-known/mercure%2fsubscriptions",
            "/.well-known/%256dercure",
            "/well-known/mercure",
            "https://example.com/a?b=/.well-known/mercure",
            "urn:uuid:mercure",
            "http://[/.well-known/mercure",
            "%",
            "%m",
            "é%e9",
        ] {
            assert!(!has(topic), "{topic}");
        }
    }
}
