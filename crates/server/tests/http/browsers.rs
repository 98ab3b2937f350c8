//! Pages of our own and of other sites.

use crate::server::Server;

const KEY: &str = "0123456789abcdef";

#[tokio::test]
async fn no_foreign_page_publishes() {
    let server = Server::start().await;
    let port = server.address.port();
    for (origin, status) in [
        (format!("http://127.0.0.1:{port}"), 200),
        (format!("http://localhost:{port}"), 200),
        ("https://evil.example".to_owned(), 403),
        ("http://localhost:1".to_owned(), 403),
        ("null".to_owned(), 403),
    ] {
        for (target, headers, body) in [
            ("/events/a", "", "x"),
            ("/events/a", "content-type: text/event-stream\r\n", "data: x\n\n"),
            (
                "/events",
                "content-type: application/x-ndjson\r\n",
                "{\"topic\":\"a\",\"data\":\"x\"}",
            ),
        ] {
            let headers = format!("{headers}origin: {origin}\r\n");
            let answer = server.post(target, &headers, body).await;
            assert_eq!(answer.status, status, "{origin} {target}: {}", answer.body);
            if status == 403 {
                assert!(answer.detail().contains("publish_origins"));
            }
        }
    }
}

#[tokio::test]
async fn a_listed_page_publishes_and_reads() {
    let server = Server::with(|config| {
        config.publish_origins = vec!["https://app.example".parse().unwrap()];
    })
    .await;
    let answer = server.post("/events/a", "origin: https://app.example\r\n", "x").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(server.post("/events/a", "origin: https://b.example\r\n", "x").await.status, 403);
}

#[tokio::test]
async fn a_name_that_is_not_ours_is_refused_on_loopback() {
    let server = Server::with(|config| {
        config.public_url = "https://hub.example".parse().ok();
    })
    .await;
    for (host, status) in [
        ("localhost", 200),
        ("127.0.0.1:9", 200),
        ("[::1]:9", 200),
        ("a.localhost:9", 200),
        ("hub.example", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
    ] {
        for target in ["/healthz", "/"] {
            let answer = server.ask(format!("GET {target} HTTP/1.1\r\nhost: {host}\r\n\r\n")).await;
            assert_eq!(answer.status, status, "{host}");
        }
        let publish =
            format!("POST /events/a HTTP/1.1\r\nhost: {host}\r\ncontent-length: 1\r\n\r\nx");
        assert_eq!(server.ask(publish).await.status, status, "{host}");
    }
    // A request without Host is none of HTTP/1.1's.
    assert_eq!(server.ask("GET / HTTP/1.1\r\n\r\n").await.status, 400);
    assert_eq!(server.ask("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n").await.status, 400);
    let absolute = "GET http://evil.example/ HTTP/1.1\r\nhost: localhost\r\n\r\n";
    assert_eq!(server.ask(absolute).await.status, 403);
}

#[tokio::test]
async fn other_sites_read_only_if_listed_and_never_reflected() {
    let from = |origin: &str| format!("origin: {origin}\r\n");
    let server = Server::start().await;
    let page = server.subscribe("/events/a", &from("https://a.example")).await;
    assert_eq!(page.header("access-control-allow-origin"), None);
    assert_eq!(page.header("vary"), None);

    let server = Server::with(|config| {
        config.cors_origins = vec!["https://a.example".parse().unwrap()];
    })
    .await;
    let page = server.subscribe("/events/a", &from("https://a.example")).await;
    assert_eq!(page.header("access-control-allow-origin"), Some("https://a.example"));
    assert_eq!(page.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(page.header("vary"), Some("Origin"));
    assert!(page.header("access-control-expose-headers").unwrap().contains("Headwater-Resume"));
    let other = server.subscribe("/events/a", &from("https://b.example")).await;
    assert_eq!(other.header("access-control-allow-origin"), None);
    assert_eq!(other.header("access-control-allow-credentials"), None);
    assert_eq!(other.header("vary"), Some("Origin"));
    // What went wrong may be read too.
    let problem = server.get("/events", &from("https://a.example")).await;
    assert_eq!(problem.status, 400);
    assert_eq!(problem.header("access-control-allow-origin"), Some("https://a.example"));
    // Reading is not publishing.
    assert_eq!(server.post("/events/a", &from("https://a.example"), "x").await.status, 403);

    let server = Server::with(|config| config.cors_origins = vec!["*".parse().unwrap()]).await;
    let page = server.subscribe("/events/a", &from("https://b.example")).await;
    assert_eq!(page.header("access-control-allow-origin"), Some("*"));
    assert_eq!(page.header("access-control-allow-credentials"), None);
}

#[tokio::test]
async fn a_preflight_is_answered() {
    let server = Server::with(|config| {
        config.cors_origins = vec!["https://a.example".parse().unwrap()];
        config.publish_key = KEY.parse().ok();
    })
    .await;
    for target in ["/events", "/events/a"] {
        let preflight = format!(
            "OPTIONS {target} HTTP/1.1\r\nhost: localhost\r\norigin: https://a.example\r\n\
             access-control-request-method: GET\r\n\
             access-control-request-headers: last-event-id,authorization\r\n\r\n"
        );
        let answer = server.ask(preflight).await;
        assert_eq!(answer.status, 204);
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://a.example"));
        let allowed = answer.header("access-control-allow-headers").unwrap();
        for header in ["Last-Event-ID", "Authorization"] {
            assert!(allowed.contains(header), "{allowed}");
        }
        assert!(answer.header("access-control-allow-methods").unwrap().contains("GET"));
        assert!(answer.header("access-control-max-age").is_some());
    }
    let foreign = "OPTIONS /events/a HTTP/1.1\r\nhost: localhost\r\norigin: https://b.example\r\n\
                   access-control-request-method: POST\r\n\r\n";
    assert_eq!(server.ask(foreign).await.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn publishers_need_the_key_and_subscribers_do_not() {
    let server = Server::with(|config| config.publish_key = KEY.parse().ok()).await;
    let mut page = server.subscribe("/events/a", "").await;
    for (headers, status) in [
        (String::new(), 401),
        ("authorization: Bearer wrong\r\n".to_owned(), 401),
        (format!("authorization: Basic {KEY}\r\n"), 401),
        (format!("authorization: Bearer {KEY}x\r\n"), 401),
        (format!("authorization: Bearer {KEY}\r\n"), 200),
        (format!("authorization: bearer {KEY}\r\n"), 200),
    ] {
        for (target, kind, body) in [
            ("/events/a", "", "x"),
            ("/events/a", "content-type: text/event-stream\r\n", "data: x\n\n"),
            (
                "/events",
                "content-type: application/x-ndjson\r\n",
                "{\"topic\":\"a\",\"data\":\"x\"}",
            ),
        ] {
            let answer = server.post(target, &format!("{headers}{kind}"), body).await;
            assert_eq!(answer.status, status, "{headers}{kind}");
            if status == 401 {
                assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"headwater\""));
                assert!(answer.detail().contains("publish_key"));
            } else {
                assert_eq!(page.data().await, "x");
            }
        }
    }
}
