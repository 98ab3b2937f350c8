//! What the operator asks for: who listens, that some do so no longer, and why.

use std::net::SocketAddr;
use std::sync::Arc;

use headwater_log::{Epoch, IdKey, MemoryLimits, MemoryLog};
use headwater_server::{AdminConfig, serve_admin};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::client::{Answer, Connection, Said, Subscriber};
use super::server::{Server, SetUp, post};
use super::tokens::{KEY, authorization, now_s, server, token_of};

/// The operator's listener of a server's hub; it ends with the test.
struct Operator(SocketAddr);

impl Operator {
    async fn of(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let config = AdminConfig { key: None, authorization: Some(authorization()) };
        tokio::spawn(serve_admin(listener, server.hub.clone(), config, std::future::pending()));
        Self(address)
    }

    async fn ask(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut connection = Connection::open(self.0).await;
        connection.write(request.as_ref()).await;
        connection.answer().await
    }

    async fn connections(&self, method: &str, query: &str) -> Answer {
        let target = format!("{method} /admin/connections?{query} HTTP/1.1");
        self.ask(format!("{target}\r\nhost: localhost\r\n\r\n")).await
    }

    async fn list(&self, query: &str) -> Vec<Value> {
        let answer = self.connections("GET", query).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()["connections"].as_array().unwrap().clone()
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask(post(&format!("/admin/{path}"), "", body.to_string())).await
    }
}

fn header(subject: &str, name: &str) -> String {
    let token = token_of(subject, name, &["subscribe"], &["a", "b"], now_s() + 600);
    format!("authorization: Bearer {token}\r\n")
}

fn key() -> String {
    format!("authorization: Bearer {KEY}\r\n")
}

async fn ends(mut page: Subscriber) {
    while page.next().await != Said::End {}
}

#[tokio::test]
async fn shows_who_listens_and_closes_their_streams() {
    let server = server().await;
    let operator = Operator::of(&server).await;
    let ann = server.subscribe("/events/a", &header("ann", "1")).await;
    let bob = server.subscribe("/events?topic=a&topic=b", &header("bob", "2")).await;
    let mut anybody = server.subscribe("/events?pattern=*", "").await;

    let all = operator.list("").await;
    assert_eq!(all.len(), 3);
    let of = |subject: &str| all.iter().find(|own| own["subject"] == subject).unwrap();
    assert_eq!(of("bob")["topics"], json!(["a", "b"]));
    assert_eq!((&of("ann")["token_id"], &of("ann")["live"]), (&json!("1"), &json!(true)));
    assert!(of("ann")["address"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!(of("ann")["expires"].as_u64().unwrap() > now_s());
    assert!(all.iter().any(|own| own["patterns"] == json!(["*"]) && own.get("subject").is_none()));
    for (query, count) in [
        ("topic=a", 3),
        ("topic=c", 1),
        ("subject=ann", 1),
        ("token_id=2&topic=b", 1),
        ("subject=ann&topic=b", 0),
        ("id=0-9-9", 0),
    ] {
        assert_eq!(operator.list(query).await.len(), count, "{query}");
    }

    // Page by page.
    let (mut after, mut seen) = (String::new(), Vec::new());
    for _ in 0..10 {
        let page = operator.connections("GET", &format!("limit=1{after}")).await.json();
        assert_eq!(page["total"], 3);
        seen.extend(page["connections"].as_array().unwrap().iter().map(|own| own["id"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(seen, all.iter().map(|own| own["id"].clone()).collect::<Vec<_>>());

    let id = of("ann")["id"].as_str().unwrap();
    let closed = operator.connections("DELETE", &format!("id={id}")).await;
    assert_eq!(closed.json(), json!({"closed": 1}), "{}", closed.body);
    ends(ann).await;
    assert_eq!(operator.connections("DELETE", "topic=b&subject=bob").await.json()["closed"], 1);
    ends(bob).await;
    assert_eq!(operator.list("").await.len(), 1);
    // Whoever is still good may come back, and nobody else notices.
    server.subscribe("/events/a", &header("ann", "1")).await;
    assert_eq!(server.post("/events/c", &key(), "x").await.status, 200);
    assert_eq!(anybody.data().await, "x");

    for (method, query) in [
        ("DELETE", ""),
        ("DELETE", "limit=1"),
        ("GET", "limit=0"),
        ("GET", "limit=1001"),
        ("GET", "after=x"),
        ("GET", "id=x"),
        ("GET", "topic=*"),
        ("GET", "subject=a&subject=b"),
    ] {
        let answer = operator.connections(method, query).await;
        assert_eq!(answer.status, 400, "{method} {query}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_revoked_token_is_refused_its_streams_are_closed_and_a_restart_changes_nothing() {
    let log = MemoryLog::new(Epoch::new(7), IdKey::new([7; 16]), MemoryLimits::default());
    let start = || async {
        let mut set_up = SetUp::default();
        set_up.config.authorization = Some(authorization());
        set_up.config.publish_key = Some(KEY.parse().unwrap());
        set_up.start_with(Arc::new(log.clone())).await
    };
    let server = start().await;
    let operator = Operator::of(&server).await;
    let (ann, other, bob) = (header("ann", "1"), header("ann", "2"), header("bob", "3"));
    let first = server.subscribe("/events/a", &ann).await;
    let second = server.subscribe("/events/a", &other).await;
    let mut third = server.subscribe("/events/a", &bob).await;
    let mut all = server.subscribe("/events?pattern=*&since=all", &key()).await;

    let token = ann.trim().strip_prefix("authorization: Bearer ").unwrap();
    let revoked = operator.post("revoke", &json!({"token": token})).await;
    assert_eq!(revoked.json()["closed"], 1, "{}", revoked.body);
    ends(first).await;
    let refused = server.get("/events/a", &ann).await;
    assert_eq!(refused.status, 401, "{}", refused.body);
    assert!(refused.detail().contains("revoked"), "{}", refused.body);

    assert_eq!(operator.post("revoke", &json!({"sub": "ann"})).await.json()["closed"], 1);
    ends(second).await;

    assert_eq!(server.post("/events/a", &key(), "still here").await.status, 200);
    assert_eq!(third.data().await, "still here");
    // The notes are nobody's business.
    assert_eq!(all.data().await, "still here");

    let again = start().await;
    for (headers, status) in [(&ann, 401), (&other, 401), (&bob, 200)] {
        let long_poll = format!("{headers}accept: application/json\r\n");
        let answer = again.get("/events/a?wait=0", &long_poll).await;
        assert_eq!(answer.status, status, "{}", answer.body);
    }
    let mut all = again.subscribe("/events?pattern=*&since=all", &key()).await;
    assert_eq!(all.data().await, "still here");
}

#[tokio::test]
async fn a_revocation_says_whose() {
    let server = server().await;
    let operator = Operator::of(&server).await;
    for body in [
        json!({}),
        json!({"jti": "1", "sub": "ann"}),
        json!({"subject": "ann"}),
        json!({"sub": "ann", "exp": 1}),
        json!({"token": "x.y.z"}),
        json!(["ann"]),
    ] {
        let answer = operator.post("revoke", &body).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.body);
    }
    let get = operator.ask("GET /admin/revoke HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert_eq!(get.status, 405);
    // No page of elsewhere may do it.
    let foreign = post("/admin/revoke", "origin: https://evil.example\r\n", "{\"sub\":\"ann\"}");
    assert_eq!(operator.ask(foreign).await.status, 403);
}

#[tokio::test]
async fn explains_each_check_and_each_rule() {
    let server = server().await;
    let operator = Operator::of(&server).await;
    let token = token_of("ann", "1", &["subscribe"], &["a", "b"], now_s() + 600);
    let ask = |token: &str, action: &str, topics: &[&str]| json!({"token": token, "action": action, "topics": topics});
    let explained = operator.post("explain", &ask(&token, "subscribe", &["c", "b"])).await.json();
    assert_eq!((&explained["allowed"], &explained["revoked"]), (&json!(true), &json!(false)));
    assert_eq!(explained["rules"]["not_granted"], json!(["c"]));
    assert_eq!(explained["rules"]["rules"][1]["matchers"][0]["matches"], json!([false, true]));
    assert!(explained["checks"].as_array().unwrap().iter().all(|check| check["outcome"] == "ok"));

    let explained = operator.post("explain", &ask(&token, "publish", &["a"])).await.json();
    assert_eq!(explained["allowed"], false);
    assert_eq!(explained["rules"]["rules"][0]["grants_action"], false);

    let old = token_of("ann", "1", &["subscribe"], &["a"], now_s() - 600);
    let explained = operator.post("explain", &ask(&old, "subscribe", &["a"])).await.json();
    let failed = |check: &&Value| check["outcome"] == "failed";
    let checks = explained["checks"].as_array().unwrap();
    assert!(checks.iter().find(failed).unwrap()["detail"].as_str().unwrap().contains("expired"));
    assert!(explained.get("rules").is_none() && explained["allowed"] == false);

    operator.post("revoke", &json!({"jti": "1"})).await;
    let explained = operator.post("explain", &ask(&token, "subscribe", &["a"])).await.json();
    assert_eq!((&explained["allowed"], &explained["revoked"]), (&json!(false), &json!(true)));

    for body in [
        json!({}),
        ask(&token, "read", &["a"]),
        ask(&token, "publish", &[]),
        ask(&token, "publish", &["*"]),
    ] {
        assert_eq!(operator.post("explain", &body).await.status, 400, "{body}");
    }
}
