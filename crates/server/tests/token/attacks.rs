//! Tokens that somebody made who has no key.

use headwater_server::token::{Algorithm, IssuerConfig, KeySource, Refusal, Secret, TokenError};
use serde_json::json;

use crate::support::{
    NOW, Pair, SECRET, claims, claims_with, header, issuer, shared_secret, tokens, usual,
};

fn is_invalid_token(error: &TokenError) {
    let refusal = Refusal::from(error);
    assert_eq!((refusal.status.as_u16(), refusal.code), (401, Some("invalid_token")), "{error}");
    let challenge = refusal.challenge(None).unwrap();
    assert!(challenge.to_str().unwrap().starts_with("Bearer error=\"invalid_token\""));
}

async fn refused(token: &str) -> TokenError {
    let error = usual().verify(token, NOW).await.unwrap_err();
    is_invalid_token(&error);
    error
}

#[tokio::test]
async fn malformed_and_unsigned() {
    let good = Pair::secret(Algorithm::HS256, SECRET).token();
    let (message, signature) = good.rsplit_once('.').unwrap();
    for bad in ["", ".", "..", "x", "x.y.z", message, &format!("{message}."), &format!("{good}.x")]
    {
        assert!(matches!(refused(bad).await, TokenError::Form { .. }), "{bad}");
    }
    for alg in ["none", "None", "NONE", "nOnE"] {
        let header = json!({"alg": alg, "typ": "at+jwt"});
        let signed = Pair::secret(Algorithm::HS256, SECRET).sign_as(&header, &claims());
        let error = refused(&signed).await;
        assert_eq!(error, TokenError::Algorithm { algorithm: alg.to_owned() });
    }
    // Other claims under the same signature, and another's signature.
    let more = claims_with(|claims| claims["sub"] = "root".into());
    let other = Pair::secret(Algorithm::HS256, &"x".repeat(32)).sign(header(), &more);
    let spliced = format!("{}.{signature}", other.rsplit_once('.').unwrap().0);
    assert_eq!(refused(&spliced).await, TokenError::Signature);
    assert_eq!(refused(&other).await, TokenError::Signature);
}

#[tokio::test]
async fn oversized_and_deep() {
    let pair = Pair::secret(Algorithm::HS256, SECRET);
    let huge = pair.sign(header(), &claims_with(|claims| claims["x"] = "x".repeat(9000).into()));
    assert!(matches!(refused(&huge).await, TokenError::Oversized { max: 8192, .. }));
    let garbage = "x".repeat(1 << 20);
    assert!(matches!(refused(&garbage).await, TokenError::Oversized { .. }));
    // So deep that a parser that follows it would end with its stack.
    let deep = format!("{}{}", "[".repeat(2500), "]".repeat(2500));
    let claims = claims().to_string().replacen('{', &format!("{{\"x\":{deep},"), 1);
    let deep = pair.sign_text(&json!({"alg": "HS256", "typ": "at+jwt"}).to_string(), &claims);
    // What means nothing here is passed over, however deep, or refused; it harms nobody.
    if let Err(error) = usual().verify(&deep, NOW).await {
        assert!(matches!(error, TokenError::Claims { .. }), "{error}");
    }
    let many = claims_with(|claims| {
        let topics: Vec<_> = (0..300).map(|n| json!({"match": n.to_string()})).collect();
        claims["authorization_details"][0]["topics"] = topics.into();
    });
    assert!(matches!(refused(&pair.sign(header(), &many)).await, TokenError::Rule { .. }));
}

#[tokio::test]
async fn the_public_key_as_a_secret() {
    // The attack: the hub knows an RSA key, and a token says HS256, signed with the text of that key.
    let rsa = Pair::rsa(Algorithm::RS256);
    let der: String = rsa.pem.lines().filter(|line| !line.starts_with("---")).collect();
    let set = json!({"keys": [rsa.named("k")]}).to_string();
    for keys in [KeySource::Pem(rsa.pem.clone()), KeySource::Jwks(set)] {
        let tokens = tokens(vec![issuer(keys, &[])]);
        for secret in [rsa.pem.as_str(), rsa.pem.trim(), &der, &rsa.jwk.to_string()] {
            let forged = Pair::secret(Algorithm::HS256, secret).token();
            let error = tokens.verify(&forged, NOW).await.unwrap_err();
            assert_eq!(error, TokenError::Algorithm { algorithm: "HS256".to_owned() });
            is_invalid_token(&error);
        }
        assert!(tokens.verify(&rsa.token(), NOW).await.is_ok());
    }
}

#[tokio::test]
async fn a_key_that_comes_with_the_token() {
    // "keys only from config/JWKS of the issuer (never jwk/jku/x5u)".
    let own = Pair::ec(Algorithm::ES256);
    let hub = Pair::ec(Algorithm::ES256);
    let tokens = tokens(vec![issuer(KeySource::Pem(hub.pem.clone()), &[])]);
    for (name, value) in [
        ("jwk", own.jwk.clone()),
        ("jku", json!("http://127.0.0.1:1/keys")),
        ("x5u", json!("http://127.0.0.1:1/cert")),
        ("x5c", json!(["AAAA"])),
    ] {
        let mut header = header();
        header[name] = value;
        let forged = tokens.verify(&own.sign(header.clone(), &claims()), NOW).await.unwrap_err();
        assert_eq!(forged, TokenError::Signature, "{name}");
        is_invalid_token(&forged);
        // Some issuers send such names with good tokens: they are passed over.
        assert!(tokens.verify(&hub.sign(header, &claims()), NOW).await.is_ok(), "{name}");
    }
}

#[tokio::test]
async fn extensions_that_change_what_a_signature_means() {
    let mut header = header();
    header["crit"] = json!(["b64"]);
    header["b64"] = json!(false);
    let token = Pair::secret(Algorithm::HS256, SECRET).sign(header, &claims());
    assert_eq!(refused(&token).await, TokenError::Critical);
}

// Mercure 5.3: "A key set is bound to its issuer."
#[tokio::test]
async fn one_issuers_key_in_another_issuers_name() {
    // "key set bound per issuer".
    let (ours, theirs) = (Pair::ec(Algorithm::ES256), Pair::ec(Algorithm::ES256));
    let other = IssuerConfig {
        issuer: Some("https://other.example".to_owned()),
        ..issuer(KeySource::Pem(theirs.pem.clone()), &[])
    };
    let tokens = tokens(vec![issuer(KeySource::Pem(ours.pem.clone()), &[]), other]);
    let error = tokens.verify(&theirs.token(), NOW).await.unwrap_err();
    assert_eq!(error, TokenError::Signature);
    let own = claims_with(|claims| claims["iss"] = "https://other.example".into());
    assert!(tokens.verify(&theirs.sign(header(), &own), NOW).await.is_ok());
}

#[tokio::test]
async fn nothing_secret_is_shown() {
    let token = Pair::secret(Algorithm::HS256, SECRET).token();
    let signature = token.rsplit_once('.').unwrap().1.to_owned();
    let config = issuer(shared_secret(), &[]);
    let mut shown = format!("{config:?}{:?}", usual());
    let wrong = Pair::secret(Algorithm::HS256, &"x".repeat(32)).token();
    for bad in [format!("{token}x"), token.replace('.', ""), wrong, "x".to_owned()] {
        let error = usual().verify(&bad, NOW).await.unwrap_err();
        shown += &format!("{error}{error:?}{:?}", error.refusal());
    }
    let short = format!("{:?}", Secret::new("s3cret"));
    for secret in [SECRET, &signature, "s3cret"] {
        assert!(!shown.contains(secret) && !short.contains(secret), "{shown}");
    }
}

#[tokio::test]
async fn patterns_made_to_be_slow_or_large() {
    let pair = Pair::secret(Algorithm::HS256, SECRET);
    for pattern in ["/(a*)*b", "/([a-z]{1000}{1000})", "/((a|a)+)+$"] {
        let slow = claims_with(|claims| {
            claims["authorization_details"][0]["topics"] =
                json!([{"match": pattern, "match_type": "urlpattern"}]);
        });
        // Taken if it can be held and then linear in the topic, refused if not.
        match usual().verify(&pair.sign(header(), &slow), NOW).await {
            Ok(access) => {
                let topic = format!("/{}", "a".repeat(1000));
                assert!(!crate::support::grants(
                    &access,
                    headwater_hub::Action::Publish,
                    &topic[1..]
                ));
            }
            Err(error) => assert!(matches!(error, TokenError::Rule { .. }), "{error}"),
        }
    }
}
