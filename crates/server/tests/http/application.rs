//! Authorization by the user's application, over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use headwater_server::token::{
    Authorization, Backend, BackendConfig, CredentialSettings, HttpFetch, Judge, TokenLimits,
    Tokens,
};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use super::server::Server;

/// An application that knows one user, `ann`, by a cookie: everything that names `public` is allowed to
/// anybody, and everything that names `ann` to her. It fails when `broken` is asked for.
async fn application() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(answer(connection));
        }
    });
    address
}

async fn answer(mut connection: TcpStream) {
    let mut request = Vec::new();
    // A connection that ends ends its task; each question ends with the closing brace of its JSON.
    while connection.read_buf(&mut request).await.is_ok_and(|read| read > 0) {
        if request.last() != Some(&b'}') {
            continue;
        }
        let text = String::from_utf8(std::mem::take(&mut request)).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let question: Value = serde_json::from_str(body).unwrap();
        let topics = question["topics"].to_string();
        let (status, body) = if topics.contains("broken") {
            ("500 Broken", "")
        } else if topics.contains("public") || topics.contains("ann") && head.contains("user=ann") {
            ("200 OK", "")
        } else if head.contains("user=") {
            ("403 No", "")
        } else {
            ("401 Who", "")
        };
        let length = body.len();
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}");
        if connection.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn server() -> Server {
    let base = Url::parse("http://127.0.0.1/").unwrap();
    let fetch = Arc::new(HttpFetch::new().unwrap());
    let tokens = Tokens::new(vec![], base, TokenLimits::default(), fetch).unwrap();
    let url = Url::parse(&format!("http://{}/may", application().await)).unwrap();
    let backend = Backend::new(BackendConfig::new(url), tokens).unwrap();
    let judge = Judge::Application(Arc::new(backend));
    let credentials = CredentialSettings::default();
    Server::with(|config| config.authorization = Some(Authorization { judge, credentials })).await
}

const ANN: &str = "cookie: user=ann\r\n";
const BOB: &str = "cookie: user=bob\r\n";

#[tokio::test]
async fn the_application_says_who_may_listen() {
    let server = server().await;
    for (topic, headers, status) in [
        ("public", "", 200),
        ("ann", ANN, 200),
        ("ann", BOB, 403),
        ("ann", "", 401),
        ("broken", ANN, 503),
    ] {
        let long_poll = "accept: application/json\r\n";
        let target = format!("/events/{topic}?wait=0");
        let answer = server.get(&target, &format!("{headers}{long_poll}")).await;
        assert_eq!(answer.status, status, "{topic} {headers}: {}", answer.body);
        assert_eq!(answer.header("retry-after").is_some(), status == 503);
    }
}

#[tokio::test]
async fn the_application_says_who_may_publish_and_private_events_reach_whom_it_lets() {
    let server = server().await;
    let page = format!("origin: http://{}\r\n", server.address);
    for (target, headers, status) in [
        ("/events/ann?private=1", format!("{ANN}{page}"), 200),
        ("/events/ann", ANN.to_owned(), 400),
        ("/events/ann", format!("{ANN}authorization: Basic x\r\n"), 200),
        ("/events/ann", format!("{BOB}{page}"), 403),
        ("/events/ann", String::new(), 401),
        ("/events/broken", format!("{ANN}{page}"), 503),
    ] {
        let answer = server.post(target, &headers, "to ann").await;
        assert_eq!(answer.status, status, "{target} {headers}: {}", answer.body);
    }
    let ndjson = format!("{ANN}{page}content-type: application/x-ndjson\r\n");
    let lines = |topic: &str| {
        format!(
            "{{\"topic\":\"ann\",\"data\":\"1\"}}\n\n{{\"topic\":\"{topic}\",\"data\":\"2\"}}\n"
        )
    };
    assert_eq!(server.post("/events", &ndjson, lines("ann")).await.status, 200);
    for (topic, status) in [("bob", 403), ("broken", 503)] {
        let refused = server.post("/events", &ndjson, lines(topic)).await;
        assert_eq!(refused.status, status, "{}", refused.body);
        assert!(refused.detail().contains("line 3: "), "{}", refused.body);
    }
    let mut page = server.subscribe("/events/ann?since=all", ANN).await;
    assert_eq!(page.data().await, "to ann");
}
