//! What a subscriber asks for, read from a query, a form and headers.

use std::sync::Arc;

use headwater_hub::{Since, Start};
use headwater_log::{Filter, Pattern, PatternError, Topic, TopicError};
use http::HeaderMap;
use url::Url;

use super::config::Compat;
use super::form::{self, Form, NotUtf8};
use crate::limits::Limits;
use crate::plain::start::LAST_EVENT_ID;

/// A request to subscribe.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) filter: Arc<Filter>,
    /// Each once, in the order in which they came.
    pub(super) matchers: Vec<Matcher>,
    pub(super) start: Start,
    /// Whether it said where to begin, be it with nothing in it: then the answer says where it does.
    pub(super) says_start: bool,
    /// Whether it is spoken as 0.x has it.
    pub(super) compat: bool,
}

/// One matcher, as it came.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Matcher {
    pub(crate) kind: Kind,
    pub(crate) text: Arc<str>,
}

/// The type of a matcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The topic of this very text.
    Exact,
    /// The topics that a URL Pattern matches.
    UrlPattern,
    /// 0.x: that topic, or those that a URI Template expands to.
    Selector,
}

/// Why a request to subscribe cannot be met. The subscriber has to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum WantedError {
    #[error(transparent)]
    NotUtf8(#[from] NotUtf8),
    #[error(transparent)]
    Topic(#[from] TopicError),
    #[error(transparent)]
    Pattern(#[from] PatternError),
    #[error(
        "nothing to subscribe to: give `match=TOPIC` or `match_urlpattern=PATTERN`; `match=*` is everything"
    )]
    NoMatcher,
    #[error(
        "`topic=` is how Mercure 0.x subscribes: use `match=TOPIC` or `match_urlpattern=PATTERN`, or have the operator set mercure.compat = \"0.x\""
    )]
    OldName,
    #[error(
        "`{name}` is no type of matcher: there are `match` (or `match_exact`) and `match_urlpattern`"
    )]
    UnknownType { name: String },
    #[error("`topic=` of Mercure 0.x and `match=` of 1.0 do not go together: use one of them")]
    TwoDialects,
    #[error(
        "more than {max} matchers: subscribe to fewer, or to a pattern that covers them (setting matchers_max)"
    )]
    TooManyMatchers { max: usize },
    #[error(
        "more than {max} patterns: subscribe to fewer, or to one that covers them (setting patterns_max)"
    )]
    TooManyPatterns { max: usize },
}

/// What a request is held against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms<'a> {
    pub(super) limits: &'a Limits,
    /// The hub's URL.
    pub(super) base: &'a Url,
    pub(super) compat: Compat,
}

/// draft-dunglas-mercure: "It MUST NOT be started by a `#` character … the reserved value `earliest`".
pub(super) const EARLIEST: &str = "earliest";

impl Wanted {
    /// Parses a request. Costs tens of microseconds a pattern.
    pub(super) fn parse(
        form: Form<'_>,
        headers: &HeaderMap,
        terms: Terms<'_>,
    ) -> Result<Self, WantedError> {
        let (matchers, compat) = matchers(form, terms)?;
        let filter = filter(&matchers, terms)?.into();
        let (start, says_start) = start(form, headers, compat);
        Ok(Self { filter, matchers, start, says_start, compat })
    }
}

fn matchers(form: Form<'_>, terms: Terms<'_>) -> Result<(Vec<Matcher>, bool), WantedError> {
    let mut matchers = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let mut selectors = false;
    for (name, value) in form.pairs() {
        let kind = match &*name {
            // "Params: `match` (= `match_exact`), `match_urlpattern`, repeatable, mixed."
            b"match" | b"match_exact" => Kind::Exact,
            b"match_urlpattern" => Kind::UrlPattern,
            b"topic" if terms.compat.is_on() => Kind::Selector,
            // "ANY name equal to or starting (ASCII-case-insensitively) with `match` that is not a
            // supported type → 400".
            name if name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"match")) => {
                let name = String::from_utf8_lossy(name).chars().take(40).collect();
                return Err(WantedError::UnknownType { name });
            }
            _ => continue,
        };
        let text = form::text(&String::from_utf8_lossy(&name), value)?.into();
        let matcher = Matcher { kind, text };
        selectors |= kind == Kind::Selector;
        // "MAY dedupe identical."
        if !seen.insert(matcher.clone()) {
            continue;
        }
        matchers.push(matcher);
        if matchers.len() > terms.limits.matchers_max {
            return Err(WantedError::TooManyMatchers { max: terms.limits.matchers_max });
        }
    }
    if selectors && matchers.iter().any(|matcher| matcher.kind != Kind::Selector) {
        return Err(WantedError::TwoDialects);
    }
    match matchers.is_empty() {
        false => Ok((matchers, selectors)),
        true if form.has("topic") => Err(WantedError::OldName),
        true => Err(WantedError::NoMatcher),
    }
}

fn filter(matchers: &[Matcher], terms: Terms<'_>) -> Result<Filter, WantedError> {
    let (mut topics, mut patterns, mut all) = (Vec::new(), Vec::new(), false);
    for Matcher { kind, text } in matchers {
        match (&**text, kind) {
            // "Value `*` (any type) matches every topic."
            ("*", _) => all = true,
            // "exact: byte-for-byte; MUST NOT resolve or normalise."
            (text, Kind::Exact) => topics.push(Topic::parse_kept(text)?),
            // "base = hub URL for relative pattern or topic, `ignoreCase` MUST NOT be on".
            (text, Kind::UrlPattern) => patterns.push(Pattern::parse(text, terms.base)?),
            (text, Kind::Selector) => match Pattern::template(text, terms.base)? {
                Some(template) => patterns.push(template),
                None => topics.push(Topic::parse_kept(text)?),
            },
        }
        if patterns.len() > terms.limits.patterns_max {
            return Err(WantedError::TooManyPatterns { max: terms.limits.patterns_max });
        }
    }
    Ok(if all { Filter::all() } else { Filter::new(topics, patterns) })
}

/// "`Last-Event-ID` header > `last_event_id` query." What a page once wrote into its URL goes behind what
/// its browser says when it comes back.
fn start(form: Form<'_>, headers: &HeaderMap, compat: bool) -> (Start, bool) {
    // draft-07 has `lastEventID`, and the drafts before it `Last-Event-ID`.
    const OLD: [&str; 2] = ["lastEventID", "Last-Event-ID"];
    let headers = headers.get_all(LAST_EVENT_ID);
    let in_headers =
        headers.iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let names = ["last_event_id"].into_iter().chain(OLD.into_iter().filter(|_| compat));
    let in_form = names.filter_map(|name| form.first_lossy(name));
    let said: Vec<String> = in_headers.chain(in_form).collect();
    let says_start = !said.is_empty();
    let start = match said.into_iter().find(|id| !id.is_empty()) {
        None => Start::Live,
        // "`earliest` = all."
        Some(id) if id == EARLIEST => Start::Since(Since::All),
        Some(id) => Start::Id(id),
    };
    (start, says_start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str, compat: Compat) -> Result<Wanted, WantedError> {
        let base = Url::parse("https://hub.example/.well-known/mercure").unwrap();
        let limits = Limits { matchers_max: 3, patterns_max: 2, ..Limits::default() };
        let terms = Terms { limits: &limits, base: &base, compat };
        Wanted::parse(Form::new(query), &HeaderMap::new(), terms)
    }

    fn matches(query: &str, topic: &str) -> bool {
        let wanted = parse(query, Compat::V0).unwrap();
        wanted.filter.matches_topic(&Topic::parse(topic).unwrap())
    }

    // Mercure 5.1: "Identical matchers MAY count once."
    #[test]
    fn matchers_are_exact_or_patterns_or_everything() {
        assert!(matches("match=a&match_exact=b&match_urlpattern=/c/:id", "b"));
        assert!(matches("match=a&match_urlpattern=/c/:id", "/c/1"));
        assert!(matches("match_urlpattern=books/:id", "/.well-known/books/1"));
        assert!(!matches("match=a", "./a") && !matches("match=%2fa", "/%61"));
        for all in ["match=*", "match_exact=*", "match_urlpattern=*", "topic=*"] {
            assert!(matches(all, "anything"), "{all}");
        }
        assert!(matches("topic=https://x/{id}", "https://x/1"));
        assert!(matches("topic=https://x/{id}", "https://x/{id}"));
        assert!(!matches("topic=https://x/{id}", "https://x/1/2"));
        assert_eq!(
            parse("match=a&match=a&match_exact=a&match=b", Compat::Off).unwrap().matchers.len(),
            2
        );
        assert!(parse("match=a&match=b&match=c&match=c", Compat::Off).is_ok());
    }

    #[test]
    fn what_cannot_be_met_is_refused() {
        let refused = |query: &str| parse(query, Compat::Off).unwrap_err();
        assert_eq!(refused(""), WantedError::NoMatcher);
        assert_eq!(refused("topic=a"), WantedError::OldName);
        assert_eq!(
            refused("match=a&match=b&match=c&match=d"),
            WantedError::TooManyMatchers { max: 3 }
        );
        let patterns = "match_urlpattern=/a&match_urlpattern=/b&match_urlpattern=/c";
        assert_eq!(refused(patterns), WantedError::TooManyPatterns { max: 2 });
        for name in ["Match", "MATCH_EXACT", "matches", "match_regex", "match%5b%5d", "matchTopic"]
        {
            let query = format!("match=a&{name}=b");
            let refused = refused(&query);
            assert!(matches!(refused, WantedError::UnknownType { .. }), "{name}: {refused}");
        }
        for value in ["", "%ff", "a%00", "a%0a", "a%7f", "%C2%85", "%E2%80%8B", "%EF%BB%BFa"] {
            assert!(parse(&format!("match={value}"), Compat::Off).is_err(), "{value}");
            assert!(parse(&format!("match_urlpattern={value}"), Compat::Off).is_err(), "{value}");
        }
        let both = parse("match=a&topic=b", Compat::V0).unwrap_err();
        assert_eq!(both, WantedError::TwoDialects);
    }

    #[test]
    fn the_start_is_the_headers_or_the_querys() {
        let start = |query: &str, header: Option<&str>, compat| {
            let mut headers = HeaderMap::new();
            headers.extend(header.map(|id| (LAST_EVENT_ID, id.parse().unwrap())));
            start(Form::new(query), &headers, compat)
        };
        let id = |id: &str| (Start::Id(id.to_owned()), true);
        assert_eq!(start("", None, false), (Start::Live, false));
        assert_eq!(start("last_event_id=", None, false), (Start::Live, true));
        assert_eq!(start("", Some(""), false), (Start::Live, true));
        assert_eq!(start("last_event_id=a", Some("b"), false), id("b"));
        assert_eq!(start("last_event_id=a&last_event_id=b", None, false), id("a"));
        assert_eq!(start("last_event_id=earliest", None, false), (Start::Since(Since::All), true));
        assert_eq!(start("lastEventID=a&Last-Event-ID=b", None, false), (Start::Live, false));
        assert_eq!(start("lastEventID=a&Last-Event-ID=b", None, true), id("a"));
    }
}
