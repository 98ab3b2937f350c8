//! `Idempotency-Key`: a publisher that heard no answer may send the same request again.

use headwater_log::IdempotencyKey;
use http::{HeaderMap, HeaderName};
use sha2::{Digest, Sha256};

pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The key of one request, which may hold several events.
#[derive(Debug, Clone)]
pub(crate) struct RequestKey(Sha256);

/// Why a key cannot be used. The publisher has to mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an Idempotency-Key is given once and is 1 to {max} visible ASCII characters, for example a UUID", max = RequestKey::BYTES_MAX)]
pub(crate) struct RequestKeyError;

impl RequestKey {
    const BYTES_MAX: usize = 255;

    /// Reads the header. Until there are tokens all who may publish share one secret and are one
    /// publisher, so that the key alone is its scope.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Result<Option<Self>, RequestKeyError> {
        let mut values = headers.get_all(IDEMPOTENCY_KEY).iter().map(|value| value.as_bytes());
        let Some(key) = values.next() else { return Ok(None) };
        let fits = (1..=Self::BYTES_MAX).contains(&key.len());
        if !fits || values.next().is_some() || !key.iter().all(u8::is_ascii_graphic) {
            return Err(RequestKeyError);
        }
        Ok(Some(Self(Sha256::new().chain_update(key))))
    }

    /// The key of the request's event with this number, in a request that says `parts`.
    pub(crate) fn of_event(&self, number: u64, parts: &[&[u8]]) -> IdempotencyKey {
        // The key has no NUL, so that where the number begins is clear.
        let key = self.0.clone().chain_update([0]).chain_update(number.to_be_bytes());
        let mut body = Sha256::new();
        for part in parts {
            body.update((part.len() as u64).to_be_bytes());
            body.update(part);
        }
        IdempotencyKey { key: half(key), body: half(body) }
    }
}

/// 128 bits are plenty against a publisher that wants to collide with itself.
fn half(hash: Sha256) -> [u8; 16] {
    let hash: [u8; 32] = hash.finalize().into();
    std::array::from_fn(|i| hash[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(values: &[&str]) -> Result<Option<RequestKey>, RequestKeyError> {
        let headers: HeaderMap =
            values.iter().map(|value| (IDEMPOTENCY_KEY, value.parse().unwrap())).collect();
        RequestKey::from_headers(&headers)
    }

    #[test]
    fn a_key_is_one_visible_text() {
        assert!(key(&[]).unwrap().is_none());
        assert!(key(&["8e03978e-40d5-43e8-bc93-6894a57f9324"]).unwrap().is_some());
        for bad in [&[""][..], &["a", "b"], &["a b"], &[&"x".repeat(256)]] {
            assert!(key(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn keys_and_bodies_differ_when_what_they_hash_does() {
        let (a, b) = (key(&["a"]).unwrap().unwrap(), key(&["b"]).unwrap().unwrap());
        let one = a.of_event(0, &[b"topic", b"data"]);
        assert_eq!(one, a.of_event(0, &[b"topic", b"data"]));
        assert_ne!(one.key, a.of_event(1, &[]).key);
        assert_ne!(one.key, b.of_event(0, &[]).key);
        assert_ne!(one.body, a.of_event(0, &[b"topicd", b"ata"]).body);
    }
}
