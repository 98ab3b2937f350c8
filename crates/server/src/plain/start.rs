//! Where a subscription begins.

use std::time::Duration;

use headwater_hub::{Since, Start};
use http::{HeaderMap, HeaderName};

use super::query::{Query, QueryError};

/// What `EventSource` sends when it comes back.
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The names under which an id may stand in the query. What a polyfill adds when it comes back goes
/// before what the page once wrote into the URL.
const ID_NAMES: [&str; 3] = ["lastEventId", "lastEventID", "last_event_id"];

/// Why it is not clear where to begin. The subscriber has to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(
        "`since={text}` is none of `all`, `latest`, a number such as `-20` (the last twenty events) or a duration such as `90s`, `10m`, `12h`, `7d`; an event id belongs into `last_event_id`"
    )]
    Since { text: String },
}

/// Reads the `Last-Event-ID` header, if not empty, else an id in the query, else `since`.
pub(crate) fn start(headers: &HeaderMap, query: &Query<'_>) -> Result<Start, StartError> {
    // Checked also where an id goes before it, so that a bad one shows before the first reconnect.
    let since = match query.one("since")? {
        Some(text) => Some(parse_since(&text)?),
        None => None,
    };
    // A header's bytes are the id's UTF-8. What is none of ours resolves to a gap, never to an error.
    let mut header = headers.get_all(LAST_EVENT_ID).iter().map(|value| value.as_bytes());
    if let Some(id) = header.find(|id| !id.is_empty()) {
        return Ok(Start::Id(String::from_utf8_lossy(id).into_owned()));
    }
    for name in ID_NAMES {
        if let Some(id) = query.one_id(name)?.filter(|id| !id.is_empty()) {
            return Ok(Start::Id(id));
        }
    }
    Ok(since.map_or(Start::Live, Start::Since))
}

fn parse_since(text: &str) -> Result<Since, StartError> {
    let bad = || StartError::Since { text: text.chars().take(40).collect() };
    match text {
        "all" => Ok(Since::All),
        "latest" => Ok(Since::Latest),
        _ => match text.strip_prefix('-') {
            Some(count) => number(count).filter(|&n| n > 0).map(Since::Last).ok_or_else(bad),
            None => duration(text).map(Since::Ago).ok_or_else(bad),
        },
    }
}

/// A whole number and a unit.
fn duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at_checked(unit_at)?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number(count)?.checked_mul(unit_ms).map(Duration::from_millis)
}

/// Digits only, unlike what `parse` accepts.
pub(crate) fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start_of(header: Option<&[u8]>, query: &str) -> Result<Start, StartError> {
        let headers = header
            .map(|id| (LAST_EVENT_ID, http::HeaderValue::from_bytes(id).unwrap()))
            .into_iter()
            .collect();
        start(&headers, &Query::new(query))
    }

    fn id(text: &str) -> Result<Start, StartError> {
        Ok(Start::Id(text.to_owned()))
    }

    #[test]
    fn the_header_goes_before_the_query_and_an_id_before_since() {
        assert_eq!(start_of(None, ""), Ok(Start::Live));
        assert_eq!(start_of(Some(b"h"), "last_event_id=q&since=all"), id("h"));
        assert_eq!(start_of(Some(b""), "last_event_id=q&since=all"), id("q"));
        for name in ["last_event_id", "lastEventId", "lastEventID"] {
            assert_eq!(start_of(None, &format!("{name}=%23q&since=all")), id("#q"));
            assert_eq!(start_of(None, &format!("{name}=&since=all")), Ok(Start::Since(Since::All)));
        }
        assert_eq!(start_of(None, "last_event_id=old&lastEventId=new"), id("new"));
    }

    #[test]
    fn no_id_is_an_error() {
        for bytes in [&b"\xff\xfe"[..], b"# not ours", "ключ".as_bytes()] {
            assert!(matches!(start_of(Some(bytes), ""), Ok(Start::Id(_))));
        }
        assert_eq!(start_of(Some("ключ".as_bytes()), ""), id("ключ"));
        assert_eq!(start_of(None, "last_event_id=%zz"), id("%zz"));
        assert!(matches!(
            start_of(None, "last_event_id=a&last_event_id=b"),
            Err(StartError::Query(QueryError::Repeated { name: "last_event_id" }))
        ));
    }

    #[test]
    fn since_is_a_word_a_count_or_a_duration() {
        let seconds = |s| Since::Ago(Duration::from_secs(s));
        for (text, since) in [
            ("all", Since::All),
            ("latest", Since::Latest),
            ("-20", Since::Last(20)),
            ("10m", seconds(600)),
            ("90s", seconds(90)),
            ("12h", seconds(43_200)),
            ("7d", seconds(604_800)),
            ("1500ms", Since::Ago(Duration::from_millis(1500))),
        ] {
            let query = format!("since={text}");
            assert_eq!(start_of(None, &query), Ok(Start::Since(since)), "{text}");
        }
        for text in
            ["", "ALL", "20", "-0", "-", "--1", "-%2B1", "m", "10", "10y", "1.5h", "-10m", "#id"]
        {
            let query = format!("since={}", text.replace('#', "%23"));
            assert!(matches!(start_of(None, &query), Err(StartError::Since { .. })), "{text}");
            assert!(start_of(Some(b"id"), &query).is_err(), "{text}");
        }
        assert!(start_of(None, "since=99999999999999999999d").is_err());
        assert!(start_of(None, "since=18446744073709551615d").is_err());
    }
}
