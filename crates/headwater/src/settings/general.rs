//! The settings of the program itself, beside those of the hub and of its HTTP server.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use headwater_log::{DiskOptions, Durability, MemoryLimits, Retention};
use headwater_server::AdminKey;
use serde::{Deserialize, Serialize};
use tracing_subscriber::filter::Targets;
use url::Url;

use super::issuer::{self, Issuer};
use super::retention::{Rule, retention};
use super::tokens::{AuthorizeSettings, TokenSettings};
use crate::source::Source;

/// What the program itself has to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct General {
    pub(crate) listen: Listen,
    /// Where the operator finds health and metrics.
    pub(crate) admin_listen: AdminListen,
    /// The secret that whoever reads the metrics sends.
    pub(crate) admin_key: Option<AdminKey>,
    /// A file whose only content is that secret.
    pub(crate) admin_key_file: Option<PathBuf>,
    /// Listen beyond loopback although anybody may publish.
    pub(crate) insecure: bool,
    pub(crate) log: Backend,
    /// Where a log on disk lives; [`DATA`] by default.
    pub(crate) data: Option<PathBuf>,
    /// A file whose only content is the publish key.
    pub(crate) publish_key_file: Option<PathBuf>,
    pub(crate) log_level: LogLevel,
    pub(crate) disk: Disk,
    pub(crate) memory: Memory,
    /// What is kept of which topics; the first that matches holds.
    pub(crate) retention: Vec<Rule>,
    pub(crate) source: Vec<Source>,
    /// Whose tokens are taken.
    #[serde(deserialize_with = "issuer::list")]
    pub(crate) issuer: Vec<Issuer>,
    pub(crate) tokens: TokenSettings,
    /// The application that is asked about each request, in place of tokens.
    pub(crate) authorize_url: Option<String>,
    pub(crate) authorize: AuthorizeSettings,
}

impl Default for General {
    fn default() -> Self {
        Self {
            listen: Listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))),
            admin_listen: AdminListen::At(Listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)))),
            admin_key: None,
            admin_key_file: None,
            insecure: false,
            log: Backend::Disk,
            data: None,
            publish_key_file: None,
            log_level: LogLevel::default(),
            disk: Disk::default(),
            memory: Memory::default(),
            retention: Vec::new(),
            source: Vec::new(),
            issuer: Vec::new(),
            tokens: TokenSettings::default(),
            authorize_url: None,
            authorize: AuthorizeSettings::default(),
        }
    }
}

impl General {
    /// What is kept of which topics, which are resolved against a root.
    ///
    /// # Errors
    /// What is wrong with a pattern.
    pub(crate) fn retention(&self, root: &Url) -> Result<Retention, String> {
        let age_max_hours = match self.log {
            Backend::Disk => self.disk.age_max_hours,
            Backend::Memory => 0,
        };
        retention(&self.retention, age_max_hours, root)
    }
}

/// Where a log on disk lives if nothing else is said.
pub(crate) const DATA: &str = "./headwater-data";

/// How the log on disk is kept; see [`DiskOptions`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Disk {
    durability: When,
    sync_interval_ms: u64,
    segment_bytes: u32,
    bytes_max: u64,
    age_max_hours: u64,
    removed_topics_max: usize,
    queue_max: usize,
}

/// When an event counts as published; see [`Durability`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum When {
    Always,
    Interval,
    Os,
}

impl Default for Disk {
    fn default() -> Self {
        let DiskOptions { segment_bytes, removed_topics_max, queue_max, .. } =
            DiskOptions::default();
        Self {
            durability: When::Always,
            sync_interval_ms: 1_000,
            segment_bytes,
            bytes_max: 10 << 30,
            age_max_hours: 0,
            removed_topics_max,
            queue_max,
        }
    }
}

impl Disk {
    /// How the log on disk is kept.
    pub(crate) fn options(self, retention: Retention) -> DiskOptions {
        DiskOptions {
            durability: match self.durability {
                When::Always => Durability::Always,
                When::Interval => {
                    Durability::Interval(Duration::from_millis(self.sync_interval_ms))
                }
                When::Os => Durability::Os,
            },
            segment_bytes: self.segment_bytes,
            bytes_max: Some(self.bytes_max).filter(|&bytes| bytes > 0),
            retention,
            removed_topics_max: self.removed_topics_max,
            queue_max: self.queue_max,
        }
    }
}

impl Disk {
    /// A segment holds the largest event, and a place in it is 32 bits.
    pub(crate) const SEGMENT_BYTES_MIN: u32 = 1 << 20;
    const SEGMENT_BYTES_MAX: u32 = 1 << 30;

    /// Whether segments have a size that can be.
    pub(crate) fn has_segments(&self) -> bool {
        (Self::SEGMENT_BYTES_MIN..=Self::SEGMENT_BYTES_MAX).contains(&self.segment_bytes)
    }
}

/// What the log in memory keeps; see [`MemoryLimits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Memory {
    bytes_max: usize,
    removed_topics_max: usize,
    keys_max: usize,
}

impl Default for Memory {
    fn default() -> Self {
        let limits = MemoryLimits::default();
        Self {
            bytes_max: limits.bytes_max,
            removed_topics_max: limits.removed_topics_max,
            keys_max: limits.keys_max,
        }
    }
}

impl Memory {
    /// What the log in memory keeps.
    pub(crate) fn limits(self, retention: Retention) -> MemoryLimits {
        MemoryLimits {
            bytes_max: self.bytes_max,
            retention,
            removed_topics_max: self.removed_topics_max,
            keys_max: self.keys_max,
        }
    }
}

/// Where to listen: an IP address and a port, a port alone or `localhost` for loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Listen(SocketAddr);

impl Listen {
    pub(crate) fn address(self) -> SocketAddr {
        self.0
    }

    /// Whether nobody but programs of this machine can reach it.
    pub(crate) fn is_loopback(self) -> bool {
        self.0.ip().to_canonical().is_loopback()
    }
}

impl FromStr for Listen {
    type Err = GeneralError;

    fn from_str(text: &str) -> Result<Self, GeneralError> {
        if let Ok(address) = text.parse() {
            return Ok(Self(address));
        }
        let port = text.strip_prefix("localhost:").unwrap_or(text);
        match port.parse() {
            Ok(port) => Ok(Self(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))),
            Err(_) => Err(GeneralError::Listen { text: text.into() }),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where to listen for the operator: as [`Listen`], or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum AdminListen {
    /// Nowhere.
    Off,
    /// There.
    At(Listen),
}

impl AdminListen {
    /// Wherever on loopback a port is free.
    pub(crate) const ANY: Self =
        Self::At(Listen(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)));

    /// The address, if there is one.
    pub(crate) fn listen(self) -> Option<Listen> {
        match self {
            Self::Off => None,
            Self::At(listen) => Some(listen),
        }
    }
}

impl FromStr for AdminListen {
    type Err = GeneralError;

    fn from_str(text: &str) -> Result<Self, GeneralError> {
        if text == "off" { Ok(Self::Off) } else { text.parse().map(Self::At) }
    }
}

impl fmt::Display for AdminListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::At(listen) => listen.fmt(f),
        }
    }
}

/// Where the log lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Backend {
    /// In a directory, for as long as retention says.
    Disk,
    /// In this process, for as long as it runs.
    Memory,
}

impl FromStr for Backend {
    type Err = GeneralError;

    fn from_str(text: &str) -> Result<Self, GeneralError> {
        match text {
            "memory" => Ok(Self::Memory),
            "disk" => Ok(Self::Disk),
            _ => Err(GeneralError::Backend { text: text.into() }),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk => f.write_str("disk"),
            Self::Memory => f.write_str("memory"),
        }
    }
}

/// What is told on standard error: `error`, `warn`, `info`, `debug` or `trace`, also by part of the
/// program, as in `info,headwater_server=debug`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct LogLevel {
    text: String,
    targets: Targets,
}

impl LogLevel {
    pub(crate) fn targets(&self) -> Targets {
        self.targets.clone()
    }
}

impl Default for LogLevel {
    fn default() -> Self {
        let targets = Targets::new().with_default(tracing::Level::INFO);
        Self { text: "info".into(), targets }
    }
}

impl FromStr for LogLevel {
    type Err = GeneralError;

    fn from_str(text: &str) -> Result<Self, GeneralError> {
        match text.parse() {
            // A bare word that is no level would be taken for a part of the program to show.
            Ok(targets) if !text.is_empty() && levels(text).all(is_level) => {
                Ok(Self { text: text.into(), targets })
            }
            _ => Err(GeneralError::LogLevel { text: text.into() }),
        }
    }
}

fn levels(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(|part| part.rsplit('=').next().unwrap_or(part))
}

fn is_level(text: &str) -> bool {
    ["off", "error", "warn", "info", "debug", "trace"]
        .iter()
        .any(|level| level.eq_ignore_ascii_case(text))
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why a setting cannot be used. The operator has to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GeneralError {
    /// No IP address with a port.
    #[error(
        "`{text}` is no address to listen at: give an IP address and a port, such as 127.0.0.1:8080, or 0.0.0.0:8080 for all of this machine's"
    )]
    Listen {
        /// What was given.
        text: String,
    },
    /// No backend at all.
    #[error("`{text}` is no place for the log: this version keeps it on `disk` or in `memory`")]
    Backend {
        /// What was given.
        text: String,
    },
    /// No level.
    #[error("`{text}` is no log level: choose error, warn, info, debug or trace")]
    LogLevel {
        /// What was given.
        text: String,
    },
}

/// Settings are texts in files: parsed by `FromStr`, written by `Display`.
macro_rules! text_setting {
    ($($type:ty),*) => {$(
        impl TryFrom<String> for $type {
            type Error = GeneralError;

            fn try_from(text: String) -> Result<Self, GeneralError> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(setting: $type) -> Self {
                setting.to_string()
            }
        }
    )*};
}

text_setting!(Listen, AdminListen, Backend, LogLevel);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_port_and_needs_no_host() {
        let listen = |text: &str| text.parse::<Listen>().map(|listen| listen.to_string());
        assert_eq!(listen("127.0.0.1:8080").unwrap(), "127.0.0.1:8080");
        assert_eq!(listen("[::1]:0").unwrap(), "[::1]:0");
        assert_eq!(listen("localhost:81").unwrap(), "127.0.0.1:81");
        assert_eq!(listen("81").unwrap(), "127.0.0.1:81");
        for bad in ["", "127.0.0.1", "example.com:80", "localhost", "127.0.0.1:99999", "-1"] {
            assert!(matches!(listen(bad), Err(GeneralError::Listen { .. })), "{bad}");
        }
    }

    #[test]
    fn the_operator_may_want_no_listener() {
        assert_eq!("off".parse(), Ok(AdminListen::Off));
        let at = "81".parse::<AdminListen>().unwrap();
        assert_eq!(
            (at.to_string().as_str(), AdminListen::Off.to_string().as_str()),
            ("127.0.0.1:81", "off")
        );
        assert!("on".parse::<AdminListen>().is_err());
    }

    #[test]
    fn loopback_is_what_only_this_machine_reaches() {
        let loopback = |text: &str| text.parse::<Listen>().unwrap().is_loopback();
        assert!(loopback("127.0.0.2:1") && loopback("[::1]:1") && loopback("[::ffff:127.0.0.1]:1"));
        assert!(!loopback("0.0.0.0:1") && !loopback("[::]:1") && !loopback("192.168.0.1:1"));
    }

    #[test]
    fn a_level_may_be_one_parts_only() {
        for good in ["info", "DEBUG", "off", "warn,headwater_server=debug"] {
            assert_eq!(good.parse::<LogLevel>().unwrap().to_string(), good);
        }
        for bad in ["", "loud", "headwater_server", "info,x=loud", "3"] {
            assert!(bad.parse::<LogLevel>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_log_is_on_disk_or_in_memory() {
        assert_eq!("disk".parse(), Ok(Backend::Disk));
        assert_eq!("memory".parse(), Ok(Backend::Memory));
        assert!("redis://x".parse::<Backend>().unwrap_err().to_string().contains("`redis://x`"));
    }
}
