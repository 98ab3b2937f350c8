//! Which of many patterns match a topic.
//!
//! Patterns that are a path of texts, `:name`s and `*`s lie in a trie by their whole segments; a topic is
//! held only against those whose beginning is its own. The others are held against it one by one.

use std::collections::HashMap;

use headwater_log::{Pattern, Piece, Topic};
use slab::Slab;
use url::Url;

/// A pattern's number in a [`PatternSet`].
pub(crate) type PatternId = usize;

/// Patterns, each with what it is kept for.
pub(crate) struct PatternSet<T> {
    patterns: Slab<(Pattern, T)>,
    by_pattern: HashMap<Pattern, PatternId>,
    /// By what topics are resolved against; a hub has one.
    bases: Vec<Base>,
}

struct Base {
    url: Url,
    /// By scheme, host and port.
    sites: HashMap<String, Node>,
    others: Vec<PatternId>,
}

/// A place in a path, behind some whole segments.
#[derive(Default)]
struct Node {
    texts: HashMap<Box<str>, Node>,
    name: Option<Box<Node>>,
    /// Patterns that end here.
    ends: Vec<PatternId>,
    /// Patterns that go on with less than a whole segment.
    rest: Vec<PatternId>,
}

/// A whole segment of a pattern.
enum Segment<'a> {
    Text(&'a str),
    Name,
}

impl<T> Default for PatternSet<T> {
    fn default() -> Self {
        Self { patterns: Slab::new(), by_pattern: HashMap::new(), bases: Vec::new() }
    }
}

impl<T: Default> PatternSet<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    pub(crate) fn get(&self, id: PatternId) -> Option<&T> {
        self.patterns.get(id).map(|(_, of)| of)
    }

    pub(crate) fn get_mut(&mut self, id: PatternId) -> Option<&mut T> {
        self.patterns.get_mut(id).map(|(_, of)| of)
    }

    /// The pattern's number, and whether it is new.
    pub(crate) fn add(&mut self, pattern: &Pattern) -> (PatternId, bool) {
        if let Some(&id) = self.by_pattern.get(pattern) {
            return (id, false);
        }
        let id = self.patterns.insert((pattern.clone(), T::default()));
        self.by_pattern.insert(pattern.clone(), id);
        let at = self.bases.iter().position(|base| base.url == *pattern.base());
        let at = at.unwrap_or_else(|| {
            let url = pattern.base().clone();
            self.bases.push(Base { url, sites: HashMap::new(), others: Vec::new() });
            self.bases.len() - 1
        });
        if let Some(base) = self.bases.get_mut(at) {
            match pattern.path() {
                None => base.others.push(id),
                Some((site, pieces)) => {
                    let node = base.sites.entry(key(site)).or_default();
                    node.place(pieces, |place| place.push(id));
                }
            }
        }
        (id, true)
    }

    /// Forgets a pattern; its number may come to mean another.
    pub(crate) fn remove(&mut self, id: PatternId) {
        let Some((pattern, _)) = self.patterns.try_remove(id) else { return };
        self.by_pattern.remove(&pattern);
        let Some(at) = self.bases.iter().position(|base| base.url == *pattern.base()) else {
            return;
        };
        let Some(base) = self.bases.get_mut(at) else { return };
        match pattern.path() {
            None => base.others.retain(|&other| other != id),
            Some((site, pieces)) => {
                let key = key(site);
                if let Some(node) = base.sites.get_mut(&key) {
                    node.place(pieces, |place| place.retain(|&other| other != id));
                    node.prune(pieces);
                    if node.is_empty() {
                        base.sites.remove(&key);
                    }
                }
            }
        }
        if base.sites.is_empty() && base.others.is_empty() {
            self.bases.swap_remove(at);
        }
    }

    /// Every pattern that matches a topic. Parses a URL, and looks at the patterns that begin as it does.
    pub(crate) fn matching(&self, topic: &Topic) -> Vec<PatternId> {
        let mut found = Vec::new();
        for base in &self.bases {
            let url = base.url.join(topic.as_str()).ok();
            let matches = |id: &PatternId| {
                let pattern = self.patterns.get(*id).map(|(pattern, _)| pattern);
                pattern.is_some_and(|pattern| pattern.matches_resolved(topic, url.as_ref()))
            };
            found.extend(base.others.iter().filter(|id| matches(id)));
            let Some(url) = &url else { continue };
            let Some(root) = base.sites.get(&key(url)) else { continue };
            let mut nodes = vec![root];
            // A path begins with a slash: what is before it is no segment.
            for segment in url.path().split('/').skip(1) {
                let mut next = Vec::with_capacity(nodes.len());
                for node in nodes {
                    found.extend(node.rest.iter().filter(|id| matches(id)));
                    next.extend(node.texts.get(segment));
                    next.extend(node.name.as_deref().filter(|_| !segment.is_empty()));
                }
                nodes = next;
            }
            for node in nodes {
                found.extend(&node.ends);
                found.extend(node.rest.iter().filter(|id| matches(id)));
            }
        }
        found
    }
}

/// What a site is called.
fn key(url: &Url) -> String {
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

impl Node {
    /// The place of a pattern, made if it is not there.
    fn place(&mut self, pieces: &[Piece], at: impl FnOnce(&mut Vec<PatternId>)) {
        let (segments, whole) = segments(pieces);
        let mut node = self;
        for segment in segments {
            node = match segment {
                Segment::Text(text) => node.texts.entry(text.into()).or_default(),
                Segment::Name => node.name.get_or_insert_default(),
            };
        }
        at(if whole { &mut node.ends } else { &mut node.rest });
    }

    /// Lets go of what is empty on a pattern's way.
    fn prune(&mut self, pieces: &[Piece]) {
        self.prune_along(&segments(pieces).0);
    }

    fn prune_along(&mut self, segments: &[Segment<'_>]) {
        match segments.split_first() {
            None => {}
            Some((Segment::Text(text), rest)) => {
                if let Some(next) = self.texts.get_mut(*text) {
                    next.prune_along(rest);
                    if next.is_empty() {
                        self.texts.remove(*text);
                    }
                }
            }
            Some((Segment::Name, rest)) => {
                if let Some(next) = &mut self.name {
                    next.prune_along(rest);
                    if next.is_empty() {
                        self.name = None;
                    }
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        let Self { texts, name, ends, rest } = self;
        texts.is_empty() && name.is_none() && ends.is_empty() && rest.is_empty()
    }
}

/// The whole segments that a pattern begins with, and whether they are all of it.
fn segments(pieces: &[Piece]) -> (Vec<Segment<'_>>, bool) {
    let mut segments = Vec::new();
    // Of the segment that has begun: its text, or that it is a name.
    let mut open: Option<Segment<'_>> = None;
    for piece in pieces {
        match (piece, &open) {
            (Piece::Name, Some(Segment::Text(""))) => open = Some(Segment::Name),
            (Piece::Text(text), _) => {
                let mut parts = text.split('/');
                match (parts.next(), &open) {
                    // The path's first slash: nothing is before it.
                    (Some(""), None) => {}
                    (Some(""), Some(_)) => segments.extend(open.take()),
                    _ => return (segments, false),
                }
                for part in parts {
                    segments.extend(open.take());
                    open = Some(Segment::Text(part));
                }
            }
            (Piece::Name | Piece::Star, _) => return (segments, false),
        }
    }
    segments.extend(open);
    (segments, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Url {
        Url::parse("http://127.0.0.1:8080/").unwrap()
    }

    const PATTERNS: [&str; 26] = [
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
        "/:x/b",
        "/:x/:y",
        "/:x/*",
        "https://example.com/:x",
        "https://example.com:8443/*",
        "http://127.0.0.1:8080/a",
        "/a/([0-9]+)",
        "/a{/b}?",
        "/:x?",
        "/a/:x/:y/c",
    ];

    const TOPICS: [&str; 24] = [
        "a",
        "/a",
        "/a/",
        "/a/b",
        "/a/b/b",
        "/a//b",
        "/a/b/c/d",
        "/a/b/c/c",
        "/",
        "/b",
        "/b/",
        "/a/7",
        "/x-y",
        "/a.b",
        "/a/b.json",
        "https://example.com/a",
        "https://example.com/",
        "https://example.com:8443/x/y",
        "http://[bad",
        "urn:uuid:1",
        "/a%2Fb",
        "/ü",
        "//a",
        "/x/b",
    ];

    #[test]
    fn finds_what_each_pattern_alone_says() {
        let mut set: PatternSet<()> = PatternSet::default();
        let mut patterns: Vec<Pattern> =
            PATTERNS.iter().map(|text| Pattern::parse(text, &base()).unwrap()).collect();
        // URI Templates are held against the topic itself, be it a URL or not.
        for text in ["/a/{x}", "http://[{x}", "/{+x}/b"] {
            patterns.push(Pattern::template(text, &base()).unwrap().unwrap());
        }
        let ids: Vec<PatternId> = patterns.iter().map(|pattern| set.add(pattern).0).collect();
        let check = |set: &PatternSet<()>, from: usize| {
            for topic in TOPICS.map(|topic| Topic::parse(topic).unwrap()) {
                let mut found = set.matching(&topic);
                found.sort_unstable();
                let kept = ids.iter().zip(&patterns).skip(from);
                let mut expected: Vec<PatternId> =
                    kept.filter(|(_, own)| own.matches(&topic)).map(|(&id, _)| id).collect();
                expected.sort_unstable();
                assert_eq!(found, expected, "{topic}");
            }
        };
        check(&set, 0);
        for (at, &id) in ids.iter().enumerate() {
            assert_eq!(set.add(&patterns[at]), (id, false));
            set.remove(id);
            check(&set, at + 1);
        }
        assert!(set.is_empty() && set.bases.is_empty() && set.by_pattern.is_empty());
    }

    #[test]
    fn only_patterns_that_begin_alike_are_looked_at() {
        let mut set: PatternSet<()> = PatternSet::default();
        for user in 0..1000 {
            let text = format!("/users/{user}/*");
            set.add(&Pattern::parse(&text, &base()).unwrap());
        }
        let root = &set.bases[0].sites["http://127.0.0.1:8080"];
        assert!(root.rest.is_empty() && root.texts["users"].rest.is_empty());
        assert_eq!(root.texts["users"].texts["7"].rest.len(), 1);
        assert_eq!(set.matching(&Topic::parse("users/7/posts").unwrap()).len(), 1);
    }
}
