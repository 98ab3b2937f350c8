//! What no message, log or document may show.

use std::fmt;
use std::sync::Arc;

use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// A shared secret. It can be used, and compared with nothing and shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<[u8]>);

impl Secret {
    /// What is shown in its place.
    pub const HIDDEN: &str = "(not shown)";

    /// A secret with these bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into().into())
    }

    /// The bytes, for the one use that needs them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(Self::HIDDEN)
    }
}

impl<'de> Deserialize<'de> for Secret {
    /// No error quotes what was given: it may be the secret in the wrong form.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        fn wrong<T, E: de::Error>() -> Result<T, E> {
            Err(E::custom("a secret is a text in quotes"))
        }

        impl<'de> Visitor<'de> for Text {
            type Value = Secret;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text in quotes")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
                Ok(Secret::new(text))
            }

            fn visit_bool<E: de::Error>(self, _: bool) -> Result<Secret, E> {
                wrong()
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<Secret, E> {
                wrong()
            }

            fn visit_u64<E: de::Error>(self, _: u64) -> Result<Secret, E> {
                wrong()
            }

            fn visit_i128<E: de::Error>(self, _: i128) -> Result<Secret, E> {
                wrong()
            }

            fn visit_u128<E: de::Error>(self, _: u128) -> Result<Secret, E> {
                wrong()
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<Secret, E> {
                wrong()
            }

            fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Secret, A::Error> {
                wrong()
            }

            fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Secret, A::Error> {
                wrong()
            }
        }

        deserializer.deserialize_any(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_shown_nowhere() {
        let secret: Secret = serde_json::from_str("\"31415926\"").unwrap();
        assert_eq!(secret.expose(), b"31415926");
        let shown = format!("{secret:?}{}", serde_json::to_string(&secret).unwrap());
        assert!(!shown.contains("3141"), "{shown}");
        for wrong in ["31415926", "3.1415926", "[\"31415926\"]", "{\"31415926\":1}", "-31415926"] {
            let error = serde_json::from_str::<Secret>(wrong).unwrap_err().to_string();
            assert!(!error.contains("3141") && error.contains("in quotes"), "{error}");
        }
    }
}
