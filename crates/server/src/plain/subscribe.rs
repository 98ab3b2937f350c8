//! What a subscriber asks for, read from a path and a query or form.

use std::sync::Arc;
use std::time::Duration;

use headwater_hub::Start;
use headwater_log::{Filter, Pattern, PatternError, Topic, TopicError};
use http::HeaderMap;
use url::Url;

use super::query::{Query, QueryError};
use super::start::{self, StartError};
use crate::limits::Limits;

/// A request to subscribe, whatever the form of its answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Subscribe {
    pub(crate) filter: Arc<Filter>,
    pub(crate) start: Start,
    /// Whether an event stream's data are the events' JSON form.
    pub(crate) envelope: bool,
    /// How long a long poll waits for its first event.
    pub(crate) wait: Duration,
}

/// Why a request to subscribe cannot be met. The subscriber has to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SubscribeRequestError {
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Topic(#[from] TopicError),
    #[error(transparent)]
    Pattern(#[from] PatternError),
    #[error(
        "nothing to subscribe to: name a topic in the path, as in /events/news, or give `topic=` or `pattern=`; `pattern=*` is everything"
    )]
    NoMatcher,
    #[error(
        "a topic in the path goes with no `topic=` or `pattern=`: for several use /events?topic=a&topic=b"
    )]
    PathAndQuery,
    #[error(
        "more than {max} topics and patterns: subscribe to fewer, or to a pattern that covers them (setting matchers_max)"
    )]
    TooManyMatchers { max: usize },
    #[error(
        "more than {max} patterns: subscribe to fewer, or to one that covers them (setting patterns_max)"
    )]
    TooManyPatterns { max: usize },
    #[error("`envelope={text}` is unknown: the only envelope is `json`")]
    Envelope { text: String },
    #[error("`wait={text}` is not a number of seconds from 0 to 60")]
    Wait { text: String },
}

const WAIT_S: u64 = 25;
const WAIT_S_MAX: u64 = 60;

impl Subscribe {
    /// Parses a request; `base` is what patterns are relative to. Costs tens of microseconds a pattern.
    pub(crate) fn parse(
        path: Option<Topic>,
        query: Query<'_>,
        headers: &HeaderMap,
        limits: &Limits,
        base: &Url,
    ) -> Result<Self, SubscribeRequestError> {
        Ok(Self {
            filter: Arc::new(filter(path, query, limits, base)?),
            start: start::start(headers, &query)?,
            envelope: envelope(&query)?,
            wait: wait(&query)?,
        })
    }
}

fn filter(
    path: Option<Topic>,
    query: Query<'_>,
    limits: &Limits,
    base: &Url,
) -> Result<Filter, SubscribeRequestError> {
    let (matchers_max, patterns_max) = (limits.matchers_max, limits.patterns_max);
    let mut topics = Vec::new();
    for text in query.all("topic") {
        topics.push(Topic::parse(&text?)?);
        if topics.len() > matchers_max {
            return Err(SubscribeRequestError::TooManyMatchers { max: matchers_max });
        }
    }
    let mut all = false;
    let mut patterns = Vec::new();
    for text in query.all("pattern") {
        let text = text?;
        if text == "*" {
            all = true;
            continue;
        }
        patterns.push(Pattern::parse(&text, base)?);
        if patterns.len() > patterns_max {
            return Err(SubscribeRequestError::TooManyPatterns { max: patterns_max });
        }
    }
    if topics.len() + patterns.len() > matchers_max {
        return Err(SubscribeRequestError::TooManyMatchers { max: matchers_max });
    }
    match path {
        Some(_) if all || !topics.is_empty() || !patterns.is_empty() => {
            Err(SubscribeRequestError::PathAndQuery)
        }
        Some(topic) => Ok(Filter::topic(topic)),
        None if all => Ok(Filter::all()),
        None if topics.is_empty() && patterns.is_empty() => Err(SubscribeRequestError::NoMatcher),
        None => Ok(Filter::new(topics, patterns)),
    }
}

fn envelope(query: &Query<'_>) -> Result<bool, SubscribeRequestError> {
    match query.one("envelope")?.as_deref() {
        None => Ok(false),
        Some("json") => Ok(true),
        Some(text) => Err(SubscribeRequestError::Envelope { text: text.into() }),
    }
}

fn wait(query: &Query<'_>) -> Result<Duration, SubscribeRequestError> {
    let Some(text) = query.one("wait")? else { return Ok(Duration::from_secs(WAIT_S)) };
    start::number(&text)
        .filter(|&wait_s| wait_s <= WAIT_S_MAX)
        .map(Duration::from_secs)
        .ok_or_else(|| SubscribeRequestError::Wait { text: text.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: Option<&str>, query: &str) -> Result<Subscribe, SubscribeRequestError> {
        let base = Url::parse("http://127.0.0.1:8080/").unwrap();
        let path = path.map(Topic::parse).transpose()?;
        let limits = Limits { matchers_max: 4, patterns_max: 2, ..Limits::default() };
        Subscribe::parse(path, Query::new(query), &HeaderMap::new(), &limits, &base)
    }

    fn topic(text: &str) -> Topic {
        Topic::parse(text).unwrap()
    }

    #[test]
    fn a_path_a_query_or_everything() {
        let filter = |path, query| Arc::into_inner(parse(path, query).unwrap().filter).unwrap();
        assert_eq!(filter(Some("news"), "other=1"), Filter::topic(topic("news")));
        assert_eq!(
            filter(None, "topic=a&topic=b+c&topic=a"),
            Filter::new(vec![topic("a"), topic("b c")], vec![])
        );
        assert_eq!(filter(None, "topic=a&pattern=*"), Filter::all());
        let stocks = filter(None, "topic=x&pattern=/stocks/:symbol");
        assert!(stocks.matches_topic(&topic("stocks/AAPL")) && stocks.matches_topic(&topic("x")));
        assert!(!stocks.matches_topic(&topic("y")));
    }

    #[test]
    fn what_cannot_be_met_says_why() {
        use SubscribeRequestError as E;
        for (path, query, error) in [
            (None, "", E::NoMatcher),
            (None, "since=all&topics=a", E::NoMatcher),
            (Some("a"), "topic=b", E::PathAndQuery),
            (Some("a"), "pattern=*", E::PathAndQuery),
            (Some("a"), "pattern=/b", E::PathAndQuery),
            (None, "topic=", E::Topic(TopicError::Empty)),
            (None, "topic=*", E::Topic(TopicError::Star)),
            (None, "pattern=", E::Pattern(PatternError::Empty)),
            (None, "topic=a&topic=b&topic=c&topic=d&topic=e", E::TooManyMatchers { max: 4 }),
            (None, "topic=a&topic=b&topic=c&pattern=/d&pattern=/e", E::TooManyMatchers { max: 4 }),
            (None, "pattern=/a&pattern=/b&pattern=/c", E::TooManyPatterns { max: 2 }),
            (Some("a"), "envelope=xml", E::Envelope { text: "xml".into() }),
            (Some("a"), "wait=61", E::Wait { text: "61".into() }),
            (Some("a"), "wait=%2B1", E::Wait { text: "+1".into() }),
            (Some("a"), "wait=1&wait=1", E::Query(QueryError::Repeated { name: "wait" })),
        ] {
            assert_eq!(parse(path, query), Err(error), "{path:?} {query}");
        }
        assert!(matches!(parse(None, "pattern=/("), Err(E::Pattern(PatternError::Syntax { .. }))));
        assert!(matches!(parse(None, "topic=%ff"), Err(E::Query(QueryError::Malformed { .. }))));
        assert!(matches!(parse(Some("a"), "since=x"), Err(E::Start(_))));
    }

    #[test]
    fn the_rest_has_defaults() {
        let plain = parse(Some("a"), "").unwrap();
        assert_eq!((plain.envelope, plain.wait.as_secs(), plain.start), (false, 25, Start::Live));
        let given = parse(Some("a"), "envelope=json&wait=0").unwrap();
        assert_eq!((given.envelope, given.wait.as_secs()), (true, 0));
    }
}
