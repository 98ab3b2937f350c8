//! Keys at a URL, and an endpoint that does what endpoints do.

use std::sync::Arc;
use std::time::Duration;

use headwater_log::BoxFuture;
use headwater_server::token::{
    Algorithm, Fetch, FetchError, Fetched, HttpFetch, KeySource, TokenError, TokenLimits, Tokens,
};
use serde_json::{Value, json};
use std::sync::Mutex;
use url::Url;

use crate::support::{AUDIENCE, Does, NOW, Pair, Server, issuer, tokens, within};

fn set(keys: &[Value]) -> Value {
    json!({ "keys": keys })
}

fn at(url: &Url) -> Tokens {
    tokens(vec![issuer(KeySource::JwksUrl(url.clone()), &[])])
}

#[tokio::test]
async fn keys_are_fetched_when_they_are_needed_and_kept() {
    let pair = Pair::ec(Algorithm::ES256);
    let server = Server::start(Does::json(&set(&[pair.named("k")]))).await;
    let tokens = at(&server.url);
    assert!(within(tokens.verify(&pair.token_of("k"), NOW)).await.is_ok());
    server.now_does(Does::Close);
    // Another token, so that it is verified anew.
    let claims = crate::support::claims_with(|claims| claims["sub"] = "other".into());
    let other = pair.sign(json!({"typ": "at+jwt", "kid": "k"}), &claims);
    assert!(within(tokens.verify(&other, NOW)).await.is_ok());
    assert_eq!(server.seen().len(), 1);
    assert!(server.seen()[0].starts_with("GET /keys HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_flood_of_unknown_kids_is_one_fetch() {
    let pair = Pair::ec(Algorithm::ES256);
    let server = Server::start(Does::json(&set(&[pair.named("k")]))).await;
    let tokens = at(&server.url);
    assert!(within(tokens.verify(&pair.token_of("k"), NOW)).await.is_ok());
    for number in 0..100 {
        let kid = format!("unknown-{number}");
        let error = within(tokens.verify(&pair.token_of(&kid), NOW)).await.unwrap_err();
        assert_eq!(error, TokenError::Key { kid: Some(kid) });
        assert_eq!(error.refusal().status, 401);
    }
    assert_eq!(server.seen().len(), 1);
    // Those who come at the same time wait for one fetch.
    let fresh = at(&server.url);
    let many = (0..50).map(|number| {
        let (tokens, token) = (fresh.clone(), pair.token_of(&format!("unknown-{number}")));
        async move { tokens.verify(&token, NOW).await }
    });
    let answers = within(futures_util::future::join_all(many)).await;
    assert!(answers.iter().all(Result::is_err));
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn an_endpoint_that_was_never_there_is_not_the_clients_fault() {
    for does in [
        Does::Close,
        Does::Answer(500, String::new(), String::new()),
        Does::Answer(302, "Location: /elsewhere\r\n".to_owned(), String::new()),
        Does::Answer(200, String::new(), "not a set".to_owned()),
        Does::json(&set(&[])),
        Does::Endless,
    ] {
        let server = Server::start(does).await;
        let tokens = at(&server.url);
        let error = within(tokens.verify(&Pair::ec(Algorithm::ES256).token_of("k"), NOW))
            .await
            .unwrap_err();
        assert!(matches!(error, TokenError::KeysUnavailable { .. }), "{error}");
        assert_eq!((error.refusal().status.as_u16(), error.refusal().code), (503, None));
        // A redirect is not followed, and nothing is tried again at once.
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_secret_that_everybody_can_fetch_is_none() {
    let secret = Pair::secret(Algorithm::HS256, &"x".repeat(32));
    let ec = Pair::ec(Algorithm::ES256);
    let server = Server::start(Does::json(&set(&[secret.named("s"), ec.named("k")]))).await;
    let tokens = at(&server.url);
    assert!(within(tokens.verify(&ec.token_of("k"), NOW)).await.is_ok());
    let error = within(tokens.verify(&secret.token_of("s"), NOW)).await.unwrap_err();
    assert_eq!(error, TokenError::Key { kid: Some("s".to_owned()) });
    let error = within(tokens.verify(&secret.token(), NOW)).await.unwrap_err();
    assert_eq!(error, TokenError::Algorithm { algorithm: "HS256".to_owned() });
}

/// Answers as told, at once, in a test's own time.
struct Script(Mutex<Vec<Result<Fetched, FetchError>>>);

impl Script {
    fn new(mut answers: Vec<Result<Fetched, FetchError>>) -> Arc<Self> {
        answers.reverse();
        Arc::new(Self(Mutex::new(answers)))
    }

    fn then(&self, answer: Result<Fetched, FetchError>) {
        self.0.lock().unwrap().insert(0, answer);
    }

    fn left(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl Fetch for Script {
    fn fetch<'a>(&'a self, _: &'a Url) -> BoxFuture<'a, Result<Fetched, FetchError>> {
        let next = self.0.lock().unwrap().pop();
        Box::pin(async move { next.unwrap_or(Err(FetchError::Slow)) })
    }
}

fn answer(keys: &[Value], max_age: Option<u64>) -> Result<Fetched, FetchError> {
    let body = set(keys).to_string().into_bytes();
    Ok(Fetched { body, max_age: max_age.map(Duration::from_secs) })
}

fn scripted(script: &Arc<Script>) -> Tokens {
    let url = Url::parse("https://issuer.example/keys").unwrap();
    let issuers = vec![issuer(KeySource::JwksUrl(url), &[])];
    let base = Url::parse(AUDIENCE).unwrap();
    Tokens::new(issuers, base, TokenLimits::default(), script.clone()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn keys_are_rotated_by_their_names() {
    let (old, new) = (Pair::ec(Algorithm::ES256), Pair::ec(Algorithm::ES256));
    let script = Script::new(vec![
        answer(&[old.named("old")], None),
        answer(&[old.named("old"), new.named("new")], None),
        answer(&[new.named("new")], None),
    ]);
    let tokens = scripted(&script);
    assert!(tokens.verify(&old.token_of("old"), NOW).await.is_ok());
    // A minute later the issuer signs with another key: the first token under it has the set fetched.
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(tokens.verify(&new.token_of("new"), NOW).await.is_ok());
    assert!(tokens.verify(&old.token_of("old"), NOW).await.is_ok());
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(tokens.verify(&new.token_of("next"), NOW).await.is_err());
    // Without a name, it is the signature that tells.
    let nameless = Pair::ec(Algorithm::ES256);
    assert_eq!(tokens.verify(&nameless.token(), NOW).await, Err(TokenError::Signature));
    script.then(answer(&[nameless.named("now")], None));
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(tokens.verify(&nameless.token(), NOW).await.is_ok());
    // The old key is gone, also for a token that was verified with it.
    assert!(tokens.verify(&old.token_of("old"), NOW).await.is_err());
    assert_eq!(script.left(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_last_good_set_stays_whatever_comes_after() {
    let pair = Pair::ec(Algorithm::ES256);
    let garbage = |body: &str| Ok(Fetched { body: body.as_bytes().to_vec(), max_age: None });
    let script = Script::new(vec![
        answer(&[pair.named("k")], Some(60)),
        Err(FetchError::Connection { why: "refused".to_owned() }),
        Err(FetchError::Slow),
        Err(FetchError::Huge { max: Fetched::BYTES_MAX }),
        Err(FetchError::Status { status: 500 }),
        garbage("<html>"),
        garbage("{\"keys\":[]}"),
        answer(&[Pair::secret(Algorithm::HS256, &"x".repeat(32)).named("k")], None),
    ]);
    let tokens = scripted(&script);
    let background = tokens.clone();
    let fresh = tokio::spawn(async move { background.keep_fresh().await });
    for minute in 0..30 {
        let claims = crate::support::claims_with(|claims| claims["sub"] = minute.into());
        let claims = json!({"sub": minute.to_string(), "aud": claims["aud"], "iss": claims["iss"],
            "exp": claims["exp"]});
        let token = pair.sign(json!({"typ": "at+jwt", "kid": "k"}), &claims);
        let judged = tokens.verify(&token, NOW).await;
        assert!(judged.is_ok(), "minute {minute}: {judged:?}");
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    assert_eq!(script.left(), 0, "the background tried them all");
    fresh.abort();
}

#[tokio::test(start_paused = true)]
async fn the_background_fetches_as_the_answers_age() {
    let pair = Pair::ec(Algorithm::ES256);
    let script = Script::new((0..10).map(|_| answer(&[pair.named("k")], Some(600))).collect());
    let tokens = scripted(&script);
    let fresh = tokio::spawn(async move { tokens.keep_fresh().await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(script.left(), 9);
    tokio::time::sleep(Duration::from_secs(590)).await;
    assert_eq!(script.left(), 9);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(script.left(), 8);
    fresh.abort();
}

#[tokio::test]
async fn a_document_is_read_within_limits() {
    let fetch = HttpFetch::new().unwrap();
    let server =
        Server::start(Does::Answer(200, "Cache-Control: max-age=7\r\n".into(), "x".into()));
    let server = server.await;
    let fetched = within(fetch.fetch(&server.url)).await.unwrap();
    assert_eq!(fetched, Fetched { body: b"x".to_vec(), max_age: Some(Duration::from_secs(7)) });
    server.now_does(Does::Endless);
    let huge = within(fetch.fetch(&server.url)).await.unwrap_err();
    assert_eq!(huge, FetchError::Huge { max: Fetched::BYTES_MAX });
    server.now_does(Does::Nothing);
    let slow = within(fetch.fetch(&server.url)).await.unwrap_err();
    assert_eq!(slow, FetchError::Slow);
    server.now_does(Does::Close);
    let closed = within(fetch.fetch(&server.url)).await.unwrap_err();
    assert!(matches!(closed, FetchError::Connection { .. }), "{closed}");
    server.now_does(Does::Answer(404, String::new(), String::new()));
    let absent = within(fetch.fetch(&server.url)).await.unwrap_err();
    assert_eq!(absent, FetchError::Status { status: 404 });
}
