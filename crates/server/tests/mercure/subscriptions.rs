//! Section 5.5: who is subscribed.

use std::sync::Arc;

use bytes::Bytes;
use headwater_log::{Epoch, Filter, IdKey, Log, MemoryLimits, MemoryLog, Offset, Read, Select};
use http_body_util::Empty;
use hyper::Request;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::client::{Answer, Subscriber};
use crate::hub::{HUB, Hub, bearer, claims, form, granted, next, publisher, token};
use crate::server::within;

const ALL: &str = "/.well-known/mercure/subscriptions";

/// One who may know of all subscriptions.
fn watcher() -> String {
    let topics = json!([
        {"match": ALL},
        {"match": "/.well-known/mercure/subscriptions/*", "match_type": "urlpattern"},
    ]);
    bearer(&token(&claims(&["subscribe"], &topics)))
}

async fn watch(hub: &Hub) -> Subscriber {
    let query = "match_urlpattern=/.well-known/mercure/subscriptions/:type/:match/:subscriber";
    let mut page = hub.subscribe(query, &watcher()).await;
    // It hears of itself.
    let (event_type, data, _) = next(&mut page).await;
    assert_eq!(event_type, "mercure");
    assert_eq!(json_of(&data)["match_type"], "urlpattern");
    page
}

fn json_of(data: &str) -> Value {
    serde_json::from_str(data).unwrap()
}

async fn get(hub: &Hub, path: &str) -> Answer {
    hub.server.get(path, &watcher()).await
}

// Mercure 5.5: "When a subscription begins or ends, the hub publishes a private update with `event: mercure` to the topic `{hubpath}/subscriptions/{match_type}/{match}/{subscriber}`, each percent-encoded once."
// Mercure 5.5: "The data are JSON: `id`, `type`, `match_type`, `match`, `subscriber`, `active`, `payload`."
// Mercure 5.5: "`subscriber` is made by the hub, unique for a connection, never sent by the client, and the same for all subscriptions of the connection."
// Mercure 5.5: "`payload` is that of the first subscribe detail whose topics match the subscription's own matcher, taken for a topic."
#[tokio::test]
async fn those_who_may_are_told_who_comes_and_goes() {
    let hub = Hub::telling().await;
    let mut watching = watch(&hub).await;
    let mut unseeing = hub.subscribe("match=*", "").await;
    next(&mut watching).await;
    let mut claims = claims(&["subscribe"], &json!([{"match": "https://x.example/é"}]));
    claims["authorization_details"][0]["payload"] = json!({"name": "Ann"});
    let query = "match=https://x.example/%C3%A9&match_urlpattern=/:a&subscriber=mine";
    let page = hub.subscribe(query, &bearer(&token(&claims))).await;
    let mut subscribers = Vec::new();
    for (kind, text, segment, payload) in [
        ("exact", "https://x.example/é", "https%3A%2F%2Fx.example%2F%C3%A9", Some("Ann")),
        ("urlpattern", "/:a", "%2F%3Aa", None),
    ] {
        let (event_type, data, id) = next(&mut watching).await;
        assert_eq!(event_type, "mercure");
        assert!(id.starts_with('#'), "{id}");
        let told = json_of(&data);
        let subscriber = told["subscriber"].as_str().unwrap().to_owned();
        assert!(subscriber.starts_with("urn:uuid:"), "{subscriber}");
        let mut expected = json!({
            "id": format!("{ALL}/{kind}/{segment}/{}", subscriber.replace(':', "%3A")),
            "type": "subscription", "match_type": kind, "match": text, "subscriber": subscriber,
            "active": true,
        });
        if let Some(name) = payload {
            expected["payload"] = json!({ "name": name });
        }
        assert_eq!(told, expected);
        subscribers.push((subscriber, expected));
    }
    assert_eq!(subscribers[0].0, subscribers[1].0);
    // The connection breaks.
    drop(page);
    for (_, mut expected) in subscribers {
        expected["active"] = false.into();
        let (event_type, data, _) = next(&mut watching).await;
        assert_eq!((&*event_type, json_of(&data)), ("mercure", expected));
    }
    // Who was granted nothing of it saw nothing of it.
    hub.publish(&[("topic", "a"), ("data", "end")]).await;
    assert_eq!(next(&mut unseeing).await.1, "end");
}

// Mercure 5.5: "`{hub}/subscriptions`, `/{match_type}/{match}` and `/{match_type}/{match}/{subscriber}` answer `application/json`."
// Mercure 5.5: "A collection is `id`, `type` and `subscriptions`; an unknown single one is a 404."
// Mercure 5.5: "Each response has a `Link` to the hub with `last-event-id`, or `earliest` if there is none."
#[tokio::test]
async fn whoever_may_can_ask_who_is_there() {
    let hub = Hub::telling().await;
    let empty = get(&hub, ALL).await;
    assert_eq!((empty.status, empty.header("content-type")), (200, Some("application/json")));
    assert_eq!(empty.json(), json!({"id": ALL, "type": "subscriptions", "subscriptions": []}));
    let link = |last: &str| {
        format!(
            "<{HUB}>; rel=\"mercure\"; last-event-id=\"{last}\"; type=\"mercure\"; \
             content-type=\"application/json\""
        )
    };
    assert_eq!(empty.header("link"), Some(&*link("earliest")));
    assert!(empty.header("cache-control").unwrap().contains("must-revalidate"));

    let mut watching = watch(&hub).await;
    let page = hub.subscribe("match=a/b&match=c", "").await;
    let mut told = Vec::new();
    for _ in 0..2 {
        let (_, data, id) = next(&mut watching).await;
        told.push((json_of(&data), id));
    }
    let all = get(&hub, ALL).await;
    assert_eq!(all.header("link"), Some(&*link(&told[1].1)));
    let listed = all.json()["subscriptions"].as_array().unwrap().clone();
    assert_eq!(listed[..2], [told[0].0.clone(), told[1].0.clone()]);
    assert_eq!(listed.len(), 3);
    let of = get(&hub, &format!("{ALL}/exact/a%2Fb")).await.json();
    let id = format!("{ALL}/exact/a%2Fb");
    assert_eq!(of, json!({"id": id, "type": "subscriptions", "subscriptions": [told[0].0]}));
    let one = told[1].0["id"].as_str().unwrap();
    let single = get(&hub, one).await;
    assert_eq!(single.json(), told[1].0);

    // "ETag + must-revalidate".
    let tag = single.header("etag").unwrap().to_owned();
    let again = format!("{}if-none-match: {tag}\r\n", watcher());
    let mut connection = hub.server.connect().await;
    let request = format!("GET {one} HTTP/1.1\r\nhost: localhost\r\n{again}\r\n");
    connection.write(request.as_bytes()).await;
    let unchanged = connection.answer_without_body().await;
    assert_eq!((unchanged.status, unchanged.header("etag")), (304, Some(&*tag)));
    assert_eq!(unchanged.header("link"), Some(&*link(&told[1].1)));

    drop(page);
    for _ in 0..2 {
        next(&mut watching).await;
    }
    assert_eq!(get(&hub, one).await.status, 404);
    for path in ["/exact", "/other/a", "/exact/a/b", "/"] {
        assert_eq!(get(&hub, &format!("{ALL}{path}")).await.status, 404, "{path}");
    }
    // An id may hold what a header would have to escape.
    hub.publish(&[("topic", "x"), ("id", "id-[\"x\\\"]")]).await;
    assert_eq!(get(&hub, ALL).await.header("link"), Some(&*link("id-[\\\"x\\\\\\\"]")));
}

// Mercure 5.5: "The token MUST grant `subscribe` on the relative path, else 403."
#[tokio::test]
async fn who_is_there_is_told_to_those_who_are_granted_it() {
    let hub = Hub::telling().await;
    let of_a = format!("{ALL}/exact/a");
    for (headers, path, status) in [
        (String::new(), ALL, 401),
        (granted(&["subscribe"], &["*"]), ALL, 200),
        (granted(&["subscribe"], &[ALL]), ALL, 200),
        (granted(&["subscribe"], &[ALL]), &of_a, 403),
        (granted(&["subscribe"], &[&of_a]), &of_a, 200),
        (granted(&["subscribe"], &[&of_a]), ALL, 403),
        (publisher(), ALL, 403),
    ] {
        let answer = hub.server.get(path, &headers).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        assert_eq!(challenge.contains("insufficient_scope"), status == 403, "{challenge}");
    }
    // However it is written in the request.
    let answer =
        hub.server.get(&format!("{ALL}/exact/%61"), &granted(&["subscribe"], &[&of_a])).await;
    assert_eq!(answer.status, 200);
}

// Mercure 5.6: "The `last-event-id` of a link is passed as `last_event_id`, so that nothing is missed."
#[tokio::test]
async fn what_comes_after_the_list_follows_its_link() {
    let hub = Hub::telling().await;
    let mut watching = watch(&hub).await;
    let listed = get(&hub, ALL).await;
    let link = listed.header("link").unwrap();
    let last = link.split("last-event-id=\"").nth(1).unwrap().split('"').next().unwrap();
    let _page = hub.subscribe("match=between", "").await;
    next(&mut watching).await;
    let query = form(&[("match_urlpattern", &format!("{ALL}/exact/*")), ("last_event_id", last)]);
    let mut late = hub.subscribe(&query, &watcher()).await;
    assert_eq!(late.header("mercure-last-event-id"), Some(last));
    assert_eq!(json_of(&next(&mut late).await.1)["match"], "between");
}

#[tokio::test]
async fn collections_come_page_by_page() {
    let hub = Hub::telling().await;
    let mut watching = watch(&hub).await;
    let query: String = (0..5).map(|n| format!("match=https://x.example/{n}&")).collect();
    let _page = hub.subscribe(&query, "").await;
    for _ in 0..5 {
        next(&mut watching).await;
    }
    let (mut seen, mut path) = (Vec::new(), format!("{ALL}?limit=2"));
    for _ in 0..3 {
        let answer = get(&hub, &path).await;
        let listed = answer.json()["subscriptions"].as_array().unwrap().clone();
        seen.extend(listed.iter().map(|one| one["match"].as_str().unwrap().to_owned()));
        let links: Vec<&str> =
            answer.head.lines().filter_map(|line| line.strip_prefix("link: ")).collect();
        assert!(links[0].contains("rel=\"mercure\""));
        match links.get(1).and_then(|link| link.strip_suffix(">; rel=\"next\"")) {
            Some(next) => path = next[1..].to_owned(),
            None => break,
        }
    }
    assert_eq!(seen.len(), 6);
    assert!(seen[..5].iter().zip(0..).all(|(seen, n)| *seen == format!("https://x.example/{n}")));
    for query in ["limit=0", "limit=1001", "limit=x", "after=x", &format!("after={ALL}")] {
        assert_eq!(get(&hub, &format!("{ALL}?{query}")).await.status, 400, "{query}");
    }
}

#[tokio::test]
async fn a_hub_that_stops_says_that_all_are_gone() {
    let log: Arc<dyn Log> =
        Arc::new(MemoryLog::new(Epoch::new(7), IdKey::new([7; 16]), MemoryLimits::default()));
    let hub = Hub::telling_into(log.clone()).await;
    let pages = [hub.subscribe("match=a", "").await, hub.subscribe("match=b&match=c", "").await];
    hub.server.stop().await;
    drop(pages);
    let read = Read {
        after: Offset::START,
        filter: Filter::all().into(),
        select: Select::Every,
        bytes_max: usize::MAX,
    };
    let records = log.read(read).await.unwrap().records;
    let told: Vec<Value> = records.iter().map(|record| json_of(&record.event.data)).collect();
    let begun = told.iter().filter(|told| told["active"] == true);
    let ended = |one: &Value| {
        told.iter().filter(|told| told["id"] == one["id"] && told["active"] == false).count()
    };
    let begun: Vec<_> = begun.collect();
    assert_eq!((begun.len(), told.len()), (3, 6));
    assert!(begun.into_iter().all(|one| ended(one) == 1));
    assert!(records.iter().all(|record| record.event.private));
}

#[tokio::test]
async fn a_stream_over_http_2_is_seen_to_end() {
    let hub = Hub::telling().await;
    let mut watching = watch(&hub).await;
    let stream = TcpStream::connect(hub.server.address).await.unwrap();
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let url = format!("http://{}{HUB}?match=a", hub.server.address);
    let request = Request::get(url).body(Empty::<Bytes>::new()).unwrap();
    let first = within(sender.send_request(request.clone())).await.unwrap();
    let second = within(sender.send_request(request)).await.unwrap();
    let mut told = Vec::new();
    for _ in 0..2 {
        told.push(json_of(&next(&mut watching).await.1)["subscriber"].clone());
    }
    assert_ne!(told[0], told[1]);
    // One stream is reset, the other goes with its connection.
    drop(first);
    let ended = json_of(&next(&mut watching).await.1);
    assert_eq!((&ended["active"], &ended["subscriber"]), (&json!(false), &told[0]));
    drop((second, sender));
    let ended = json_of(&next(&mut watching).await.1);
    assert_eq!((&ended["active"], &ended["subscriber"]), (&json!(false), &told[1]));
}

#[tokio::test]
async fn a_hub_that_is_not_to_tell_tells_nothing() {
    let hub = Hub::with(|set_up| set_up.config.mercure.subscriptions = false).await;
    let mut page = hub.subscribe("match=*", &granted(&["subscribe"], &["*"])).await;
    let _other = hub.subscribe("match=a", "").await;
    hub.publish(&[("topic", "a"), ("data", "first")]).await;
    assert_eq!(next(&mut page).await.1, "first");
    assert_eq!(get(&hub, ALL).await.status, 404);
}
