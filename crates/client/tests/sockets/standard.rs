//! The sentences that WHATWG HTML 9.2 has on the user agent, each with a server that would show otherwise.
//! How a stream is read (9.2.5, 9.2.6) is proven in `headwater-event-stream`; here only that it is used.

use headwater_client::{Error, EventSource, Failure, Item, Lost, ReadyState};

use crate::server::{STREAM, Server};
use crate::{BOTH, end, is_over, lost, message, network_error, next};

/// 9.2.2: "If urlRecord is failure, then throw a "SyntaxError" DOMException."
#[test]
fn a_url_that_is_none_is_refused_at_once() {
    for url in ["no url", "", "http://", "//a.test/"] {
        let refused = EventSource::new(url);
        assert!(matches!(refused, Err(Error::Url { .. })), "{url}");
    }
}

/// 9.2.2: "When the object is created, its readyState must be set to CONNECTING (0)." and "announce the
/// connection", 9.2.3: "sets the readyState attribute to OPEN and fires an event named open at the EventSource
/// object."
#[tokio::test]
async fn it_is_connecting_then_open() {
    for over in BOTH {
        let server = Server::start().await;
        let mut source = over.source(&server.url);
        assert_eq!(source.ready_state() as u8, 0);
        let open = tokio::join!(next(&mut source), server.accept_stream()).0;
        assert_eq!(open, Item::Open);
        assert_eq!(source.ready_state() as u8, 1);
    }
}

/// 9.2.2: "User agents may set (`Accept`, `text/event-stream`) in request's header list." and "Set request's
/// cache mode to "no-store"."
#[tokio::test]
async fn the_request_is_a_browsers() {
    for over in BOTH {
        let server = Server::start().await;
        let mut source = over.source(&server.url);
        let (_, peer) = tokio::join!(next(&mut source), server.accept_stream());
        assert_eq!(peer.line, "GET /events/news");
        assert_eq!(peer.header("accept"), Some("text/event-stream"));
        assert_eq!(peer.header("cache-control"), Some("no-cache"));
        // 9.2.2: "Its last event ID string. This must initially be the empty string."
        assert_eq!(peer.header("last-event-id"), None);
        assert_eq!(peer.header("accept-encoding"), None);
    }
}

/// 9.2.2: "Let processEventSourceEndOfBody given response res be the following step: if res is not a network
/// error, then reestablish the connection."
#[tokio::test]
async fn the_end_of_the_stream_is_a_reason_to_come_back() {
    for over in BOTH {
        let server = Server::start().await;
        let mut source = over.source(&server.url);
        tokio::join!(next(&mut source), async { server.accept_stream().await.finish().await });
        // 9.2.3: "Set the readyState attribute to CONNECTING. Fire an event named error at the EventSource
        // object."
        assert_eq!(next(&mut source).await, lost(Lost::Ended));
        assert_eq!(source.ready_state(), ReadyState::Connecting);
        assert_eq!(tokio::join!(next(&mut source), server.accept_stream()).0, Item::Open);
    }
}

/// 9.2.2: "Otherwise, if res is a network error, then reestablish the connection, unless the user agent knows
/// that to be futile, in which case the user agent may fail the connection."
#[tokio::test]
async fn a_network_error_is_a_reason_to_come_back() {
    for over in BOTH {
        let server = Server::start().await;
        let mut source = over.source(&server.url);
        // Before the answer, within its head, and within the body, by the end of the connection or by reset.
        let chunked = STREAM.replace("Connection: close", "Transfer-Encoding: chunked");
        for sent in ["", "HTTP/1.1 200 OK\r\nContent-", &format!("{chunked}99\r\ndata: x")] {
            for by_reset in [false, true] {
                let break_off = async {
                    let mut peer = server.accept().await;
                    peer.send(sent).await;
                    if by_reset { peer.reset() } else { peer.finish().await }
                };
                let lose = async {
                    match next(&mut source).await {
                        Item::Open => drop(network_error(&mut source).await),
                        Item::Error(error) => assert!(matches!(error.cause, Lost::Network(_))),
                        item => panic!("{item:?}"),
                    }
                };
                tokio::join!(break_off, lose);
            }
        }
        // A port where nobody listens.
        let url = server.url.clone();
        drop(server);
        let mut source = over.source(&url);
        for _ in 0..3 {
            assert!(network_error(&mut source).await.contains("refused"));
        }
    }
}

/// The same: "knows that to be futile".
#[test]
fn what_is_not_http_is_futile() {
    for url in ["ftp://localhost/", "data:text/event-stream,data:x", "file:///x"] {
        assert!(matches!(EventSource::new(url), Err(Error::Url { .. })), "{url}");
    }
}

/// 9.2.2: "Otherwise, if res's status is not 200, or if res's `Content-Type` is not `text/event-stream`, then
/// fail the connection."
#[tokio::test]
async fn another_status_or_type_fails_the_connection() {
    const STREAM_TYPE: &str = "Content-Type: text/event-stream\r\n";
    for over in BOTH {
        for (status, content_type) in [
            (201, STREAM_TYPE),
            (206, STREAM_TYPE),
            (304, STREAM_TYPE),
            // 9.2.1: "Event stream requests can be redirected", but only to somewhere.
            (301, STREAM_TYPE),
            (404, STREAM_TYPE),
            (500, STREAM_TYPE),
            (200, "Content-Type: text/html\r\n"),
            (200, "Content-Type: text/event-streams\r\n"),
            (200, ""),
        ] {
            let server = Server::start().await;
            let mut source = over.source(&server.url);
            // A 304 has no body.
            let body = if status == 304 { "" } else { "data: x\n\n" };
            let answer = async { server.accept().await.answer(status, content_type, body).await };
            let (error, ()) = tokio::join!(end(&mut source), answer);
            let Error::Failed(Failure::Refused(refusal)) = error else { panic!("{error}") };
            assert_eq!((refusal.status, refusal.body.as_slice()), (status, body.as_bytes()));
            // 9.2.3: "sets the readyState attribute to CLOSED and fires an event named error at the
            // EventSource object. Once the user agent has failed the connection, it does not attempt to
            // reconnect."
            assert_eq!(source.ready_state() as u8, 2);
            assert!(server.is_left_alone().await);
        }
    }
}

/// The same: parameters, case and space do not make another type.
#[tokio::test]
async fn the_type_is_compared_without_its_parameters() {
    for over in BOTH {
        for content_type in ["TEXT/Event-Stream", "text/event-stream; charset=latin1;x"] {
            let server = Server::start().await;
            let mut source = over.source(&server.url);
            let answer = async {
                let mut peer = server.accept().await;
                let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n\r\n");
                peer.send(head).await;
                // 9.2.5: "Streams must be decoded using the UTF-8 decode algorithm", which knows no charset.
                peer.send("\u{feff}data: é\n\n").await;
                peer
            };
            let (item, _peer) = tokio::join!(next(&mut source), answer);
            assert_eq!(item, Item::Open);
            assert_eq!(next(&mut source).await, message("é", ""));
        }
    }
}

/// 9.2.1: "Clients will reconnect if the connection is closed; a client can be told to stop reconnecting using
/// the HTTP 204 No Content response code."
#[tokio::test]
async fn no_content_is_stop() {
    for over in BOTH {
        let server = Server::start().await;
        let mut source = over.source(&server.url);
        tokio::join!(next(&mut source), async { server.accept_stream().await.finish().await });
        assert_eq!(next(&mut source).await, lost(Lost::Ended));
        let answer = async { server.accept().await.answer(204, "", "").await };
        assert!(tokio::join!(is_over(&mut source), answer).0);
        assert_eq!(source.ready_state(), ReadyState::Closed);
        assert!(server.is_left_alone().await);
    }
}

/// 9.2.3: "Wait a delay equal to the reconnection time of the event source." and 9.2.6: "set the event stream's
/// reconnection time to that integer."
#[tokio::test]
async fn the_server_says_how_long_to_wait() {
    for over in BOTH {
        let server = Server::start().await;
        let mut source = over.source(&server.url);
        let serve = async {
            let mut peer = server.accept_stream().await;
            peer.send("retry: 7\n\nretry: +9\n\ndata: x\n\n").await;
            peer.finish().await;
        };
        tokio::join!(next(&mut source), serve);
        assert_eq!(next(&mut source).await, message("x", ""));
        let Item::Error(reconnecting) = next(&mut source).await else { panic!() };
        assert_eq!(reconnecting.delay.as_millis(), 7);
        tokio::join!(next(&mut source), server.accept_stream());
        assert_eq!(source.reconnection_time(), reconnecting.delay);
    }
}

/// 9.2.3: "If the EventSource object's last event ID string is not the empty string, then: Let lastEventIDValue
/// be the EventSource object's last event ID string, encoded as UTF-8. Set (`Last-Event-ID`, lastEventIDValue) in
/// request's header list."
#[tokio::test]
async fn the_last_event_id_goes_with_every_reconnection() {
    for over in BOTH {
        let server = Server::start().await;
        let mut source = over.source(&server.url);
        for (expected, sent, then) in [
            (None, "id: a\ndata\n\n", "a"),
            // 9.2.6: "The buffer does not get reset, so the last event ID string of the event source remains
            // set to this value until the next time it is set by the server."
            (Some("a"), "data\n\n", "a"),
            (Some("a"), "data\n\n", "a"),
            (Some("a"), "id: é \u{1F4A9}\ndata\n\n", "é \u{1F4A9}"),
            // 9.2.6: "Once the end of the file is reached, any pending data must be discarded." and, of a NUL,
            // "Otherwise, ignore the field."
            (Some("é \u{1F4A9}"), "id: b\0\ndata\n\nid: c\ndata\n", "é \u{1F4A9}"),
            (Some("é \u{1F4A9}"), "id\ndata\n\n", ""),
            (None, "data\n\n", ""),
        ] {
            let serve = async {
                let mut peer = server.accept_stream().await;
                assert_eq!(peer.header("last-event-id"), expected);
                peer.send(sent).await;
                peer.finish().await;
            };
            assert_eq!(tokio::join!(next(&mut source), serve).0, Item::Open);
            assert_eq!(next(&mut source).await, message("", then));
            assert_eq!(next(&mut source).await, lost(Lost::Ended));
            assert_eq!(source.last_event_id(), then);
        }
    }
}

/// 9.2.2: "The close() method must abort any instances of the fetch algorithm started for this EventSource
/// object, and must set the readyState attribute to CLOSED."
#[tokio::test]
async fn close_closes_the_connection_and_nothing_comes_after_it() {
    for over in BOTH {
        let server = Server::start().await;
        let mut source = over.source(&server.url);
        let serve = async {
            let mut peer = server.accept_stream().await;
            peer.send("data: 1\n\ndata: 2\n\n").await;
            peer
        };
        let (_, peer) = tokio::join!(next(&mut source), serve);
        assert_eq!(next(&mut source).await, message("1", ""));
        source.close();
        assert_eq!(source.ready_state() as u8, 2);
        // It is not polled any more for this.
        peer.closed().await;
        assert!(is_over(&mut source).await);
        assert!(server.is_left_alone().await);
    }
}

/// 9.2.9: "If an EventSource object is garbage collected while its connection is still open, the user agent must
/// abort any instance of the fetch algorithm opened by this EventSource."
#[tokio::test]
async fn dropping_it_closes_the_connection() {
    for over in BOTH {
        let server = Server::start().await;
        let mut source = over.source(&server.url);
        let (_, peer) = tokio::join!(next(&mut source), server.accept_stream());
        drop(source);
        peer.closed().await;
        // Also before the answer.
        let mut source = over.source(&server.url);
        let peer = tokio::select! {
            item = next(&mut source) => panic!("{item:?}"),
            peer = server.accept() => peer,
        };
        drop(source);
        peer.closed().await;
        assert!(server.is_left_alone().await);
    }
}
