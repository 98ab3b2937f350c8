//! Events as lines of JSON, in and out.

use headwater_log::{
    Draft, Event, EventType, EventTypeError, Millis, PublisherId, PublisherIdError, Topic,
    TopicError,
};
use jiff::Timestamp;
use serde::Deserialize;

/// A point in time as the JSON form of an event has it.
pub(crate) fn rfc3339(time: Millis) -> String {
    let ms = i64::try_from(time.0).unwrap_or(i64::MAX);
    let time = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX);
    format!("{time:.3}")
}

/// A line, as `export` and a hub write it. Names that it does not know are ignored.
#[derive(Deserialize)]
struct Line {
    topic: Option<String>,
    topics: Option<Vec<String>>,
    data: String,
    r#type: Option<String>,
    id: Option<String>,
    retry: Option<u64>,
    #[serde(default)]
    private: bool,
    time: Option<String>,
}

/// Why a line is no event. Whoever made it has to mend it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LineError {
    #[error("it is not such a JSON object as {{\"topics\":[\"news\"],\"data\":\"hello\"}}: {0}")]
    Json(#[from] serde_json::Error),
    #[error("it needs either `topic` or `topics`, with 1 to {TOPICS_MAX} topics")]
    Topics,
    #[error("its topic: {0}")]
    Topic(#[from] TopicError),
    #[error("its type: {0}")]
    Type(#[from] EventTypeError),
    #[error("its id: {0}")]
    Id(#[from] PublisherIdError),
    #[error("its time `{text}` is not such a time as 2026-01-31T12:00:00Z")]
    NoTime { text: String },
    #[error(
        "its time {time} is more than a day ahead: no later event could have an earlier one; mend it, or \
         set the clock of this machine"
    )]
    Future { time: Timestamp },
    #[error("its time {time} is before 1970")]
    Past { time: Timestamp },
}

/// As many as a record can name.
const TOPICS_MAX: usize = u16::MAX as usize;
/// Clocks differ, but not by so much.
const AHEAD_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// The event in a line. Without a time it has happened now; an id that a hub made names a place in another
/// log, and is left out.
pub(crate) fn parse(line: &[u8], now: Millis) -> Result<Draft, LineError> {
    let line: Line = serde_json::from_slice(line)?;
    let names = match (line.topic, line.topics) {
        (Some(topic), None) => vec![topic],
        (None, Some(topics)) => topics,
        _ => return Err(LineError::Topics),
    };
    if names.is_empty() || names.len() > TOPICS_MAX {
        return Err(LineError::Topics);
    }
    let mut topics: Vec<Topic> = Vec::with_capacity(names.len());
    for name in names {
        let topic = Topic::parse_kept(&name)?;
        if !topics.contains(&topic) {
            topics.push(topic);
        }
    }
    let time = line.time.map_or(Ok(now), |time| millis(&time, now))?;
    let own = line.id.filter(|id| !id.starts_with('#'));
    let event = Event {
        time,
        topics: topics.into(),
        event_type: EventType::parse_kept(line.r#type.as_deref().unwrap_or_default())?,
        data: line.data.into(),
        retry: line.retry,
        private: line.private,
        publisher_id: own.as_deref().map(PublisherId::parse).transpose()?,
    };
    Ok(Draft { event, idempotency: None })
}

fn millis(text: &str, now: Millis) -> Result<Millis, LineError> {
    let time: Timestamp = text.parse().map_err(|_| LineError::NoTime { text: text.to_owned() })?;
    let ms = u64::try_from(time.as_millisecond()).map_err(|_| LineError::Past { time })?;
    if ms > now.0.saturating_add(AHEAD_MS_MAX) {
        return Err(LineError::Future { time });
    }
    Ok(Millis(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_800_000_000_000);

    #[test]
    fn a_line_is_an_event_with_its_own_time() {
        let line = br#"{"id":"mine","topics":["a","b","a"],"type":"t","data":"\r\n","time":"2020-01-02T03:04:05.678Z","retry":5,"private":true,"x":1}"#;
        let event = parse(line, NOW).unwrap().event;
        assert_eq!(event.time, Millis(1_577_934_245_678));
        assert_eq!(rfc3339(event.time), "2020-01-02T03:04:05.678Z");
        assert_eq!(event.topics.iter().map(Topic::as_str).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((event.event_type.as_str(), &*event.data), ("t", "\r\n"));
        assert_eq!((event.retry, event.private), (Some(5), true));
        assert_eq!(event.publisher_id.unwrap().as_str(), "mine");
        let event = parse(br##"{"topic":"a","data":"","id":"#abc"}"##, NOW).unwrap().event;
        assert_eq!((event.time, event.publisher_id), (NOW, None));
    }

    #[test]
    fn what_is_no_event_says_why() {
        for (line, says) in [
            ("", "JSON"),
            ("[]", "JSON"),
            (r#"{"topic":"a"}"#, "missing field `data`"),
            (r#"{"data":""}"#, "`topic` or `topics`"),
            (r#"{"topics":[],"data":""}"#, "1 to 65535"),
            (r#"{"topic":"*","data":""}"#, "its topic"),
            (r#"{"topic":"a","data":"","type":"error"}"#, "its type"),
            (r#"{"topic":"a","data":"","id":"earliest"}"#, "its id"),
            (r#"{"topic":"a","data":"","time":"soon"}"#, "its time `soon`"),
            (r#"{"topic":"a","data":"","time":"2030-01-01T00:00:00Z"}"#, "a day ahead"),
            (r#"{"topic":"a","data":"","time":"1960-01-01T00:00:00Z"}"#, "before 1970"),
        ] {
            let error = parse(line.as_bytes(), NOW).unwrap_err().to_string();
            assert!(error.contains(says), "{line}: {error}");
        }
    }
}
