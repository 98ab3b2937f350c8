//! `pub` and `sub` with a hub of their own between them.

mod script;

use script::Headwater;

/// A hub at a port of the system's choice, and its address.
async fn hub() -> (Headwater, String) {
    let mut hub = Headwater::run(
        "",
        &["serve", "--log", "memory", "--listen", "127.0.0.1:0", "--log-level", "warn"],
    );
    let line = hub.line().await;
    let url = line.strip_prefix("Headwater is listening on ").expect("it says where it listens");
    let url = url.to_owned();
    (hub, url)
}

/// What a command prints that ends by itself.
async fn output(url: &str, arguments: &[&str], stdin: &str) -> String {
    let mut command = Headwater::run(url, arguments);
    command.write(stdin).await;
    let ended = command.end().await;
    assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
    ended.stdout
}

#[tokio::test]
async fn an_event_is_seen_while_both_are_running() {
    let (_hub, url) = hub().await;
    // From the beginning, so that it does not matter who is there first.
    let mut subscriber = Headwater::run(&url, &["sub", "a b/é", "--since", "all"]);
    let first = output(&url, &["pub", "a b/é", "one"], "").await;
    assert!(first.starts_with('#'), "{first}");
    assert_eq!(subscriber.line().await, "one");
    let mut publisher = Headwater::run(&url, &["pub", "a b/é", "-"]);
    for line in ["two", "", "three"] {
        publisher.write(&format!("{line}\n")).await;
        assert!(publisher.line().await.starts_with('#'));
        assert_eq!(subscriber.line().await, line);
    }
    assert_eq!(publisher.end().await.code, Some(0));
    // Another one goes on where the first event was.
    let id = first.trim_end();
    let after = output(&url, &["sub", "a b/é", "--last-event-id", id, "--count", "3"], "").await;
    assert_eq!(after, "two\n\nthree\n");
}

#[tokio::test]
async fn a_stream_of_one_hub_can_be_published_to_another() {
    let (_one, from) = hub().await;
    let (_other, to) = hub().await;
    let stream = "event: price\nid: own-1\nretry: 4000\ndata: 1\ndata: 2\n\ndata\n\n";
    let ids = output(&from, &["pub", "t", "--format", "sse"], stream).await;
    assert_eq!(ids.lines().count(), 2);
    assert!(ids.starts_with("own-1\n#"), "{ids}");
    let all = ["sub", "t", "--since", "all", "--count", "2", "--format", "sse"];
    let seen = output(&from, &all, "").await;
    assert_eq!(seen.lines().last(), Some(""), "{seen}");
    output(&to, &["pub", "t", "--format", "sse"], &seen).await;
    let seen_there = output(&to, &all, "").await;
    let without_ids = |text: &str| -> Vec<_> {
        text.lines().filter(|l| !l.starts_with("id: #")).map(str::to_owned).collect()
    };
    assert_eq!(without_ids(&seen_there), without_ids(&seen));
    let json =
        output(&to, &["sub", "t", "--since", "all", "--count", "1", "--format", "json"], "").await;
    let object: serde_json::Value = serde_json::from_str(&json).expect("JSON in one line");
    assert_eq!(object["topics"], serde_json::json!(["t"]));
    assert_eq!((&object["type"], &object["data"]), (&"price".into(), &"1\n2".into()));
    // JSON lines are what `pub` takes, too, as they are.
    let ids = output(&from, &["pub", "--format", "json"], &json).await;
    assert_eq!(ids, "own-1\n");
}

#[tokio::test]
async fn patterns_and_very_many_topics_can_be_subscribed_to() {
    let (_hub, url) = hub().await;
    let lines: String =
        (0..900).map(|n| format!("{{\"topic\":\"stocks/{n}\",\"data\":\"{n}\"}}\n")).collect();
    assert_eq!(output(&url, &["pub", "--format", "json"], &lines).await.lines().count(), 900);
    let numbers: String = (0..900).map(|n| format!("{n}\n")).collect();
    let since = ["--since", "all", "--count", "900"];
    let pattern = ["sub", "--pattern", "/stocks/:symbol"];
    assert_eq!(output(&url, &[&pattern[..], &since].concat(), "").await, numbers);
    let topics: Vec<_> = (0..900).map(|n| format!("stocks/{n}")).collect();
    let mut arguments = vec!["sub"];
    arguments.extend(topics.iter().map(String::as_str));
    assert_eq!(output(&url, &[&arguments[..], &since].concat(), "").await, numbers);
}

#[tokio::test]
async fn what_the_hub_refuses_is_explained_in_its_words() {
    let (_hub, url) = hub().await;
    let ended = Headwater::run(&url, &["sub", "t", "--since", "yesterday"]).end().await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("`since=yesterday`"), "{ended:?}");
    let mut publisher = Headwater::run(&url, &["pub", "t"]);
    publisher.write(&format!("good\n{}\nnever\n", "x".repeat(2 << 20))).await;
    let ended = publisher.end().await;
    assert_eq!((ended.code, ended.stdout.lines().count()), (Some(1), 1), "{ended:?}");
    assert!(ended.stderr.contains("(event 2; those before it are published)"), "{ended:?}");
}
