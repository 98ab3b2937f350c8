//! The operator's listener: health, and metrics that move as things happen.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use headwater_server::{AdminConfig, AdminKey, serve_admin};
use tokio::net::TcpListener;

use crate::client::{Answer, Connection};
use crate::server::{Server, SetUp};

const KEY: &str = "correct-horse-battery-staple";

/// Starts the listener of a server's hub; it ends with the test.
async fn listen(server: &Server, key: Option<&str>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let key = key.map(|key| key.parse::<AdminKey>().unwrap());
    let config = AdminConfig { key, ..AdminConfig::default() };
    tokio::spawn(serve_admin(listener, server.hub.clone(), config, std::future::pending()));
    address
}

async fn ask(address: SocketAddr, method: &str, target: &str, headers: &str) -> Answer {
    let mut connection = Connection::open(address).await;
    let host = if headers.contains("host:") { "" } else { "host: localhost\r\n" };
    let request = format!("{method} {target} HTTP/1.1\r\n{host}{headers}\r\n");
    connection.write(request.as_bytes()).await;
    match method {
        "HEAD" => connection.answer_without_body().await,
        _ => connection.answer().await,
    }
}

async fn get(address: SocketAddr, target: &str) -> Answer {
    ask(address, "GET", target, "").await
}

/// The metrics by name and labels, without the program's name before them.
struct Metrics(HashMap<String, f64>);

impl Metrics {
    async fn of(address: SocketAddr) -> Self {
        let answer = get(address, "/metrics").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let content_type = answer.header("content-type").unwrap();
        assert!(content_type.starts_with("application/openmetrics-text; version=1.0.0"));
        assert!(answer.body.ends_with("# EOF\n"), "{}", answer.body);
        let lines = answer.body.lines().filter(|line| !line.starts_with('#'));
        Self(
            lines
                .map(|line| {
                    let (name, value) = line.rsplit_once(' ').unwrap();
                    let name = name.strip_prefix("headwater_").unwrap();
                    (name.to_owned(), value.parse().unwrap())
                })
                .collect(),
        )
    }

    #[track_caller]
    fn get(&self, name: &str) -> f64 {
        *self.0.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.0.keys()))
    }

    /// What has not been counted yet is not there, or 0.
    fn count(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// Waits until they are as they should be.
    async fn until(address: SocketAddr, what: impl Fn(&Self) -> bool) -> Self {
        for _ in 0..1000 {
            let metrics = Self::of(address).await;
            if what(&metrics) {
                return metrics;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it does not come to be: {:?}", Self::of(address).await.0)
    }
}

#[tokio::test]
async fn counts_move_as_things_happen() {
    let server = Server::start().await;
    let admin = listen(&server, None).await;
    let empty = Metrics::of(admin).await;
    for name in [
        "ready",
        "connections",
        "connections_accepted_total",
        "subscribers{shard=\"0\"}",
        "subscribers_lagging{shard=\"0\"}",
        "deliveries_total{shard=\"0\"}",
        "sent_bytes_total{shard=\"0\"}",
        "gaps_total",
        "refused_total{limit=\"accepts_per_second_max\"}",
        "closes_total{reason=\"gone\"}",
        "window_bytes",
        "log_events",
        "log_bytes",
        "append_seconds_count",
        "send_seconds_count",
    ] {
        let expected = if name == "ready" { 1.0 } else { 0.0 };
        assert_eq!(empty.get(name), expected, "{name}");
    }
    assert_eq!(empty.get("limit{setting=\"connections_max\"}"), 20_000.0);

    let mut pages =
        [server.subscribe("/events/a", "").await, server.subscribe("/events/a", "").await];
    let live = |metrics: &Metrics| {
        metrics.get("subscribers{shard=\"0\"}") == 2.0
            && metrics.get("subscribers_lagging{shard=\"0\"}") == 0.0
    };
    let opened = Metrics::until(admin, live).await;
    assert_eq!(opened.get("connections"), 2.0);
    assert!(opened.get("sent_bytes_total{shard=\"0\"}") > 100.0);

    server.publish("/events/a", "hello").await;
    for page in &mut pages {
        assert_eq!(page.data().await, "hello");
    }
    let sent = Metrics::until(admin, |metrics| metrics.get("send_seconds_count") > 0.0).await;
    assert_eq!(sent.get("deliveries_total{shard=\"0\"}"), 2.0);
    assert_eq!(sent.get("published_total{result=\"committed\"}"), 1.0);
    assert_eq!(sent.get("append_seconds_count"), 1.0);
    assert_eq!(sent.get("append_seconds_bucket{le=\"+Inf\"}"), 1.0);
    assert_eq!(sent.get("log_events"), 1.0);
    assert!(sent.get("log_tail") > empty.get("log_tail"));
    let before = opened.get("sent_bytes_total{shard=\"0\"}");
    assert!(sent.get("sent_bytes_total{shard=\"0\"}") > before + 20.0);
    assert!(sent.get("window_bytes") > 0.0 && sent.get("log_bytes") > 0.0);
    assert_eq!(sent.get("connections_accepted_total"), 3.0);

    let foreign = format!("last-event-id: #{}\r\n", "A".repeat(22));
    let mut back = server.subscribe("/events/a", &foreign).await;
    back.next().await;
    Metrics::until(admin, |metrics| metrics.get("gaps_total") == 1.0).await;

    drop((pages, back));
    let gone = |metrics: &Metrics| {
        metrics.get("closes_total{reason=\"gone\"}") == 3.0 && metrics.get("connections") == 0.0
    };
    let after = Metrics::until(admin, gone).await;
    assert_eq!(after.get("subscribers{shard=\"0\"}"), 0.0);
}

#[tokio::test]
async fn streams_over_bodies_are_counted_too() {
    let server = Server::start().await;
    let admin = listen(&server, None).await;
    let poll = server.poll("a").await;
    server.publish("/events/a", "x").await;
    let mut poll = poll;
    assert_eq!(poll.answer().await.status, 200);
    Metrics::until(admin, |metrics| {
        metrics.get("deliveries_total{shard=\"0\"}") == 1.0
            && metrics.get("subscribers{shard=\"0\"}") == 0.0
    })
    .await;
}

#[tokio::test]
async fn who_is_stalled_is_seen_to_lag() {
    let server = Server::start().await;
    let admin = listen(&server, None).await;
    let _stalled = server.subscribe("/events/a", "").await;
    let big = "x".repeat(900_000);
    let mut published = 0;
    while Metrics::of(admin).await.get("subscribers_lagging{shard=\"0\"}") == 0.0 {
        assert!(published < 200, "it does not lag");
        server.publish("/events/a", &big).await;
        published += 1;
    }
}

#[tokio::test]
async fn limits_show_that_they_are_reached() {
    let mut set_up = SetUp::default();
    set_up.hub.subscribers_max = 1;
    set_up.config.limits.bodies_bytes_max = 1_000;
    set_up.config.limits.body_bytes_max = 2_000;
    set_up.config.limits.patterns_max = 1;
    let server = set_up.start().await;
    let admin = listen(&server, None).await;
    let _page = server.subscribe("/events/a", "").await;
    server.get("/events/a", "").await;
    server.get("/events/a", "accept: application/json\r\n").await;
    server.get("/events?pattern=/a&pattern=/b", "").await;
    assert_eq!(server.post("/events/a", "", [b'x'; 1_500]).await.status, 503);
    assert_eq!(server.post("/events/a", "", [b'x'; 2_500]).await.status, 413);
    let long = format!("/events/{}", "x".repeat(9_000));
    assert_eq!(server.get(&long, "").await.status, 414);
    let huge = format!("x: {}\r\n", "x".repeat(20_000));
    assert_eq!(server.get("/events/a", &huge).await.status, 431);
    let streamed = format!("data: {}\n\n", "x".repeat(2_500));
    server.post("/events/a", "content-type: text/event-stream\r\n", streamed).await;
    let head = "refused_total{limit=\"header_bytes_max\"}";
    let metrics = Metrics::until(admin, |metrics| metrics.count(head) == 1.0).await;
    for (limit, count) in [
        ("subscribers_max", 2.0),
        ("patterns_max", 1.0),
        ("bodies_bytes_max", 2.0),
        ("body_bytes_max", 1.0),
        ("uri_bytes_max", 1.0),
        ("connections_max", 0.0),
    ] {
        let name = format!("refused_total{{limit=\"{limit}\"}}");
        assert_eq!(metrics.count(&name), count, "{name}");
    }
}

#[tokio::test]
async fn connections_that_are_refused_are_counted_by_reason() {
    let mut set_up = SetUp::default();
    set_up.config.limits.connections_max = 1;
    set_up.config.limits.connections_per_address_max = 0;
    set_up.config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    let server = set_up.start().await;
    let admin = listen(&server, None).await;
    let forwarded = "x-forwarded-for: 203.0.113.1\r\n";
    assert_eq!(server.post("/events/a", forwarded, "x").await.status, 429);
    Metrics::until(admin, |metrics| metrics.get("connections") == 0.0).await;
    let _page = server.subscribe("/events/a", "").await;
    assert_eq!(server.post("/events/a", "", "x").await.status, 503);
    let metrics = Metrics::of(admin).await;
    assert_eq!(metrics.count("refused_total{limit=\"connections_per_address_max\"}"), 1.0);
    assert_eq!(metrics.count("refused_total{limit=\"connections_max\"}"), 1.0);
    assert_eq!(metrics.get("connections"), 1.0);
}

#[tokio::test]
async fn it_answers_health_and_nothing_else() {
    let server = Server::start().await;
    let admin = listen(&server, None).await;
    let (here, there) = (get(admin, "/healthz").await, server.get("/healthz", "").await);
    assert_eq!((here.status, &here.body), (there.status, &there.body));
    assert_eq!(get(admin, "/events/a").await.status, 404);
    assert!(get(admin, "/").await.detail().contains("/metrics"));
    let refused = ask(admin, "POST", "/metrics", "content-length: 0\r\n").await;
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD, OPTIONS")));
    let head = ask(admin, "HEAD", "/metrics", "").await;
    assert_eq!(head.status, 200);
    // On the public listener there are no metrics.
    assert_eq!(server.get("/metrics", "").await.status, 404);
    // A page cannot read them under a name that it made to point here.
    assert_eq!(ask(admin, "GET", "/metrics", "host: evil.example\r\n").await.status, 403);
}

#[tokio::test]
async fn with_a_key_the_metrics_want_it() {
    let server = Server::start().await;
    let admin = listen(&server, Some(KEY)).await;
    let refused = get(admin, "/metrics").await;
    assert_eq!(refused.status, 401);
    assert!(refused.header("www-authenticate").is_some());
    assert!(refused.detail().contains("admin_key"));
    let with = async |key: &str| {
        ask(admin, "GET", "/metrics", &format!("authorization: Bearer {key}\r\n")).await.status
    };
    assert_eq!(with("wrong").await, 401);
    assert_eq!(with(KEY).await, 200);
    // Whoever balances load has no key.
    assert_eq!(get(admin, "/healthz").await.status, 200);
}
