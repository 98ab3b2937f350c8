//! What `examples/` shows is what happens.

#![allow(dead_code, reason = "an example's `main` is not called")]

#[path = "../../examples/completion.rs"]
mod completion;
#[path = "../../examples/tail.rs"]
mod tail;
#[path = "../../examples/token_refresh.rs"]
mod token_refresh;

use crate::server::Server;

#[tokio::test]
async fn tail_prints_a_topic_until_the_hub_says_stop() {
    let server = Server::start().await;
    let serve = async {
        let mut peer = server.accept_stream().await;
        peer.send(":\nevent: hub.open\nretry: 1\ndata: {}\nid: #0\n\ndata: one\nid: #1\n\n").await;
        peer.finish().await;
        let peer = server.accept().await;
        assert_eq!(peer.header("last-event-id"), Some("#1"));
        peer.answer(204, "", "").await;
    };
    let mut out = Vec::new();
    let (told, ()) = tokio::join!(tail::tail(&server.url, &mut out), serve);
    told.unwrap();
    let url = &server.url;
    let expected =
        format!("# connected to {url}\none\n# the server ended the stream; trying again in 1 ms\n");
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

/// The chunks are such as an OpenAI-style API sends.
#[tokio::test]
async fn completion_prints_an_answer_until_done() {
    let server = Server::start().await;
    let serve = async {
        let mut peer = server.accept_stream().await;
        assert_eq!(peer.line, "POST /events/news");
        assert_eq!(peer.header("authorization"), Some("Bearer key"));
        assert_eq!(peer.header("content-type"), Some("application/json"));
        assert!(peer.body.contains("\"content\":\"Why?\""), "{}", peer.body);
        for text in ["{\"role\":\"assistant\"}", "{\"content\":\"Be\"}", "{\"content\":\"cause.\"}"]
        {
            peer.send(format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{text}}}]}}\n\n"))
                .await;
        }
        peer.send("data: [DONE]\n\n").await;
        // It leaves without being told to.
        peer.closed().await;
    };
    let mut out = Vec::new();
    let (answer, ()) =
        tokio::join!(completion::complete(&server.url, "key", "Why?", &mut out), serve);
    answer.unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), "Because.\n");
}

#[tokio::test]
async fn token_refresh_shows_a_new_token_with_each_connection() {
    let (login, server) = (Server::start().await, Server::start().await);
    let serve = async {
        for n in 1..=2 {
            let peer = login.accept().await;
            assert_eq!(peer.line, "POST /events/news");
            peer.answer(200, "", &format!("token-{n}\n")).await;
            let mut peer = server.accept().await;
            assert_eq!(peer.header("authorization"), Some(format!("Bearer token-{n}").as_str()));
            if n == 1 {
                peer.send(crate::server::STREAM).await;
                peer.send("retry: 1\ndata: one\n\n").await;
                peer.finish().await;
            } else {
                peer.answer(204, "", "").await;
            }
        }
    };
    let mut out = Vec::new();
    let (told, ()) = tokio::join!(token_refresh::follow(&login.url, &server.url, &mut out), serve);
    told.unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), "one\n");
}
