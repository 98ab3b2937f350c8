//! The browser client, as the hub serves it.
#![allow(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests, helpers too"
)]

#[path = "http/client.rs"]
#[allow(dead_code, reason = "shared with the tests of the dialect, which use all of it")]
mod client;
#[path = "http/server.rs"]
#[allow(dead_code, reason = "shared with the tests of the dialect, which use all of it")]
mod server;

use server::Server;

const VERSION: &str = env!("CARGO_PKG_VERSION");
const SUFFIXES: [&str; 4] = [".js", ".legacy.js", ".mjs", ".element.mjs"];

#[tokio::test]
async fn each_script_is_revalidated_by_its_name_and_kept_for_ever_by_its_version() {
    let server = Server::start().await;
    for suffix in SUFFIXES {
        let plain = server.get(&format!("/client{suffix}"), "").await;
        let versioned = server.get(&format!("/client-{VERSION}{suffix}"), "").await;
        for answer in [&plain, &versioned] {
            assert_eq!(answer.status, 200, "{suffix}");
            assert_eq!(answer.header("content-type"), Some("text/javascript; charset=utf-8"));
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
            assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
            assert!(answer.body.starts_with(&format!("/*! Headwater {VERSION}")), "{suffix}");
        }
        assert_eq!(plain.body, versioned.body);
        assert_eq!(plain.header("cache-control"), Some("no-cache"));
        let for_ever = Some("public, max-age=31536000, immutable");
        assert_eq!(versioned.header("cache-control"), for_ever);
    }
}

#[tokio::test]
async fn who_has_it_already_is_not_sent_it_again() {
    let server = Server::start().await;
    let tag = server.get("/client.js", "").await.header("etag").unwrap().to_owned();
    let other = server.get("/client.mjs", "").await.header("etag").unwrap().to_owned();
    assert_ne!(tag, other);
    for (tags, status) in [
        (tag.clone(), 304),
        (format!("W/{tag}"), 304),
        (format!("{other}, {tag}"), 304),
        ("*".to_owned(), 304),
        (other, 200),
    ] {
        // What is read to the connection's end shows that no byte follows a 304.
        let headers = format!("connection: close\r\nif-none-match: {tags}\r\n");
        let answer = server.get("/client.js", &headers).await;
        assert_eq!(answer.status, status, "{tags}");
        assert_eq!(answer.body.is_empty(), status == 304);
        assert_eq!(answer.header("etag"), Some(tag.as_str()));
    }
}

#[tokio::test]
async fn no_other_version_is_there_and_nothing_else_is_done_with_it() {
    let server = Server::start().await;
    for path in ["/client-0.0.0.js", "/client", "/client.css", "/client-.js", "/clients.js"] {
        assert_eq!(server.get(path, "").await.status, 404, "{path}");
    }
    let mut connection = server.connect().await;
    connection.write(b"HEAD /client.js HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert_eq!(connection.answer_without_body().await.status, 200);
    assert_eq!(server.post("/client.js", "", "x").await.status, 405);
}
