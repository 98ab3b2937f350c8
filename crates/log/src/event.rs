//! What a publisher sends, and what the log keeps of it.

use std::fmt;
use std::sync::Arc;

use crate::position::Position;
use crate::text::first_invisible;
use crate::topic::Topic;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Millis(pub u64);

/// An event on its way into the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The event. Its time is when the hub took it; the log moves it forward, never back.
    pub event: Event,
    /// With which key the publisher made its request repeatable.
    pub idempotency: Option<IdempotencyKey>,
}

/// An event: what a publisher said, and when the hub took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When the hub took it; never goes backwards along the log.
    pub time: Millis,
    /// What it is about; at least one, the first is the canonical one.
    pub topics: Box<[Topic]>,
    /// The SSE `event` field.
    pub event_type: EventType,
    /// The payload. CR and CRLF in it arrive as LF over SSE, unchanged in JSON.
    pub data: Box<str>,
    /// The reconnection time that it sets, in milliseconds; of a note, until when it is kept.
    pub retry: Option<u64>,
    /// Reaches only those whose token grants one of its topics.
    pub private: bool,
    /// The id that its publisher gave it, in place of a generated one.
    pub publisher_id: Option<PublisherId>,
}

impl Event {
    /// A note of the hub to itself, which the log keeps until a time and no filter matches that does not
    /// name its topic.
    #[must_use]
    pub fn control(time: Millis, until: Millis, data: Box<str>) -> Self {
        Self {
            time,
            topics: [Topic::control()].into(),
            event_type: EventType::default(),
            data,
            // A note sets no reconnection time.
            retry: Some(until.0),
            private: true,
            publisher_id: None,
        }
    }

    /// Until when a note is kept; `None` if it is none.
    #[must_use]
    pub fn control_until(&self) -> Option<Millis> {
        let control = self.topics.first().is_some_and(Topic::is_control);
        control.then(|| Millis(self.retry.unwrap_or_default()))
    }
}

/// An event in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it is.
    pub position: Position,
    /// What it is.
    pub event: Event,
}

/// Hashes of a publisher's idempotency key (with whose it is) and of the request made under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IdempotencyKey {
    /// Of the publisher and its key.
    pub key: [u8; 16],
    /// Of the request: the same key with another body is a mistake of the publisher's.
    pub body: [u8; 16],
}

/// The SSE `event` field: at most 256 bytes without control or format characters, and none of the names
/// that the hub and the browsers use. Empty and `message` are the same type.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct EventType(Option<Arc<str>>);

/// WHATWG HTML 9.2.6: "Initialize event's type attribute to \"message\"".
const MESSAGE: &str = "message";
const MERCURE: &str = "mercure";

impl IdempotencyKey {
    /// How long a key is remembered, in milliseconds: 24 hours.
    pub const LIFETIME_MS: u64 = 24 * 60 * 60 * 1000;
}

impl EventType {
    /// The longest type, in bytes.
    pub const BYTES_MAX: usize = 256;

    /// Parses a publisher's type.
    ///
    /// # Errors
    /// What is wrong with the text, and how to mend it.
    pub fn parse(text: &str) -> Result<Self, EventTypeError> {
        if text.is_empty() || text == MESSAGE {
            return Ok(Self(None));
        }
        if text.len() > Self::BYTES_MAX {
            return Err(EventTypeError::TooLong { bytes: text.len() });
        }
        if let Some(character) = first_invisible(text) {
            return Err(EventTypeError::Invisible { character });
        }
        if text.starts_with("hub.") || matches!(text, "open" | "error" | MERCURE) {
            return Err(EventTypeError::Reserved { text: text.into() });
        }
        Ok(Self(Some(text.into())))
    }

    /// The type of updates about active subscriptions, which only the hub itself publishes.
    #[must_use]
    pub fn mercure() -> Self {
        Self(Some(MERCURE.into()))
    }

    /// Parses the type of an event that is in a log: a publisher's, or one of the hub's own.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse_kept(text: &str) -> Result<Self, EventTypeError> {
        if text == MERCURE { Ok(Self::mercure()) } else { Self::parse(text) }
    }

    /// The type's name: `message` if none was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or(MESSAGE)
    }
}

impl fmt::Debug for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Why a text is no [`EventType`]. The publisher has to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventTypeError {
    /// More than [`EventType::BYTES_MAX`].
    #[error("the type has {bytes} bytes; at most {max} are allowed", max = EventType::BYTES_MAX)]
    TooLong {
        /// The length of what was given.
        bytes: usize,
    },
    /// A control or format character, such as the line break that would begin another field.
    #[error("the type holds the invisible character {}: leave it out", .character.escape_unicode())]
    Invisible {
        /// The first one.
        character: char,
    },
    /// Pages could not tell it from the hub's or the browser's own.
    #[error(
        "the type `{text}` is reserved (`hub.…`, `open`, `error`, `mercure`): choose another name"
    )]
    Reserved {
        /// The type.
        text: Box<str>,
    },
}

/// An id that a publisher gave: 1 to 128 visible ASCII characters, not beginning with `#`, not
/// `earliest`. The first event with an id is the one that the id resolves to.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublisherId(Box<str>);

impl PublisherId {
    /// The longest id, in bytes.
    pub const BYTES_MAX: usize = 128;

    /// Parses a publisher's id.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, PublisherIdError> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.is_empty() || text.len() > Self::BYTES_MAX || !visible {
            return Err(PublisherIdError::Form);
        }
        if text.starts_with('#') || text == "earliest" {
            return Err(PublisherIdError::Reserved);
        }
        Ok(Self(text.into()))
    }

    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PublisherId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Why a text is no [`PublisherId`]. The publisher has to mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublisherIdError {
    /// Not a header-safe token.
    #[error("an id is 1 to {max} visible ASCII characters: shorten it, or leave it out and the hub makes one", max = PublisherId::BYTES_MAX)]
    Form,
    /// Ids that mean something else.
    #[error(
        "an id cannot begin with `#` or be `earliest`, which are the hub's own: choose another"
    )]
    Reserved,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_a_name_that_is_not_ours() {
        assert_eq!(EventType::parse("").unwrap().as_str(), "message");
        assert_eq!(EventType::parse("message").unwrap(), EventType::default());
        for text in ["price", "opened", "errors", "hub", "новость", "a b"] {
            assert_eq!(EventType::parse(text).unwrap().as_str(), text);
        }
        for text in ["hub.", "hub.gap", "open", "error", "mercure"] {
            assert_eq!(EventType::parse(text), Err(EventTypeError::Reserved { text: text.into() }));
        }
        assert_eq!(EventType::parse_kept("mercure").unwrap(), EventType::mercure());
        assert!(EventType::parse_kept("hub.gap").is_err());
        for character in ['\r', '\n', '\0', '\u{2066}'] {
            assert_eq!(
                EventType::parse(&format!("x{character}data: injected")),
                Err(EventTypeError::Invisible { character })
            );
        }
        assert_eq!(EventType::parse(&"x".repeat(257)), Err(EventTypeError::TooLong { bytes: 257 }));
    }

    #[test]
    fn a_publishers_id_is_visible_ascii_and_not_ours() {
        for text in ["1", "urn:uuid:1", r#"id-["x"]"#, &"x".repeat(128)] {
            assert_eq!(PublisherId::parse(text).unwrap().as_str(), text);
        }
        for text in ["", "a b", "é", "a\n", "\0", &"x".repeat(129)] {
            assert_eq!(PublisherId::parse(text), Err(PublisherIdError::Form), "{text:?}");
        }
        for text in ["#1", "earliest"] {
            assert_eq!(PublisherId::parse(text), Err(PublisherIdError::Reserved));
        }
    }
}
