//! Authorization by the user's own application, over loopback.

use std::sync::Arc;

use headwater_hub::Action;
use headwater_log::{Filter, Millis, Pattern, Topic};
use headwater_server::token::{Asked, Backend, BackendConfig, BackendError, FetchError, Verdict};
use http::header::{AUTHORIZATION, COOKIE, USER_AGENT};
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use url::Url;

use crate::support::{DETAIL, Does, NOW, Server, grants, usual, within};

fn backend(url: &Url, change: impl FnOnce(&mut BackendConfig)) -> Backend {
    let mut config = BackendConfig::new(url.clone());
    change(&mut config);
    Backend::new(config, usual()).unwrap()
}

fn headers(cookie: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(COOKIE, HeaderValue::from_static(cookie));
    headers.insert(USER_AGENT, HeaderValue::from_static("not passed on"));
    headers
}

fn topic(text: &str) -> Topic {
    Topic::parse(text).unwrap()
}

fn allowed(verdict: Result<Verdict, BackendError>) -> Arc<headwater_hub::Access> {
    match verdict {
        Ok(Verdict::Allowed(access)) => access,
        other => panic!("{other:?}"),
    }
}

fn answer(status: u16, cache: &str, body: &str) -> Does {
    Does::Answer(status, format!("Cache-Control: {cache}\r\n"), body.to_owned())
}

#[tokio::test]
async fn the_question_says_who_wants_what() {
    let server = Server::start(answer(204, "no-store", "")).await;
    let backend = backend(&server.url, |_| {});
    let base = Url::parse("http://hub.example/").unwrap();
    let pattern = Pattern::parse("/b/:id", &base).unwrap();
    let filter = Filter::new(vec![topic("a")], vec![pattern]);
    let headers = headers("session=1");
    let asked = Asked::subscription("GET", &filter, &headers);
    let access = allowed(within(backend.ask(asked, NOW)).await);
    // A plain yes allows what was asked for and nothing else.
    assert!(grants(&access, Action::Subscribe, "a") && grants(&access, Action::Subscribe, "b/1"));
    assert!(!grants(&access, Action::Subscribe, "c") && !grants(&access, Action::Publish, "a"));
    let seen = server.seen();
    let (head, body) = seen[0].split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /keys HTTP/1.1\r\n"), "{head}");
    let head = head.to_ascii_lowercase();
    assert!(head.contains("cookie: session=1") && head.contains("application/json"), "{head}");
    assert!(!head.contains("not passed on"), "{head}");
    let question: Value = serde_json::from_str(body).unwrap();
    let expected = json!({"action": "subscribe", "method": "GET", "topics": ["a"],
        "patterns": ["/b/:id"]});
    assert_eq!(question, expected);
}

#[tokio::test]
async fn the_answer_may_say_more_than_was_asked() {
    let body = json!({
        "sub": "ann", "exp": NOW.0 / 1000 + 5,
        "authorization_details": [
            {"type": DETAIL, "actions": ["publish", "subscribe"], "topics": [{"match": "*"}]},
        ],
    });
    let server = Server::start(answer(200, "no-store", &body.to_string())).await;
    let backend = backend(&server.url, |_| {});
    let filter = Filter::topic(topic("a"));
    let headers = HeaderMap::new();
    let asked = Asked::subscription("GET", &filter, &headers);
    let access = allowed(within(backend.ask(asked, NOW)).await);
    assert!(grants(&access, Action::Publish, "anything"));
    assert_eq!(access.identity().subject.as_deref(), Some("ann"));
    assert_eq!(access.identity().expires, Some(Millis(NOW.0 + 5_000)));
}

#[tokio::test]
async fn an_answer_is_believed_for_as_long_as_it_says() {
    let server = Server::start(answer(200, "max-age=10", "")).await;
    let backend = backend(&server.url, |_| {});
    let (a, b) = (Filter::topic(topic("a")), Filter::topic(topic("b")));
    let (ann, bob) = (headers("session=ann"), headers("session=bob"));
    let ask = async |filter: &Filter, headers: &HeaderMap, later: u64| {
        let asked = Asked::subscription("GET", filter, headers);
        allowed(within(backend.ask(asked, Millis(NOW.0 + later))).await);
        server.seen().len()
    };
    assert_eq!(ask(&a, &ann, 0).await, 1);
    assert_eq!(ask(&a, &ann, 9_999).await, 1);
    assert_eq!(ask(&a, &bob, 0).await, 2, "somebody else");
    assert_eq!(ask(&b, &ann, 0).await, 3, "something else");
    assert_eq!(ask(&a, &ann, 10_000).await, 4, "too old");
    server.now_does(answer(403, "max-age=10", ""));
    let publish = Asked { action: Action::Publish, ..Asked::subscription("POST", &a, &ann) };
    for _ in 0..2 {
        let denied = within(backend.ask(publish, NOW)).await.unwrap();
        assert_eq!(denied, Verdict::Denied { status: 403 });
        assert_eq!(denied.refusal().unwrap().status, 403);
    }
    assert_eq!(server.seen().len(), 5, "a no is remembered too");
}

#[tokio::test]
async fn an_answer_is_not_believed_for_longer_than_the_settings_say() {
    let server = Server::start(answer(200, "max-age=1000000", "")).await;
    let backend = backend(&server.url, |config| config.answers_max = 1);
    let (a, b) = (Filter::topic(topic("a")), Filter::topic(topic("b")));
    let headers = HeaderMap::new();
    for (filter, later, asked) in
        [(&a, 0, 1), (&a, 3_599_999, 1), (&a, 3_600_000, 2), (&b, 0, 3), (&b, 0, 4)]
    {
        let question = Asked::subscription("GET", filter, &headers);
        allowed(within(backend.ask(question, Millis(NOW.0 + later))).await);
        assert_eq!(server.seen().len(), asked, "after {later} ms");
    }
}

#[tokio::test]
async fn without_a_clear_answer_nothing_is_allowed() {
    let filter = Filter::all();
    let headers = HeaderMap::new();
    let wrong = json!({"authorization_details": [{"type": DETAIL}]}).to_string();
    for does in [
        Does::Close,
        Does::Endless,
        answer(500, "max-age=60", ""),
        answer(302, "max-age=60", ""),
        answer(404, "max-age=60", ""),
        answer(200, "max-age=60", "<html>"),
        answer(200, "max-age=60", &wrong),
        answer(200, "max-age=60", "{\"exp\":\"soon\"}"),
    ] {
        let server = Server::start(does).await;
        let backend = backend(&server.url, |_| {});
        for time in 1..=2 {
            let asked = Asked::subscription("GET", &filter, &headers);
            let error = within(backend.ask(asked, NOW)).await.unwrap_err();
            assert_eq!(error.refusal().status, 503, "{error}");
            assert_eq!(server.seen().len(), time, "an error is not remembered: {error}");
        }
    }
}

#[tokio::test]
async fn questions_at_the_same_time_are_bounded() {
    let server = Server::start(Does::Nothing).await;
    let backend = Arc::new(backend(&server.url, |config| config.questions_max = 2));
    let ask = |number: usize| {
        let backend = backend.clone();
        async move {
            let filter = Filter::topic(topic(&number.to_string()));
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer x"));
            backend.ask(Asked::subscription("GET", &filter, &headers), NOW).await
        }
    };
    let answers = within(futures_util::future::join_all((0..5).map(ask))).await;
    let busy = |answer: &Result<Verdict, BackendError>| {
        matches!(answer, Err(BackendError::Busy { max: 2 }))
    };
    assert_eq!(answers.iter().filter(|answer| busy(answer)).count(), 3);
    let slow = Err(BackendError::Fetch(FetchError::Slow));
    assert_eq!(answers.iter().filter(|answer| **answer == slow).count(), 2);
}
