//! Tickets: tokens for a native `EventSource`, over HTTP.

use super::client::Answer;
use super::server::Server;
use super::tokens::{KEY, bearer, expiring, now_s, server};

const FORM: &str = "content-type: application/x-www-form-urlencoded\r\n";

async fn ticket(server: &Server, headers: &str, form: &str) -> String {
    let answer = server.post("/tickets", &format!("{FORM}{headers}"), form).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let answer = answer.json();
    assert_eq!(answer["expires_in"], 30);
    answer["ticket"].as_str().unwrap().to_owned()
}

fn is_refused(answer: &Answer, detail: &str) {
    assert_eq!(answer.status, 401, "{}", answer.body);
    let challenge = answer.header("www-authenticate").unwrap();
    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    assert!(answer.detail().contains(detail), "{}", answer.body);
}

#[tokio::test]
async fn a_ticket_opens_one_stream_and_that_streams_own_reconnections() {
    let server = server().await;
    let granted = bearer(&["subscribe"], &["a"]);
    let key = format!("authorization: Bearer {KEY}\r\n");
    assert_eq!(server.post("/events/a?private=1", &key, "before").await.status, 200);
    for form in ["", "url=%2Fevents%2Fa%3Fsince%3Dall"] {
        let target =
            format!("/events/a?since=all&ticket={}", ticket(&server, &granted, form).await);
        let mut page = server.subscribe(&target, "").await;
        let (data, id) = page.event().await;
        assert_eq!(data, "before");
        drop(page);
        is_refused(&server.get(&target, "").await, "in use");
        // Nobody was ever handed this one out.
        is_refused(&server.get(&target, "last-event-id: guessed\r\n").await, "in use");
        let elsewhere = target.replace("/events/a?", "/events/b?");
        let reconnection = format!("last-event-id: {id}\r\n");
        is_refused(&server.get(&elsewhere, &reconnection).await, "another subscription");
        let answer = server.post("/events/a?private=1", &key, "after").await;
        assert_eq!(answer.status, 200);
        for _ in 0..2 {
            let mut page = server.subscribe(&target, &reconnection).await;
            assert_eq!(page.data().await, "after");
        }
    }
}

#[tokio::test]
async fn a_ticket_is_for_listening_with_get() {
    let server = server().await;
    let granted = bearer(&["subscribe", "publish"], &["a"]);
    let target = format!("/events/a?ticket={}", ticket(&server, &granted, "").await);
    is_refused(&server.post(&target, "", "x").await, "for subscribing");
    let form = format!("{FORM}accept: text/event-stream\r\n");
    let by_form = target.replace("/events/a?", "/events?");
    is_refused(&server.post(&by_form, &form, "topic=a").await, "the GET of an EventSource");
    drop(server.subscribe(&target, "").await);
}

#[tokio::test]
async fn a_stream_under_a_ticket_ends_with_its_token() {
    let server = server().await;
    let ending = expiring(&["subscribe"], &["a"], now_s() + 2);
    let target = format!("/events/a?ticket={}", ticket(&server, &ending, "").await);
    let mut page = server.subscribe(&target, "").await;
    while page.next().await != super::client::Said::End {}
    assert_eq!(server.get(&target, "").await.status, 401);
}

#[tokio::test]
async fn who_has_no_token_gets_no_ticket() {
    let server = server().await;
    let token = bearer(&["subscribe"], &["a"]);
    let cookie = token.replace("authorization: Bearer ", "cookie: __Secure-mercure_access_token=");
    let expired = expiring(&["subscribe"], &["a"], now_s() - 600);
    for (headers, form, status) in [
        ("", "", 401),
        ("authorization: Bearer x.y.z\r\n", "", 401),
        (expired.as_str(), "", 401),
        (&cookie, "", 401),
        (&token, "url=", 400),
        (&token, "url=%zz", 400),
        (&token, "url=a&url=b", 400),
    ] {
        let answer = server.post("/tickets", &format!("{FORM}{headers}"), form).await;
        assert_eq!(answer.status, status, "{headers} {form}: {}", answer.body);
    }
    assert_eq!(server.get("/tickets", &token).await.status, 405);
    for sealed in ["", "x", &"A".repeat(200)] {
        let answer = server.get(&format!("/events/a?ticket={sealed}"), "").await;
        is_refused(&answer, "no ticket of this hub");
    }
    let unknown = Server::start().await.post("/tickets", &format!("{FORM}{token}"), "").await;
    assert_eq!(unknown.status, 501, "{}", unknown.body);
    assert!(unknown.detail().contains("[[issuer]]"), "{}", unknown.body);
}
