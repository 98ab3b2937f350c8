//! Pages in real browsers: what an `EventSource` is told, and that a page whose connection was dropped
//! at any byte receives exactly what it missed.
#![allow(clippy::disallowed_methods, reason = "browsers live in real time")]

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use headwater_tests::http::{self, Connection};
use headwater_tests::{Block, Browser, Cut, Drop, Hub, Proxy};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// The events of a cut stream: the one at whose bytes it is cut has every field that half an event could
/// leave behind in a page.
const TARGET: &str = "?type=tick&retry=60";
const TARGET_DATA: &str = "one\ntwo";
/// For one event to come through; only a failure waits so long.
const SOON: Duration = Duration::from_secs(30);
/// For all cuts in one engine.
const ALL: Duration = Duration::from_secs(150);
/// Hosts over which the streams of one page are spread, each good for six connections.
const HOSTS: usize = 3;

headwater_tests::in_each_engine!(a_page_is_told_everything, every_byte_can_be_the_last);

/// A hub whose pages come back soon: after 100 to 200 ms, so that all open blocks are of one length.
async fn hub() -> Result<Hub> {
    let environment = [("HEADWATER_RECONNECT_MS", "100")];
    Hub::start_with(&["serve", "--log", "memory"], &environment).await
}

async fn a_page_is_told_everything(browser: Browser) -> Result<()> {
    const CONNECTING: u8 = 0;
    const OPEN: u8 = 1;
    const CLOSED: u8 = 2;
    let hub = hub().await?;
    let proxy = Proxy::start(hub.address(), 1).await?;
    proxy.page("/blank.html", String::new());
    for (key, by) in [("fin", Drop::Fin), ("rst", Drop::Rst)] {
        proxy.plan(key, Cut { block: Block::Holding("event: tick"), bytes: usize::MAX, by });
        let path = format!("/events.html?key={key}");
        proxy.page(&path, include_str!("../pages/events.html").into());
        browser.open(&proxy.url(0, &path)).await?;
        proxy.until(key, SOON, |p| p.opened == 1).await?;
        http::publish(hub.address(), key, "a message").await?;
        http::publish(hub.address(), &format!("{key}?type=tick"), "a named event").await?;
        proxy.until(key, SOON, |p| p.cut).await?;
        proxy.release(key)?;
        proxy.until(key, SOON, |p| p.opened == 2).await?;
        http::publish(hub.address(), &format!("{key}?type=end"), "").await?;
        let report = proxy.until(key, SOON, |p| p.report.is_some()).await?.report;
        let told: Value = serde_json::from_str(&report.context("no report")?)?;
        let expected = json!([
            ["constructed", CONNECTING, null],
            ["open", OPEN, null],
            ["message", OPEN, "a message"],
            ["tick", OPEN, "a named event"],
            ["error", CONNECTING, null],
            ["open", OPEN, null],
            ["end", OPEN, ""],
            ["closed", CLOSED, null],
        ]);
        ensure!(told == expected, "{key}: the page was told {told}");
    }
    browser.quit().await?;
    hub.stop().await?;
    Ok(())
}

async fn every_byte_can_be_the_last(browser: Browser) -> Result<()> {
    let hub = hub().await?;
    let proxy = Proxy::start(hub.address(), HOSTS.try_into()?).await?;
    let streams = streams(&hub).await?;
    let mut keys = vec![Vec::new(); HOSTS];
    for (stream, host) in streams.iter().zip((0..HOSTS).cycle()) {
        proxy.plan(&stream.key, stream.cut);
        keys.get_mut(host).context("no such host")?.push(&stream.key);
    }
    let mut frames = String::from("<!doctype html><title>Cuts</title>");
    for (host, keys) in keys.iter().enumerate() {
        let path = format!("/cuts-{host}.html");
        let page = include_str!("../pages/cuts.html").replace("KEYS", &json!(keys).to_string());
        proxy.page(&path, page);
        frames += &format!("<iframe src='{}'></iframe>", proxy.url(host, &path));
    }
    proxy.page("/cuts.html", frames);
    browser.open(&proxy.url(0, "/cuts.html")).await?;

    let hub_address = hub.address();
    let proxy = std::sync::Arc::new(proxy);
    let mut running = JoinSet::new();
    let count = streams.len();
    for stream in streams {
        let proxy = proxy.clone();
        running.spawn(async move {
            let result = stream.run(hub_address, &proxy).await;
            result.with_context(|| format!("{:?}", stream))
        });
    }
    let mut failures = Vec::new();
    let all = async {
        while let Some(done) = running.join_next().await {
            failures.extend(done?.err());
        }
        anyhow::Ok(())
    };
    let finished = timeout(ALL, all).await;
    let first = failures.first().map(|error| format!("{error:#}")).unwrap_or_default();
    ensure!(failures.is_empty(), "{} of {count} streams are wrong; {first}", failures.len());
    finished.with_context(|| format!("not all of {count} streams ended within {ALL:?}"))??;
    browser.quit().await?;
    hub.stop().await?;
    Ok(())
}

/// One stream of one page, and where it is cut.
#[derive(Debug)]
struct Stream {
    key: String,
    cut: Cut,
    /// How long the block is in which it is cut.
    length: usize,
}

/// A stream for each byte after which a connection can be dropped, in the open block and in an event, by
/// FIN and by RST.
async fn streams(hub: &Hub) -> Result<Vec<Stream>> {
    let mut subscriber = Connection::open(hub.address()).await?;
    let head = subscriber.get("/events/lengths", "Accept: text/event-stream\r\n").await?;
    ensure!(head.status == 200, "no stream: {head:?}");
    let open = subscriber.until("\n\n").await?.len();
    http::publish(hub.address(), &format!("lengths{TARGET}"), TARGET_DATA).await?;
    let event = subscriber.until("\n\n").await?.len();
    let mut streams = Vec::new();
    for (by, way) in [(Drop::Fin, "fin"), (Drop::Rst, "rst")] {
        for bytes in 0..=open {
            let cut = Cut { block: Block::Open, bytes, by };
            streams.push(Stream { key: format!("open-{way}-{bytes}"), cut, length: open });
        }
        for bytes in 0..=event {
            let cut = Cut { block: Block::Holding("event: tick"), bytes, by };
            streams.push(Stream { key: format!("event-{way}-{bytes}"), cut, length: event });
        }
    }
    Ok(streams)
}

impl Stream {
    /// Publishes while the page is connected, away, and back, and compares what it reports.
    async fn run(&self, hub: std::net::SocketAddr, proxy: &Proxy) -> Result<()> {
        let key = &self.key;
        let publish = async |query: &str, data: &str| {
            http::publish(hub, &format!("{key}{query}"), data).await
        };
        let mut expected = Vec::new();
        if self.cut.block == Block::Open {
            proxy.until(key, ALL, |p| p.cut).await?;
        } else {
            proxy.until(key, ALL, |p| p.opened == 1).await?;
            publish("", "before").await?;
            publish(TARGET, TARGET_DATA).await?;
            publish("", "behind").await?;
            expected.extend([["message", "before"], ["tick", TARGET_DATA], ["message", "behind"]]);
            proxy.until(key, SOON, |p| p.cut).await?;
        }
        // Without a whole open block a page has no place yet: what was published until it is back is not
        // for it.
        let has_place = self.cut.block != Block::Open || self.cut.bytes == self.length;
        if has_place {
            publish("", "missed").await?;
            publish("?type=tick", "missed too").await?;
            expected.extend([["message", "missed"], ["tick", "missed too"]]);
        }
        proxy.release(key)?;
        let back = proxy.until(key, SOON, |p| p.opened >= 1 && p.connections.len() == 2).await?;
        let id = back.connections.last().cloned().flatten();
        ensure!(id.is_some() == has_place, "came back with the id {id:?}");
        let opened = if self.cut.block == Block::Open { 1 } else { 2 };
        proxy.until(key, SOON, |p| p.opened == opened).await?;
        publish("", "after").await?;
        publish("?type=end", "").await?;
        expected.push(["message", "after"]);

        let end = proxy.until(key, SOON, |p| p.report.is_some()).await?;
        let received: Value = serde_json::from_str(end.report.as_deref().unwrap_or_default())?;
        ensure!(received == json!(expected), "received {received}, not {}", json!(expected));
        ensure!(end.connections.len() == 2, "connected more than twice: {end:?}");
        Ok(())
    }
}
