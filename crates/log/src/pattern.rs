//! Patterns over topics: URL Patterns and, for Mercure 0.x, URI Templates.

mod path;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use regex::{Regex, RegexBuilder};
use url::Url;
use urlpattern::{UrlPattern, UrlPatternInit, UrlPatternMatchInput, UrlPatternOptions};

use self::path::PathPattern;
pub use self::path::Piece;
use crate::template::{Template, TemplateError};
use crate::text::first_invisible;
use crate::topic::Topic;

/// A compiled URL Pattern, evaluated on a topic resolved against a base URL; or a URI Template, which the
/// topic itself is held against.
///
/// `/stocks/:symbol` matches the topics `stocks/AAPL` and `/stocks/AAPL`. Two patterns are equal when
/// their kinds, texts and bases are. Cloning costs one reference count.
#[derive(Clone)]
pub struct Pattern(Arc<Compiled>);

struct Compiled {
    text: Box<str>,
    base: Url,
    means: Means,
}

enum Means {
    Path(PathPattern),
    Other(Box<UrlPattern<BoundedRegex>>),
    Template(Template),
}

impl Pattern {
    /// The longest pattern, in bytes.
    pub const BYTES_MAX: usize = 1024;

    /// Parses a pattern, relative to `base`. One that is a path of texts, `:name`s and `*`s takes some
    /// hundred bytes; any other is compiled: hundreds of microseconds, and at most a few hundred KiB.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub fn parse(text: &str, base: &Url) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if text.len() > Self::BYTES_MAX {
            return Err(PatternError::TooLong { bytes: text.len() });
        }
        if let Some(character) = first_invisible(text) {
            return Err(PatternError::Invisible { character });
        }
        match PathPattern::of(text, base) {
            Some(path) => Ok(Self::new(text, base, Means::Path(path))),
            None => Self::compile(text, base),
        }
    }

    /// A topic selector of Mercure 0.x that is a URI Template: it matches the topic that has its own text,
    /// and its expansions. `None` if the text is no template, and means only itself. Costs its length.
    ///
    /// # Errors
    /// If it is longer than any pattern, or holds what no topic can.
    pub fn template(text: &str, base: &Url) -> Result<Option<Self>, PatternError> {
        if let Some(character) = first_invisible(text) {
            return Err(PatternError::Invisible { character });
        }
        match Template::parse(text) {
            Ok(_) if !text.contains('{') => Ok(None),
            Ok(template) => Ok(Some(Self::new(text, base, Means::Template(template)))),
            Err(TemplateError::TooLong { bytes }) => Err(PatternError::TooLong { bytes }),
            Err(_) => Ok(None),
        }
    }

    fn compile(text: &str, base: &Url) -> Result<Self, PatternError> {
        let init = UrlPatternInit::parse_constructor_string::<BoundedRegex>;
        // One with a scheme of its own is relative to nothing: the standard would put the base's path
        // before that of `urn\:isbn\:*`.
        let pattern = init(text, None)
            .or_else(|_| init(text, Some(base.clone())))
            .and_then(|init| UrlPattern::parse(init, UrlPatternOptions::default()))
            .map_err(|error| PatternError::Syntax {
                text: text.into(),
                reason: error.to_string(),
            })?;
        Ok(Self::new(text, base, Means::Other(Box::new(pattern))))
    }

    fn new(text: &str, base: &Url, means: Means) -> Self {
        Self(Arc::new(Compiled { text: text.into(), base: base.clone(), means }))
    }

    /// The pattern's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// Whether the pattern matches a topic. A topic that is no URL path matches nothing.
    ///
    /// Parses a URL and runs one linear-time regular expression a component: about a microsecond, so
    /// callers remember the answer.
    #[must_use]
    pub fn matches(&self, topic: &Topic) -> bool {
        match &self.0.means {
            Means::Template(_) => self.matches_resolved(topic, None),
            _ => self.matches_resolved(topic, self.0.base.join(topic.as_str()).ok().as_ref()),
        }
    }

    /// Whether it matches a topic that has been resolved against [`base`](Self::base), if it can be.
    #[must_use]
    pub fn matches_resolved(&self, topic: &Topic, url: Option<&Url>) -> bool {
        match (&self.0.means, url) {
            (Means::Template(template), _) => {
                *self.0.text == *topic.as_str() || template.matches(topic.as_str())
            }
            (_, None) => false,
            (Means::Path(path), Some(url)) => path.matches(url, &self.0.base),
            (Means::Other(pattern), Some(url)) => {
                pattern.test(UrlPatternMatchInput::Url(url.clone())).unwrap_or(false)
            }
        }
    }

    /// Whether it is a URI Template.
    fn is_template(&self) -> bool {
        matches!(self.0.means, Means::Template(_))
    }

    /// What topics are resolved against.
    #[must_use]
    pub fn base(&self) -> &Url {
        &self.0.base
    }

    /// The site and the pieces of the path that it matches, if that is all there is to it: an index can
    /// be made of them.
    #[must_use]
    pub fn path(&self) -> Option<(&Url, &[Piece])> {
        match &self.0.means {
            Means::Path(path) => Some((path.site.as_ref().unwrap_or(&self.0.base), &path.pieces)),
            Means::Other(_) | Means::Template(_) => None,
        }
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        let same = self.0.text == other.0.text && self.0.base == other.0.base;
        same && self.is_template() == other.is_template()
    }
}

impl Eq for Pattern {}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.text.hash(state);
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.0.text)
    }
}

/// Why a text is no [`Pattern`]. The subscriber has to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Nothing was given.
    #[error(
        "the pattern is empty: give a URL Pattern such as /stocks/:symbol, or * for everything"
    )]
    Empty,
    /// More than [`Pattern::BYTES_MAX`].
    #[error("the pattern has {bytes} bytes; at most {max} are allowed", max = Pattern::BYTES_MAX)]
    TooLong {
        /// The length of what was given.
        bytes: usize,
    },
    /// A control or format character.
    #[error("the pattern holds the invisible character {}: leave it out", .character.escape_unicode())]
    Invisible {
        /// The first one.
        character: char,
    },
    /// The URL Pattern standard does not allow it, or it compiles to more than we grant.
    #[error("`{text}` is not a URL Pattern ({reason}): write one such as /stocks/:symbol or /a/*")]
    Syntax {
        /// The pattern.
        text: Box<str>,
        /// What the parser said.
        reason: String,
    },
}

/// A linear-time regular expression with a bound on what it may cost to hold.
struct BoundedRegex(Regex);

/// What one compiled component may take. `([a-z]{1000}){1000}` would take gigabytes.
const REGEX_BYTES_MAX: usize = 64 * 1024;

impl urlpattern::regexp::RegExp for BoundedRegex {
    fn syntax() -> urlpattern::parser::RegexSyntax {
        <Regex as urlpattern::regexp::RegExp>::syntax()
    }

    fn parse(pattern: &str, _flags: &str, _force_eval: bool) -> Result<Self, ()> {
        RegexBuilder::new(pattern)
            .size_limit(REGEX_BYTES_MAX)
            .dfa_size_limit(REGEX_BYTES_MAX)
            .build()
            .map(Self)
            .map_err(drop)
    }

    fn matches<'a>(&self, text: &'a str) -> Option<Vec<Option<&'a str>>> {
        urlpattern::regexp::RegExp::matches(&self.0, text)
    }

    fn pattern_string(&self) -> &str {
        self.0.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Url {
        Url::parse("http://127.0.0.1:8080/").unwrap()
    }

    fn matches(pattern: &str, topic: &str) -> bool {
        Pattern::parse(pattern, &base()).unwrap().matches(&Topic::parse(topic).unwrap())
    }

    #[test]
    fn is_evaluated_on_the_topic_resolved_against_the_base() {
        assert!(matches("/stocks/:symbol", "stocks/AAPL"));
        assert!(matches("/stocks/:symbol", "/stocks/AAPL"));
        assert!(matches("/stocks/:symbol", "http://127.0.0.1:8080/stocks/AAPL"));
        assert!(!matches("/stocks/:symbol", "stocks/AAPL/bid"));
        assert!(!matches("/stocks/:symbol", "https://example.com/stocks/AAPL"));
        assert!(matches("https://example.com/books/:id", "https://example.com/books/1"));
        assert!(matches("/a/*", "a/b/c"));
        assert!(matches("/rooms/([0-9]+)", "rooms/12"));
        assert!(!matches("/rooms/([0-9]+)", "rooms/x"));
        assert!(matches("urn\\:isbn\\:*", "urn:isbn:1"));
        assert!(!matches("urn\\:isbn\\:*", "urn:issn:1"));
    }

    #[test]
    fn is_case_sensitive() {
        assert!(!matches("/a", "A"));
    }

    #[test]
    fn a_topic_that_is_no_url_matches_nothing() {
        assert!(!matches("/*", "http://[bad"));
    }

    #[test]
    fn refuses_what_is_no_pattern_or_costs_too_much() {
        let parse = |text: &str| Pattern::parse(text, &base());
        assert_eq!(parse(""), Err(PatternError::Empty));
        assert_eq!(parse(&"/a".repeat(600)), Err(PatternError::TooLong { bytes: 1200 }));
        assert_eq!(parse("/a\nb"), Err(PatternError::Invisible { character: '\n' }));
        for bad in ["/(", "/:a:a(", "/(?<x", "/([a-z]{1000}{1000})"] {
            assert!(matches!(parse(bad), Err(PatternError::Syntax { .. })), "{bad}");
        }
    }
}
