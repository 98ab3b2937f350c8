//! What the operator may set of the HTTP server.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use bytes::Bytes;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use url::Url;

use crate::limits::Limits;
use crate::mercure::MercureConfig;
use crate::token::Authorization;

/// The settings of the HTTP server. Their defaults suit a hub on loopback.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How the hub is seen from outside, if it is behind a proxy: the base of patterns, and an origin and
    /// a host of our own. By default `http://127.0.0.1:PORT/` of the listener.
    pub public_url: Option<PublicUrl>,
    /// The proxies whose `Forwarded` or `X-Forwarded-For` tells the client's address.
    pub trusted_proxies: Vec<Network>,
    /// The secret that publishers send as `Authorization: Bearer KEY`. Without it anybody who reaches the
    /// hub may publish.
    pub publish_key: Option<PublishKey>,
    /// The origins whose pages may subscribe, or `*`. By default only our own.
    pub cors_origins: Vec<CorsOrigin>,
    /// The origins whose pages may publish (and subscribe). By default only our own.
    pub publish_origins: Vec<Origin>,
    /// What a client may use up.
    pub limits: Limits,
    /// The Mercure dialect.
    pub mercure: MercureConfig,
    /// Who decides what may be done. Without it everybody may subscribe, and no event can be private.
    #[serde(skip)]
    pub authorization: Option<Authorization>,
    /// The pages that are served beside the hub.
    #[serde(skip)]
    pub pages: Vec<Page>,
}

impl Config {
    /// The root that topics and patterns are resolved against: how the hub is seen from outside or, if
    /// nobody says it, on this machine.
    ///
    /// # Panics
    /// Never: an address and a number make a URL.
    #[must_use]
    pub fn root(&self, address: SocketAddr) -> Url {
        if let Some(url) = &self.public_url {
            return url.as_url().clone();
        }
        let url = format!("http://127.0.0.1:{}/", address.port());
        Url::parse(&url).expect("an address and a number make a URL")
    }
}

/// A page that is served as it is.
#[derive(Debug, Clone)]
pub struct Page {
    /// Its path, beginning with `/`.
    pub path: &'static str,
    /// Its `Content-Type`.
    pub content_type: &'static str,
    /// What is sent.
    pub bytes: Bytes,
}

/// The root of an `http` or `https` URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicUrl(Url);

impl PublicUrl {
    /// The root.
    #[must_use]
    pub fn as_url(&self) -> &Url {
        &self.0
    }
}

impl FromStr for PublicUrl {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let bad = || SettingError::PublicUrl { text: text.into() };
        let mut url = Url::parse(text).map_err(|_| bad())?;
        let plain = url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if !matches!(url.scheme(), "http" | "https") || !plain {
            return Err(bad());
        }
        url.set_path("/");
        Ok(Self(url))
    }
}

/// An address, or all that begin with a prefix: `10.0.0.1` or `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network(IpNet);

impl Network {
    /// Whether an address is one of it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }
}

impl FromStr for Network {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let single = text.parse::<IpAddr>().map(IpNet::from);
        single
            .or_else(|_| text.parse())
            .map(Self)
            .map_err(|_| SettingError::Network { text: text.into() })
    }
}

/// A web page's origin: scheme, host and port, as browsers send it in `Origin`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Origin(String);

impl Origin {
    /// The origin of a URL with a host.
    pub(crate) fn of(url: &Url) -> Self {
        Self(url.origin().ascii_serialization())
    }

    /// Whether an `Origin` header names it.
    #[must_use]
    pub fn is(&self, header: &[u8]) -> bool {
        self.0.as_bytes().eq_ignore_ascii_case(header)
    }
}

impl FromStr for Origin {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let bad = || SettingError::Origin { text: text.into() };
        let url = Url::parse(text).map_err(|_| bad())?;
        let bare = text.strip_suffix('/').unwrap_or(text);
        let rest = bare.split_once("://").map(|(_, rest)| rest).ok_or_else(bad)?;
        if !url.has_host() || rest.contains(['/', '?', '#', '@']) {
            return Err(bad());
        }
        let origin = url.origin();
        // Those of extensions and apps, such as `capacitor://localhost`, are opaque to the URL standard.
        Ok(Self(if origin.is_tuple() {
            origin.ascii_serialization()
        } else {
            bare.to_ascii_lowercase()
        }))
    }
}

/// Whose pages may subscribe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum CorsOrigin {
    /// `*`: anybody's, without credentials.
    Any,
    /// One origin's.
    One(Origin),
}

impl FromStr for CorsOrigin {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        if text == "*" { Ok(Self::Any) } else { text.parse().map(Self::One) }
    }
}

/// The publishers' shared secret: at least 16 visible ASCII characters. Only its hash is kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublishKey([u8; 32]);

impl PublishKey {
    /// The shortest key, in bytes.
    pub const BYTES_MIN: usize = 16;

    /// Whether this is the key, in a time that does not depend on how much of it is right.
    #[must_use]
    pub fn is(&self, key: &[u8]) -> bool {
        let hash = Sha256::digest(key);
        self.0.iter().zip(hash.iter()).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
    }
}

impl FromStr for PublishKey {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        if text.len() < Self::BYTES_MIN || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(SettingError::PublishKey);
        }
        Ok(Self(Sha256::digest(text.as_bytes()).into()))
    }
}

impl fmt::Debug for PublishKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublishKey(..)")
    }
}

/// The operators' shared secret, of the same form.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AdminKey(PublishKey);

impl AdminKey {
    /// Whether this is the key, in a time that does not depend on how much of it is right.
    #[must_use]
    pub fn is(&self, key: &[u8]) -> bool {
        self.0.is(key)
    }
}

impl FromStr for AdminKey {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        text.parse().map(Self).map_err(|_: SettingError| SettingError::AdminKey)
    }
}

impl fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminKey(..)")
    }
}

/// Why a setting cannot be used. The operator has to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// Not the root of a web site.
    #[error(
        "`{text}` is not how a hub can be seen: give an http or https URL such as https://events.example.com/"
    )]
    PublicUrl {
        /// What was given.
        text: String,
    },
    /// Neither an address nor a prefix.
    #[error(
        "`{text}` is not a network: give an address such as 10.0.0.1 or a prefix such as 10.0.0.0/8"
    )]
    Network {
        /// What was given.
        text: String,
    },
    /// More or less than scheme, host and port.
    #[error(
        "`{text}` is not an origin: give scheme, host and port only, such as https://www.example.com"
    )]
    Origin {
        /// What was given.
        text: String,
    },
    /// Not a plain path, or one that means something else.
    #[error(
        "`{text}` cannot be where the Mercure hub is: give a path of letters, digits, `-`, `.`, `_` and `~`, such as /.well-known/mercure, that is not below /events, /tickets or /healthz"
    )]
    HubPath {
        /// What was given.
        text: String,
    },
    /// Too easily guessed, or not fit for a header.
    #[error("publish_key has to be at least {min} visible ASCII characters without spaces, for example from `openssl rand -hex 32`", min = PublishKey::BYTES_MIN)]
    PublishKey,
    /// The same of the operators' key.
    #[error("admin_key has to be at least {min} visible ASCII characters without spaces, for example from `openssl rand -hex 32`", min = PublishKey::BYTES_MIN)]
    AdminKey,
}

/// Settings are texts in files: parsed by `FromStr`, written so that they can be parsed again.
macro_rules! text_setting {
    ($type:ty, $value:ident => $text:expr) => {
        impl TryFrom<String> for $type {
            type Error = SettingError;

            fn try_from(text: String) -> Result<Self, SettingError> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from($value: $type) -> Self {
                $text
            }
        }
    };
}

text_setting!(PublicUrl, url => url.0.into());
text_setting!(Network, network => network.0.to_string());
text_setting!(Origin, origin => origin.0);
text_setting!(CorsOrigin, origin => match origin {
    CorsOrigin::Any => "*".to_owned(),
    CorsOrigin::One(origin) => origin.0,
});
text_setting!(PublishKey, _key => "(not shown)".to_owned());
text_setting!(AdminKey, _key => "(not shown)".to_owned());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_is_the_root_of_a_site() {
        let root = |text: &str| text.parse::<PublicUrl>().map(|url| url.as_url().to_string());
        assert_eq!(root("https://example.com").unwrap(), "https://example.com/");
        assert_eq!(root("http://example.com:81/hub/").unwrap(), "http://example.com:81/");
        for bad in ["", "example.com", "ftp://x/", "https://u:p@x/", "https://x/?a", "https://x/#a"]
        {
            assert_eq!(root(bad), Err(SettingError::PublicUrl { text: bad.into() }));
        }
    }

    #[test]
    fn a_network_is_an_address_or_a_prefix() {
        let network: Network = "10.0.0.0/8".parse().unwrap();
        assert!(network.contains("10.255.0.1".parse().unwrap()));
        assert!(!network.contains("11.0.0.1".parse().unwrap()));
        let one: Network = "::1".parse().unwrap();
        assert!(one.contains("::1".parse().unwrap()));
        assert!(!one.contains("::2".parse().unwrap()));
        assert!("localhost".parse::<Network>().is_err());
    }

    #[test]
    fn an_origin_is_scheme_host_and_port_as_browsers_write_them() {
        let origin = |text: &str| text.parse::<Origin>().map(String::from);
        assert_eq!(origin("https://Example.com:443/").unwrap(), "https://example.com");
        assert_eq!(origin("http://[::1]:80").unwrap(), "http://[::1]");
        assert_eq!(origin("capacitor://localhost").unwrap(), "capacitor://localhost");
        for bad in ["", "null", "*", "example.com", "https://x/a", "https://u@x", "https://x?a"] {
            assert_eq!(origin(bad), Err(SettingError::Origin { text: bad.into() }), "{bad}");
        }
        assert!("https://a.example".parse::<Origin>().unwrap().is(b"https://A.example"));
        assert!(!"https://a.example".parse::<Origin>().unwrap().is(b"https://a.example.evil"));
        assert_eq!("*".parse(), Ok(CorsOrigin::Any));
    }

    #[test]
    fn a_publish_key_is_long_compared_whole_and_never_shown() {
        let key: PublishKey = "0123456789abcdef".parse().unwrap();
        assert!(key.is(b"0123456789abcdef"));
        for other in ["", "0123456789abcdeg", "0123456789abcde", "0123456789abcdef0"] {
            assert!(!key.is(other.as_bytes()), "{other}");
        }
        assert!(!format!("{key:?}{}", String::from(key.clone())).contains("0123"));
        for bad in ["short", "with a space in the middle", "é23456789abcdefgh"] {
            assert!(matches!(bad.parse::<PublishKey>(), Err(SettingError::PublishKey)));
        }
    }
}
