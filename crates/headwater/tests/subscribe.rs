//! `headwater sub` over sockets.

mod script;

use script::{Headwater, Server};

/// Wants its subscribers back after a millisecond.
const OPEN: &str = ":\nevent: hub.open\nretry: 1\ndata: {\"resume\":\"live\"}\nid: #p0\n\n";

#[tokio::test]
async fn prints_what_comes_and_resumes_until_the_hub_says_stop() {
    let server = Server::start().await;
    let mut subscriber = Headwater::run(&server.url, &["sub", "a b/é+", "--since", "-20"]);
    let (mut connection, request) = server.accept().await;
    assert_eq!(request.line, "GET /events/a%20b/%C3%A9+?since=-20 HTTP/1.1");
    assert_eq!(request.header("accept"), Some("text/event-stream"));
    assert_eq!(request.header("last-event-id"), None);
    connection.open().await;
    connection.send(&format!("{OPEN}data: one\nid: #1\n\n")).await;
    assert_eq!(subscriber.line().await, "one");
    connection.send("data: two\ndata: lines\n\ndata: half").await;
    assert_eq!(subscriber.line().await, "two");
    assert_eq!(subscriber.line().await, "lines");
    drop(connection);

    let (mut connection, request) = server.accept().await;
    assert_eq!(request.header("last-event-id"), Some("#1"));
    connection.open().await;
    connection.send("event: hub.checkpoint\ndata\nid: #9\n\n").await;
    drop(connection);
    let (mut connection, request) = server.accept().await;
    assert_eq!(request.header("last-event-id"), Some("#9"));
    connection.answer(204, &[], "").await;
    let ended = subscriber.end().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""));
    assert!(ended.stderr.contains("trying again in 0.0 s"), "{ended:?}");
    assert!(!ended.stderr.contains('\u{1b}'), "no colours where there is no terminal: {ended:?}");
}

/// The first request of a subscriber.
async fn asked(arguments: &[&str]) -> script::Request {
    let server = Server::start().await;
    let subscriber = Headwater::run(&server.url, arguments);
    let (mut connection, request) = server.accept().await;
    connection.answer(204, &[], "").await;
    assert_eq!(subscriber.end().await.code, Some(0));
    request
}

#[tokio::test]
async fn names_one_topic_by_path_more_by_query_and_many_by_form() {
    let line = |line: &str| format!("GET {line} HTTP/1.1");
    let request = asked(&["sub", "/x"]).await;
    assert_eq!(request.line, line("/events//x"));
    let request = asked(&["sub", "a/../b"]).await;
    assert_eq!(request.line, line("/events?topic=a%2F..%2Fb"));
    let request = asked(&["sub", "a&b", "c+d", "--pattern", "/s/:id", "--since", "10m"]).await;
    assert_eq!(
        request.line,
        line("/events?since=10m&topic=a%26b&topic=c%2Bd&pattern=%2Fs%2F%3Aid")
    );
    let request = asked(&["sub", "--pattern", "*", "--format", "json"]).await;
    assert_eq!(request.line, line("/events?envelope=json&pattern=*"));

    let topics: Vec<_> = (0..1000).map(|n| format!("topic/{n}")).collect();
    let mut arguments = vec!["sub", "--last-event-id", "#5"];
    arguments.extend(topics.iter().map(String::as_str));
    let request = asked(&arguments).await;
    assert_eq!(request.line, "POST /events HTTP/1.1");
    assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(request.header("last-event-id"), Some("#5"));
    let names: Vec<_> = topics.iter().map(|topic| topic.replace('/', "%2F")).collect();
    assert_eq!(request.body, format!("topic={}", names.join("&topic=")));
}

/// What is printed of a stream that is over after so many events.
async fn printed(format: &str, count: &str, stream: &str) -> script::Ended {
    let server = Server::start().await;
    let arguments = ["sub", "t", "--format", format, "--count", count, "--token", "secret"];
    let subscriber = Headwater::run(&server.url, &arguments);
    let (mut connection, request) = server.accept().await;
    assert_eq!(request.header("authorization"), Some("Bearer secret"));
    connection.open().await;
    connection.send(&format!("{OPEN}{stream}")).await;
    connection.closed().await;
    let ended = subscriber.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended
}

#[tokio::test]
async fn prints_data_json_or_an_event_stream_and_tells_of_gaps() {
    let gap = "event: hub.gap\ndata: {\"requested\":\"#0\",\"resumed\":\"#2\"}\nid: #1\n\n";
    let events = "event: a\nretry: 5\ndata: x\ndata: y\nid: #2\n\ndata: z\n\ndata: beyond\n\n";
    let ended = printed("data", "2", &format!("{gap}{events}")).await;
    assert_eq!(ended.stdout, "x\ny\nz\n");
    assert!(ended.stderr.contains("events after #0 may be missing"), "{ended:?}");
    assert!(ended.stderr.contains("going on with #2"), "{ended:?}");

    let ended = printed("sse", "2", &format!("{gap}{events}")).await;
    let all = "event: a\nretry: 5\ndata: x\ndata: y\nid: #2\n\ndata: z\nid: #2\n\n";
    assert_eq!(ended.stdout, format!("{gap}{all}"));

    let json = "data: {\"id\":\"#2\",\"data\":\"x\"}\nid: #2\n\n";
    let ended = printed("json", "1", &format!("{gap}{json}")).await;
    assert_eq!(
        ended.stdout,
        "{\"id\":\"#1\",\"type\":\"hub.gap\",\
          \"data\":\"{\\\"requested\\\":\\\"#0\\\",\\\"resumed\\\":\\\"#2\\\"}\"}\n\
         {\"id\":\"#2\",\"data\":\"x\"}\n"
    );
}

#[tokio::test]
async fn a_refusal_is_final_and_says_what_to_do() {
    for (status, content_type, body, said) in [
        (
            400,
            "application/problem+json",
            r#"{"detail":"`since=x` is no time"}"#,
            "`since=x` is no time",
        ),
        (404, "text/plain", "not here\n", "answered 404: not here"),
        (200, "text/html", "<h1>Welcome</h1>", "is no hub: the server answered with text/html"),
    ] {
        let server = Server::start().await;
        let subscriber = Headwater::run(&server.url, &["sub", "t"]);
        let (mut connection, _) = server.accept().await;
        let content_type = format!("Content-Type: {content_type}");
        connection.answer(status, &[&content_type], body).await;
        let ended = subscriber.end().await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains(said), "{ended:?}");
    }
}

#[tokio::test]
async fn ends_well_when_nobody_reads_the_output() {
    let server = Server::start().await;
    let mut subscriber = Headwater::run(&server.url, &["sub", "t"]);
    drop(subscriber.stdout.take());
    let (mut connection, _) = server.accept().await;
    connection.open().await;
    connection.send("data: x\n\n").await;
    connection.closed().await;
    assert_eq!(subscriber.end().await.code, Some(0));
}

#[cfg(unix)]
#[tokio::test]
async fn ends_well_on_ctrl_c() {
    let server = Server::start().await;
    let mut subscriber = Headwater::run(&server.url, &["sub", "t"]);
    let (mut connection, _) = server.accept().await;
    connection.open().await;
    connection.send("data: x\n\n").await;
    assert_eq!(subscriber.line().await, "x");
    let process = rustix::process::Pid::from_raw(subscriber.id().try_into().unwrap()).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    connection.closed().await;
    assert_eq!(subscriber.end().await.code, Some(0));
}

#[tokio::test]
async fn bad_arguments_end_with_64() {
    for arguments in [
        &["sub"][..],
        &["sub", "*"],
        &["sub", "a\nb"],
        &["sub", "t", "--count", "0"],
        &["sub", "t", "--format", "xml"],
        &["sub", "t", "--last-event-id", "a\u{1}"],
        &["sub", "t", "--url", "ftp://localhost"],
    ] {
        let ended = Headwater::run("http://127.0.0.1:1", arguments).end().await;
        assert_eq!(ended.code, Some(64), "{arguments:?}: {ended:?}");
        assert!(!ended.stderr.is_empty(), "{arguments:?}");
    }
}
