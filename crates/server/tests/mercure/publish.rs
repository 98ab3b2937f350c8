//! Section 5.2: publishing.

use crate::hub::{HUB, Hub, bearer, claims, form, granted, next, publisher, token};

// Mercure 5.2: "Success is 200; the body is the id, as `text/plain; charset=utf-8`."
// Mercure 5.2: "A generated id is an IRI or begins with `#`."
// Mercure 5.2: "The hub MAY ignore a publisher's id and make one."
#[tokio::test]
async fn the_answer_is_the_events_id() {
    let hub = Hub::start().await;
    let mut page = hub.subscribe("match=*", "").await;
    for id in
        ["urn:uuid:5e94c686-2c0b-4f9b-958c-92ccc3bbb4eb", "id-[\"x\"]", "1", "a#b", "Earliest"]
    {
        let answer = hub.post(&[("topic", "a"), ("id", id)]).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, id));
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(next(&mut page).await.2, id);
    }
    let generated = hub.publish(&[("topic", "a")]).await;
    assert!(generated.starts_with('#'), "{generated}");
    assert_eq!(next(&mut page).await.2, generated);
    // "hub MAY ignore and generate": what no header could carry back.
    for id in ["with space", "é", &"x".repeat(129)] {
        let generated = hub.publish(&[("topic", "a"), ("id", id)]).await;
        assert!(generated.starts_with('#'), "{generated}");
        assert_eq!(next(&mut page).await.2, generated);
    }
}

// Mercure 5.2: "Unknown fields MUST be ignored."
#[tokio::test]
async fn unknown_and_empty_fields_are_ignored() {
    let hub = Hub::start().await;
    let mut page = hub.subscribe("match=a", "").await;
    let fields = [
        ("topic", "a"),
        ("data", "x"),
        ("colour", "red"),
        ("Topic", "*"),
        ("TYPE", "mercure"),
        ("id", ""),
        ("type", ""),
        ("retry", ""),
        ("target", "b"),
        ("match", "x"),
    ];
    let id = hub.publish(&fields).await;
    assert_eq!(next(&mut page).await, ("message".into(), "x".into(), id));
}

// Mercure 5.2: "A missing topic is a 400."
// Mercure 5.2: "A topic MUST be valid UTF-8 without C0, DEL, C1 or Cf characters, and not exactly `*`, else 400."
// Mercure 5.2: "An id MUST NOT begin with `#`, be `earliest`, or hold control or Cf characters, else 400."
// Mercure 5.2: "A type MUST NOT hold control or Cf characters, nor be `mercure`, else 400."
// Mercure 5.2: "`retry` is ASCII digits only, else 400."
#[tokio::test]
async fn what_is_no_event_is_a_400_and_is_not_dispatched() {
    let hub = Hub::start().await;
    let mut page = hub.subscribe("match=*", "").await;
    for body in [
        "",
        "data=x",
        "Topic=a",
        "topic=",
        "topic=%ff",
        "topic=*",
        "topic=a&topic=*",
        "topic=a%00",
        "topic=a%1F",
        "topic=a%7F",
        "topic=a%C2%80",
        "topic=a%E2%80%8B",
        "topic=a%F3%A0%80%81",
        "topic=a&id=%23x",
        "topic=a&id=%23",
        "topic=a&id=earliest",
        "topic=a&id=a%0A",
        "topic=a&id=%00",
        "topic=a&id=%E2%80%AE",
        "topic=a&id=%ff",
        "topic=a&type=mercure",
        "topic=a&type=a%0Db",
        "topic=a&type=%C2%AD",
        "topic=a&type=%ff",
        "topic=a&retry=1.5",
        "topic=a&retry=-1",
        "topic=a&retry=%2B1",
        "topic=a&retry=1s",
        "topic=a&retry=%D9%A1",
        "topic=a&retry=+1",
        "topic=a&retry=99999999999999999999",
        "topic=a&data=%ff",
        "topic=a&data=\u{e9}%ff",
    ] {
        let answer = hub.post_as(&publisher(), body).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.body);
        assert!(!answer.detail().is_empty());
    }
    hub.publish(&[("topic", "a"), ("data", "end")]).await;
    assert_eq!(next(&mut page).await.1, "end");
}

// Mercure 5.2: "A topic MUST NOT address the hub's namespace: resolved against the hub's URL, without dot segments and escapes of unreserved characters, whatever its scheme and host, else 400."
#[tokio::test]
async fn nobody_publishes_in_the_hubs_own_name() {
    let hub = Hub::with(|set_up| set_up.config.publish_key = Some(KEY.parse().unwrap())).await;
    let key = bearer(KEY);
    for topic in [
        "/.well-known/mercure",
        "/.well-known/mercure/subscriptions/exact/a/b",
        "https://localhost/.well-known/mercure",
        "http://elsewhere.example/.well-known/mercure/x",
        "foo://x/.well-known/mercure",
        "/a/../.well-known/mercure",
        "/%2e%2E/.well-known/%6Dercure/x",
        "mercure/x",
        "?x",
        "#x",
    ] {
        for topics in [&[("topic", topic)][..], &[("topic", "a"), ("topic", topic)]] {
            let answer = hub.post_as(&publisher(), &form(topics)).await;
            assert_eq!(answer.status, 400, "{topic}: {}", answer.body);
            assert!(answer.detail().contains("namespace"), "{}", answer.body);
        }
        // Nor by the other dialect, in whatever form.
        let line = serde_json::json!({"topic": topic, "data": "x"}).to_string();
        let ndjson = format!("{key}content-type: application/x-ndjson\r\n");
        assert_eq!(hub.server.post("/events", &ndjson, line).await.status, 400, "{topic}");
        let path: String = form(&[("", topic)]).split_off(1).replace('+', "%20");
        let target = format!("/events/{path}");
        assert_eq!(hub.server.post(&target, &key, "x").await.status, 400, "{topic}");
        let stream = format!("{key}content-type: text/event-stream\r\n");
        assert_eq!(hub.server.post(&target, &stream, "data: x\n\n").await.status, 400, "{topic}");
    }
    // Mercure 5.2: "An unparsable topic is allowed."
    for topic in ["http://[/.well-known/mercure", "/.well-known/mercures", "/.well-known/mercury"] {
        hub.publish(&[("topic", topic)]).await;
    }
}

const KEY: &str = "a-publish-key-of-our-own";

// Mercure 5.2: "Limits exceeded is a 413."
#[tokio::test]
async fn too_much_is_a_413() {
    let hub = Hub::with(|set_up| set_up.config.limits.body_bytes_max = 1000).await;
    let topics: Vec<String> = (0..33).map(|n| n.to_string()).collect();
    let topics: Vec<_> = topics.iter().map(|topic| ("topic", topic.as_str())).collect();
    let (topic, event_type) = ("x".repeat(1025), "x".repeat(257));
    for fields in [
        &topics[..],
        &[("topic", &topic)],
        &[("topic", "a"), ("type", &event_type)],
        &[("topic", "a"), ("data", &"x".repeat(1001))],
        &[("topic", "a"), ("data", &"x".repeat(1 << 20))],
    ] {
        let answer = hub.post(fields).await;
        assert_eq!(answer.status, 413, "{}", answer.body);
    }
    // Escaped, it is three times as long.
    hub.publish(&[("topic", "a"), ("data", &"\n".repeat(1000))]).await;
    assert_eq!(hub.post(&topics[..32]).await.status, 200);
}

// Mercure 5.2: "The token MUST grant `publish` on every topic, else 403 `insufficient_scope` and no dispatch."
#[tokio::test]
async fn publishing_takes_a_grant_on_every_topic() {
    let hub = Hub::start().await;
    let mut page = hub.subscribe("match=*", "").await;
    let some = granted(&["publish"], &["a", "b"]);
    let patterns =
        serde_json::json!([{"match": "https://x.example/:id", "match_type": "urlpattern"}]);
    let by_pattern = bearer(&token(&claims(&["publish"], &patterns)));
    for (headers, topics, status) in [
        (&some, &["a"][..], 200),
        (&some, &["a", "b"], 200),
        (&some, &["a", "c"], 403),
        (&some, &["c"], 403),
        (&by_pattern, &["https://x.example/1"], 200),
        (&by_pattern, &["https://x.example/1/2"], 403),
        (&granted(&["subscribe"], &["*"]), &["a"], 403),
        (&granted(&["read"], &["*"]), &["a"], 403),
        (&String::new(), &["a"], 401),
    ] {
        let fields: Vec<_> = topics.iter().map(|topic| ("topic", *topic)).collect();
        let answer = hub.post_as(headers, &form(&fields)).await;
        assert_eq!(answer.status, status, "{topics:?}: {}", answer.body);
        if status == 403 {
            let challenge = answer.header("www-authenticate").unwrap();
            assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
        }
    }
    hub.publish(&[("topic", "end"), ("data", "end")]).await;
    for _ in 0..3 {
        assert_eq!(next(&mut page).await.1, "");
    }
    assert_eq!(next(&mut page).await.1, "end");
}

// Mercure 5.2: "Of several topics the first is the canonical one, the rest are alternates."
#[tokio::test]
async fn the_first_topic_stays_the_first() {
    let hub = Hub::start().await;
    let mut plain = hub.server.subscribe("/events/b", "accept: application/x-ndjson\r\n").await;
    hub.publish(&[("topic", "c"), ("topic", "b"), ("topic", "a"), ("data", "x"), ("type", "t")])
        .await;
    let event = plain.json().await;
    assert_eq!(event["topics"], serde_json::json!(["c", "b", "a"]));
    assert_eq!((&event["data"], &event["type"]), (&"x".into(), &"t".into()));
}

// Mercure 5.2: "An update is published by a `POST` of a form in UTF-8."
#[tokio::test]
async fn only_forms_are_published() {
    let hub = Hub::start().await;
    for content_type in ["", "content-type: application/json\r\n", "content-type: text/plain\r\n"] {
        let headers = format!("{}{content_type}", publisher());
        assert_eq!(hub.server.post(HUB, &headers, "topic=a").await.status, 415, "{content_type}");
    }
    let headers = format!(
        "{}content-type: Application/X-WWW-Form-Urlencoded; charset=utf-8\r\n",
        publisher()
    );
    assert_eq!(hub.server.post(HUB, &headers, "topic=a").await.status, 200);
}
