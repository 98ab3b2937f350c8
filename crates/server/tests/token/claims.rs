//! What a well-signed token has to say.

use headwater_hub::{Action, Actions};
use headwater_log::Millis;
use headwater_server::token::{Algorithm, IssuerConfig, KeySource, Outcome, Secret, TokenError};
use serde_json::json;

use crate::support::{
    AUDIENCE, DETAIL, ISSUER, NOW, Pair, SECRET, claims, claims_with, grants, header, issuer,
    judged, shared_secret, tokens, usual,
};

const SECONDS: u64 = NOW.0 / 1000;

#[tokio::test]
async fn a_good_token_grants_what_it_says_and_no_more() {
    // "(hub need not reject their absence; the official test token lacks them)": no `sub`, `iat`, `jti`.
    let access = judged(&claims()).await.unwrap();
    assert!(grants(&access, Action::Publish, "a") && grants(&access, Action::Subscribe, "a"));
    assert!(!grants(&access, Action::Publish, "b"));
    assert_eq!(access.identity().expires, Some(Millis(NOW.0 + 60_000)));
    assert_eq!(access.identity().issuer.as_deref(), Some(ISSUER));
    let named = claims_with(|claims| {
        claims["sub"] = "ann".into();
        claims["jti"] = "7".into();
        claims["mercure"] = json!({"publish": ["*"]});
    });
    let named = judged(&named).await.unwrap();
    assert_eq!(named.identity().subject.as_deref(), Some("ann"));
    assert_eq!(named.identity().token_id.as_deref(), Some("7"));
    // The claim of 0.x means nothing in a token of 1.0.
    assert!(!grants(&named, Action::Publish, "b"));
    let bare =
        claims_with(|claims| drop(claims.as_object_mut().unwrap().remove("authorization_details")));
    assert!(!grants(&judged(&bare).await.unwrap(), Action::Subscribe, "a"));
}

#[tokio::test]
async fn typ_has_to_be_that_of_an_access_token() {
    let pair = Pair::secret(Algorithm::HS256, SECRET);
    for (header, fine) in [
        (json!({"typ": "at+jwt"}), true),
        (json!({"typ": "application/AT+JWT"}), true),
        (json!({"typ": "JWT"}), false),
        (json!({}), false),
    ] {
        let judged = usual().verify(&pair.sign(header.clone(), &claims()), NOW).await;
        match judged {
            Ok(_) => assert!(fine, "{header}"),
            Err(TokenError::Type { .. }) => assert!(!fine, "{header}"),
            Err(other) => panic!("{header}: {other}"),
        }
    }
}

#[tokio::test]
async fn iss_has_to_be_one_of_the_settings_exactly() {
    // "`iss` exact in trusted set".
    for iss in ["https://localhost/", "https://LOCALHOST", "https://evil.example", ""] {
        let error = judged(&claims_with(|claims| claims["iss"] = iss.into())).await.unwrap_err();
        assert_eq!(error, TokenError::Issuer { found: Some(iss.to_owned()) });
    }
    let without = claims_with(|claims| drop(claims.as_object_mut().unwrap().remove("iss")));
    assert_eq!(judged(&without).await, Err(TokenError::Missing { claim: "iss" }));
}

#[tokio::test]
async fn aud_has_to_name_this_hub() {
    // "`aud` contains resource id (string or array)".
    for (aud, fine) in [
        (json!(AUDIENCE), true),
        (json!([AUDIENCE]), true),
        (json!(["x", AUDIENCE]), true),
        (json!("x"), false),
        (json!([]), false),
        (json!(""), false),
        (json!(format!("{AUDIENCE}/")), false),
    ] {
        let judged = judged(&claims_with(|claims| claims["aud"] = aud.clone())).await;
        match judged {
            Ok(_) => assert!(fine, "{aud}"),
            Err(TokenError::Audience { .. }) => assert!(!fine, "{aud}"),
            Err(other) => panic!("{aud}: {other}"),
        }
    }
    let without = claims_with(|claims| drop(claims.as_object_mut().unwrap().remove("aud")));
    assert_eq!(judged(&without).await, Err(TokenError::Missing { claim: "aud" }));
}

#[tokio::test]
async fn exp_and_nbf_hold_with_a_small_leeway() {
    // "`exp` present and future, `nbf`".
    for (exp, fine) in
        [(SECONDS + 1, true), (SECONDS - 29, true), (SECONDS - 30, false), (0, false)]
    {
        let judged = judged(&claims_with(|claims| claims["exp"] = exp.into())).await;
        match judged {
            // A stream ends at `exp` all the same.
            Ok(access) => {
                assert!(fine, "{exp}");
                assert_eq!(access.identity().expires, Some(Millis(exp * 1000)));
            }
            Err(TokenError::Expired { .. }) => assert!(!fine, "{exp}"),
            Err(other) => panic!("{exp}: {other}"),
        }
    }
    let without = claims_with(|claims| drop(claims.as_object_mut().unwrap().remove("exp")));
    assert_eq!(judged(&without).await, Err(TokenError::Missing { claim: "exp" }));
    for (nbf, fine) in [(SECONDS, true), (SECONDS + 30, true), (SECONDS + 31, false)] {
        let judged = judged(&claims_with(|claims| claims["nbf"] = nbf.into())).await;
        match judged {
            Ok(_) => assert!(fine, "{nbf}"),
            Err(TokenError::NotYet { .. }) => assert!(!fine, "{nbf}"),
            Err(other) => panic!("{nbf}: {other}"),
        }
    }
}

#[tokio::test]
async fn one_bad_detail_among_good_ones_spoils_the_token() {
    let bad = claims_with(|claims| {
        let details = claims["authorization_details"].as_array_mut().unwrap();
        details.push(json!({"type": DETAIL, "actions": ["publish"], "topics": ["b"]}));
    });
    let error = judged(&bad).await.unwrap_err();
    assert!(matches!(&error, TokenError::Rule { place, .. } if place.ends_with("[1].topics[0]")));
    let refusal = error.refusal();
    assert_eq!((refusal.status.as_u16(), refusal.code), (401, Some("invalid_token")));
    assert!(refusal.detail.contains("authorization_details[1].topics[0]"), "{}", refusal.detail);
}

#[tokio::test]
async fn the_failing_check_is_named_and_those_before_it_passed() {
    let pair = Pair::secret(Algorithm::HS256, SECRET);
    let expired = claims_with(|claims| claims["exp"] = 1.into());
    let checks = usual().examine(&pair.sign(header(), &expired), NOW).await;
    let outcomes: Vec<_> = checks.iter().map(|check| (check.name, &check.outcome)).collect();
    assert!(outcomes.contains(&("signature", &Outcome::Passed)));
    assert!(outcomes.contains(&("audience", &Outcome::Passed)));
    assert!(outcomes.iter().any(|(name, outcome)| {
        *name == "time" && matches!(outcome, Outcome::Failed(TokenError::Expired { .. }))
    }));
    assert!(outcomes.contains(&("rules", &Outcome::NotReached)));
    let good = usual().examine(&pair.token(), NOW).await;
    assert!(good.iter().all(|check| check.outcome == Outcome::Passed));
}

#[tokio::test]
async fn what_an_issuer_may_grant_is_bound_to_its_key() {
    // "Different pub/sub keys SHOULD."
    let secrets = ["p".repeat(32), "s".repeat(32)];
    let of = |secret: &String, action| IssuerConfig {
        actions: Actions::only(action),
        ..issuer(KeySource::Secret(Secret::new(secret.as_str())), &[])
    };
    let tokens = tokens(vec![of(&secrets[0], Action::Publish), of(&secrets[1], Action::Subscribe)]);
    for (secret, action, other) in [
        (&secrets[0], Action::Publish, Action::Subscribe),
        (&secrets[1], Action::Subscribe, Action::Publish),
    ] {
        let token = Pair::secret(Algorithm::HS256, secret).token();
        let access = tokens.verify(&token, NOW).await.unwrap();
        assert!(grants(&access, action, "a") && !grants(&access, other, "a"));
    }
}

fn compat() -> IssuerConfig {
    IssuerConfig {
        issuer: None,
        audiences: Vec::new(),
        compat: true,
        ..issuer(shared_secret(), &[])
    }
}

#[tokio::test]
async fn a_token_of_0_x_needs_only_its_claim_where_that_is_allowed() {
    let pair = Pair::secret(Algorithm::HS256, SECRET);
    let old = pair.sign(json!({"typ": "JWT"}), &json!({"mercure": {"publish": ["b/{id}"]}}));
    assert!(matches!(usual().verify(&old, NOW).await, Err(TokenError::Type { .. })));
    let tokens = tokens(vec![compat()]);
    let access = tokens.verify(&old, NOW).await.unwrap();
    assert!(grants(&access, Action::Publish, "b/1") && !grants(&access, Action::Publish, "a"));
    assert!(!grants(&access, Action::Subscribe, "b/1"));
    assert_eq!(access.identity().expires, None);
    // Dates hold if they are there.
    let expired = json!({"exp": SECONDS - 60, "mercure": {"publish": ["*"]}});
    let expired = tokens.verify(&pair.sign(json!({}), &expired), NOW).await;
    assert!(matches!(expired, Err(TokenError::Expired { .. })));
    // Whoever issued it, and for whom.
    let named =
        json!({"iss": "x", "aud": "y", "mercure": {"subscribe": ["a"], "payload": {"n": 1}}});
    let access = tokens.verify(&pair.sign(json!({}), &named), NOW).await.unwrap();
    assert!(grants(&access, Action::Subscribe, "a"));
    assert_eq!(access.payload("anything").map(|json| &**json), Some("{\"n\":1}"));
    // What says that it is of 1.0 is held to that.
    let new = tokens.verify(&pair.token(), NOW).await;
    assert_eq!(new, Err(TokenError::Issuer { found: Some(ISSUER.to_owned()) }));
    // The rules of 1.0 mean nothing in a token of 0.x.
    let mixed = tokens.verify(&pair.sign(json!({}), &claims()), NOW).await.unwrap();
    assert!(!grants(&mixed, Action::Publish, "a"));
}

#[tokio::test]
async fn both_forms_are_taken_side_by_side() {
    let pair = Pair::secret(Algorithm::HS256, SECRET);
    let both = IssuerConfig { compat: true, ..issuer(shared_secret(), &[]) };
    let tokens = tokens(vec![both]);
    assert!(tokens.verify(&pair.token(), NOW).await.is_ok());
    let old = json!({"iss": ISSUER, "mercure": {"publish": ["a"]}});
    assert!(tokens.verify(&pair.sign(json!({}), &old), NOW).await.is_ok());
    // An issuer that has a name is named, in either form; and a hub that has one, if at all.
    let unnamed = json!({"mercure": {"publish": ["a"]}});
    let unnamed = tokens.verify(&pair.sign(json!({}), &unnamed), NOW).await;
    assert_eq!(unnamed, Err(TokenError::Missing { claim: "iss" }));
    let elsewhere = json!({"iss": ISSUER, "aud": "elsewhere", "mercure": {"publish": ["a"]}});
    let elsewhere = tokens.verify(&pair.sign(json!({}), &elsewhere), NOW).await;
    assert!(matches!(elsewhere, Err(TokenError::Audience { .. })));
}
