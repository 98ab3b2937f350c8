//! What the operator may set of the Mercure dialect.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::SettingError;

/// The settings of the Mercure dialect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MercureConfig {
    /// Whether the hub speaks it.
    pub enabled: bool,
    /// Where.
    pub path: HubPath,
    /// Whether the hub tells who is subscribed: with updates, and at `{path}/subscriptions`. Each matcher of
    /// each subscription then costs an event in the log when it begins and one when it ends, and some
    /// hundred bytes of memory.
    pub subscriptions: bool,
    /// The older protocol that is spoken too.
    pub compat: Compat,
    /// A stream ends after at most this long, in milliseconds (a tenth less for some, so that not all end
    /// together), and its page comes back: a day by default.
    pub lifetime_ms: u64,
    /// Who issues the tokens, for those who ask; URLs.
    #[serde(skip)]
    pub authorization_servers: Vec<String>,
}

impl Default for MercureConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            path: HubPath::default(),
            subscriptions: false,
            compat: Compat::Off,
            lifetime_ms: 24 * 60 * 60 * 1000,
            authorization_servers: Vec::new(),
        }
    }
}

impl MercureConfig {
    /// How long a new stream may last.
    pub(crate) fn lifetime(&self) -> Duration {
        let spread = fastrand::u64(0..=self.lifetime_ms / 10);
        Duration::from_millis(self.lifetime_ms - spread)
    }
}

/// An older protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compat {
    /// None.
    #[default]
    #[serde(rename = "off")]
    Off,
    /// That of the hubs 0.14 to 0.24: draft-07.
    #[serde(rename = "0.x")]
    V0,
}

impl Compat {
    /// Whether there is one.
    #[must_use]
    pub fn is_on(self) -> bool {
        self != Self::Off
    }
}

/// The path of the hub's URL: at least one segment, of unreserved characters, none of them `.` or `..`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HubPath(String);

impl HubPath {
    /// The longest path, in bytes.
    pub const BYTES_MAX: usize = 256;

    /// The path, beginning with a slash and not ending with one.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for HubPath {
    /// draft-dunglas-mercure: "It is RECOMMENDED … `/.well-known/mercure`".
    fn default() -> Self {
        Self("/.well-known/mercure".to_owned())
    }
}

impl FromStr for HubPath {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let plain =
            |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(unreserved);
        let ours = |first: &str| matches!(first, "events" | "healthz" | "tickets");
        let fits = text.len() <= Self::BYTES_MAX
            && text.strip_prefix('/').is_some_and(|rest| {
                rest.split('/').all(plain) && !rest.split('/').take(1).any(ours)
            });
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(SettingError::HubPath { text: text.into() })
        }
    }
}

impl TryFrom<String> for HubPath {
    type Error = SettingError;

    fn try_from(text: String) -> Result<Self, SettingError> {
        text.parse()
    }
}

impl From<HubPath> for String {
    fn from(path: HubPath) -> Self {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_path_is_a_plain_one_that_is_not_taken() {
        for text in ["/.well-known/mercure", "/hub", "/a/b-c_d~e", "/eventsource"] {
            assert_eq!(text.parse::<HubPath>().unwrap().as_str(), text);
        }
        for bad in [
            "",
            "/",
            "hub",
            "/hub/",
            "/a//b",
            "/a/../b",
            "/./a",
            "/a%62",
            "/a b",
            "/events",
            "/events/a",
        ] {
            assert_eq!(bad.parse::<HubPath>(), Err(SettingError::HubPath { text: bad.into() }));
        }
        let long = format!("/{}", "x".repeat(256));
        assert!(long.parse::<HubPath>().is_err());
    }
}
