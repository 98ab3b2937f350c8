//! What a publisher says, made into a draft for the log.

use headwater_log::{
    Draft, Event, EventType, EventTypeError, IdempotencyKey, Millis, PublisherId, PublisherIdError,
    Topic, TopicError,
};
use http::StatusCode;

use super::query::{Query, QueryError};
use super::start::number;
use crate::problem::Problem;
use crate::token::Refusal;

/// An event's fields beside its topics and data, parsed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Fields {
    event_type: EventType,
    retry: Option<u64>,
    publisher_id: Option<PublisherId>,
    pub(crate) private: bool,
}

/// The same as they came.
#[derive(Debug, Default)]
pub(crate) struct RawFields<'a> {
    pub(crate) event_type: Option<&'a str>,
    pub(crate) id: Option<&'a str>,
    pub(crate) retry: Option<u64>,
    pub(crate) private: bool,
}

/// Why what a publisher says is no event. The publisher has to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DraftError {
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    Topic(#[from] TopicError),
    #[error(transparent)]
    Type(#[from] EventTypeError),
    #[error(transparent)]
    Id(#[from] PublisherIdError),
    #[error("`retry={text}` is not a number of milliseconds")]
    Retry { text: String },
    #[error("`private={text}` is neither `true` nor `false`")]
    PrivateValue { text: String },
    #[error(
        "private events need subscribers with tokens, and this hub knows no issuer of any: publish without `private`, or have the operator set up an [[issuer]]"
    )]
    Private,
    #[error("{}", .0.detail)]
    Refused(Refusal),
    #[error(
        "the topic `{topic}` lies in the Mercure hub's own namespace, to which only the hub itself publishes: choose another"
    )]
    Reserved { topic: Topic },
}

impl DraftError {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Private => StatusCode::NOT_IMPLEMENTED,
            Self::Refused(refusal) => refusal.status,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl From<DraftError> for Problem {
    fn from(error: DraftError) -> Self {
        match error {
            DraftError::Refused(refusal) => refusal.into(),
            _ => Self::new(error.status(), error.to_string()),
        }
    }
}

impl Fields {
    pub(crate) fn parse(raw: &RawFields<'_>) -> Result<Self, DraftError> {
        Ok(Self {
            event_type: EventType::parse(raw.event_type.unwrap_or_default())?,
            retry: raw.retry,
            publisher_id: raw.id.map(PublisherId::parse).transpose()?,
            private: raw.private,
        })
    }

    /// Reads `type`, `id`, `retry` and `private`.
    pub(crate) fn from_query(query: &Query<'_>) -> Result<Self, DraftError> {
        if query.is_empty() {
            return Ok(Self::default());
        }
        let (event_type, id) = (query.one("type")?, query.one("id")?);
        let retry = match query.one("retry")? {
            None => None,
            Some(text) => match number(&text) {
                Some(retry_ms) => Some(retry_ms),
                None => return Err(DraftError::Retry { text: text.into() }),
            },
        };
        let private = match query.one("private")?.as_deref() {
            None | Some("false" | "0") => false,
            // `?private` alone means it.
            Some("true" | "1" | "") => true,
            Some(text) => return Err(DraftError::PrivateValue { text: text.into() }),
        };
        Self::parse(&RawFields {
            event_type: event_type.as_deref(),
            id: id.as_deref(),
            retry,
            private,
        })
    }

    pub(crate) fn into_draft(
        self,
        time: Millis,
        topics: Box<[Topic]>,
        data: Box<str>,
        idempotency: Option<IdempotencyKey>,
    ) -> Draft {
        let Self { event_type, retry, publisher_id, private } = self;
        let event = Event { time, topics, event_type, data, retry, private, publisher_id };
        Draft { event, idempotency }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(query: &str) -> Result<Fields, DraftError> {
        Fields::from_query(&Query::new(query))
    }

    #[test]
    fn a_query_gives_an_events_fields() {
        assert_eq!(fields("").unwrap(), Fields::default());
        assert_eq!(fields("type=message&private=false&unknown=1").unwrap(), Fields::default());
        let all = fields("type=price&id=urn%3A1&retry=3000").unwrap();
        assert_eq!(all.event_type.as_str(), "price");
        assert_eq!(all.publisher_id.unwrap().as_str(), "urn:1");
        assert_eq!(all.retry, Some(3000));
    }

    #[test]
    fn what_is_no_event_is_refused() {
        let status = |query| Problem::from(fields(query).unwrap_err()).into_response().status();
        for query in [
            "type=hub.x",
            "type=a%0Ab",
            "id=",
            "id=%23x",
            "id=a&id=b",
            "retry=",
            "retry=-1",
            "retry=1.5",
            "retry=%2B5",
            "retry=99999999999999999999",
            "private=maybe",
            "type=%zz",
        ] {
            assert_eq!(status(query), StatusCode::BAD_REQUEST, "{query}");
        }
        for query in ["private", "private=true", "private=1"] {
            assert!(fields(query).unwrap().private, "{query}");
        }
    }
}
