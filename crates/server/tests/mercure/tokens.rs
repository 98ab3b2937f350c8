//! Section 5.3: tokens, and how they are presented.

use serde_json::{Value, json};

use crate::client::Answer;
use crate::hub::{
    AUDIENCE, HUB, Hub, ISSUER, bearer, claims, form, granted, next, now_s, sign, token,
};

const METADATA: &str = "resource_metadata=\"https://localhost/.well-known/oauth-protected-resource/.well-known/mercure\"";
const COOKIE: &str = "__Secure-mercure_access_token";

/// What one who publishes with these claims is answered.
async fn publish(hub: &Hub, headers: &str) -> Answer {
    hub.post_as(headers, &form(&[("topic", "a")])).await
}

fn publishing() -> Value {
    claims(&["publish"], &json!([{"match": "a"}]))
}

fn challenge(answer: &Answer) -> &str {
    answer.header("www-authenticate").unwrap_or_default()
}

// Mercure 5.3: "The hub MUST check the signature, that `iss` is exactly one that is trusted, that `aud` has the resource's id (a string or an array), that `exp` is there and in the future, and `nbf`."
// Mercure 5.3: "The header's `typ` is `at+jwt` or `application/at+jwt`, in any case."
// Mercure 5.3: "The absence of `sub`, `client_id`, `iat` and `jti` need not be rejected."
#[tokio::test]
async fn a_token_is_what_it_has_to_be() {
    let hub = Hub::start().await;
    let with = |name: &str, value: Value| {
        let mut claims = publishing();
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value,
        }
        claims
    };
    let typ = Some("at+jwt");
    for (token, status) in [
        (sign(typ, &publishing()), 200),
        (sign(Some("application/at+jwt"), &publishing()), 200),
        (sign(Some("AT+JWT"), &publishing()), 200),
        (sign(Some("JWT"), &publishing()), 401),
        (sign(None, &publishing()), 401),
        (sign(typ, &with("aud", json!(["x", AUDIENCE]))), 200),
        (sign(typ, &with("aud", json!([]))), 401),
        (sign(typ, &with("aud", json!("https://localhost"))), 401),
        (sign(typ, &with("aud", Value::Null)), 401),
        (sign(typ, &with("iss", json!("https://localhost/"))), 401),
        (sign(typ, &with("iss", json!("https://evil.example"))), 401),
        (sign(typ, &with("iss", Value::Null)), 401),
        (sign(typ, &with("exp", json!(now_s() - 60))), 401),
        (sign(typ, &with("exp", Value::Null)), 401),
        (sign(typ, &with("nbf", json!(now_s() + 600))), 401),
        (sign(typ, &with("nbf", json!(now_s() - 1))), 200),
        (format!("{}x", sign(typ, &publishing())), 401),
        ("a.b.c".to_owned(), 401),
        ("x".repeat(9000), 401),
    ] {
        let answer = publish(&hub, &bearer(&token)).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        if status == 401 {
            // "bad token → 401 error=\"invalid_token\"".
            let challenge = challenge(&answer);
            assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
            assert!(challenge.contains(METADATA), "{challenge}");
        }
    }
}

// Mercure 5.3: "`authorization_details` of another type are ignored; any invalid Mercure detail makes the whole token a 401 `invalid_token`."
// Mercure 5.3: "`actions` are non-empty strings, unknown ones ignored; `topics` is a non-empty array of `{match, match_type?}`; unsupported types and bare strings are invalid."
// Mercure 5.3: "Limits exceeded are a 401 `invalid_token`."
#[tokio::test]
async fn one_bad_detail_among_good_ones_spoils_the_token() {
    let hub = Hub::start().await;
    let good = publishing()["authorization_details"][0].clone();
    let with = |name: &str, value: Value| {
        let mut detail = good.clone();
        detail[name] = value;
        detail
    };
    let many: Vec<Value> = (0..257).map(|n| json!({"match": n.to_string()})).collect();
    for (second, status) in [
        (json!({"type": "payment", "actions": 1}), 200),
        (with("actions", json!(["fly"])), 200),
        (with("topics", json!([{"match": "/:a", "match_type": "urlpattern"}])), 200),
        (with("payload", json!({"a": 1})), 200),
        (with("actions", json!([])), 401),
        (with("actions", json!([1])), 401),
        (with("actions", json!("publish")), 401),
        (with("topics", json!([])), 401),
        (with("topics", json!(["a"])), 401),
        (with("topics", json!([{"match": 1}])), 401),
        (with("topics", json!([{"match_type": "exact"}])), 401),
        (with("topics", json!([{"match": "a", "match_type": "regex"}])), 401),
        (with("topics", json!([{"match": "/(", "match_type": "urlpattern"}])), 401),
        (with("topics", json!([{"match": "a\u{200b}"}])), 401),
        (with("topics", json!(many)), 401),
        (with("payload", json!("x")), 401),
    ] {
        let mut claims = publishing();
        claims["authorization_details"] = json!([good, second]);
        let answer = publish(&hub, &bearer(&token(&claims))).await;
        assert_eq!(answer.status, status, "{second}: {}", answer.body);
    }
}

// Mercure 5.3: "None presented but needed: 401 with `Bearer resource_metadata=\"…\"` and no error code."
// Mercure 5.3: "A malformed presentation is a 400 `invalid_request`."
// Mercure 5.3: "`Authorization: Bearer`, its scheme in any case, or a cookie; the header wins and the cookie is then ignored."
// Mercure 5.3: "A token in a URL is not accepted."
#[tokio::test]
async fn a_token_comes_in_a_header_or_a_cookie() {
    let hub = Hub::start().await;
    let good = token(&publishing());
    let origin = "origin: https://localhost\r\n";
    for (headers, status) in [
        (format!("authorization: bearer {good}\r\n"), 200),
        (format!("authorization: BEARER {good}\r\n"), 200),
        (format!("{origin}cookie: a=b; {COOKIE}={good}\r\n"), 200),
        (format!("authorization: Bearer {good}\r\ncookie: {COOKIE}=x\r\n"), 200),
        (format!("{origin}authorization: Bearer x\r\ncookie: {COOKIE}={good}\r\n"), 401),
        (format!("{origin}cookie: mercureAuthorization={good}\r\n"), 401),
        (String::new(), 401),
        (format!("authorization: Basic {good}\r\n"), 401),
        ("authorization: Bearer\r\n".to_owned(), 400),
        (format!("authorization: Bearer {good} x\r\n"), 400),
        (format!("authorization: Bearer {good}\r\nauthorization: Bearer {good}\r\n"), 400),
    ] {
        let answer = publish(&hub, &headers).await;
        let presented = headers.contains("Bearer");
        assert_eq!(answer.status, status, "{headers}: {}", answer.body);
        let challenge = challenge(&answer);
        match status {
            200 => assert_eq!(challenge, ""),
            400 => assert!(challenge.contains("error=\"invalid_request\""), "{challenge}"),
            _ if presented => assert!(challenge.contains("error=\"invalid_token\""), "{challenge}"),
            _ => assert_eq!(challenge, format!("Bearer {METADATA}")),
        }
    }
    for query in ["authorization", "access_token", "token"] {
        let target = format!("{HUB}?{query}={good}");
        let headers = "content-type: application/x-www-form-urlencoded\r\n";
        assert_eq!(hub.server.post(&target, headers, "topic=a").await.status, 401, "{query}");
    }
}

// Mercure 5.3: "Publishing by cookie MUST be defended against CSRF: `Origin` is checked, else `Referer`; without both it is rejected."
#[tokio::test]
async fn no_other_sites_page_publishes_with_our_cookie() {
    let hub = Hub::with(|set_up| {
        set_up.config.publish_origins = vec!["https://app.example".parse().unwrap()];
    })
    .await;
    let cookie = format!("cookie: {COOKIE}={}\r\n", token(&publishing()));
    for (from, status) in [
        ("origin: https://app.example\r\n", 200),
        ("origin: https://localhost\r\n", 200),
        ("referer: https://app.example/page?x\r\n", 200),
        ("origin: https://app.example\r\nreferer: https://evil.example/\r\n", 200),
        ("", 400),
        ("referer: https://evil.example/\r\n", 400),
        ("origin: https://evil.example\r\n", 403),
        ("origin: null\r\n", 403),
    ] {
        let answer = publish(&hub, &format!("{cookie}{from}")).await;
        assert_eq!(answer.status, status, "{from}: {}", answer.body);
    }
}

// Mercure 5.3: "Anonymous subscribers MAY be allowed, to public updates only."
// Mercure 5.3: "A bad token is a 401 to a subscriber too."
#[tokio::test]
async fn a_subscriber_needs_no_token_but_none_that_is_bad() {
    let hub = Hub::start().await;
    let mut anonymous = hub.subscribe("match=a", "").await;
    let mut granted = hub.subscribe("match=a", &granted(&["subscribe"], &["a"])).await;
    hub.publish(&[("topic", "a"), ("data", "secret"), ("private", "on")]).await;
    hub.publish(&[("topic", "a"), ("data", "public")]).await;
    assert_eq!(next(&mut anonymous).await.1, "public");
    assert_eq!(next(&mut granted).await.1, "secret");
    let mut expired = claims(&["subscribe"], &json!([{"match": "a"}]));
    expired["exp"] = (now_s() - 60).into();
    let answer = hub.refused("match=a", &bearer(&token(&expired))).await;
    assert_eq!(answer.status, 401);
    assert!(challenge(&answer).contains("error=\"invalid_token\""), "{}", challenge(&answer));
    assert_eq!(ISSUER, "https://localhost");
}

#[tokio::test]
async fn a_ticket_opens_a_stream_and_its_reconnections() {
    let hub = Hub::start().await;
    let headers = granted(&["subscribe"], &["a"]);
    let answer = hub.server.post("/tickets", &headers, "").await;
    let ticket = answer.json()["ticket"].as_str().unwrap().to_owned();
    let query = format!("match=a&ticket={ticket}");
    let mut page = hub.subscribe(&query, "").await;
    // It has a place before its first event.
    let (event_type, _, place) = next(&mut page).await;
    assert_eq!(event_type, "hub.open");
    drop(page);
    hub.publish(&[("topic", "a"), ("data", "secret"), ("private", "on")]).await;
    let back = format!("last-event-id: {place}\r\n");
    let mut page = hub.subscribe(&query, &back).await;
    assert_eq!(page.header("mercure-last-event-id"), Some(&*place));
    assert_eq!(next(&mut page).await.0, "hub.open");
    assert_eq!(next(&mut page).await.1, "secret");
    assert_eq!(hub.refused(&query, "").await.status, 401);
}

// Mercure 5.3: "An explicit list of algorithms, never `none`; the algorithm MUST fit the key; keys come from the settings only, never from `jwk`, `jku` or `x5u`."
#[tokio::test]
async fn a_token_does_not_say_how_it_is_checked() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let hub = Hub::start().await;
    let good = token(&publishing());
    let (_, rest) = good.split_once('.').unwrap();
    for header in [
        json!({"typ": "at+jwt", "alg": "none"}),
        json!({"typ": "at+jwt", "alg": "HS512"}),
        json!({"typ": "at+jwt", "alg": "RS256"}),
        json!({"typ": "at+jwt", "alg": "HS256", "jwk": {"kty": "oct", "k": "AA"}}),
        json!({"typ": "at+jwt", "alg": "HS256", "jku": "https://evil.example/"}),
        json!({"typ": "at+jwt", "alg": "HS256", "crit": ["x"]}),
    ] {
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        for forged in
            [format!("{header}.{rest}"), format!("{header}.{}.", rest.split('.').next().unwrap())]
        {
            assert_eq!(publish(&hub, &bearer(&forged)).await.status, 401);
        }
    }
}
