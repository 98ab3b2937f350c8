//! The table of routes, what `Accept` asks for, and the errors that will never pass.

use bytes::Bytes;
use headwater_server::Page;

use crate::server::Server;

#[tokio::test]
async fn every_bad_request_is_told_what_to_do() {
    let server = Server::start().await;
    let many = format!("/events?{}", "topic=a&".repeat(1001));
    let patterns = format!("/events?{}", "pattern=/a&".repeat(17));
    for (target, headers, status, says) in [
        ("/events", "", 400, "nothing to subscribe to"),
        ("/events/", "", 400, "the topic is empty"),
        ("/events?topic=", "", 400, "the topic is empty"),
        ("/events/a?topic=b", "", 400, "/events?topic=a&topic=b"),
        ("/events/a?pattern=/b", "", 400, "/events?topic=a&topic=b"),
        ("/events/%ff", "", 400, "not UTF-8"),
        ("/events/%zz", "", 400, "written %25"),
        ("/events?topic=%ff", "", 400, "not UTF-8"),
        ("/events?pattern=/(", "", 400, "not a URL Pattern"),
        ("/events?pattern=", "", 400, "the pattern is empty"),
        ("/events/a?since=yesterday", "", 400, "`since=yesterday` is none of"),
        ("/events/a?since=", "", 400, "none of"),
        ("/events/a?since=all&since=all", "", 400, "`since` is given more than once"),
        ("/events/a?envelope=xml", "", 400, "`json`"),
        ("/events/a?wait=61", "accept: application/json\r\n", 400, "0 to 60"),
        ("/events/a", "accept: text/html\r\n", 406, "text/event-stream"),
        ("/events/a", "accept: text/event-stream;q=0\r\n", 406, "text/event-stream"),
        (&many, "", 400, "more than 1000"),
        (&patterns, "", 400, "more than 16 patterns"),
        ("/nowhere", "", 404, "/events/TOPIC"),
        ("/metrics", "", 404, "/events/TOPIC"),
    ] {
        let answer = server.get(target, headers).await;
        let target = &target[..target.len().min(60)];
        assert_eq!(answer.status, status, "{target}: {}", answer.body);
        assert!(answer.detail().contains(says), "{target}: {}", answer.body);
    }
}

#[tokio::test]
async fn accept_chooses_the_form() {
    let server = Server::start().await;
    for (accept, content_type) in [
        ("", "text/event-stream"),
        ("accept: */*\r\n", "text/event-stream"),
        ("accept: text/event-stream\r\n", "text/event-stream"),
        ("accept: text/html,*/*;q=0.8\r\n", "text/event-stream"),
        ("accept: application/x-ndjson\r\n", "application/x-ndjson"),
        ("accept: application/x-ndjson;q=0.5, text/event-stream;q=0.4\r\n", "application/x-ndjson"),
    ] {
        let page = server.subscribe("/events/a", accept).await;
        assert_eq!(page.header("content-type"), Some(content_type), "{accept}");
    }
    let poll = server.get("/events/a?wait=0", "accept: application/json, */*\r\n").await;
    assert_eq!(poll.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn wrong_methods_are_told_the_right_ones() {
    let server = Server::start().await;
    for (method, target, allow) in [
        ("PUT", "/events/a", "GET, HEAD, POST, OPTIONS"),
        ("DELETE", "/events", "GET, HEAD, POST, OPTIONS"),
        ("TRACE", "/events/a", "GET, HEAD, POST, OPTIONS"),
        ("BREW", "/events/a", "GET, HEAD, POST, OPTIONS"),
        ("POST", "/healthz", "GET, HEAD, OPTIONS"),
        ("PATCH", "/", "GET, HEAD, OPTIONS"),
    ] {
        let answer =
            server.ask(format!("{method} {target} HTTP/1.1\r\nhost: localhost\r\n\r\n")).await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some(allow)),
            "{method} {target}"
        );
        assert!(answer.detail().contains(allow));
        let asked = format!("OPTIONS {target} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        let answer = server.ask(asked).await;
        assert_eq!((answer.status, answer.header("allow")), (204, Some(allow)), "{target}");
    }
}

#[tokio::test]
async fn head_gives_the_headers() {
    let server = Server::start().await;
    let mut listeners = server.watch("a");
    for (target, accept, status, content_type) in [
        ("/events/a", "", 200, "text/event-stream"),
        ("/events/a", "accept: application/x-ndjson\r\n", 200, "application/x-ndjson"),
        ("/events/a", "accept: application/json\r\n", 200, "application/json"),
        ("/events/a", "accept: text/html\r\n", 406, "application/problem+json"),
        ("/events", "", 400, "application/problem+json"),
        ("/healthz", "", 200, "application/json"),
        ("/", "", 200, "text/plain; charset=utf-8"),
    ] {
        let mut connection = server.connect().await;
        let head = format!("HEAD {target} HTTP/1.1\r\nhost: localhost\r\n{accept}\r\n");
        connection.write(head.as_bytes()).await;
        let answer = connection.answer_without_body().await;
        assert_eq!(answer.status, status, "{target}");
        assert_eq!(answer.header("content-type"), Some(content_type), "{target}");
        if status == 200 && target == "/events/a" {
            assert_eq!(answer.header("headwater-resume"), Some("live"));
        }
        // Nothing follows the headers: the next answer on the connection begins at once.
        connection.write(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
        assert_eq!(connection.answer().await.body, "{\"status\":\"ready\"}\n");
    }
    assert_eq!(*listeners.borrow_and_update(), 0);
}

#[tokio::test]
async fn a_person_is_welcome_and_pages_are_served() {
    let server = Server::start().await;
    let welcome = server.get("/", "").await;
    assert!(welcome.body.contains("curl -N http://127.0.0.1:"), "{}", welcome.body);
    assert!(welcome.body.contains("curl -d "), "{}", welcome.body);
    assert_eq!(server.get("/healthz", "").await.body, "{\"status\":\"ready\"}\n");

    let page =
        |path, content_type, bytes| Page { path, content_type, bytes: Bytes::from_static(bytes) };
    let server = Server::with(|config| {
        config.pages = vec![
            page("/", "text/html; charset=utf-8", b"<p>hello"),
            page("/demo.js", "text/javascript", b"1"),
        ];
    })
    .await;
    let index = server.get("/?a=b", "").await;
    assert_eq!(
        (index.body.as_str(), index.header("content-type")),
        ("<p>hello", Some("text/html; charset=utf-8"))
    );
    assert_eq!(index.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(server.get("/demo.js", "").await.body, "1");
    assert_eq!(server.get("/demo.css", "").await.status, 404);
}
