//! One issuer: its names, its keys, and what its tokens may do at most.

use std::sync::Arc;

use headwater_hub::Actions;

use super::config::{IssuerConfig, KeySource};
use super::error::TokenError;
use super::fetch::Fetch;
use super::header::{Unverified, cut};
use super::key::{Found, Key, KeyError};
use super::remote::Remote;

/// An issuer whose tokens are taken.
pub(super) struct Issuer {
    pub(super) name: Option<String>,
    pub(super) audiences: Vec<String>,
    pub(super) actions: Actions,
    pub(super) compat: bool,
    keys: Keys,
}

enum Keys {
    Fixed(Arc<[Key]>),
    Remote(Box<Remote>),
}

impl Issuer {
    pub(super) fn new(config: IssuerConfig, fetch: &Arc<dyn Fetch>) -> Result<Self, KeyError> {
        let IssuerConfig { issuer, audiences, keys, algorithms, actions, compat } = config;
        let keys = match keys {
            KeySource::Secret(secret) => Keys::fixed([Key::of_secret(&secret, &algorithms)?]),
            KeySource::Pem(pem) => Keys::fixed([Key::of_pem(&pem, &algorithms)?]),
            KeySource::Jwks(json) => {
                Keys::fixed(Key::of_set(json.as_bytes(), &algorithms, Found::File)?)
            }
            KeySource::JwksUrl(url) => {
                Keys::Remote(Box::new(Remote::new(url, algorithms, fetch.clone())))
            }
        };
        Ok(Self { name: issuer, audiences, actions, compat, keys })
    }

    /// Whether a token may be its own, by what the token says of itself: those of 1.0 name their issuer.
    pub(super) fn may_have_issued(&self, issuer: Option<&str>, is_access_token: bool) -> bool {
        let named = self.name.as_deref() == issuer && issuer.is_some();
        named && (is_access_token || self.compat)
            || !is_access_token && self.compat && self.name.is_none()
    }

    /// The keys now.
    pub(super) fn keys(&self) -> Arc<[Key]> {
        match &self.keys {
            Keys::Fixed(keys) => keys.clone(),
            Keys::Remote(remote) => remote.keys(),
        }
    }

    /// The keys' place elsewhere, if they have one.
    pub(super) fn remote(&self) -> Option<&Remote> {
        match &self.keys {
            Keys::Fixed(_) => None,
            Keys::Remote(remote) => Some(remote),
        }
    }

    /// Whether one of its keys has signed the token. Tries those that are for the algorithm and may be the
    /// one that the token names.
    pub(super) fn check_signature(&self, token: &Unverified<'_>) -> Result<(), TokenError> {
        if let Some(why) = self.remote().and_then(Remote::trouble) {
            return Err(TokenError::KeysUnavailable { why });
        }
        let keys = self.keys();
        let id = token.key_id.as_deref();
        let mut named = keys.iter().filter(|key| key.may_be(id)).peekable();
        if named.peek().is_none() {
            return Err(TokenError::Key { kid: id.map(cut) });
        }
        let refused = || TokenError::Algorithm { algorithm: token.alg.clone() };
        let algorithm = token.algorithm.ok_or_else(refused)?;
        let mut fitting = named.filter(|key| key.allows(algorithm)).peekable();
        if fitting.peek().is_none() {
            return Err(refused());
        }
        match fitting.any(|key| key.verifies(algorithm, token.message, token.signature)) {
            true => Ok(()),
            false => Err(TokenError::Signature),
        }
    }
}

impl Keys {
    fn fixed(keys: impl Into<Arc<[Key]>>) -> Self {
        Self::Fixed(keys.into())
    }
}
