//! Section 5.7: Mercure 0.x, where the operator lets it in.

use headwater_server::Compat;
use serde_json::{Value, json};

use crate::client::{Said, Subscriber};
use crate::hub::{HUB, Hub, bearer, config, form, next, now_s, publisher, sign};

const ALL: &str = "/.well-known/mercure/subscriptions";

async fn hub() -> Hub {
    Hub::with(|set_up| {
        set_up.config = config(true);
        set_up.config.mercure.compat = Compat::V0;
        set_up.config.mercure.subscriptions = true;
    })
    .await
}

/// A token as 0.x has it, which need not name anything.
fn old_token(claims: &Value) -> String {
    sign(Some("JWT"), &json!({ "mercure": claims }))
}

async fn data(page: &mut Subscriber, count: usize) -> Vec<String> {
    let mut data = Vec::new();
    for _ in 0..count {
        data.push(next(page).await.1);
    }
    data
}

// Mercure 5.7: "`topic=` selects by `*`, the very text, or a URI Template (RFC 6570)."
#[tokio::test]
async fn topics_are_selected() {
    let hub = hub().await;
    let topics = [
        "https://example.com/books/1",
        "https://example.com/books/1/pages",
        "https://example.com/books/{id}",
        "b",
    ];
    for (selectors, expected) in [
        (&["https://example.com/books/{id}"][..], &[topics[0], topics[2]][..]),
        (&["https://example.com/books/{+rest}"], &topics[..2]),
        (&["b", "https://example.com/books/1"], &[topics[0], topics[3]]),
        (&["*"], &topics),
        (&["{unclosed"], &[]),
    ] {
        let mut fields: Vec<_> = selectors.iter().map(|selector| ("topic", *selector)).collect();
        fields.push(("topic", "end"));
        let mut page = hub.subscribe(&form(&fields), "").await;
        for topic in topics.iter().chain(&["end"]) {
            hub.publish(&[("topic", topic), ("data", topic)]).await;
        }
        assert_eq!(data(&mut page, expected.len()).await, expected, "{selectors:?}");
        assert_eq!(data(&mut page, 1).await, ["end"]);
    }
}

// Mercure 5.7: "Both dialects answer; `topic=` together with `match*` is a 400."
#[tokio::test]
async fn both_dialects_answer_but_not_at_once() {
    let hub = hub().await;
    let mut new = hub.subscribe("match=a", "").await;
    let mut old = hub.subscribe("topic=a", "").await;
    hub.publish(&[("topic", "a"), ("data", "x")]).await;
    assert_eq!((next(&mut new).await.1, next(&mut old).await.1), ("x".into(), "x".into()));
    for query in ["topic=a&match=b", "match_urlpattern=/b&topic=a", "topic=a&match=a"] {
        let answer = hub.refused(query, "").await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.body);
    }
    // Off by default.
    let strict = Hub::start().await;
    let answer = strict.refused("topic=a", "").await;
    assert!(answer.status == 400 && answer.detail().contains("mercure.compat"), "{}", answer.body);
}

// Mercure 5.7: "Resuming by `lastEventID` (before that `Last-Event-ID`) in the query; the response has `Last-Event-ID`."
#[tokio::test]
async fn a_page_resumes_as_it_used_to() {
    let hub = hub().await;
    for id in ["1", "2", "3"] {
        hub.publish(&[("topic", "a"), ("id", id), ("data", id)]).await;
    }
    for (query, header, told, first) in [
        ("lastEventID=1", "", "1", "2"),
        ("Last-Event-ID=2", "", "2", "3"),
        ("last_event_id=2", "", "2", "3"),
        ("lastEventID=1", "last-event-id: 2\r\n", "2", "3"),
        ("lastEventID=earliest", "", "earliest", "1"),
        ("lastEventID=unknown", "", "earliest", "1"),
    ] {
        let mut page = hub.subscribe(&format!("topic=a&{query}"), header).await;
        assert_eq!(page.header("last-event-id"), Some(told), "{query}");
        assert_eq!(page.header("mercure-last-event-id"), None);
        assert_eq!(next(&mut page).await.1, first, "{query}");
    }
    let mut page = hub.subscribe("match=a&last_event_id=2", "").await;
    assert_eq!(page.header("mercure-last-event-id"), Some("2"));
    assert_eq!(next(&mut page).await.1, "3");
}

// Mercure 5.7: "The `mercure` claim grants by selectors, and needs neither `typ` nor `iss`, `aud`, `exp`."
// Mercure 5.7: "A token comes in the header, the query's `authorization`, or the cookie `mercureAuthorization`, in this order."
#[tokio::test]
async fn old_tokens_are_taken_wherever_they_used_to_be() {
    let hub = hub().await;
    let publishing = old_token(&json!({"publish": ["https://example.com/{id}", "a"]}));
    let nothing = old_token(&json!({}));
    let origin = "origin: https://localhost\r\n";
    for (headers, query, topic, status) in [
        (bearer(&publishing), String::new(), "https://example.com/1", 200),
        (bearer(&publishing), String::new(), "https://example.com/1/2", 403),
        (origin.to_owned(), format!("?authorization={publishing}"), "a", 200),
        (format!("{origin}cookie: mercureAuthorization={publishing}\r\n"), String::new(), "a", 200),
        (bearer(&nothing), format!("?authorization={publishing}"), "a", 403),
        (
            format!("{origin}cookie: mercureAuthorization={publishing}\r\n"),
            format!("?authorization={nothing}"),
            "a",
            403,
        ),
        (String::new(), String::new(), "a", 401),
    ] {
        let headers = format!("{headers}content-type: application/x-www-form-urlencoded\r\n");
        let target = format!("{HUB}{query}");
        let answer = hub.server.post(&target, &headers, form(&[("topic", topic)])).await;
        assert_eq!(answer.status, status, "{topic}: {}", answer.body);
    }
    let seeing = old_token(&json!({"subscribe": ["https://example.com/{id}"]}));
    let mut page =
        hub.subscribe(&format!("topic=https://example.com/1&authorization={seeing}"), "").await;
    hub.publish(&[("topic", "https://example.com/1"), ("private", "on"), ("data", "x")]).await;
    assert_eq!(next(&mut page).await.1, "x");
    // 1.0's are still taken.
    assert_eq!(hub.post_as(&publisher(), "topic=a").await.status, 200);
}

// Mercure 5.7: "A stream ends with its token, if that ends."
// Mercure 5.7: "What may be published is checked as in 1.0."
#[tokio::test]
async fn what_is_old_is_held_to_the_same_rules() {
    let hub = hub().await;
    let claims = json!({"mercure": {"subscribe": ["a"]}, "exp": now_s() + 2});
    let mut page = hub.subscribe("topic=a", &bearer(&sign(Some("JWT"), &claims))).await;
    while page.next().await != Said::End {}
    let publisher = bearer(&old_token(&json!({"publish": ["*"]})));
    for (fields, status) in [
        (&[("topic", "/.well-known/mercure/subscriptions/a/b")][..], 400),
        (&[("topic", "*")], 400),
        (&[("topic", "a"), ("type", "mercure")], 400),
        (&[("topic", "a"), ("id", "#1")], 400),
        (&[("topic", "a"), ("id", "1")], 200),
    ] {
        assert_eq!(hub.post_as(&publisher, &form(fields)).await.status, status, "{fields:?}");
    }
}

// Mercure 5.7: "Subscriptions are at `/subscriptions/{topic}/{subscriber}`, as `application/ld+json` with `@context`, `type` `Subscription` or `Subscriptions`, `topic`, and `lastEventID` at the root."
#[tokio::test]
async fn subscriptions_are_json_ld() {
    let hub = hub().await;
    let selector = "/.well-known/mercure/subscriptions{/topic}{/subscriber}";
    let claims = json!({"subscribe": ["*"], "payload": {"name": "Ann"}});
    let watcher = bearer(&old_token(&claims));
    let query = form(&[("topic", selector)]);
    let mut watching = hub.subscribe(&query, &watcher).await;
    next(&mut watching).await;
    let page = hub.subscribe(&form(&[("topic", "https://x.example/{id}")]), "").await;
    let (event_type, data, id) = next(&mut watching).await;
    assert_eq!(event_type, "mercure");
    let mut told: Value = serde_json::from_str(&data).unwrap();
    let subscriber = told["subscriber"].as_str().unwrap().to_owned();
    let topic = "https%3A%2F%2Fx.example%2F%7Bid%7D";
    let path = format!("{ALL}/{topic}/{}", subscriber.replace(':', "%3A"));
    let expected = json!({
        "@context": "https://mercure.rocks/", "id": path, "type": "Subscription",
        "topic": "https://x.example/{id}", "subscriber": subscriber, "active": true,
    });
    assert_eq!(told, expected);
    let single = hub.server.get(&path, &watcher).await;
    assert_eq!(single.header("content-type"), Some("application/ld+json"));
    assert_eq!(single.json(), told);
    told.as_object_mut().unwrap().remove("@context");
    for of in [ALL.to_owned(), format!("{ALL}/{topic}")] {
        let all = hub.server.get(&of, &watcher).await;
        assert_eq!(all.header("content-type"), Some("application/ld+json"));
        let all = all.json();
        assert_eq!((&all["id"], &all["type"]), (&json!(of), &json!("Subscriptions")));
        assert_eq!((&all["lastEventID"], &all["@context"]), (&json!(id), &expected["@context"]));
        let listed = all["subscriptions"].as_array().unwrap();
        assert!(listed.contains(&told), "{listed:?}");
        // Its own has the payload of its token.
        if of == ALL {
            assert!(
                listed.iter().any(|one| one["payload"] == json!({"name": "Ann"})),
                "{listed:?}"
            );
        }
    }
    // Who asks for JSON speaks 1.0.
    let _new = hub.subscribe("match=new", "").await;
    let new = hub.server.get(ALL, &format!("{watcher}accept: application/json\r\n")).await;
    assert_eq!(new.header("content-type"), Some("application/json"));
    assert_eq!(new.json()["subscriptions"][0]["match"], "new");
    drop(page);
    let (_, data, _) = next(&mut watching).await;
    let ended: Value = serde_json::from_str(&data).unwrap();
    // The new one's own updates are of the other form, and not selected.
    assert_eq!((&ended["active"], &ended["id"]), (&json!(false), &expected["id"]));
}
