//! `headwater pub` over sockets.

mod script;

use script::{Headwater, Server};

/// What the hub sees of a command that gets an id for each event.
async fn published(arguments: &[&str], stdin: &str) -> String {
    let server = Server::start().await;
    let mut publisher = Headwater::run(&server.url, arguments);
    publisher.write(stdin).await;
    drop(publisher.stdin.take());
    let (mut connection, request) = server.accept().await;
    assert_eq!(request.line, "POST /events HTTP/1.1");
    assert_eq!(request.header("content-type"), Some("application/x-ndjson"));
    connection.publish(&request, "id").await;
    let ended = publisher.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stderr, "");
    assert_eq!(ended.stdout.lines().count(), request.body.lines().count());
    request.body
}

#[tokio::test]
async fn the_argument_is_one_event_with_its_fields() {
    let body = published(&["pub", "a b/é", "line 1\nline \"2\""], "").await;
    assert_eq!(body, "{\"topic\":\"a b/é\",\"data\":\"line 1\\nline \\\"2\\\"\"}\n");
    let fields = ["pub", "t", "-5", "--type", "price", "--id", "x-1", "--retry", "2500"];
    assert_eq!(
        published(&fields, "").await,
        "{\"topic\":\"t\",\"type\":\"price\",\"id\":\"x-1\",\"retry\":2500,\"data\":\"-5\"}\n"
    );
    assert_eq!(published(&["pub", "t", ""], "").await, "{\"topic\":\"t\",\"data\":\"\"}\n");
}

#[tokio::test]
async fn standard_input_is_read_if_there_is_no_data() {
    let lines = "{\"topic\":\"t\",\"data\":\"a\"}\n{\"topic\":\"t\",\"data\":\"b\"}\n";
    assert_eq!(published(&["pub", "t"], "a\r\nb\n").await, lines);
    assert_eq!(published(&["pub", "t", "-", "--format", "lines"], "a\nb\n").await, lines);
    let objects = "{\"topic\":\"x\",\"data\":\"1\"}\n";
    assert_eq!(published(&["pub", "--format", "json"], objects).await, objects);
    assert_eq!(published(&["pub", "-", "--format", "json"], objects).await, objects);
    assert_eq!(
        published(&["pub", "t", "--format", "json"], "{\"data\":\"1\"}").await,
        "{\"data\":\"1\",\"topic\":\"t\"}\n"
    );
}

/// Standard input stays open: nothing waits for its end, whatever its format.
#[tokio::test]
async fn what_arrives_is_published_at_once() {
    for (format, first, second) in [
        ("lines", "1\n", "2\n3\n"),
        ("sse", "data: 1\n\n", "data: 2\r\rid: 7\ndata: 3\n\n"),
        ("json", "{\"data\":\"1\"}\n", "{\"data\":\"2\"}\n{\"data\":\"3\"}\n"),
    ] {
        let server = Server::start().await;
        let mut publisher = Headwater::run(&server.url, &["pub", "t", "-", "--format", format]);
        publisher.write(first).await;
        let (mut connection, request) = server.accept().await;
        assert!(request.body.contains("\"data\":\"1\""), "{format}: {request:?}");
        connection.publish(&request, "a").await;
        assert_eq!(publisher.line().await, "a0");
        publisher.write(second).await;
        let request = connection.request().await;
        assert!(request.body.contains("\"data\":\"2\""), "{format}: {request:?}");
        connection.publish(&request, "b").await;
        assert_eq!(publisher.line().await, "b0");
        assert_eq!(publisher.line().await, "b1");
        assert_eq!(publisher.end().await.code, Some(0));
    }
}

#[tokio::test]
async fn a_large_input_comes_in_order_and_in_batches() {
    const EVENTS: usize = 20_000;
    let server = Server::start().await;
    let mut publisher = Headwater::run(&server.url, &["pub", "t"]);
    let mut stdin = publisher.stdin.take().unwrap();
    let input: String = (0..EVENTS).map(|n| format!("event {n} of many\n")).collect();
    tokio::spawn(async move {
        tokio::io::AsyncWriteExt::write_all(&mut stdin, input.as_bytes()).await.unwrap();
    });
    let mut ended = tokio::spawn(publisher.end());
    let (mut connection, mut request) = server.accept().await;
    let mut seen = 0;
    loop {
        assert!(request.body.lines().count() <= 1_000);
        for line in request.body.lines() {
            assert_eq!(line, format!("{{\"topic\":\"t\",\"data\":\"event {seen} of many\"}}"));
            seen += 1;
        }
        connection.publish(&request, "x").await;
        if seen == EVENTS {
            break;
        }
        request = connection.request().await;
    }
    let ended = script::within(&mut ended).await.unwrap();
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.stdout.lines().count(), EVENTS);
}

#[tokio::test]
async fn the_token_is_shown_to_the_hub() {
    let server = Server::start().await;
    let publisher = Headwater::run(&server.url, &["pub", "t", "x", "--token", "secret"]);
    let (mut connection, request) = server.accept().await;
    assert_eq!(request.header("authorization"), Some("Bearer secret"));
    connection.publish(&request, "").await;
    assert_eq!(publisher.end().await.code, Some(0));
}

#[tokio::test]
async fn the_good_events_before_a_bad_one_are_published() {
    let server = Server::start().await;
    let mut publisher = Headwater::run(&server.url, &["pub", "t"]);
    publisher.write("a\nb\nc\n").await;
    let (mut connection, request) = server.accept().await;
    assert_eq!(request.body.lines().count(), 3);
    let refusal = r#"{"detail":"line 2: the data are bad; nothing of the batch was published"}"#;
    connection.answer(400, &[], refusal).await;
    let request = connection.request().await;
    assert_eq!(request.body, "{\"topic\":\"t\",\"data\":\"a\"}\n");
    connection.publish(&request, "a").await;
    let request = connection.request().await;
    assert_eq!(request.body, "{\"topic\":\"t\",\"data\":\"b\"}\n");
    connection.answer(400, &[], r#"{"detail":"line 1: the data are bad"}"#).await;
    let ended = publisher.end().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), "a0\n"));
    assert_eq!(
        ended.stderr,
        "headwater: the data are bad (event 2; those before it are published)\n"
    );
}

#[tokio::test]
async fn bad_input_is_named_and_what_came_before_is_published() {
    let server = Server::start().await;
    let mut publisher = Headwater::run(&server.url, &["pub", "--format", "json"]);
    publisher.write("{\"topic\":\"t\",\"data\":\"1\"}\nno object\n").await;
    let (mut connection, request) = server.accept().await;
    connection.publish(&request, "a").await;
    let ended = publisher.end().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), "a0\n"));
    assert!(ended.stderr.contains("line 2 of standard input is not a JSON object"), "{ended:?}");
}

/// What standard error says of a hub that answers so.
async fn refused(status: u16, headers: &[&str], body: &str) -> String {
    let server = Server::start().await;
    let publisher = Headwater::run(&server.url, &["pub", "t", "x"]);
    let (mut connection, _) = server.accept().await;
    connection.answer(status, headers, body).await;
    let ended = publisher.end().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    ended.stderr
}

#[tokio::test]
async fn a_refusal_says_what_to_do() {
    let key = r#"{"title":"Unauthorized","status":401,"detail":"send the key"}"#;
    let said = refused(401, &["Content-Type: application/problem+json"], key).await;
    assert_eq!(said, "headwater: send the key (give the key with --token or HEADWATER_TOKEN)\n");
    let said = refused(502, &[], "<h1>Bad Gateway</h1>\n<p>").await;
    assert!(said.ends_with("answered 502: <h1>Bad Gateway</h1>\n"), "{said}");
    let said = refused(301, &["Location: https://example.com/events"], "").await;
    assert!(said.contains("has moved to https://example.com/events"), "{said}");
    let said = refused(200, &["Content-Type: text/html"], "<h1>Welcome</h1>").await;
    assert!(said.contains("did not answer as a hub does"), "{said}");
    let said = refused(200, &[], "{\"detail\":\"the log is full\"}\n").await;
    assert_eq!(said, "headwater: the log is full\n");
}

#[tokio::test]
async fn no_answer_is_told_apart_from_no_connection() {
    let server = Server::start().await;
    let publisher = Headwater::run(&server.url, &["pub", "t", "x"]);
    drop(server.accept().await);
    let ended = publisher.end().await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("not known whether the event was published"), "{ended:?}");

    let url = server.url.clone();
    drop(server);
    let ended = Headwater::run(&url, &["pub", "t", "x"]).end().await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("is the hub running there?"), "{ended:?}");
    assert!(!ended.stderr.contains("not known"), "{ended:?}");
}

/// The process ends although its standard input stays open.
#[tokio::test]
async fn an_error_does_not_wait_for_more_input() {
    let server = Server::start().await;
    let mut publisher = Headwater::run(&server.url, &["pub", "t"]);
    let mut stdin = publisher.stdin.take().unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stdin, b"a\n").await.unwrap();
    let (mut connection, _) = server.accept().await;
    connection.answer(503, &[], r#"{"detail":"come back later"}"#).await;
    let ended = publisher.end().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), "headwater: come back later\n"));
}

#[tokio::test]
async fn publishing_goes_on_when_nobody_reads_the_ids() {
    let server = Server::start().await;
    let mut publisher = Headwater::run(&server.url, &["pub", "t"]);
    drop(publisher.stdout.take());
    publisher.write("a\n").await;
    let (mut connection, request) = server.accept().await;
    connection.publish(&request, "a").await;
    publisher.write("b\n").await;
    let request = connection.request().await;
    assert!(request.body.contains("\"b\""));
    connection.publish(&request, "b").await;
    let ended = publisher.end().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

#[tokio::test]
async fn bad_arguments_end_with_64() {
    for arguments in [
        &["pub"][..],
        &["pub", "*", "x"],
        &["pub", "", "x"],
        &["pub", "t", "x", "--type", "hub.open"],
        &["pub", "t", "x", "--id", "#1"],
        &["pub", "t", "x", "--retry", "soon"],
        &["pub", "t", "x", "--format", "sse"],
        &["pub", "t", "-", "--id", "1"],
        &["pub", "t", "-", "--format", "sse", "--type", "a"],
        &["pub", "-", "--format", "sse"],
        &["pub", "t", "x", "--url", "localhost:8080"],
        &["pub", "t", "x", "--token", "a\nb"],
    ] {
        let ended = Headwater::run("http://127.0.0.1:1", arguments).end().await;
        assert_eq!(ended.code, Some(64), "{arguments:?}: {ended:?}");
        assert!(!ended.stderr.is_empty(), "{arguments:?}");
    }
}
