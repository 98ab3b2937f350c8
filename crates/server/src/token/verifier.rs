//! From a token to what it grants.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest;
use futures_util::future;
use headwater_hub::{Access, MatcherCache, Rule};
use headwater_log::Millis;
use jsonwebtoken::crypto::aws_lc;
use serde_json::Value;
use serde_json::value::RawValue;
use url::Url;

use super::claims::{Claims, RuleReader};
use super::config::{IssuerConfig, TokenLimits};
use super::error::{Check, TokenError};
use super::fetch::Fetch;
use super::header::{Unverified, cut, decode};
use super::issuer::Issuer;
use super::key::KeyError;
use super::remote::Remote;

/// Verifies tokens against the issuers of the settings. Cloning costs one reference count.
///
/// [`Tokens::keep_fresh`] has to run beside it where an issuer's keys are at a URL.
#[derive(Clone)]
pub struct Tokens(Arc<Shared>);

struct Shared {
    issuers: Vec<Issuer>,
    base: Url,
    limits: TokenLimits,
    /// Held for a look-up, or for as long as a new token's rules take to read: some ms at worst.
    memory: Mutex<Memory>,
}

/// What was found out before.
#[derive(Default)]
struct Memory {
    cache: MatcherCache,
    verified: HashMap<[u8; 32], Verified>,
    /// How many key sets had been taken when these were verified.
    sets: u64,
}

#[derive(Clone)]
struct Verified {
    access: Arc<Access>,
    not_before: Option<Millis>,
}

impl Tokens {
    /// A verifier. `base` is what the URL Patterns of tokens, and topics held against them, are relative
    /// to: the hub's own URL, by the rules of Mercure. Fetches nothing yet.
    ///
    /// # Errors
    /// The first issuer whose keys cannot be used, by its place in the list.
    pub fn new(
        issuers: Vec<IssuerConfig>,
        base: Url,
        limits: TokenLimits,
        fetch: Arc<dyn Fetch>,
    ) -> Result<Self, (usize, KeyError)> {
        // Without it the library decides by its features, of which another crate may switch on more, and
        // panics at the first token. It is an error only if it was done before.
        let _ = aws_lc::DEFAULT_PROVIDER.install_default();
        let issuers = issuers.into_iter().enumerate();
        let issuers = issuers
            .map(|(place, config)| Issuer::new(config, &fetch).map_err(|error| (place, error)))
            .collect::<Result<_, _>>()?;
        let memory = Mutex::default();
        Ok(Self(Arc::new(Shared { issuers, base, limits, memory })))
    }

    /// Whether no token can be verified, because there is no issuer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.issuers.is_empty()
    }

    /// What a token grants at `now`, or which check it fails.
    ///
    /// Costs a signature, some 5 µs for HS256 to 100 µs for ES384, and the token's length; a token that was
    /// verified lately costs a hash of it. Waits only if the token's key is unknown and its issuer's set
    /// may be fetched again, at most once in 30 s for each issuer.
    ///
    /// # Errors
    /// The check that failed.
    pub async fn verify(&self, token: &str, now: Millis) -> Result<Arc<Access>, TokenError> {
        let limits = &self.0.limits;
        if token.len() > limits.token_bytes_max {
            return Err(TokenError::Oversized { bytes: token.len(), max: limits.token_bytes_max });
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
        let sets = self.sets();
        if let Some(verified) = self.0.remembered(&hash, sets) {
            let access = verified.access;
            self.0.check_time(access.identity().expires, verified.not_before, now)?;
            return Ok(access);
        }
        let unverified = Unverified::parse(token)?;
        let verified = self.0.check(&unverified, now).await?;
        self.0.remember(hash, verified.clone(), sets);
        Ok(verified.access)
    }

    /// Every check of a token, and what came of it.
    pub async fn examine(&self, token: &str, now: Millis) -> Vec<Check> {
        Check::all(self.verify(token, now).await.err().as_ref())
    }

    /// The access that a list of Mercure authorization details (JSON) gives, by the same rules and limits
    /// as a token's.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn rules(&self, details: &RawValue) -> Result<Vec<Rule>, TokenError> {
        self.0.memory(|memory| {
            RuleReader::new(&self.0.limits, &self.0.base, &mut memory.cache).details_of(details)
        })
    }

    /// Keeps the key sets that are at URLs fresh, for ever.
    pub async fn keep_fresh(&self) {
        let remotes = self.0.issuers.iter().filter_map(Issuer::remote);
        future::join_all(remotes.map(Remote::keep_fresh)).await;
    }

    fn sets(&self) -> u64 {
        self.0.issuers.iter().filter_map(Issuer::remote).map(Remote::sets).sum()
    }
}

impl Shared {
    /// Every check but the length. The order is that of [`Check::all`].
    async fn check(&self, token: &Unverified<'_>, now: Millis) -> Result<Verified, TokenError> {
        if !token.is_access_token && !self.issuers.iter().any(|issuer| issuer.compat) {
            return Err(TokenError::Type { found: token.typ.clone() });
        }
        let claims = Claims::parse(&token.claims)?;
        let issuer = self.check_issuer(token, &claims).await?;
        match (&claims.aud, token.is_access_token) {
            (None, true) => return Err(TokenError::Missing { claim: "aud" }),
            // One of 0.x need not say for whom it is; if it does, and we have a name, it is for us.
            (None, false) => {}
            (Some(_), false) if issuer.audiences.is_empty() => {}
            (Some(audience), _) if audience.names_one_of(&issuer.audiences) => {}
            (Some(_), _) => {
                return Err(TokenError::Audience { expected: issuer.audiences.clone() });
            }
        }
        let (expires, not_before) = (claims.expires()?, claims.not_before()?);
        if expires.is_none() && token.is_access_token {
            return Err(TokenError::Missing { claim: "exp" });
        }
        self.check_time(expires, not_before, now)?;
        let mut identity = claims.identity()?;
        let access = self.memory(|memory| {
            let mut reader = RuleReader::new(&self.limits, &self.base, &mut memory.cache);
            let mut rules = if token.is_access_token {
                reader.details(&claims)?
            } else {
                let (rules, payload) = reader.compat(&claims)?;
                identity.payload = payload;
                rules
            };
            for rule in &mut rules {
                rule.actions = rule.actions.and(issuer.actions);
            }
            Ok(Arc::new(Access::new(identity, rules, &mut memory.cache)))
        })?;
        Ok(Verified { access, not_before })
    }

    /// The issuer that has signed the token, of those that it may be from.
    async fn check_issuer(
        &self,
        token: &Unverified<'_>,
        claims: &Claims<'_>,
    ) -> Result<&Issuer, TokenError> {
        let name = claims.iss.as_deref();
        let may_be = |issuer: &&Issuer| issuer.may_have_issued(name, token.is_access_token);
        let mut why = match name {
            None => TokenError::Missing { claim: "iss" },
            Some(name) => TokenError::Issuer { found: Some(cut(name)) },
        };
        for issuer in self.issuers.iter().filter(may_be) {
            let mut checked = issuer.check_signature(token);
            if let (Err(error), Some(remote)) = (&checked, issuer.remote())
                && may_be_new(error, token)
                && remote.fetch_for_unknown().await
            {
                checked = issuer.check_signature(token);
            }
            match checked {
                Ok(()) => return Ok(issuer),
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    fn check_time(
        &self,
        expires: Option<Millis>,
        not_before: Option<Millis>,
        now: Millis,
    ) -> Result<(), TokenError> {
        let leeway = u64::try_from(self.limits.leeway.as_millis()).unwrap_or(u64::MAX);
        match (expires, not_before) {
            (Some(at), _) if at.0.saturating_add(leeway) <= now.0 => {
                Err(TokenError::Expired { at, now })
            }
            (_, Some(at)) if at.0 > now.0.saturating_add(leeway) => {
                Err(TokenError::NotYet { at, now })
            }
            _ => Ok(()),
        }
    }

    fn remembered(&self, hash: &[u8; 32], sets: u64) -> Option<Verified> {
        self.memory(|memory| {
            if memory.sets != sets {
                memory.verified.clear();
                memory.sets = sets;
            }
            memory.verified.get(hash).cloned()
        })
    }

    fn remember(&self, hash: [u8; 32], verified: Verified, sets: u64) {
        self.memory(|memory| {
            // What was verified while the keys changed is verified again.
            if memory.sets != sets {
                return;
            }
            if memory.verified.len() >= self.limits.remembered_max {
                memory.verified.clear();
            }
            memory.verified.insert(hash, verified);
        });
    }

    fn memory<T>(&self, act: impl FnOnce(&mut Memory) -> T) -> T {
        act(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether the token may be signed with a key that was not there when the set was fetched.
fn may_be_new(error: &TokenError, token: &Unverified<'_>) -> bool {
    match error {
        TokenError::Key { .. } | TokenError::KeysUnavailable { .. } => true,
        TokenError::Signature => token.key_id.is_none(),
        _ => false,
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.issuers.iter().map(|issuer| issuer.name.as_deref());
        f.debug_tuple("Tokens").field(&names.collect::<Vec<_>>()).finish()
    }
}

/// The header and the claims of a token as they stand there. NOTHING is verified: anybody may have written
/// them.
#[must_use]
pub fn decoded(token: &str) -> Option<(Value, Value)> {
    let mut parts = token.split('.').map(|part| serde_json::from_slice(&decode(part)?).ok());
    Some((parts.next()??, parts.next()??))
}
