//! URL Patterns that are so simple that nothing need be compiled.
//!
//! A compiled pattern takes some 70 KiB and 200 µs; ten thousand different ones could not be held. What
//! subscribers and tokens have is nearly always a path of texts, `:name`s and `*`s, of which this keeps
//! the text alone. A test holds it to the standard's own result.

use url::Url;

use crate::positions::Positions;

/// A pattern like `/users/42/:document/*` or `https://example.com/users/42/*`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PathPattern {
    /// What the topic's scheme, host and port are, if not the base's.
    pub(super) site: Option<Url>,
    pub(super) pieces: Box<[Piece]>,
}

/// A part of a pattern's path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Piece {
    /// This, byte for byte.
    Text(Box<str>),
    /// `:name`: at least one character of a segment.
    Name,
    /// `*`: anything.
    Star,
}

impl PathPattern {
    /// The pattern, if it is as simple as that.
    pub(super) fn of(text: &str, base: &Url) -> Option<Self> {
        if !is_web(base) {
            return None;
        }
        let (site, path) = match text.find("://") {
            None => (None, text),
            Some(scheme) => {
                let start = scheme + "://".len();
                let end = start + text.get(start..)?.find('/')?;
                let (site, path) = text.split_at_checked(end)?;
                (Some(parse_site(site)?), path)
            }
        };
        Some(Self { site, pieces: parse_path(path)? })
    }

    /// Whether it matches a topic's URL. Passes over its path: some hundred nanoseconds.
    pub(super) fn matches(&self, url: &Url, base: &Url) -> bool {
        let site = self.site.as_ref().unwrap_or(base);
        let same_site = url.scheme() == site.scheme()
            && url.host_str() == site.host_str()
            && url.port() == site.port();
        same_site && self.matches_path(url.path().as_bytes())
    }

    fn matches_path(&self, path: &[u8]) -> bool {
        if path.len() > Positions::MAX {
            return false;
        }
        let mut at = Positions::start();
        for piece in &self.pieces {
            at = match piece {
                Piece::Text(text) => at.past(path, text.as_bytes()),
                Piece::Name => at.step(path, in_segment).along(path, in_segment),
                Piece::Star => at.onwards(path),
            };
            if at.is_empty() {
                return false;
            }
        }
        at.contains(path.len())
    }
}

fn in_segment(path: &[u8], at: usize) -> Option<usize> {
    path.get(at).filter(|&&byte| byte != b'/').map(|_| 1)
}

/// A scheme, a host and perhaps a port, if they are written as URLs write them: nothing to interpret.
fn parse_site(text: &str) -> Option<Url> {
    let site = Url::parse(text).ok().filter(is_web)?;
    (site.as_str().strip_suffix('/') == Some(text)).then_some(site)
}

fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.host_str().is_some_and(is_plain_host)
        && url.username().is_empty()
        && url.password().is_none()
}

/// Not an IPv6 address, whose colons and brackets mean something in a pattern.
fn is_plain_host(host: &str) -> bool {
    host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
}

/// The pieces of a path that has nothing to be decoded, normalised or repeated.
fn parse_path(path: &str) -> Option<Box<[Piece]>> {
    if !path.starts_with('/') || path.contains("/.") {
        return None;
    }
    let (mut pieces, mut names) = (Vec::new(), Vec::new());
    let mut rest = path;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            ':' => {
                let name = rest.get(1..)?;
                let length = name.find(|c| !is_name(c)).unwrap_or(name.len());
                let name = name.get(..length)?;
                let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
                if !begins || names.contains(&name) {
                    return None;
                }
                names.push(name);
                pieces.push(Piece::Name);
                1 + length
            }
            '*' => {
                pieces.push(Piece::Star);
                1
            }
            _ => {
                let length = rest.find([':', '*']).unwrap_or(rest.len());
                let text = rest.get(..length).filter(|text| text.bytes().all(is_plain))?;
                pieces.push(Piece::Text(text.into()));
                length
            }
        };
        rest = rest.get(length..)?;
        // A `*` behind either means that it may be repeated.
        if matches!(first, ':' | '*') && rest.starts_with('*') {
            return None;
        }
    }
    Some(pieces.into())
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Means itself in a pattern as in a URL.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::super::Pattern;
    use super::*;
    use crate::topic::Topic;

    /// Every route and topic below, and whether the standard's own pattern agrees.
    #[test]
    fn matches_what_the_whole_standard_does() {
        let bases = ["https://hub.example/.well-known/mercure", "http://127.0.0.1:8080/"];
        let patterns = [
            "/",
            "/a",
            "/a/",
            "/:x",
            "/:x/",
            "/a/:x",
            "/a/:x/b",
            "/a/*",
            "/*",
            "*/a",
            "/a*",
            "/a/*/b/:x",
            "/:x-:y",
            "/a.:x",
            "/a/:x_1.json",
            "/a//b",
            "/A",
            "/~a",
            "/a-b_c.d",
            "https://hub.example/a/:x",
            "https://example.com/:x",
            "https://example.com:8443/*",
            "http://127.0.0.1:8080/a",
            "https://example.com/",
            "https://example.com:443/a",
            "https://EXAMPLE.com/a",
            "https://u@example.com/a",
            "/a/:x?",
            "/a/:x*",
            "/a/**",
            "/a/./b",
            "/a/../b",
            "/:x/:x",
            "/a b",
            "/ü",
            "/a?b",
            "/a#b",
            "/{a}",
            "/:1",
            "/:",
            "/a/(b)",
            "/a+",
            "/%41",
            "a",
            "",
            "https://example.com",
            "https://*/a",
            "https://:h/a",
            "//example.com/a",
            "https://[::1]/a",
            "http://localhost/a",
            "data:a",
            "/a\\b",
            "/*:x",
            "/:x:y",
            "/a:",
            "/:x*/b",
        ];
        let topics = [
            "a",
            "/a",
            "/a/",
            "/a/b",
            "a/b",
            "/a/b/b",
            "/a//b",
            "/a/b/c/d",
            "//a",
            "/A",
            "/",
            ".",
            "..",
            "/a?x=1",
            "/a#f",
            "/a/b?x#y",
            "/x-y",
            "/a.b",
            "/a/b.json",
            "/~a",
            "/a-b_c.d",
            "/a%2Fb",
            "/%41",
            "/a/%zz",
            "/ü",
            "/a/ü",
            "/a b",
            "https://hub.example/a/b",
            "https://example.com/a",
            "https://example.com",
            "https://example.com/",
            "https://example.com:8443/x/y",
            "https://example.com:443/a",
            "http://example.com/a",
            "https://EXAMPLE.com/a",
            "https://u:p@example.com/a",
            "https://u@hub.example/a",
            "http://127.0.0.1:8080/a",
            "urn:uuid:1",
            "http://[::1]/a",
            "http://[bad",
            "//example.com/a",
            "mailto:a",
            "?q",
            "#f",
            "/a/b/b/c",
            "\\a\\b",
            "/a/../b",
            "/.well-known/a",
            "/a/:x",
            "/*",
            "data:a",
            "http://localhost/a",
        ];
        let mut simple = 0;
        for base in bases.map(|base| Url::parse(base).unwrap()) {
            for text in patterns {
                let Some(simple_one) = PathPattern::of(text, &base) else { continue };
                let pattern = Pattern::compile(text, &base).unwrap();
                simple += 1;
                for topic in topics.map(|topic| Topic::parse(topic).unwrap()) {
                    let expected = pattern.matches(&topic);
                    let url = base.join(topic.as_str());
                    let own = url.is_ok_and(|url| simple_one.matches(&url, &base));
                    assert_eq!(own, expected, "{text} on {topic} from {base}");
                }
            }
        }
        assert!(simple > 40, "{simple}");
    }

    #[test]
    fn what_is_more_than_a_path_is_left_to_the_standard() {
        let base = Url::parse("https://hub.example/").unwrap();
        for text in [
            "/a/:x?",
            "/a/:x*",
            "/a/**",
            "/:x/:x",
            "/{a}",
            "/(a)",
            "/a?b",
            "/ü",
            "/../a",
            "a",
            "https://*/a",
            "https://example.com:443/a",
            "https://u@example.com/a",
            "ftp://x/a",
        ] {
            assert!(PathPattern::of(text, &base).is_none(), "{text}");
        }
        assert!(PathPattern::of("/users/42/:document/*", &base).is_some());
    }
}
