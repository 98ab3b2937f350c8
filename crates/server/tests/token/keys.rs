//! Every algorithm with a key of every form, and which of them go together.

use headwater_server::token::{Algorithm, KeyError, KeySource, Secret, TokenError};
use serde_json::json;

use crate::support::{
    NOW, Pair, SECRET, claims, grants, header, issuer, shared_secret, tokens, within,
};
use headwater_hub::Action;
use headwater_server::token::{HttpFetch, TokenLimits, Tokens};
use std::sync::Arc;
use url::Url;

fn refused(keys: KeySource, algorithms: &[Algorithm]) -> KeyError {
    let fetch = Arc::new(HttpFetch::new().unwrap());
    let base = Url::parse("https://hub.example/").unwrap();
    let made = Tokens::new(
        vec![issuer(shared_secret(), &[]), issuer(keys, algorithms)],
        base,
        TokenLimits::default(),
        fetch,
    );
    let (place, error) = made.unwrap_err();
    assert_eq!(place, 1);
    error
}

#[tokio::test]
async fn every_algorithm_is_verified() {
    let long = "x".repeat(64);
    let mut pairs = vec![Pair::ec(Algorithm::ES256), Pair::ec(Algorithm::ES384), Pair::ed()];
    for algorithm in [
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
    ] {
        pairs.push(Pair::rsa(algorithm));
    }
    for pair in &pairs {
        let set = json!({"keys": [pair.named("k")]}).to_string();
        for keys in [KeySource::Pem(pair.pem.clone()), KeySource::Jwks(set)] {
            let tokens = tokens(vec![issuer(keys, &[pair.algorithm])]);
            let access = tokens.verify(&pair.token(), NOW).await.unwrap();
            assert!(grants(&access, Action::Publish, "a"));
            // Somebody else's key of the same kind.
            let other = match pair.algorithm {
                Algorithm::EdDSA => Pair::ed(),
                Algorithm::ES256 | Algorithm::ES384 => Pair::ec(pair.algorithm),
                _ => continue,
            };
            assert_eq!(tokens.verify(&other.token(), NOW).await, Err(TokenError::Signature));
        }
    }
    for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        let pair = Pair::secret(algorithm, &long);
        let set = json!({"keys": [pair.named("k")]}).to_string();
        for keys in [KeySource::Secret(Secret::new(long.as_str())), KeySource::Jwks(set)] {
            let tokens = tokens(vec![issuer(keys, &[algorithm])]);
            assert!(tokens.verify(&pair.token(), NOW).await.is_ok());
            let other = Pair::secret(algorithm, &"y".repeat(64)).token();
            assert_eq!(tokens.verify(&other, NOW).await, Err(TokenError::Signature));
        }
    }
}

#[tokio::test]
async fn a_key_is_for_the_algorithms_that_it_is_allowed_for() {
    // "an explicit algorithm allow-list per key", and "alg must fit key".
    let rsa = Pair::rsa(Algorithm::PS256);
    let pem = || KeySource::Pem(rsa.pem.clone());
    let refused_algorithm = |name: &str| Err(TokenError::Algorithm { algorithm: name.to_owned() });
    let usual = tokens(vec![issuer(pem(), &[])]);
    assert_eq!(usual.verify(&rsa.token(), NOW).await, refused_algorithm("PS256"));
    let pkcs1 = Pair { algorithm: Algorithm::RS256, ..rsa.clone() };
    assert!(usual.verify(&pkcs1.token(), NOW).await.is_ok());
    let pss = tokens(vec![issuer(pem(), &[Algorithm::PS256, Algorithm::PS512])]);
    assert!(pss.verify(&rsa.token(), NOW).await.is_ok());
    assert_eq!(pss.verify(&pkcs1.token(), NOW).await, refused_algorithm("RS256"));
    // A key of a set may say itself what it is for.
    let mut jwk = rsa.named("k");
    jwk["alg"] = "RS256".into();
    let set = tokens(vec![issuer(KeySource::Jwks(json!({"keys": [jwk]}).to_string()), &[])]);
    assert_eq!(set.verify(&rsa.token_of("k"), NOW).await, refused_algorithm("PS256"));
    assert!(set.verify(&pkcs1.token_of("k"), NOW).await.is_ok());
}

#[test]
fn keys_that_cannot_be_used_are_refused_with_what_to_do() {
    let (rsa, ec) = (Pair::rsa(Algorithm::RS256), Pair::ec(Algorithm::ES256));
    let secret = |text: &str| KeySource::Secret(Secret::new(text));
    // "a public key never accepted as an HMAC secret".
    for key in [&rsa.pem, &rsa.private_pem, &ec.pem, &rsa.jwk.to_string()] {
        assert_eq!(refused(secret(key), &[]), KeyError::SecretIsKey, "{key}");
    }
    let der: String = rsa.pem.lines().filter(|line| !line.starts_with("---")).collect();
    assert_eq!(refused(secret(&der), &[]), KeyError::SecretIsKey);
    let short = refused(secret("0123456789012345678901234567890"), &[]);
    assert!(matches!(short, KeyError::ShortSecret { bytes: 31, min: 32, .. }), "{short}");
    let short = refused(secret(SECRET), &[Algorithm::HS256, Algorithm::HS512]);
    assert!(matches!(short, KeyError::ShortSecret { min: 64, .. }), "{short}");
    // Algorithms of another kind of key.
    for (keys, algorithm) in [
        (KeySource::Pem(rsa.pem.clone()), Algorithm::HS256),
        (KeySource::Pem(rsa.pem.clone()), Algorithm::ES256),
        (KeySource::Pem(ec.pem.clone()), Algorithm::ES384),
        (secret(SECRET), Algorithm::RS256),
    ] {
        let error = refused(keys, &[algorithm]);
        assert!(matches!(error, KeyError::Algorithms { .. }), "{error}");
    }
    for (pem, advice) in [
        (rsa.private_pem.as_str(), "-pubout"),
        ("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----", "openssl x509"),
        ("/etc/headwater/issuer.pem", "the file's name"),
    ] {
        let error = refused(KeySource::Pem(pem.to_owned()), &[]);
        assert!(error.to_string().contains(advice), "{error}");
    }
    let broken = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----".to_owned();
    assert_eq!(refused(KeySource::Pem(broken), &[]), KeyError::Kind);
}

#[test]
fn a_key_set_has_a_key_that_can_be_used() {
    let ec = Pair::ec(Algorithm::ES256);
    let set = |keys: serde_json::Value| KeySource::Jwks(json!({ "keys": keys }).to_string());
    assert_eq!(refused(KeySource::Jwks("x".to_owned()), &[]), KeyError::Set);
    assert_eq!(refused(KeySource::Jwks("{\"keys\":1}".to_owned()), &[]), KeyError::Set);
    assert!(matches!(refused(set(json!([])), &[]), KeyError::Empty { .. }));
    let many = refused(set(json!(vec![ec.named("k"); 65])), &[]);
    assert_eq!(many, KeyError::TooMany { count: 65, max: 64 });
    let mut encrypting = ec.named("k");
    encrypting["use"] = "enc".into();
    let mut other_curve = ec.named("k");
    other_curve["crv"] = "P-521".into();
    let mut short = ec.named("k");
    short["x"] = "AA".into();
    let mut foreign = ec.named("k");
    foreign["alg"] = "RSA-OAEP".into();
    for unusable in [encrypting, other_curve, short, foreign, json!({"kty": "new"}), json!(1)] {
        assert!(matches!(refused(set(json!([unusable])), &[]), KeyError::Empty { .. }));
        // RFC 7517, 5: keys that are not understood are ignored, and the others are used.
        let fetch = Arc::new(HttpFetch::new().unwrap());
        let issuers = vec![issuer(set(json!([unusable, ec.named("good")])), &[])];
        let base = Url::parse("https://hub.example/").unwrap();
        assert!(Tokens::new(issuers, base, TokenLimits::default(), fetch).is_ok());
    }
}

// Mercure 5.3: "`kid` is a hint to the key."
#[tokio::test]
async fn the_key_that_a_token_names_is_tried_and_no_other() {
    let (old, new) = (Pair::ec(Algorithm::ES256), Pair::ec(Algorithm::ES256));
    let set = json!({"keys": [old.named("old"), new.named("new")]}).to_string();
    let tokens = tokens(vec![issuer(KeySource::Jwks(set), &[])]);
    assert!(tokens.verify(&old.token_of("old"), NOW).await.is_ok());
    assert!(tokens.verify(&new.token_of("new"), NOW).await.is_ok());
    // "`kid` is a hint": without it all are tried.
    assert!(tokens.verify(&new.token(), NOW).await.is_ok());
    assert_eq!(tokens.verify(&new.token_of("old"), NOW).await, Err(TokenError::Signature));
    let unknown = tokens.verify(&new.token_of("x"), NOW).await;
    assert_eq!(unknown, Err(TokenError::Key { kid: Some("x".to_owned()) }));
}

#[tokio::test]
async fn a_token_that_was_verified_is_remembered_and_still_ends() {
    let pair = Pair::secret(Algorithm::HS256, SECRET);
    let tokens = tokens(vec![issuer(shared_secret(), &[])]);
    let token = pair.sign(header(), &claims());
    let first = within(tokens.verify(&token, NOW)).await.unwrap();
    let again = tokens.verify(&token, NOW).await.unwrap();
    assert!(Arc::ptr_eq(&first, &again));
    let later = headwater_log::Millis(NOW.0 + 90_000);
    let expired = tokens.verify(&token, later).await.unwrap_err();
    assert!(matches!(expired, TokenError::Expired { .. }), "{expired}");
    // Its signature is part of it.
    let changed = format!("{}A", &token[..token.len() - 1]);
    let changed = tokens.verify(&changed, NOW).await.unwrap_err();
    assert!(matches!(changed, TokenError::Signature | TokenError::Form { .. }), "{changed}");
}
