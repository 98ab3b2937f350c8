//! Who may publish and who sees what is private, over HTTP.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use headwater_server::token::{
    Actions, Authorization, CredentialSettings, HttpFetch, IssuerConfig, Judge, KeySource, Secret,
    TokenLimits, Tokens,
};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use url::Url;

use super::client::Said;
use super::server::Server;

const SECRET: &str = "a secret of thirty-two bytes or more";
const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "https://hub.example";
pub(crate) const KEY: &str = "a-publish-key-of-our-own";

pub(crate) fn authorization() -> Authorization {
    let issuer = IssuerConfig {
        issuer: Some(ISSUER.to_owned()),
        audiences: vec![AUDIENCE.to_owned()],
        keys: KeySource::Secret(Secret::new(SECRET)),
        algorithms: Vec::new(),
        actions: Actions::ALL,
        compat: false,
    };
    let base = Url::parse("http://127.0.0.1/").unwrap();
    let fetch = Arc::new(HttpFetch::new().unwrap());
    let tokens = Tokens::new(vec![issuer], base, TokenLimits::default(), fetch).unwrap();
    Authorization { judge: Judge::Tokens(tokens), credentials: CredentialSettings::default() }
}

pub(crate) async fn server() -> Server {
    Server::with(|config| {
        config.authorization = Some(authorization());
        config.publish_key = Some(KEY.parse().unwrap());
    })
    .await
}

pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A header line with a token that grants actions on topics.
pub(crate) fn bearer(actions: &[&str], topics: &[&str]) -> String {
    expiring(actions, topics, now_s() + 600)
}

pub(crate) fn expiring(actions: &[&str], topics: &[&str], expires_s: u64) -> String {
    format!("authorization: Bearer {}\r\n", token(actions, topics, expires_s))
}

pub(crate) fn token(actions: &[&str], topics: &[&str], expires_s: u64) -> String {
    token_of("somebody", "1", actions, topics, expires_s)
}

pub(crate) fn token_of(
    subject: &str,
    name: &str,
    actions: &[&str],
    topics: &[&str],
    expires_s: u64,
) -> String {
    let details: Vec<Value> = topics
        .iter()
        .map(|topic| {
            json!({
                "type": "https://mercure.rocks/authorization-detail",
                "actions": actions,
                "topics": [{"match": topic, "match_type": "exact"}],
            })
        })
        .collect();
    let claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "exp": expires_s, "sub": subject,
        "iat": now_s(), "jti": name, "client_id": "test", "authorization_details": details,
    });
    let header = Header { typ: Some("at+jwt".to_owned()), ..Header::default() };
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&header, &claims, &key).unwrap()
}

#[tokio::test]
async fn a_private_event_reaches_those_who_are_granted_its_topic_live_and_replayed() {
    let server = server().await;
    let granted = bearer(&["subscribe"], &["a"]);
    let other = bearer(&["subscribe"], &["b"]);
    let mut pages = Vec::new();
    for headers in [&granted, &other, &String::new()] {
        pages.push(server.subscribe("/events/a", headers).await);
    }
    let publisher = bearer(&["publish"], &["a"]);
    for (target, data) in [("/events/a?private=true", "secret"), ("/events/a", "public")] {
        let answer = server.post(target, &publisher, data).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    for (page, expected) in
        pages.iter_mut().zip([&["secret", "public"][..], &["public"], &["public"]])
    {
        for data in expected {
            assert_eq!(page.data().await, *data);
        }
    }
    for (headers, expected) in
        [(&granted, "secret"), (&other, "public"), (&String::new(), "public")]
    {
        let mut page = server.subscribe("/events/a?since=all", headers).await;
        assert_eq!(page.data().await, expected);
    }
    // Whoever has the publish key may see all.
    let key = format!("authorization: Bearer {KEY}\r\n");
    let mut page = server.subscribe("/events/a?since=all", &key).await;
    assert_eq!(page.data().await, "secret");
}

#[tokio::test]
async fn publishing_takes_a_grant_on_every_topic() {
    let server = server().await;
    let publisher = bearer(&["publish"], &["a", "b"]);
    let subscriber = bearer(&["subscribe"], &["a"]);
    let key = format!("authorization: Bearer {KEY}\r\n");
    for (target, headers, status) in [
        ("/events/a", &publisher, 200),
        ("/events/b?private=1", &publisher, 200),
        ("/events/c", &publisher, 403),
        ("/events/a", &subscriber, 403),
        ("/events/a", &String::new(), 401),
        ("/events/c?private=1", &key, 200),
    ] {
        let answer = server.post(target, headers, "x").await;
        assert_eq!(answer.status, status, "{target} {headers}: {}", answer.body);
        let challenge = answer.header("www-authenticate").map(str::to_owned);
        match status {
            401 => assert!(!challenge.unwrap().contains("error=")),
            403 => assert!(challenge.unwrap().contains("error=\"insufficient_scope\"")),
            _ => assert_eq!(challenge, None),
        }
    }
    let batch = |topic: &str| {
        format!("{{\"topic\":\"a\",\"data\":\"1\"}}\n{{\"topic\":\"{topic}\",\"data\":\"2\"}}\n")
    };
    let ndjson = format!("{publisher}content-type: application/x-ndjson\r\n");
    assert_eq!(server.post("/events", &ndjson, batch("b")).await.status, 200);
    let refused = server.post("/events", &ndjson, batch("c")).await;
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert!(refused.body.contains("line 2"), "{}", refused.body);
    let stream = format!("{publisher}content-type: text/event-stream\r\n");
    assert_eq!(server.post("/events/c", &stream, "data: x\n\n").await.status, 403);
}

#[tokio::test]
async fn a_token_that_is_no_good_is_refused_and_one_that_ends_ends_its_stream() {
    let server = server().await;
    let forged = format!("authorization: Bearer {}x.y.z\r\n", "a".repeat(20));
    let old = expiring(&["subscribe"], &["a"], now_s() - 600);
    for headers in [forged, old] {
        let answer = server.get("/events/a", &headers).await;
        assert_eq!(answer.status, 401, "{}", answer.body);
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    }
    let ending = expiring(&["subscribe"], &["a"], now_s() + 2);
    let mut page = server.subscribe("/events/a", &ending).await;
    while page.next().await != Said::End {}
}

#[tokio::test]
async fn publishing_by_cookie_takes_a_page_that_may_publish() {
    let server = server().await;
    let token = token(&["publish", "subscribe"], &["a"], now_s() + 600);
    let cookie = format!("cookie: __Secure-mercure_access_token={token}\r\n");
    let own = format!("http://{}", server.address);
    for (from, status) in [
        (String::new(), 400),
        (format!("origin: {own}\r\n"), 200),
        (format!("referer: {own}/page\r\n"), 200),
        ("referer: https://evil.example/page\r\n".to_owned(), 400),
        ("origin: https://evil.example\r\n".to_owned(), 403),
        ("origin: null\r\n".to_owned(), 403),
    ] {
        let answer = server.post("/events/a", &format!("{cookie}{from}"), "x").await;
        assert_eq!(answer.status, status, "{from}: {}", answer.body);
    }
    // Reading is not acting.
    let mut page = server.subscribe("/events/a?since=all", &cookie).await;
    assert_eq!(page.data().await, "x");
}

#[tokio::test]
async fn a_stream_of_events_ends_when_its_publishers_token_does() {
    let server = server().await;
    let publisher = expiring(&["publish"], &["a"], now_s() + 2);
    let mut connection = server.connect().await;
    let head = "POST /events/a HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\
                content-type: text/event-stream\r\n";
    connection.write(format!("{head}{publisher}\r\n").as_bytes()).await;
    assert!(connection.head().await.starts_with("HTTP/1.1 200"));
    let mut answers = String::new();
    while !answers.contains("expired") {
        connection.write(b"9\r\ndata: x\n\n\r\n").await;
        answers = String::from_utf8(connection.chunk().await.unwrap()).unwrap();
        assert!(answers.contains("\"id\"") || answers.contains("\"status\":401"), "{answers}");
    }
}
