//! The matchers of a token: which topics it is about.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use headwater_log::{Pattern, PatternError, Template, TemplateError, Topic, TopicError};
use url::Url;

use super::grant::Grant;

/// Says of a topic whether it is meant. Cloning costs at most one reference count.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TopicMatcher {
    /// `*`: every topic.
    All,
    /// The topic with this text, byte for byte.
    Exact(Arc<str>),
    /// The topics that a URL Pattern matches.
    Pattern(Pattern),
    /// The topic that has the template's own text, and its expansions: a selector of Mercure 0.x.
    Template(Template),
}

/// The matcher of everything, whatever its type.
const ALL: &str = "*";

impl TopicMatcher {
    /// The longest text of a matcher, in bytes.
    pub const BYTES_MAX: usize = 1024;

    /// A matcher of one topic; `*` is all of them.
    ///
    /// # Errors
    /// If no topic can have this text.
    pub fn exact(text: &str) -> Result<Self, MatcherError> {
        match text {
            ALL => Ok(Self::All),
            _ => Topic::parse(text).map(|_| Self::Exact(text.into())).map_err(MatcherError::Topic),
        }
    }

    /// A URL Pattern, relative to `base`; `*` is all topics.
    ///
    /// # Errors
    /// If it is none.
    pub fn pattern(text: &str, base: &Url) -> Result<Self, MatcherError> {
        match text {
            ALL => Ok(Self::All),
            _ => Pattern::parse(text, base).map(Self::Pattern).map_err(MatcherError::Pattern),
        }
    }

    /// A topic selector of Mercure 0.x: `*`, a topic, or a URI Template. A text that is no template
    /// selects the topic of that text, as every hub of that version does.
    ///
    /// # Errors
    /// If it is longer than any selector.
    pub fn selector(text: &str) -> Result<Self, MatcherError> {
        if text == ALL {
            return Ok(Self::All);
        }
        if text.contains('{') || text.len() > Self::BYTES_MAX {
            match Template::parse(text) {
                Ok(template) => return Ok(Self::Template(template)),
                Err(error @ TemplateError::TooLong { .. }) => {
                    return Err(MatcherError::Template(error));
                }
                Err(_) => {}
            }
        }
        Ok(Self::Exact(text.into()))
    }

    /// Whether a topic is meant. A comparison; of a pattern about a microsecond.
    #[must_use]
    pub fn matches(&self, topic: &Topic) -> bool {
        match self {
            Self::All => true,
            Self::Exact(text) => **text == *topic.as_str(),
            Self::Pattern(pattern) => pattern.matches(topic),
            Self::Template(template) => matches_template(template, topic.as_str()),
        }
    }

    /// Whether it means a text that may not be a topic, such as another matcher's `*`.
    #[must_use]
    pub fn matches_text(&self, text: &str) -> bool {
        match (self, Topic::parse(text)) {
            (_, Ok(topic)) => self.matches(&topic),
            (Self::All, Err(_)) => true,
            (Self::Exact(exact), Err(_)) => **exact == *text,
            (Self::Template(template), Err(_)) => matches_template(template, text),
            (Self::Pattern(_), Err(_)) => false,
        }
    }

    /// What it was written as.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::All => ALL,
            Self::Exact(text) => text,
            Self::Pattern(pattern) => pattern.as_str(),
            Self::Template(template) => template.as_str(),
        }
    }

    /// Its type, as Mercure 1.0 names it; `template` is what 0.x has in place of it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::All | Self::Exact(_) => "exact",
            Self::Pattern(_) => "urlpattern",
            Self::Template(_) => "template",
        }
    }
}

/// draft-07: a selector "matches if the selector is exactly the topic, or is a URI Template that matches".
fn matches_template(template: &Template, text: &str) -> bool {
    template.as_str() == text || template.matches(text)
}

impl fmt::Display for TopicMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.as_str())
    }
}

/// Why a text is no matcher. Whoever issued the token has to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatcherError {
    /// No topic can be this.
    #[error(transparent)]
    Topic(TopicError),
    /// No URL Pattern.
    #[error(transparent)]
    Pattern(PatternError),
    /// No URI Template, and too long for a topic.
    #[error(transparent)]
    Template(TemplateError),
}

/// Compiled patterns and grants that tokens share, so that ten thousand tokens with the same rules hold
/// one copy of each.
///
/// Sharing is all that it is for: what it has forgotten is compiled again and equal nevertheless.
#[derive(Default)]
pub struct MatcherCache {
    patterns: HashMap<(Box<str>, Url), Pattern>,
    grants: HashSet<Grant>,
}

impl MatcherCache {
    /// How many compiled patterns are remembered, of some 70 KiB each; most tokens need none of these, since
    /// a path of texts, `:name`s and `*`s is not compiled and not remembered.
    pub const PATTERNS_MAX: usize = 512;
    /// How many grants are remembered, of some hundred bytes and their matchers each.
    pub const GRANTS_MAX: usize = 16_384;

    /// The pattern with this text; see [`TopicMatcher::pattern`].
    ///
    /// # Errors
    /// If it is none.
    pub fn pattern(&mut self, text: &str, base: &Url) -> Result<TopicMatcher, MatcherError> {
        let key = (Box::from(text), base.clone());
        if let Some(pattern) = self.patterns.get(&key) {
            return Ok(TopicMatcher::Pattern(pattern.clone()));
        }
        let matcher = TopicMatcher::pattern(text, base)?;
        if let TopicMatcher::Pattern(pattern) = &matcher
            && pattern.path().is_none()
        {
            if self.patterns.len() >= Self::PATTERNS_MAX {
                self.patterns.clear();
            }
            self.patterns.insert(key, pattern.clone());
        }
        Ok(matcher)
    }

    /// The grant, or an equal one that others hold already.
    pub fn share(&mut self, grant: Grant) -> Grant {
        if let Some(shared) = self.grants.get(&grant) {
            return shared.clone();
        }
        if self.grants.len() >= Self::GRANTS_MAX {
            self.grants.clear();
        }
        self.grants.insert(grant.clone());
        grant
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Url {
        Url::parse("https://hub.example/.well-known/mercure").unwrap()
    }

    fn topic(text: &str) -> Topic {
        Topic::parse(text).unwrap()
    }

    #[test]
    fn an_exact_matcher_compares_bytes() {
        // "exact: byte-for-byte; MUST NOT resolve or normalise."
        let matcher = TopicMatcher::exact("https://example.com/a").unwrap();
        assert!(matcher.matches(&topic("https://example.com/a")));
        for other in
            ["https://example.com/a/", "https://EXAMPLE.com/a", "https://example.com/%61", "/a"]
        {
            assert!(!matcher.matches(&topic(other)), "{other}");
        }
    }

    #[test]
    fn a_star_of_any_type_is_every_topic() {
        // "Value `*` (any type) matches every topic."
        let mut cache = MatcherCache::default();
        for star in [
            TopicMatcher::exact("*"),
            TopicMatcher::pattern("*", &base()),
            TopicMatcher::selector("*"),
            cache.pattern("*", &base()),
        ] {
            assert_eq!(star, Ok(TopicMatcher::All));
            assert!(star.unwrap().matches(&topic("http://[no url")));
        }
    }

    #[test]
    fn a_pattern_and_a_relative_topic_are_relative_to_the_hub() {
        // "urlpattern: WHATWG URL Pattern, base = hub URL for relative pattern or topic".
        let pattern = TopicMatcher::pattern("/books/:id", &base()).unwrap();
        assert!(pattern.matches(&topic("https://hub.example/books/1")));
        assert!(pattern.matches(&topic("/books/1")));
        assert!(!pattern.matches(&topic("https://example.com/books/1")));
        // "unparsable topic → no match".
        assert!(!TopicMatcher::pattern("/*", &base()).unwrap().matches(&topic("http://[no url")));
    }

    #[test]
    fn a_selector_is_a_topic_or_a_template() {
        let selector = |text| TopicMatcher::selector(text).unwrap();
        assert!(selector("a").matches(&topic("a")));
        assert!(selector("https://x/{id}").matches(&topic("https://x/1")));
        assert!(selector("https://x/{id}").matches(&topic("https://x/{id}")));
        assert!(!selector("https://x/{id}").matches(&topic("https://x/1/2")));
        // What is no template is a topic.
        assert!(selector("{").matches(&topic("{")));
        assert!(!selector("{").matches(&topic("a")));
        assert!(TopicMatcher::selector(&"x".repeat(1025)).is_err());
    }

    #[test]
    fn what_cannot_be_a_matcher_is_refused() {
        for bad in ["", "a\nb", "a\u{200b}", &"x".repeat(1025)] {
            assert!(TopicMatcher::exact(bad).is_err(), "{bad:?}");
            assert!(TopicMatcher::pattern(bad, &base()).is_err(), "{bad:?}");
        }
        assert!(TopicMatcher::pattern("/(", &base()).is_err());
    }

    #[test]
    fn equal_patterns_and_grants_are_shared_within_bounds() {
        let mut cache = MatcherCache::default();
        let first = cache.pattern("/a/([0-9]+)", &base()).unwrap();
        assert_eq!(cache.pattern("/a/([0-9]+)", &base()), Ok(first.clone()));
        for number in 0..MatcherCache::GRANTS_MAX + 10 {
            let matcher = TopicMatcher::exact(&number.to_string()).unwrap();
            cache.share(Grant::new(vec![matcher]));
        }
        assert!(cache.grants.len() <= MatcherCache::GRANTS_MAX);
        let grant = cache.share(Grant::new(vec![first.clone()]));
        assert!(cache.share(Grant::new(vec![first])).is(&grant));
    }
}
