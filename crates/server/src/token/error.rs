//! What is wrong with a token: precisely for the log, and in general for who sent it.

use headwater_log::Millis;
use http::{HeaderValue, StatusCode};

use super::credential::CredentialError;

/// Why a token is not accepted: the check that failed, for the log and for `explain`. It shows names and
/// numbers out of the token, never the token or a key. [`TokenError::refusal`] is what may be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// More than is read.
    #[error("the token has {bytes} bytes; at most {max} are read")]
    Oversized {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Not three parts of base64url with JSON in them.
    #[error("the token is no signed JWT: {what}")]
    Form {
        /// What is not as it has to be.
        what: &'static str,
    },
    /// RFC 7515, 4.1.11: an extension that has to be understood.
    #[error("the token's header has `crit`: no extension is understood here")]
    Critical,
    /// An algorithm that no key may be used with.
    #[error(
        "the token's algorithm is `{algorithm}`, which none of the issuer's keys is allowed for"
    )]
    Algorithm {
        /// What the token says, cut short.
        algorithm: String,
    },
    /// A token for something else, such as an ID token.
    #[error("the token's `typ` is {}: it has to be `at+jwt`", shown(.found.as_deref()))]
    Type {
        /// What the token says, cut short.
        found: Option<String>,
    },
    /// A claim of another type than it has to be.
    #[error("the token's claims are malformed: {what}")]
    Claims {
        /// Where and why.
        what: String,
    },
    /// A claim that has to be there is not.
    #[error("the token has no `{claim}`")]
    Missing {
        /// Which.
        claim: &'static str,
    },
    /// Nobody whose tokens are taken.
    #[error("the token's `iss` is {}, which is no issuer of the settings", shown(.found.as_deref()))]
    Issuer {
        /// What the token says, cut short.
        found: Option<String>,
    },
    /// The issuer has no such key.
    #[error("the issuer has no key with the `kid` {}", shown(.kid.as_deref()))]
    Key {
        /// What the token says, cut short.
        kid: Option<String>,
    },
    /// The issuer's keys could not be fetched yet.
    #[error("the issuer's keys could not be had: {why}")]
    KeysUnavailable {
        /// Why.
        why: String,
    },
    /// Signed by somebody else, or changed.
    #[error("the signature fits none of the issuer's keys")]
    Signature,
    /// For somebody else.
    #[error("the token's `aud` names none of this hub's names ({})", .expected.join(", "))]
    Audience {
        /// What this hub is called.
        expected: Vec<String>,
    },
    /// No number of seconds since 1970.
    #[error("the token's `{claim}` is no date")]
    Date {
        /// Which claim.
        claim: &'static str,
    },
    /// Too late.
    #[error("the token expired at {}, {} ms ago", .at.0, .now.0.saturating_sub(.at.0))]
    Expired {
        /// Its `exp`.
        at: Millis,
        /// When it was looked at.
        now: Millis,
    },
    /// Too early.
    #[error("the token is not valid before {}, in {} ms", .at.0, .at.0.saturating_sub(.now.0))]
    NotYet {
        /// Its `nbf`.
        at: Millis,
        /// When it was looked at.
        now: Millis,
    },
    /// One rule that cannot be used spoils the token: "Any invalid Mercure detail, or limits exceeded →
    /// whole token 401 `invalid_token`".
    #[error("{place}: {what}")]
    Rule {
        /// Which, as in `authorization_details[1].topics[0]`.
        place: String,
        /// Why.
        what: String,
    },
}

fn shown(text: Option<&str>) -> String {
    text.map_or_else(|| "missing".to_owned(), |text| format!("`{text}`"))
}

/// A check that a token has to pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What is checked.
    pub name: &'static str,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a [`Check`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is as it has to be.
    Passed,
    /// It is not.
    Failed(TokenError),
    /// One before it failed.
    NotReached,
}

/// The checks in the order in which they are made.
const CHECKS: [&str; 12] = [
    "length",
    "form",
    "extensions",
    "type",
    "claims",
    "issuer",
    "key",
    "algorithm",
    "signature",
    "audience",
    "time",
    "rules",
];

impl Check {
    /// All checks, of which the one that failed is the error's.
    pub(super) fn all(error: Option<&TokenError>) -> Vec<Self> {
        let failed = error.and_then(|error| CHECKS.iter().position(|name| *name == error.check()));
        let outcome = |at: usize| match (error, failed) {
            (Some(error), Some(failed)) if at == failed => Outcome::Failed(error.clone()),
            (Some(_), Some(failed)) if at > failed => Outcome::NotReached,
            _ => Outcome::Passed,
        };
        let named = CHECKS.iter().enumerate();
        named.map(|(at, &name)| Self { name, outcome: outcome(at) }).collect()
    }
}

impl TokenError {
    /// The name of the check that failed.
    #[must_use]
    pub fn check(&self) -> &'static str {
        match self {
            Self::Oversized { .. } => "length",
            Self::Form { .. } => "form",
            Self::Critical => "extensions",
            Self::Type { .. } => "type",
            Self::Claims { .. } => "claims",
            Self::Issuer { .. } | Self::Missing { claim: "iss" } => "issuer",
            Self::Algorithm { .. } => "algorithm",
            Self::Key { .. } | Self::KeysUnavailable { .. } => "key",
            Self::Signature => "signature",
            Self::Audience { .. } | Self::Missing { claim: "aud" } => "audience",
            Self::Expired { .. }
            | Self::NotYet { .. }
            | Self::Date { .. }
            | Self::Missing { .. } => "time",
            Self::Rule { .. } => "rules",
        }
    }

    /// What may be answered. What only its holder could know, and who mended it would need, is told: the
    /// time and its own rules; which key or issuer would have been right is not.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        let told = match self {
            Self::KeysUnavailable { .. } => return Refusal::keys_unavailable(),
            Self::Expired { .. } => "the token has expired: get a new one",
            Self::NotYet { .. } => "the token is not valid yet: check the clock of its issuer",
            Self::Oversized { .. } => "the token is too long: grant with fewer or shorter matchers",
            Self::Form { .. } | Self::Claims { .. } | Self::Date { .. } => "the token is malformed",
            Self::Rule { .. }
            | Self::Audience { .. }
            | Self::Type { .. }
            | Self::Missing { .. } => {
                return Refusal::invalid_token(self.to_string());
            }
            Self::Critical
            | Self::Algorithm { .. }
            | Self::Issuer { .. }
            | Self::Key { .. }
            | Self::Signature => {
                "the token is not accepted here: the hub's log says which check it failed"
            }
        };
        Refusal::invalid_token(told)
    }
}

/// How a request is refused, in the words of RFC 6750.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status of the answer.
    pub status: StatusCode,
    /// RFC 6750, 3.1: the error code; none where nothing was presented, or where it is not the client's.
    pub code: Option<&'static str>,
    /// What to do, for a person.
    pub detail: String,
}

impl Refusal {
    /// Nothing was presented, and something is needed.
    ///
    /// RFC 6750, 3.1: "If the request lacks any authentication information (e.g., the client was unaware
    /// that authentication is necessary or attempted using an unsupported authentication method), the
    /// resource server SHOULD NOT include an error code or other error information."
    #[must_use]
    pub fn missing() -> Self {
        let detail = "this needs a token: send it as `Authorization: Bearer TOKEN`".to_owned();
        Self { status: StatusCode::UNAUTHORIZED, code: None, detail }
    }

    /// The token is no good. RFC 6750, 3.1: "invalid_token ... The resource SHOULD respond with the HTTP
    /// 401 (Unauthorized) status code."
    #[must_use]
    pub fn invalid_token(detail: impl Into<String>) -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            code: Some("invalid_token"),
            detail: detail.into(),
        }
    }

    /// The token is good and grants something else. RFC 6750, 3.1: "insufficient_scope ... The resource
    /// server SHOULD respond with the HTTP 403 (Forbidden) status code".
    #[must_use]
    pub fn insufficient_scope(detail: impl Into<String>) -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            code: Some("insufficient_scope"),
            detail: detail.into(),
        }
    }

    /// The request does not present its token as it has to. RFC 6750, 3.1: "invalid_request ... The
    /// resource server SHOULD respond with the HTTP 400 (Bad Request) status code."
    #[must_use]
    pub fn invalid_request(detail: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code: Some("invalid_request"),
            detail: detail.into(),
        }
    }

    /// Nobody can tell now; it will pass.
    #[must_use]
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, code: None, detail: detail.into() }
    }

    fn keys_unavailable() -> Self {
        Self::unavailable("the keys that tokens are checked with cannot be had now: come back soon")
    }

    /// The `WWW-Authenticate` header of a 400, 401 or 403; `None` for what is not the client's fault.
    ///
    /// `resource_metadata` is the URL of the RFC 9728 document, where there is one.
    #[must_use]
    pub fn challenge(&self, resource_metadata: Option<&str>) -> Option<HeaderValue> {
        if self.status.is_server_error() {
            return None;
        }
        let quoted = |text: &str| {
            // RFC 6750, 3: "error_description ... MUST NOT include characters outside the set %x20-21 /
            // %x23-5B / %x5D-7E."
            let fits = |c: char| matches!(c, ' '..='~') && c != '"' && c != '\\';
            text.chars().map(|c| if fits(c) { c } else { '\'' }).collect::<String>()
        };
        let mut fields = Vec::new();
        fields
            .extend(resource_metadata.map(|url| format!("resource_metadata=\"{}\"", quoted(url))));
        if let Some(code) = self.code {
            fields.push(format!("error=\"{code}\""));
            fields.push(format!("error_description=\"{}\"", quoted(&self.detail)));
        }
        if fields.is_empty() {
            fields.push("realm=\"headwater\"".to_owned());
        }
        HeaderValue::try_from(format!("Bearer {}", fields.join(", "))).ok()
    }
}

impl From<&TokenError> for Refusal {
    fn from(error: &TokenError) -> Self {
        error.refusal()
    }
}

impl From<&CredentialError> for Refusal {
    fn from(error: &CredentialError) -> Self {
        Self::invalid_request(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_what_rfc_6750_asks_for() {
        let metadata = Some("https://hub.example/.well-known/oauth-protected-resource/hub");
        let challenge = |refusal: Refusal, metadata| {
            refusal.challenge(metadata).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(
            challenge(Refusal::missing(), metadata).unwrap(),
            "Bearer resource_metadata=\"https://hub.example/.well-known/oauth-protected-resource/hub\""
        );
        assert_eq!(challenge(Refusal::missing(), None).unwrap(), "Bearer realm=\"headwater\"");
        assert_eq!(
            challenge(Refusal::invalid_token("a \"b\"\r\nc: é"), None).unwrap(),
            "Bearer error=\"invalid_token\", error_description=\"a 'b'''c: '\""
        );
        assert_eq!(challenge(Refusal::unavailable("x"), metadata), None);
    }

    #[test]
    fn every_error_belongs_to_a_check_and_what_helps_an_attacker_is_not_told() {
        let text = || "x".to_owned();
        let all = [
            TokenError::Oversized { bytes: 1, max: 0 },
            TokenError::Form { what: "x" },
            TokenError::Critical,
            TokenError::Algorithm { algorithm: "secret-name".into() },
            TokenError::Type { found: None },
            TokenError::Claims { what: text() },
            TokenError::Missing { claim: "iss" },
            TokenError::Missing { claim: "aud" },
            TokenError::Missing { claim: "exp" },
            TokenError::Issuer { found: Some("secret-name".into()) },
            TokenError::Key { kid: Some("secret-name".into()) },
            TokenError::Signature,
            TokenError::Audience { expected: vec![text()] },
            TokenError::Date { claim: "exp" },
            TokenError::Expired { at: Millis(1), now: Millis(2) },
            TokenError::NotYet { at: Millis(2), now: Millis(1) },
            TokenError::Rule { place: text(), what: text() },
        ];
        for error in &all {
            assert!(CHECKS.contains(&error.check()), "{error:?}");
            let refusal = error.refusal();
            assert_eq!((refusal.status.as_u16(), refusal.code), (401, Some("invalid_token")));
            assert!(!refusal.detail.contains("secret-name"), "{}", refusal.detail);
            let failed = Check::all(Some(error));
            let at =
                failed.iter().position(|check| check.outcome == Outcome::Failed(error.clone()));
            let (before, after) = failed.split_at(at.unwrap());
            assert!(before.iter().all(|check| check.outcome == Outcome::Passed));
            assert!(after.iter().skip(1).all(|check| check.outcome == Outcome::NotReached));
        }
        let unavailable = TokenError::KeysUnavailable { why: text() }.refusal();
        assert_eq!((unavailable.status.as_u16(), unavailable.code), (503, None));
        assert!(Check::all(None).iter().all(|check| check.outcome == Outcome::Passed));
    }
}
