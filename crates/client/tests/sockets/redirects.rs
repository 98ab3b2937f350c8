//! WHATWG HTML 9.2.1: "Event stream requests can be redirected using HTTP 301 and 307 redirects as with normal
//! HTTP requests." What goes along is what Fetch 4.4, "HTTP-redirect fetch", says, or less.

use headwater_client::{Item, Lost, Reconnecting};

use crate::server::{Peer, Server};
use crate::{BOTH, Over, next};

const ALL: [u16; 5] = [301, 302, 303, 307, 308];

/// A request with everything that could be carried along.
fn laden(over: Over, url: &str) -> headwater_client::Builder {
    over.builder(url)
        .body("{\"prompt\":1}")
        .header("content-type", "application/json")
        .header("authorization", "Bearer secret")
        .header("cookie", "session=secret")
        .header("x-api-key", "secret")
        .header("accept-language", "en")
        .last_event_id("7")
}

async fn redirect(server: &Server, status: u16, location: &str) -> Peer {
    let mut peer = server.accept().await;
    let head = format!("HTTP/1.1 {status} X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
    peer.send(head).await;
    peer
}

#[tokio::test]
async fn within_the_origin_all_goes_along_but_the_body_of_what_becomes_a_get() {
    for over in BOTH {
        for status in ALL {
            let server = Server::start().await;
            let mut source = laden(over, &server.url).build().unwrap();
            let serve = async {
                redirect(&server, status, "../there?x#fragment").await;
                server.accept_stream().await
            };
            let (item, peer) = tokio::join!(next(&mut source), serve);
            assert_eq!(item, Item::Open);
            assert_eq!(peer.header("authorization"), Some("Bearer secret"));
            assert_eq!(peer.header("cookie"), Some("session=secret"));
            assert_eq!(peer.header("x-api-key"), Some("secret"));
            assert_eq!(peer.header("last-event-id"), Some("7"));
            assert_eq!(peer.header("accept"), Some("text/event-stream"));
            if status >= 307 {
                assert_eq!(peer.line, "POST /there?x");
                assert_eq!(peer.body, "{\"prompt\":1}");
                assert_eq!(peer.header("content-type"), Some("application/json"));
            } else {
                assert_eq!(peer.line, "GET /there?x");
                assert_eq!(peer.body, "");
                assert_eq!(peer.header("content-type"), None);
            }
        }
    }
}

#[tokio::test]
async fn to_another_origin_no_credentials_go_along_whatever_they_are_called() {
    for over in BOTH {
        for status in ALL {
            let (server, other) = (Server::start().await, Server::start().await);
            let mut source = laden(over, &server.url).build().unwrap();
            let serve = async {
                redirect(&server, status, &other.url).await;
                // Nor do they come back when the other leads back.
                let foreign = redirect(&other, 307, &server.url).await;
                (foreign, server.accept_stream().await)
            };
            let (item, (foreign, back)) = tokio::join!(next(&mut source), serve);
            assert_eq!(item, Item::Open);
            for peer in [foreign, back] {
                for name in ["authorization", "cookie", "x-api-key"] {
                    assert_eq!(peer.header(name), None, "{status} {name}");
                }
                assert_eq!(peer.header("accept-language"), Some("en"));
                assert_eq!(peer.header("last-event-id"), Some("7"));
                assert_eq!(peer.body.is_empty(), status < 307);
            }
        }
    }
}

/// WHATWG HTML 9.2.6: "its origin attribute to the serialization of the origin of the event stream's final URL
/// (i.e., the URL after redirects)".
#[tokio::test]
async fn the_final_url_is_told_and_a_reconnection_begins_at_the_first() {
    for over in BOTH {
        let (server, other) = (Server::start().await, Server::start().await);
        let mut source = laden(over, &server.url).build().unwrap();
        let serve = async {
            redirect(&server, 301, &other.url).await;
            let mut peer = other.accept_stream().await;
            peer.send("id: 8\ndata\n\n").await;
            peer.finish().await;
        };
        tokio::join!(next(&mut source), serve);
        assert_eq!(source.url().as_str(), other.url);
        next(&mut source).await;
        assert!(matches!(next(&mut source).await, Item::Error(_)));
        let (_, again) = tokio::join!(next(&mut source), server.accept_stream());
        assert_eq!(again.header("authorization"), Some("Bearer secret"));
        assert_eq!(again.header("last-event-id"), Some("8"));
        assert_eq!(source.url().as_str(), server.url);
    }
}

/// "If request's redirect count is 20, then return a network error." and what else is one.
#[tokio::test]
async fn a_redirect_that_leads_nowhere_is_a_network_error() {
    for over in BOTH {
        let server = Server::start().await;
        let mut source = over.source(&server.url);
        for (location, answers) in [("", 21), ("http://", 1), ("ftp://127.0.0.1/", 1)] {
            let serve = async {
                for _ in 0..answers {
                    redirect(&server, 307, location).await;
                }
            };
            let (item, ()) = tokio::join!(next(&mut source), serve);
            let Item::Error(Reconnecting { cause: Lost::Redirect(_), .. }) = item else {
                panic!("{location}: {item:?}")
            };
        }
    }
}
