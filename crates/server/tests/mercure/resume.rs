//! Section 5.4: going on from where one was.

use crate::hub::{Hub, granted, next};

async fn with_three() -> Hub {
    let hub = Hub::start().await;
    for (topic, id) in [("a", "1"), ("b", "2"), ("a", "3")] {
        hub.publish(&[("topic", topic), ("id", id), ("data", id)]).await;
    }
    hub
}

// Mercure 5.4: "The `Last-Event-ID` header beats the `last_event_id` query."
// Mercure 5.4: "The hub SHOULD send everything after the id; `earliest` is all."
// Mercure 5.4: "If either was present, even empty, the response MUST carry `Mercure-Last-Event-ID`: the id of the event preceding the first sent, or `earliest`."
// Mercure 5.4: "Ids are one hub-wide sequence, not one per topic."
#[tokio::test]
async fn a_page_goes_on_where_it_was_and_is_told_where() {
    let hub = with_three().await;
    let generated = hub.publish(&[("topic", "a"), ("data", "4")]).await;
    let mut last = generated.clone();
    for (number, (query, header, told, expected)) in [
        ("last_event_id=1", "", Some("1"), &["3", "4"][..]),
        // Another topic's event is a place as well.
        ("last_event_id=2", "", Some("2"), &["3", "4"]),
        ("last_event_id=1", "last-event-id: 3\r\n", Some("3"), &["4"]),
        ("last_event_id=earliest", "", Some("earliest"), &["1", "3", "4"]),
        ("", "last-event-id: earliest\r\n", Some("earliest"), &["1", "3", "4"]),
        ("last_event_id=unknown", "", Some("earliest"), &["1", "3", "4"]),
        ("last_event_id=%23AAAAAAAAAAAAAAAAAAAAAA", "", Some("earliest"), &["1", "3", "4"]),
        ("", "last-event-id: \u{e9}\r\n", Some("earliest"), &["1", "3", "4"]),
        (&format!("last_event_id=%23{}", &generated[1..]), "", Some(&*generated), &[]),
        ("last_event_id=", "", Some("the last"), &[]),
        ("", "last-event-id:\r\n", Some("the last"), &[]),
        ("last_event_id=1", "last-event-id:\r\n", Some("1"), &["3", "4"]),
        ("", "", None, &[]),
        ("lastEventID=1&Last-Event-ID=1&since=all", "", None, &[]),
    ]
    .into_iter()
    .enumerate()
    {
        let topic = format!("end{number}");
        let mut page = hub.subscribe(&format!("match=a&{query}&match={topic}"), header).await;
        let told = if told == Some("the last") { Some(&*last) } else { told };
        assert_eq!(page.header("mercure-last-event-id"), told, "{query} {header:?}");
        assert_eq!(page.header("last-event-id"), None);
        last = hub.publish(&[("topic", &topic)]).await;
        for data in expected {
            assert_eq!(next(&mut page).await.1, *data, "{query} {header:?}");
        }
        assert_eq!(next(&mut page).await.2, last, "{query} {header:?}");
    }
}

// Mercure 5.4: "`earliest` if the history is empty."
#[tokio::test]
async fn before_the_first_event_every_place_is_the_earliest() {
    let hub = Hub::start().await;
    for query in ["last_event_id=", "last_event_id=earliest", "last_event_id=x"] {
        let page = hub.subscribe(&format!("match=a&{query}"), "").await;
        assert_eq!(page.header("mercure-last-event-id"), Some("earliest"), "{query}");
    }
    hub.publish(&[("topic", "a"), ("id", "x")]).await;
    let page = hub.subscribe("match=a&last_event_id=", "").await;
    assert_eq!(page.header("mercure-last-event-id"), Some("x"));
}

// Mercure 5.4: "`earliest` if the id is not known, or discarded."
#[tokio::test]
async fn a_place_that_is_gone_is_the_earliest() {
    let hub = Hub::with(|set_up| {
        set_up.log.bytes_max = 20_000;
        set_up.hub.window_bytes = 1;
    })
    .await;
    for n in 0..600 {
        hub.publish(&[("topic", "a"), ("id", &n.to_string())]).await;
    }
    let page = hub.subscribe("match=a&last_event_id=0", "").await;
    assert_eq!(page.header("mercure-last-event-id"), Some("earliest"));
    assert_eq!(page.header("headwater-resume"), Some("gap"));
}

// Mercure 5.4: "Of duplicate ids the earliest occurrence counts."
#[tokio::test]
async fn an_id_means_its_first_event() {
    let hub = with_three().await;
    hub.publish(&[("topic", "a"), ("id", "1"), ("data", "again")]).await;
    let mut page = hub.subscribe("match=a&last_event_id=1", "").await;
    assert_eq!(next(&mut page).await.1, "3");
    assert_eq!(next(&mut page).await.1, "again");
}

// Mercure 5.4: "Private updates of the past are checked against the current token."
#[tokio::test]
async fn the_past_is_private_too() {
    let hub = with_three().await;
    hub.publish(&[("topic", "a"), ("data", "secret"), ("private", "on")]).await;
    hub.publish(&[("topic", "a"), ("data", "public")]).await;
    for (headers, first) in [
        (granted(&["subscribe"], &["a"]), "secret"),
        (granted(&["subscribe"], &["b"]), "public"),
        (String::new(), "public"),
    ] {
        let mut page = hub.subscribe("match=a&last_event_id=3", &headers).await;
        assert_eq!(next(&mut page).await.1, first);
    }
}
