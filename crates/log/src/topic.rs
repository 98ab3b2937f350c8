//! What an event is about.

use std::fmt;
use std::sync::{Arc, LazyLock};

use crate::text::first_invisible;

/// The name of what an event is about, often a path or a URL: 1 to 1,024 bytes of UTF-8 without control
/// or format characters, not `*`.
///
/// Compared byte for byte; nothing is normalised. Cloning costs one reference count.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Topic(Arc<str>);

/// Not visible, so that nobody else can name it.
const CONTROL: &str = "\0hub";

impl Topic {
    /// The longest topic, in bytes.
    pub const BYTES_MAX: usize = 1024;

    /// Parses a topic, already percent-decoded.
    ///
    /// # Errors
    /// What is wrong with the text, and how to mend it.
    pub fn parse(text: &str) -> Result<Self, TopicError> {
        if text.is_empty() {
            return Err(TopicError::Empty);
        }
        if text.len() > Self::BYTES_MAX {
            return Err(TopicError::TooLong { bytes: text.len() });
        }
        if text == "*" {
            return Err(TopicError::Star);
        }
        Self::visible(text)
    }

    /// The longest topic that the hub itself publishes to, in bytes: one that names a subscription holds
    /// the subscription's own topic, percent-encoded.
    pub const OWN_BYTES_MAX: usize = 4096;

    /// Parses a topic that the hub itself publishes to, or that is in a log: it may be longer.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse_kept(text: &str) -> Result<Self, TopicError> {
        if text.len() > Self::OWN_BYTES_MAX {
            return Err(TopicError::TooLong { bytes: text.len() });
        }
        match text.len() > Self::BYTES_MAX {
            true => Self::visible(text),
            false => Self::parse(text),
        }
    }

    /// The topic of the hub's notes to itself, such as that a token was revoked. No text parses to it, and
    /// no filter matches it that does not name it.
    #[must_use]
    pub fn control() -> Self {
        static TOPIC: LazyLock<Topic> = LazyLock::new(|| Topic(CONTROL.into()));
        TOPIC.clone()
    }

    /// Whether it is the topic of the hub's notes to itself.
    #[must_use]
    pub fn is_control(&self) -> bool {
        &*self.0 == CONTROL
    }

    /// Parses a topic of a record: also that of a note.
    pub(crate) fn of_record(text: &str) -> Option<Self> {
        if text == CONTROL { Some(Self::control()) } else { Self::parse_kept(text).ok() }
    }

    fn visible(text: &str) -> Result<Self, TopicError> {
        match first_invisible(text) {
            Some(character) => Err(TopicError::Invisible { character }),
            None => Ok(Self(text.into())),
        }
    }

    /// The topic's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Why a text is no [`Topic`]. Whoever sent it has to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// Nothing was given.
    #[error("the topic is empty: name what the event is about, for example /events/news")]
    Empty,
    /// More than [`Topic::BYTES_MAX`].
    #[error("the topic has {bytes} bytes; at most {max} are allowed", max = Topic::BYTES_MAX)]
    TooLong {
        /// The length of what was given.
        bytes: usize,
    },
    /// `*` is every topic, so it cannot be one.
    #[error("`*` is not a topic: to subscribe to everything, use pattern=*")]
    Star,
    /// A control or format character.
    #[error("the topic holds the invisible character {}: leave it out", .character.escape_unicode())]
    Invisible {
        /// The first one.
        character: char,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_paths_urls_and_any_script() {
        for text in ["news", "/a//b", "https://example.com/books/1", "价格", "a b", "é", "**"] {
            assert_eq!(Topic::parse(text).unwrap().as_str(), text);
        }
        assert!(Topic::parse(&"x".repeat(1024)).is_ok());
    }

    #[test]
    fn refuses_what_cannot_be_a_name() {
        assert_eq!(Topic::parse(""), Err(TopicError::Empty));
        assert_eq!(Topic::parse("*"), Err(TopicError::Star));
        let control = Topic::control();
        assert!(control.is_control() && Topic::parse_kept(control.as_str()).is_err());
        assert_eq!(Topic::of_record(control.as_str()), Some(control));
        assert!(Topic::parse_kept(&"x".repeat(4096)).is_ok());
        assert!(Topic::parse_kept(&"x".repeat(4097)).is_err());
        assert_eq!(Topic::parse_kept(""), Err(TopicError::Empty));
        assert_eq!(Topic::parse(&"x".repeat(1025)), Err(TopicError::TooLong { bytes: 1025 }));
        for character in ['\0', '\n', '\u{7f}', '\u{85}', '\u{200b}', '\u{feff}', '\u{e0001}'] {
            assert_eq!(
                Topic::parse(&format!("a{character}b")),
                Err(TopicError::Invisible { character })
            );
        }
    }
}
