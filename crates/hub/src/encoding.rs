//! How an event is written: a pure function of the event and the encoding.

use bytes::Bytes;
use headwater_event_stream::{EventFields, encode as encode_fields};
use headwater_log::{IdKey, Record};
use serde::Serialize;

/// The forms in which events leave the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// `text/event-stream`, the event's data as `data`.
    Sse,
    /// `text/event-stream`, the event's JSON form as `data`.
    SseEnvelope,
    /// The event's JSON form, a line each.
    Ndjson,
    /// The same frames as [`Sse`](Self::Sse); the hub's own blocks are no events, not even empty ones.
    Mercure,
}

impl Encoding {
    /// How many kinds of frames there are.
    pub(crate) const FRAMES: usize = 3;

    /// Which of them its events have.
    pub(crate) fn frame(self) -> usize {
        match self {
            Self::Sse | Self::Mercure => 0,
            Self::SseEnvelope => 1,
            Self::Ndjson => 2,
        }
    }

    /// Whether it is `text/event-stream`.
    #[must_use]
    pub fn is_sse(self) -> bool {
        self != Self::Ndjson
    }
}

/// An event's JSON form.
#[derive(Serialize)]
struct Json<'a> {
    id: &'a str,
    topics: Vec<&'a str>,
    r#type: &'a str,
    data: &'a str,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    private: bool,
}

/// A record's id: its publisher's, or the one that its position makes.
pub(crate) fn id_of(record: &Record, key: &IdKey) -> String {
    match &record.event.publisher_id {
        Some(id) => id.as_str().to_owned(),
        None => key.seal(record.position),
    }
}

/// Writes a record. Costs one allocation of the frame's size, a few small ones, and one AES block.
#[must_use]
pub fn encode(record: &Record, encoding: Encoding, key: &IdKey) -> Bytes {
    let id = id_of(record, key);
    match encoding {
        Encoding::Sse | Encoding::Mercure => sse(record, &record.event.data, &id),
        Encoding::SseEnvelope => sse(record, &json(record, &id), &id),
        Encoding::Ndjson => {
            let mut line = json(record, &id);
            line.push('\n');
            line.into()
        }
    }
}

fn sse(record: &Record, data: &str, id: &str) -> Bytes {
    let fields = EventFields {
        event_type: Some(record.event.event_type.as_str()),
        retry: record.event.retry,
        data: Some(data),
        id: Some(id),
    };
    write_fields(&fields)
}

/// Writes fields that cannot be wrong: types and ids were parsed at the border, where line breaks and
/// NUL were refused.
pub(crate) fn write_fields(fields: &EventFields<'_>) -> Bytes {
    let mut frame = Vec::new();
    let written = encode_fields(fields, &mut frame);
    debug_assert!(written.is_ok(), "{fields:?}: {written:?}");
    frame.into()
}

fn json(record: &Record, id: &str) -> String {
    let event = &record.event;
    let time = i64::try_from(event.time.0)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .unwrap_or(jiff::Timestamp::MAX);
    let form = Json {
        id,
        topics: event.topics.iter().map(headwater_log::Topic::as_str).collect(),
        r#type: event.event_type.as_str(),
        data: &event.data,
        time: format!("{time:.3}"),
        retry: event.retry,
        private: event.private,
    };
    // Strings and numbers always serialise; an empty object would still be a line.
    serde_json::to_string(&form).unwrap_or_else(|_| "{}".to_owned())
}
