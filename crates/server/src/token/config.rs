//! What the operator says of who issues tokens.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use headwater_hub::Actions;
use headwater_log::BoxFuture;
use jsonwebtoken::Algorithm;
use url::Url;

use super::backend::Backend;
use super::credential::CredentialSettings;
use super::fetch::{Fetch, FetchError, Fetched};
use super::issuer::Issuer;
use super::key::KeyError;
use super::secret::Secret;
use super::verifier::Tokens;

/// Somebody whose tokens are taken, and the keys that they must be signed with.
#[derive(Debug, Clone)]
pub struct IssuerConfig {
    /// What the tokens' `iss` is, exactly. Tokens of Mercure 1.0 need it; `None` is for those of 0.x.
    pub issuer: Option<String>,
    /// One of these has to be in the tokens' `aud`: what this hub is called, usually its URL. Tokens of
    /// Mercure 1.0 need it.
    pub audiences: Vec<String>,
    /// The keys.
    pub keys: KeySource,
    /// The algorithms that a signature may use. Empty is what each key is for: its own `alg` in a set, else
    /// HS256 for a secret, RS256, ES256, ES384 or EdDSA by a public key's kind.
    pub algorithms: Vec<Algorithm>,
    /// What these tokens may grant at most, so that publishers' and subscribers' keys can be apart.
    pub actions: Actions,
    /// Whether tokens in the form of Mercure 0.x are taken, which need not say who issued them, for whom,
    /// or until when.
    pub compat: bool,
}

impl IssuerConfig {
    /// Whether its keys can be used. Those at a URL are not looked at.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self) -> Result<(), KeyError> {
        let fetch: Arc<dyn Fetch> = Arc::new(Never);
        Issuer::new(self.clone(), &fetch).map(drop)
    }
}

struct Never;

impl Fetch for Never {
    fn fetch<'a>(&'a self, _: &'a Url) -> BoxFuture<'a, Result<Fetched, FetchError>> {
        Box::pin(async { Err(FetchError::Slow) })
    }
}

/// Where an issuer's keys come from.
#[derive(Clone)]
pub enum KeySource {
    /// A secret that the issuer and the hub share, of at least 32 bytes.
    Secret(Secret),
    /// A public key in PEM.
    Pem(String),
    /// A JSON Web Key Set.
    Jwks(String),
    /// Where a JSON Web Key Set is; fetched now and then, and when a token names a key that is not in it.
    JwksUrl(Url),
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(_) => f.write_str("Secret(..)"),
            Self::Pem(_) => f.write_str("Pem(..)"),
            // A set in a file may hold secrets.
            Self::Jwks(_) => f.write_str("Jwks(..)"),
            Self::JwksUrl(url) => write!(f, "JwksUrl({:?})", url.host_str()),
        }
    }
}

/// How it is decided what a request may do, beside the publish key.
#[derive(Debug, Clone)]
pub struct Authorization {
    /// Who decides.
    pub judge: Judge,
    /// Where tokens are looked for.
    pub credentials: CredentialSettings,
}

/// Who decides what a request may do.
#[derive(Debug, Clone)]
pub enum Judge {
    /// Whoever issued its token.
    Tokens(Tokens),
    /// The user's application, which is asked.
    Application(Arc<Backend>),
}

/// What a token may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenLimits {
    /// The length of a token, in bytes; 8 KiB by default. A longer one is refused unread.
    pub token_bytes_max: usize,
    /// The rules of a token, 64 by default.
    pub rules_max: usize,
    /// The matchers of a token, 256 by default, of at most 1 KiB each. One that has to be compiled (a URL
    /// Pattern with more than `:name` and `*`) takes some 70 KiB; see `compiled_max`.
    pub matchers_max: usize,
    /// The matchers of a token that have to be compiled, 16 by default.
    pub compiled_max: usize,
    /// The payload of a rule, in bytes; 2 KiB by default.
    pub payload_bytes_max: usize,
    /// Verified tokens that are remembered, 4,096 by default, so that who publishes often is not verified
    /// each time. Each takes its token's length some three times.
    pub remembered_max: usize,
    /// How far the issuers' clocks may be off; 30 s by default. A stream ends at `exp` all the same.
    pub leeway: Duration,
}

impl Default for TokenLimits {
    fn default() -> Self {
        Self {
            token_bytes_max: 8 << 10,
            rules_max: 64,
            matchers_max: 256,
            compiled_max: 16,
            payload_bytes_max: 2 << 10,
            remembered_max: 4_096,
            leeway: Duration::from_secs(30),
        }
    }
}
