//! Section 5.1: subscribing.

use crate::client::Said;
use crate::hub::{HUB, Hub, bearer, claims, form, granted, next, now_s, token};

// Mercure 5.1: "MUST support GET."
// Mercure 5.1: "The response is `text/event-stream`."
// Mercure 5.1: "Deliver an update if any of its topics matches any matcher."
#[tokio::test]
async fn a_page_hears_of_its_topic_and_of_nothing_else() {
    let hub = Hub::start().await;
    let mut page = hub.subscribe("match=https://example.com/books/1&match_exact=b", "").await;
    assert_eq!(page.header("content-type"), Some("text/event-stream"));
    assert_eq!(page.header("x-accel-buffering"), Some("no"));
    assert!(page.header("cache-control").unwrap().contains("no-store"));
    for (topics, data) in [
        (&["https://example.com/books/2"][..], "other"),
        (&["https://example.com/books/1"], "first"),
        (&["x", "b"], "alternate"),
        (&["b", "https://example.com/books/1"], "both, once"),
        (&["b"], "last"),
    ] {
        let mut fields: Vec<_> = topics.iter().map(|topic| ("topic", *topic)).collect();
        fields.push(("data", data));
        hub.publish(&fields).await;
    }
    for data in ["first", "alternate", "both, once", "last"] {
        assert_eq!(next(&mut page).await.1, data);
    }
}

// Mercure 5.1: "Every event MUST have an `id`."
// Mercure 5.1: "All SSE fields are supported."
// Mercure 5.1: "`data` is sent one line per `data:`, splitting at CR, LF and CRLF."
#[tokio::test]
async fn an_event_arrives_with_all_its_fields() {
    let hub = Hub::start().await;
    let mut page = hub.subscribe("match=a", "").await;
    let id = hub.publish(&[("topic", "a"), ("data", "plain")]).await;
    assert_eq!(next(&mut page).await, ("message".into(), "plain".into(), id));
    let id = "id-[\"x\"]";
    let fields = [
        ("topic", "a"),
        ("data", "one\r\ntwo\rthree\n\nfive\n"),
        ("id", id),
        ("type", "changed"),
        ("retry", "1234"),
    ];
    assert_eq!(hub.publish(&fields).await, id);
    let mut retry = None;
    loop {
        match page.next_said().await {
            Said::Retry(ms) => retry = Some(ms),
            Said::Event { event_type, data, id: received } => {
                let expected = ("changed", "one\ntwo\nthree\n\nfive\n", id);
                assert_eq!((&*event_type, &*data, &*received), expected);
                break;
            }
            said => panic!("{said:?}"),
        }
    }
    assert_eq!(retry, Some(1234));
    let empty = hub.publish(&[("topic", "a")]).await;
    assert_eq!(next(&mut page).await, ("message".into(), String::new(), empty));
}

// Mercure 5.1: "The hub SHOULD send `:` keep-alive comments."
#[tokio::test]
async fn what_the_hub_says_itself_is_no_event_to_anybody() {
    let hub = Hub::with(|set_up| {
        set_up.hub.heartbeat_ms = 150;
        set_up.hub.checkpoint_ms = 150;
    })
    .await;
    let mut page = hub.subscribe("match=a", "").await;
    let mut text = String::new();
    let mut published = false;
    while text.matches("\nid: ").count() < 2 || !text.ends_with(":\n") {
        text += std::str::from_utf8(&page.piece().await.unwrap()).unwrap();
        if !published {
            // The log moves on without this page.
            hub.publish(&[("topic", "b")]).await;
            published = true;
        }
    }
    // A stream begins with a comment, so that what was before it on the way is flushed.
    assert!(text.starts_with(":\nretry: "), "{text:?}");
    // Some clients take every blank line for the end of an event.
    assert!(
        !text.contains("\n\n") && !text.contains("data") && !text.contains("event"),
        "{text:?}"
    );
    let id = hub.publish(&[("topic", "a"), ("data", "x")]).await;
    assert_eq!(next(&mut page).await, ("message".into(), "x".into(), id));
}

#[tokio::test]
async fn webkit_comes_back_to_a_clean_beginning() {
    const WEBKIT: &str = "user-agent: Mozilla/5.0 (X11) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                          Version/18.0 Safari/605.1.15\r\n";
    const CHROMIUM: &str = "user-agent: Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) \
                            Chrome/156.0.0.0 Safari/537.36\r\n";
    const NATIVE: &str = "cache-control: no-cache\r\n";
    const BACK: &str = "last-event-id: 1\r\n";
    let hub = Hub::start().await;
    hub.publish(&[("topic", "a"), ("id", "1")]).await;
    hub.publish(&[("topic", "a"), ("data", "x")]).await;
    for (headers, clean) in [
        ([WEBKIT, NATIVE, BACK], true),
        ([WEBKIT, "", BACK], false),
        ([CHROMIUM, NATIVE, BACK], false),
        (["", NATIVE, BACK], false),
    ] {
        let mut page = hub.subscribe("match=a", &headers.concat()).await;
        let block = page.connection.block().await;
        assert_eq!(block.contains("event: hub.open\n"), clean, "{headers:?}: {block}");
    }
    let mut page = hub.subscribe("match=a&last_event_id=1", &[WEBKIT, NATIVE].concat()).await;
    assert_eq!(next(&mut page).await.1, "x");
}

// Mercure 5.1: "QUERY: the body is a form; its pairs and those of the query are united."
// Mercure 5.1: "`last_event_id` in both: the query wins; the header beats both."
#[tokio::test]
async fn query_subscribes_by_a_form() {
    let hub = Hub::start().await;
    for id in ["1", "2", "3"] {
        hub.publish(&[("topic", "a"), ("id", id)]).await;
    }
    for (query, body, headers, first) in [
        ("", "match=a&last_event_id=1", "", "2"),
        ("?last_event_id=2", "match=a&last_event_id=1", "", "3"),
        ("?match=a", "last_event_id=1", "last-event-id: 2\r\n", "3"),
    ] {
        let mut connection = hub.server.connect().await;
        let length = body.len();
        let request = format!(
            "QUERY {HUB}{query} HTTP/1.1\r\nhost: localhost\r\n{headers}content-length: {length}\r\n\
             content-type: application/x-www-form-urlencoded\r\n\r\n{body}"
        );
        connection.write(request.as_bytes()).await;
        let mut page = connection.stream().await;
        assert_eq!(next(&mut page).await.2, first, "{query} {body} {headers}");
    }
    let request =
        format!("QUERY {HUB} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 7\r\n\r\nmatch=a");
    assert_eq!(hub.server.ask(request).await.status, 415);
}

#[tokio::test]
async fn other_methods_are_told_which_there_are() {
    let hub = Hub::start().await;
    let allow = "GET, HEAD, QUERY, POST, OPTIONS";
    for (method, status) in [("PUT", 405), ("DELETE", 405), ("OPTIONS", 204)] {
        let answer =
            hub.server.ask(format!("{method} {HUB} HTTP/1.1\r\nhost: localhost\r\n\r\n")).await;
        assert_eq!((answer.status, answer.header("allow")), (status, Some(allow)), "{method}");
    }
    let mut connection = hub.server.connect().await;
    let head = format!("HEAD {HUB}?match=a&last_event_id= HTTP/1.1\r\nhost: localhost\r\n\r\n");
    connection.write(head.as_bytes()).await;
    let answer = connection.answer_without_body().await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/event-stream")));
    assert_eq!(answer.header("mercure-last-event-id"), Some("earliest"));
}

// Mercure 5.1: "Parameter names are case-sensitive; a name that equals or begins, in any case, with `match` and is no supported type is a 400."
// Mercure 5.1: "Values MUST be valid UTF-8 without C0, DEL, C1 or Cf characters, else 400."
// Mercure 5.1: "An invalid URL pattern is a 400."
// Mercure 5.1: "Over the limits of count or length is a 400."
#[tokio::test]
async fn what_cannot_be_met_is_a_400() {
    let hub = Hub::with(|set_up| set_up.config.limits.matchers_max = 50).await;
    let many: String = (0..51).map(|n| format!("&match={n}")).collect();
    let patterns: String = (0..17).map(|n| format!("&match_urlpattern=/{n}")).collect();
    let long = format!("match_urlpattern=/{}", "x".repeat(1024));
    for query in [
        "",
        "topic=a",
        "Match=a",
        "MATCH=a",
        "matches=a",
        "match=a&match_regex=b",
        "match=a&Match_Exact=b",
        "match=%ff",
        "match=a%00",
        "match=a%0Ab",
        "match=%7F",
        "match=%C2%9F",
        "match=%E2%80%AE",
        "match=",
        "match_urlpattern=%ff",
        "match_urlpattern=/%E2%81%A6",
        "match_urlpattern=/(",
        "match_urlpattern=/:a:a(",
        "match_urlpattern=",
        "match_urlpattern=/([a-z]{1000}{1000})",
        &many,
        &patterns,
        &long,
    ] {
        let answer = hub.refused(query, "").await;
        let shown = &query[..query.len().min(60)];
        assert_eq!(answer.status, 400, "{shown}: {}", answer.body);
        assert!(!answer.detail().is_empty());
    }
}

// Mercure 5.1: "The value `*` of any type matches every topic."
// Mercure 5.1: "exact: byte for byte; MUST NOT resolve or normalise."
// Mercure 5.1: "urlpattern: relative patterns and topics are resolved against the hub's URL; `ignoreCase` MUST NOT be on; a topic that is no URL matches none."
#[tokio::test]
async fn matchers_match_what_the_protocol_says() {
    let hub = Hub::start().await;
    let topics = [
        "https://example.com/books/1",
        "https://example.com/Books/1",
        "https://example.com/a/../books/1",
        "HTTPS://EXAMPLE.COM/books/2",
        "https://localhost/books/3",
        "/books/4",
        "books/5",
        "http://[bad",
        "urn:isbn:1",
    ];
    let pattern = |pattern: &str| form(&[("match_urlpattern", pattern)]);
    let exact = |text: &str| form(&[("match", text)]);
    for (query, expected) in [
        (exact("*"), &topics[..]),
        (pattern("*"), &topics),
        ("match_exact=*&match=a".to_owned(), &topics),
        (exact("https://example.com/books/1"), &topics[..1]),
        (exact("https://example.com/a/../books/1"), &topics[2..3]),
        (exact("https://localhost/books/4"), &[]),
        (pattern("https://example.com/books/:id"), &[topics[0], topics[2], topics[3]]),
        (pattern("/books/:id"), &topics[4..6]),
        // The hub's URL is https://localhost/.well-known/mercure.
        (pattern("books/:id"), &topics[6..7]),
        (pattern("/.well-known/books/([0-9]+)"), &topics[6..7]),
        (pattern("urn\\:isbn\\:*"), &topics[8..]),
    ] {
        let mut page = hub.subscribe(&format!("{query}&match=end"), "").await;
        for topic in topics {
            hub.publish(&[("topic", topic), ("data", topic)]).await;
        }
        hub.publish(&[("topic", "end"), ("data", "end")]).await;
        let mut received = Vec::new();
        loop {
            match next(&mut page).await.1 {
                data if data == "end" => break,
                data => received.push(data),
            }
        }
        assert_eq!(received, expected, "{query}");
    }
}

// Mercure 5.1: "Regular expressions MUST take linear time or have a limit; who reaches it gets no match."
#[tokio::test]
async fn no_pattern_is_slow() {
    let hub = Hub::start().await;
    const HUGE: &str = "/((?:a{1000}){1000})";
    let topic = format!("/{}!", "a".repeat(1000));
    for pattern in ["/((?:a+)+)b", "/((?:a|aa)+)b", "/(.*)(.*)(.*)(.*)(.*)b", "/*a*a*a*a*b", HUGE] {
        let query = form(&[("match_urlpattern", pattern), ("match", "end")]);
        let mut connection = hub.server.connect().await;
        let request = format!("GET {HUB}?{query} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        connection.write(request.as_bytes()).await;
        let mut page = connection.stream().await;
        if page.head.starts_with("HTTP/1.1 400 ") {
            // It would take too much to hold.
            assert_eq!(pattern, HUGE);
            continue;
        }
        hub.publish(&[("topic", &topic), ("data", "slow")]).await;
        hub.publish(&[("topic", "end"), ("data", "end")]).await;
        assert_eq!(next(&mut page).await.1, "end", "{pattern}");
    }
}

// Mercure 5.1: "Private updates reach only those whose token grants `subscribe` on at least one of the update's topics."
// Mercure 5.2: "`private` alone makes an update private, whatever its value."
#[tokio::test]
async fn private_updates_take_a_grant_on_one_of_their_topics() {
    let hub = Hub::start().await;
    let of = |topics: &[&str]| granted(&["subscribe"], topics);
    let patterns = serde_json::json!([{"match": "/books/:id", "match_type": "urlpattern"}]);
    let by_pattern = bearer(&token(&claims(&["subscribe"], &patterns)));
    let seers = [of(&["/books/1"]), of(&["alternate"]), of(&["*"]), by_pattern];
    let others = [String::new(), of(&["/books/2"]), granted(&["publish"], &["*"])];
    let mut pages = Vec::new();
    for headers in seers.iter().chain(&others) {
        for query in ["match=/books/1", "match=*&last_event_id=earliest"] {
            pages.push((hub.subscribe(query, headers).await, seers.contains(headers)));
        }
    }
    // "presence alone = private, value ignored".
    for (name, private) in [("a", "on"), ("b", ""), ("c", "false")] {
        let topics = [("topic", "/books/1"), ("topic", "alternate")];
        let private = [("data", name), ("private", private)];
        hub.publish(&[topics, private].concat()).await;
    }
    hub.publish(&[("topic", "/books/1"), ("data", "public")]).await;
    for (page, sees) in &mut pages {
        let expected = if *sees { &["a", "b", "c", "public"][..] } else { &["public"] };
        for data in expected {
            assert_eq!(next(page).await.1, *data);
        }
    }
}

// Mercure 5.1: "A stream MUST close no later than its token's `exp`."
#[tokio::test]
async fn a_stream_ends_with_its_token() {
    let hub = Hub::start().await;
    let mut claims = claims(&["subscribe"], &serde_json::json!([{"match": "a"}]));
    let expires = now_s() + 2;
    claims["exp"] = expires.into();
    let mut page = hub.subscribe("match=a", &bearer(&token(&claims))).await;
    while page.next().await != Said::End {}
    assert!(now_s() <= expires + 1);
}

// Mercure 5.1: "A stream SHOULD have a maximum lifetime."
#[tokio::test]
async fn a_stream_ends_after_its_lifetime() {
    let hub = Hub::with(|set_up| set_up.config.mercure.lifetime_ms = 300).await;
    let mut page = hub.subscribe("match=a", "").await;
    while page.next().await != Said::End {}
}

// Mercure 5.1: "CORS with credentials: never `*`, never reflected; an explicit list and `Access-Control-Allow-Credentials: true`."
#[tokio::test]
async fn cors_lets_listed_origins_in() {
    let hub = Hub::with(|set_up| {
        set_up.config.cors_origins =
            vec!["https://app.example".parse().unwrap(), "*".parse().unwrap()];
    })
    .await;
    let page = hub.subscribe("match=a&last_event_id=", "origin: https://app.example\r\n").await;
    assert_eq!(page.header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(page.header("access-control-allow-credentials"), Some("true"));
    let exposed = page.header("access-control-expose-headers").unwrap();
    assert!(exposed.contains("Mercure-Last-Event-ID") && exposed.contains("Link"), "{exposed}");
    let page = hub.subscribe("match=a", "origin: https://other.example\r\n").await;
    assert_eq!(page.header("access-control-allow-origin"), Some("*"));
    assert_eq!(page.header("access-control-allow-credentials"), None);
    let preflight = format!(
        "OPTIONS {HUB} HTTP/1.1\r\nhost: localhost\r\norigin: https://app.example\r\n\
         access-control-request-method: QUERY\r\naccess-control-request-headers: authorization\r\n\r\n"
    );
    let answer = hub.server.ask(preflight).await;
    assert!(answer.header("access-control-allow-methods").unwrap().contains("QUERY"));
    let allowed = answer.header("access-control-allow-headers").unwrap();
    assert!(allowed.contains("Authorization") && allowed.contains("Last-Event-ID"), "{allowed}");
}

// Mercure 5.1: "The hub MAY answer 429 to too many connections."
#[tokio::test]
async fn a_full_hub_has_pages_come_back() {
    let hub = Hub::with(|set_up| set_up.hub.subscribers_max = 1).await;
    let _first = hub.subscribe("match=a", "").await;
    // A native EventSource never comes back from a 429.
    let refused = hub.refused("match=a", "").await;
    assert_eq!((refused.status, refused.header("content-type")), (200, Some("text/event-stream")));
    let mut lines = refused.body.lines();
    assert!(lines.next().unwrap().contains("subscribers_max"), "{}", refused.body);
    let retry = lines.next().and_then(|line| line.strip_prefix("retry: ")).unwrap();
    assert!(retry.parse::<u64>().unwrap() > 0);
    assert_eq!(lines.next(), None);
}
