//! The keys that signatures are checked with, each with the algorithms that it may be used for.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind};
use serde::Deserialize;
use serde_json::Value;

use super::secret::Secret;

/// One key.
pub(super) struct Key {
    pub(super) id: Option<String>,
    /// Never empty, and all of the key's own kind: a public key is in no list with an HMAC.
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

/// Why keys cannot be used. The operator, or the issuer, has to mend it. No key is shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Guessable.
    #[error(
        "the secret has {bytes} bytes and {algorithm:?} needs at least {min}: make one with `openssl rand -hex {min}`"
    )]
    ShortSecret {
        /// Its length.
        bytes: usize,
        /// What it was to be used for.
        algorithm: Algorithm,
        /// What RFC 7518, 3.2 asks for.
        min: usize,
    },
    /// Everybody could sign with it.
    #[error("the secret is a key in PEM or JSON, which others may know: set it as a public key")]
    SecretIsKey,
    /// No public key.
    #[error("this is no public key in PEM (BEGIN PUBLIC KEY): {advice}")]
    Pem {
        /// What to do about it.
        advice: &'static str,
    },
    /// Not of a kind or size that can be used.
    #[error(
        "the key is of no kind that can be used: RSA of 2048 to 8192 bits, P-256, P-384, Ed25519"
    )]
    Kind,
    /// A list that leaves nothing.
    #[error("none of the algorithms is for this kind of key, which takes {fitting:?}")]
    Algorithms {
        /// Those that are.
        fitting: Vec<Algorithm>,
    },
    /// Not a key set.
    #[error("this is no JSON Web Key Set: an object with a list of `keys`")]
    Set,
    /// More than are tried.
    #[error("the key set has {count} keys; at most {max} are taken")]
    TooMany {
        /// How many.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// Nothing to check a signature with.
    #[error("the key set has no key that can be used ({why})")]
    Empty {
        /// Why not, of the last one.
        why: String,
    },
}

/// The keys of one set.
pub(super) const KEYS_MAX: usize = 64;

/// Where a key set was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// In a file of the operator's.
    File,
    /// At a URL, where everybody may read it: no secret is taken from there.
    Url,
}

impl Key {
    /// A shared secret.
    pub(super) fn of_secret(secret: &Secret, allowed: &[Algorithm]) -> Result<Self, KeyError> {
        let bytes = secret.expose();
        let text = String::from_utf8_lossy(bytes);
        // A secret that is a public key would let everybody sign who has it.
        if text.contains("-----BEGIN") || text.starts_with("ssh-") || is_key(bytes) {
            return Err(KeyError::SecretIsKey);
        }
        let family = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
        let algorithms = choose(allowed, &family, Algorithm::HS256)?;
        for &algorithm in &algorithms {
            // RFC 7518, 3.2: "A key of the same size as the hash output (for instance, 256 bits for
            // "HS256") or larger MUST be used with this algorithm."
            let min = match algorithm {
                Algorithm::HS384 => 48,
                Algorithm::HS512 => 64,
                _ => 32,
            };
            if bytes.len() < min {
                return Err(KeyError::ShortSecret { bytes: bytes.len(), algorithm, min });
            }
        }
        Ok(Self { id: None, algorithms, key: DecodingKey::from_secret(bytes) })
    }

    /// A public key in PEM.
    pub(super) fn of_pem(pem: &str, allowed: &[Algorithm]) -> Result<Self, KeyError> {
        let begins = |label: &str| pem.contains(&format!("-----BEGIN {label}-----"));
        if pem.contains("PRIVATE KEY-----") {
            let advice = "a private key stays with the issuer; take `openssl pkey -pubout` of it";
            return Err(KeyError::Pem { advice });
        }
        if begins("CERTIFICATE") {
            let advice = "take the key out of the certificate with `openssl x509 -pubkey -noout`";
            return Err(KeyError::Pem { advice });
        }
        if !begins("PUBLIC KEY") && !begins("RSA PUBLIC KEY") {
            let advice = "give the text of the file, or the file's name where a file is asked for";
            return Err(KeyError::Pem { advice });
        }
        let pem = pem.trim().as_bytes();
        let key = DecodingKey::from_ec_pem(pem)
            .or_else(|_| DecodingKey::from_ed_pem(pem))
            .or_else(|_| DecodingKey::from_rsa_pem(pem))
            .map_err(|_| KeyError::Kind)?;
        Self::of_public(None, key, allowed, None)
    }

    /// The keys of a set that can be used, at least one.
    ///
    /// RFC 7517, 5: "Implementations SHOULD ignore JWKs within a JWK Set that use "kty" (key type) values
    /// that are not understood by them, that are missing required members, or for which values are out of
    /// the supported ranges."
    pub(super) fn of_set(
        json: &[u8],
        allowed: &[Algorithm],
        found: Found,
    ) -> Result<Vec<Self>, KeyError> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let Ok(Set { keys }) = serde_json::from_slice(json) else { return Err(KeyError::Set) };
        if keys.len() > KEYS_MAX {
            return Err(KeyError::TooMany { count: keys.len(), max: KEYS_MAX });
        }
        let mut usable = Vec::new();
        let mut why = "it is empty".to_owned();
        for key in keys {
            let parsed = serde_json::from_value::<Jwk>(key).map_err(|_| KeyError::Kind);
            match parsed.and_then(|jwk| Self::of_jwk(&jwk, allowed, found)) {
                Ok(key) => usable.push(key),
                Err(error) => why = error.to_string(),
            }
        }
        if usable.is_empty() { Err(KeyError::Empty { why }) } else { Ok(usable) }
    }

    fn of_jwk(jwk: &Jwk, allowed: &[Algorithm], found: Found) -> Result<Self, KeyError> {
        let common = &jwk.common;
        let for_signatures = common
            .public_key_use
            .as_ref()
            .is_none_or(|purpose| *purpose == PublicKeyUse::Signature);
        let verifies = common
            .key_operations
            .as_ref()
            .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        if !for_signatures || !verifies {
            return Err(KeyError::Kind);
        }
        let own = match common.key_algorithm {
            Some(algorithm) => Some(Algorithm::try_from(algorithm).map_err(|_| KeyError::Kind)?),
            None => None,
        };
        let id = common.key_id.clone();
        if let AlgorithmParameters::OctetKey(_) = jwk.algorithm {
            let secret = DecodingKey::from_jwk(jwk).map_err(|_| KeyError::Kind)?;
            let bytes = secret.try_get_as_bytes().map_err(|_| KeyError::Kind)?;
            if found == Found::Url {
                return Err(KeyError::Kind);
            }
            let narrowed = narrow(allowed, own)?;
            return Ok(Self { id, ..Self::of_secret(&Secret::new(bytes), &narrowed)? });
        }
        // A point is taken for one of the curve that its length is for, whatever curve it says.
        let coordinate = |text: &str| URL_SAFE_NO_PAD.decode(text).map_or(0, |bytes| bytes.len());
        let fits = match &jwk.algorithm {
            AlgorithmParameters::OctetKeyPair(pair) => pair.curve == EllipticCurve::Ed25519,
            AlgorithmParameters::EllipticCurve(point) => {
                let bytes = match point.curve {
                    EllipticCurve::P256 => 32,
                    EllipticCurve::P384 => 48,
                    _ => return Err(KeyError::Kind),
                };
                coordinate(&point.x) == bytes && coordinate(&point.y) == bytes
            }
            _ => true,
        };
        if !fits {
            return Err(KeyError::Kind);
        }
        let key = DecodingKey::from_jwk(jwk).map_err(|_| KeyError::Kind)?;
        Self::of_public(id, key, allowed, own)
    }

    fn of_public(
        id: Option<String>,
        key: DecodingKey,
        allowed: &[Algorithm],
        own: Option<Algorithm>,
    ) -> Result<Self, KeyError> {
        let (fitting, usual): (&[Algorithm], _) = match (key.family(), key.kind()) {
            (AlgorithmFamily::Rsa, _) => (AlgorithmFamily::Rsa.algorithms(), Algorithm::RS256),
            (AlgorithmFamily::Ed, DecodingKeyKind::SecretOrDer(point)) if point.len() == 32 => {
                (&[Algorithm::EdDSA], Algorithm::EdDSA)
            }
            // An uncompressed point: a byte and two coordinates.
            (AlgorithmFamily::Ec, DecodingKeyKind::SecretOrDer(point)) => match point.len() {
                65 => (&[Algorithm::ES256], Algorithm::ES256),
                97 => (&[Algorithm::ES384], Algorithm::ES384),
                _ => return Err(KeyError::Kind),
            },
            _ => return Err(KeyError::Kind),
        };
        let narrowed = narrow(allowed, own)?;
        Ok(Self { id, algorithms: choose(&narrowed, fitting, usual)?, key })
    }

    /// Whether it may be used for signatures of this algorithm.
    pub(super) fn allows(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// Whether it is meant by a token's `kid`, which is a hint: a key without a name is always tried.
    pub(super) fn may_be(&self, id: Option<&str>) -> bool {
        match (self.id.as_deref(), id) {
            (Some(own), Some(id)) => own == id,
            _ => true,
        }
    }

    /// Whether the signature is of this message. The caller has seen to the algorithm.
    pub(super) fn verifies(&self, algorithm: Algorithm, message: &str, signature: &str) -> bool {
        self.allows(algorithm)
            && jsonwebtoken::crypto::verify(signature, message.as_bytes(), &self.key, algorithm)
                .unwrap_or(false)
    }
}

/// A key of a set says itself what it is for; the issuer's list can only take from that.
fn narrow(allowed: &[Algorithm], own: Option<Algorithm>) -> Result<Vec<Algorithm>, KeyError> {
    match own {
        None => Ok(allowed.to_vec()),
        Some(own) if allowed.is_empty() || allowed.contains(&own) => Ok(vec![own]),
        Some(own) => Err(KeyError::Algorithms { fitting: vec![own] }),
    }
}

/// The algorithms that are allowed and fit; without a list, the usual one.
fn choose(
    allowed: &[Algorithm],
    fitting: &[Algorithm],
    usual: Algorithm,
) -> Result<Vec<Algorithm>, KeyError> {
    if allowed.is_empty() {
        return Ok(vec![usual]);
    }
    let chosen: Vec<_> = allowed.iter().filter(|one| fitting.contains(one)).copied().collect();
    if chosen.is_empty() {
        return Err(KeyError::Algorithms { fitting: fitting.to_vec() });
    }
    Ok(chosen)
}

/// Whether it is a JSON Web Key, or a public key in DER, as it is or in base64.
fn is_key(bytes: &[u8]) -> bool {
    let json = serde_json::from_slice::<Value>(bytes);
    let named = |value: Value| value.get("kty").is_some() || value.get("keys").is_some();
    let compact: Vec<u8> =
        bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let decoded = STANDARD.decode(compact).is_ok_and(|der| is_der(&der));
    json.is_ok_and(named) || decoded || is_der(bytes)
}

/// A sequence that is as long as it says, and begins with a sequence (SubjectPublicKeyInfo) or a number
/// (RSAPublicKey). Of random secrets one in eight million looks like this.
fn is_der(bytes: &[u8]) -> bool {
    match *bytes {
        [0x30, 0x82, high, low, 0x30 | 0x02, ..] => {
            usize::from(high) * 256 + usize::from(low) + 4 == bytes.len()
        }
        [0x30, 0x81, length, 0x30 | 0x02, ..] => usize::from(length) + 3 == bytes.len(),
        [0x30, length @ ..=0x7f, 0x30 | 0x02, ..] => usize::from(length) + 2 == bytes.len(),
        _ => false,
    }
}
