//! What tokens may cost and where they are, and the application that is asked in their place.

use std::time::Duration;

use headwater_server::token::{BackendConfig, CredentialSettings, HeaderName, TokenLimits};

use serde::{Deserialize, Serialize};
use url::Url;

use super::issuer::is_safe;

/// The `[tokens]` table; see [`TokenLimits`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TokenSettings {
    cookie: String,
    bytes_max: usize,
    rules_max: usize,
    matchers_max: usize,
    compiled_max: usize,
    payload_bytes_max: usize,
    remembered_max: usize,
    leeway_ms: u64,
}

impl Default for TokenSettings {
    fn default() -> Self {
        let limits = TokenLimits::default();
        Self {
            cookie: CredentialSettings::default().cookie,
            bytes_max: limits.token_bytes_max,
            rules_max: limits.rules_max,
            matchers_max: limits.matchers_max,
            compiled_max: limits.compiled_max,
            payload_bytes_max: limits.payload_bytes_max,
            remembered_max: limits.remembered_max,
            leeway_ms: u64::try_from(limits.leeway.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl TokenSettings {
    /// What a token may cost.
    pub(crate) fn limits(&self) -> TokenLimits {
        TokenLimits {
            token_bytes_max: self.bytes_max,
            rules_max: self.rules_max,
            matchers_max: self.matchers_max,
            compiled_max: self.compiled_max,
            payload_bytes_max: self.payload_bytes_max,
            remembered_max: self.remembered_max,
            leeway: Duration::from_millis(self.leeway_ms),
        }
    }

    /// Where a token is looked for.
    pub(crate) fn credentials(&self) -> CredentialSettings {
        CredentialSettings { cookie: self.cookie.clone(), ..CredentialSettings::default() }
    }

    /// What is wrong with it, if something is.
    pub(super) fn problem(&self) -> Option<String> {
        // RFC 6265, 4.1.1: "cookie-name = token".
        let fits = |byte: u8| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte);
        (self.cookie.is_empty() || !self.cookie.bytes().all(fits)).then(|| {
            let default = CredentialSettings::default().cookie;
            format!("tokens.cookie is the name of a cookie, such as {default}")
        })
    }
}

/// The `[authorize]` table, of the application at `authorize_url`; see [`BackendConfig`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AuthorizeSettings {
    headers: Vec<String>,
    questions_max: usize,
    answers_max: usize,
    age_max_ms: u64,
}

impl Default for AuthorizeSettings {
    fn default() -> Self {
        Self {
            headers: vec!["authorization".to_owned(), "cookie".to_owned()],
            questions_max: BackendConfig::QUESTIONS_MAX,
            answers_max: BackendConfig::ANSWERS_MAX,
            age_max_ms: u64::try_from(BackendConfig::AGE_MAX.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl AuthorizeSettings {
    /// How the application at a URL is asked.
    ///
    /// # Errors
    /// The setting that is wrong, and why.
    pub(super) fn of(&self, url: &str) -> Result<BackendConfig, (&'static str, String)> {
        let safe = Url::parse(url).ok().filter(is_safe);
        let url = safe.ok_or_else(|| {
            let what = "authorize_url has to begin with https:// (or be of this machine) and has no \
                        password: whoever can change answers on their way could allow anything";
            ("authorize_url", what.to_owned())
        })?;
        let headers = self.headers.iter().map(|name| {
            name.parse::<HeaderName>().map_err(|_| {
                ("authorize.headers", format!("`{name}` in authorize.headers is no header's name"))
            })
        });
        Ok(BackendConfig {
            url,
            headers: headers.collect::<Result<_, _>>()?,
            questions_max: self.questions_max,
            answers_max: self.answers_max,
            age_max: Duration::from_millis(self.age_max_ms),
        })
    }
}
