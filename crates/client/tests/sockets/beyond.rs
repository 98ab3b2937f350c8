//! What programs need beyond the standard.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use headwater_client::http::{HeaderMap, HeaderValue, Method, header::AUTHORIZATION};
use headwater_client::{
    Error, EventSource, EventStream, Failure, Gap, Item, JsonError, Limits, Lost, ReadTimeout,
    Reconnecting, Refusal, Statuses, decode,
};

use crate::server::Server;
use crate::{BOTH, Over, TICK, end, is_over, lost, message, next};

#[tokio::test]
async fn a_method_a_body_headers_and_a_first_id_go_with_every_connection() {
    for over in BOTH {
        for method in ["POST", "REPORT"] {
            let server = Server::start().await;
            let mut source = over
                .builder(&server.url.replace("http://", "http://user:pass@"))
                .method(Method::from_bytes(method.as_bytes()).unwrap())
                .body("topic=a")
                .header("content-type", "text/plain")
                .header("accept", "text/event-stream, */*")
                .last_event_id("#é")
                .build()
                .unwrap();
            for _ in 0..2 {
                let serve = async {
                    let peer = server.accept_stream().await;
                    assert_eq!(peer.line, format!("{method} /events/news"));
                    assert_eq!(peer.body, "topic=a");
                    assert_eq!(peer.header("content-length"), Some("7"));
                    assert_eq!(peer.header("content-type"), Some("text/plain"));
                    assert_eq!(peer.header("accept"), Some("text/event-stream, */*"));
                    assert_eq!(peer.header("authorization"), Some("Basic dXNlcjpwYXNz"));
                    assert_eq!(peer.header("last-event-id"), Some("#é"));
                    peer.finish().await;
                };
                assert_eq!(tokio::join!(next(&mut source), serve).0, Item::Open);
                assert_eq!(next(&mut source).await, lost(Lost::Ended));
            }
        }
    }
}

#[tokio::test]
async fn fresh_headers_are_asked_for_before_each_connection() {
    for over in BOTH {
        let server = Server::start().await;
        let count = Arc::new(AtomicUsize::new(0));
        let make = move || {
            let n = count.fetch_add(1, Ordering::Relaxed);
            async move {
                if n == 1 {
                    return Err("the token service is down".into());
                }
                let token = HeaderValue::try_from(format!("token {n}"))?;
                Ok(HeaderMap::from_iter([(AUTHORIZATION, token)]))
            }
        };
        let mut source = over
            .builder(&server.url)
            .header("authorization", "none yet")
            .fresh_headers(make)
            .retry_statuses([401])
            .build()
            .unwrap();
        let refuse = async {
            let peer = server.accept().await;
            assert_eq!(peer.header("authorization"), Some("token 0"));
            peer.answer(401, "", "").await;
        };
        assert_eq!(tokio::join!(next(&mut source), refuse).0, lost(Lost::Status(401)));
        let what = "the token service is down".to_owned();
        assert_eq!(next(&mut source).await, lost(Lost::Headers(what)));
        let (item, peer) = tokio::join!(next(&mut source), server.accept_stream());
        assert_eq!(item, Item::Open);
        assert_eq!(peer.header("authorization"), Some("token 2"));
    }
}

#[tokio::test]
async fn a_refusal_says_what_the_server_said_and_can_be_waited_out() {
    let body = format!("{{\"detail\":\"no such thing\"}}{}", " ".repeat(9000));
    for over in BOTH {
        let server = Server::start().await;
        let builder = over.builder(&server.url).retry_statuses(Statuses::temporary());
        let mut source = builder.build().unwrap();
        let busy = async { server.accept().await.answer(503, "Retry-After: 0\r\n", "").await };
        assert_eq!(tokio::join!(next(&mut source), busy).0, lost(Lost::Status(503)));
        let json = "Content-Type: application/problem+json\r\n";
        let refuse = async { server.accept().await.answer(404, json, &body).await };
        let (error, ()) = tokio::join!(end(&mut source), refuse);
        let Error::Failed(Failure::Refused(refusal)) = error else { panic!("{error}") };
        assert_eq!(refusal.status, 404);
        assert_eq!(refusal.content_type.as_deref(), Some("application/problem+json"));
        assert_eq!(refusal.body, body.as_bytes()[..Refusal::BODY_BYTES_MAX]);
        // The rest of it is not waited for.
        let mut source = over.source(&server.url);
        let endless = async {
            let mut peer = server.accept().await;
            peer.send(format!("HTTP/1.1 404 X\r\nContent-Length: 99999999\r\n\r\n{body}")).await;
            peer.closed().await;
        };
        assert!(matches!(tokio::join!(end(&mut source), endless).0, Error::Failed(_)));
    }
}

/// The silence is awaited, not measured: the server sees its connection closed.
#[tokio::test]
async fn a_silent_server_is_left() {
    // Long enough for a busy machine not to be silent by accident.
    let silence = Duration::from_secs(2);
    let leave = async |over: Over| {
        let server = Server::start().await;
        let builder = over.builder(&server.url).read_timeout(ReadTimeout::After(silence));
        let mut source = builder.build().unwrap();
        let serve = async {
            let mut peer = server.accept_stream().await;
            peer.send("data: a\n\n").await;
            peer
        };
        let (_, peer) = tokio::join!(next(&mut source), serve);
        assert_eq!(next(&mut source).await, message("a", ""));
        assert_eq!(next(&mut source).await, lost(Lost::Silent(silence)));
        peer.closed().await;
        // Nor is the head of an answer waited for any longer.
        let (item, peer) = tokio::join!(next(&mut source), server.accept());
        assert_eq!(item, lost(Lost::Silent(silence)));
        peer.closed().await;
    };
    tokio::join!(leave(Over::Reqwest), leave(Over::Hyper));
}

#[tokio::test]
async fn reconnect_leaves_the_connection_for_another_at_once() {
    for over in BOTH {
        let server = Server::start().await;
        let builder = over.builder(&server.url).reconnection_time(Duration::from_secs(600));
        let mut source = builder.build().unwrap();
        let serve = async {
            let mut peer = server.accept_stream().await;
            peer.send("id: 1\ndata: a\n\ndata: b\n\n").await;
            peer
        };
        let (_, peer) = tokio::join!(next(&mut source), serve);
        assert_eq!(next(&mut source).await, message("a", "1"));
        source.reconnect();
        peer.closed().await;
        let (item, peer) = tokio::join!(next(&mut source), server.accept_stream());
        assert_eq!((item, peer.header("last-event-id")), (Item::Open, Some("1")));
    }
}

/// For a request that must not be sent twice.
#[tokio::test]
async fn without_reconnecting_the_end_is_the_end_and_a_loss_a_failure() {
    for over in BOTH {
        let server = Server::start().await;
        let once = || over.builder(&server.url).reconnect(false).build().unwrap();
        let mut source = once();
        tokio::join!(next(&mut source), async { server.accept_stream().await.finish().await });
        assert!(is_over(&mut source).await);
        let mut source = once();
        let (_, peer) = tokio::join!(next(&mut source), server.accept_stream());
        peer.reset();
        let error = end(&mut source).await;
        assert!(matches!(error, Error::Failed(Failure::Lost(Lost::Network(_)))), "{error}");
        assert!(server.is_left_alone().await);
    }
}

#[tokio::test]
async fn gaps_comments_and_limits() {
    for over in BOTH {
        let server = Server::start().await;
        let builder = over.builder(&server.url).report_comments(true);
        let limits = Limits { line_bytes_max: 100, ..Limits::default() };
        let mut source = builder.limits(limits).build().unwrap();
        let serve = async {
            let mut peer = server.accept_stream().await;
            peer.send(":\nevent: hub.open\nretry: 1\ndata: {\"resume\":\"gap\"}\nid: #0\n\n").await;
            peer.send("event: hub.gap\ndata: {\"requested\":\"x\",\"resumed\":null}\nid: #1\n\n")
                .await;
            peer.send(": ping\ndata: ").await;
            peer.send([b'x'; 200]).await;
            peer
        };
        let (_, peer) = tokio::join!(next(&mut source), serve);
        assert_eq!(next(&mut source).await, Item::Comment(String::new()));
        let gap = Gap { requested: Some("x".into()), resumed: None, id: "#1".into() };
        assert_eq!(next(&mut source).await, Item::Gap(gap));
        assert_eq!(next(&mut source).await, Item::Comment("ping".into()));
        assert_eq!(source.last_event_id(), "#1");
        let error = end(&mut source).await;
        assert!(matches!(error, Error::Failed(Failure::Decode(_))), "{error}");
        peer.closed().await;
    }
}

#[derive(Debug, serde::Deserialize, PartialEq)]
struct Price {
    price: u32,
}

const PRICES: &str = "event: price\ndata: {\"price\":1}\n\ndata: other\n\nevent: price\ndata: no\n\n\
                      event: price\ndata: {\"price\":2}\n\n";

fn prices<E: std::fmt::Debug>(seen: Vec<Result<Price, JsonError<E>>>) {
    let [Ok(one), Err(JsonError::Data { event, .. }), Ok(two)] = seen.as_slice() else {
        panic!("{seen:?}")
    };
    assert_eq!((one.price, two.price, event.data.as_str()), (1, 2, "no"));
}

#[tokio::test]
async fn events_can_be_had_by_type_and_as_what_they_say() {
    for over in BOTH {
        let server = Server::start().await;
        let source = over.builder(&server.url).reconnect(false).build().unwrap();
        let serve = async {
            let mut peer = server.accept_stream().await;
            peer.send(PRICES).await;
            peer.finish().await;
        };
        let seen = source.events_of_type("price").json().collect();
        prices(tokio::join!(seen, serve).0);
    }
}

/// The line that users of `eventsource-stream` change.
#[tokio::test]
async fn a_body_that_one_already_has_is_decoded() {
    let server = Server::start().await;
    let serve = async {
        let mut peer = server.accept_stream().await;
        peer.send(PRICES).await;
        peer.finish().await;
    };
    let read = async {
        let response = reqwest::get(&server.url).await.unwrap();
        decode(response.bytes_stream()).events_of_type("price").json().collect().await
    };
    prices(tokio::join!(read, serve).0);
    for size in 1..PRICES.len() {
        let chunks = PRICES.as_bytes().chunks(size).map(Ok::<_, std::io::Error>);
        let mut events = decode(futures_util::stream::iter(chunks));
        let data: Vec<_> = events.by_ref().map_ok(|event| event.data).try_collect().await.unwrap();
        assert_eq!(data, ["{\"price\":1}", "other", "no", "{\"price\":2}"]);
        assert!(events.next().await.is_none());
    }
}

#[test]
fn what_cannot_be_sent_is_refused_at_once() {
    let builder = || EventSource::builder("http://localhost/");
    assert!(matches!(builder().last_event_id("\u{1}").build(), Err(Error::LastEventId(_))));
    assert!(matches!(builder().header("a b", "c").build(), Err(Error::Request(_))));
    assert!(matches!(builder().header("a", "b\n").build(), Err(Error::Request(_))));
    let keys = std::collections::BTreeMap::from([((1, 2), 3)]);
    assert!(matches!(builder().json(&keys).build(), Err(Error::Request(_))));
}

/// The delays of attempts that come to nothing grow, and an event takes them back.
#[tokio::test]
async fn attempts_that_come_to_nothing_are_spread() {
    for over in BOTH {
        let server = Server::start().await;
        let builder = over.builder(&server.url).reconnection_time(TICK);
        let mut source = builder.backoff(TICK * 50, Duration::MAX).build().unwrap();
        let mut longest = Duration::ZERO;
        for _ in 0..20 {
            let drop_it = async { server.accept().await.reset() };
            let Item::Error(Reconnecting { delay, .. }) =
                tokio::join!(next(&mut source), drop_it).0
            else {
                panic!()
            };
            assert!((TICK..=TICK * 51).contains(&delay), "{delay:?}");
            longest = longest.max(delay);
        }
        assert!(longest > TICK * 10, "{longest:?}");
    }
}
