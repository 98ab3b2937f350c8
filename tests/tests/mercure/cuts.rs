//! A connection that is reset after any byte of an event: the page gets each event once, whole, all the same.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use headwater_tests::http::{self, Connection};
use headwater_tests::{Block, Browser, Cut, Drop, Hub, Proxy};
use serde_json::{Value, json};
use tokio::task::JoinSet;

headwater_tests::in_each_engine!(every_byte_can_be_the_last);

const ALL: Duration = Duration::from_secs(240);
/// It has every field that a half event could leave behind.
const TARGET: &str = "?type=tick&retry=70";
const TARGET_DATA: &str = "{\"a\":\n1}";

fn url(key: &str) -> String {
    format!("/.well-known/mercure?match={key}&last_event_id=earliest")
}

async fn publish_three(hub: &Hub, key: &str) -> Result<()> {
    http::publish(hub.address(), key, "before").await?;
    http::publish(hub.address(), &format!("{key}{TARGET}"), TARGET_DATA).await?;
    http::publish(hub.address(), key, "behind").await
}

async fn every_byte_can_be_the_last(browser: Browser) -> Result<()> {
    let environment = [("HEADWATER_RECONNECT_MS", "50")];
    let hub = Hub::start_with(&["serve", "--log", "memory"], &environment).await?;
    publish_three(&hub, "lengths").await?;
    let mut subscriber = Connection::open(hub.address()).await?;
    let head = subscriber.get(&url("lengths"), "Accept: text/event-stream\r\n").await?;
    ensure!(head.status == 200, "no stream: {head:?}");
    subscriber.until("\n\n").await?;
    let length = subscriber.until("\n\n").await?.len();

    let proxy = Arc::new(Proxy::start(hub.address(), 1).await?);
    let keys: Vec<String> = (0..=length).map(|bytes| format!("cut-{bytes}")).collect();
    for (key, bytes) in keys.iter().zip(0..) {
        publish_three(&hub, key).await?;
        proxy.plan(key, Cut { block: Block::Holding("event: tick"), bytes, by: Drop::Rst });
    }
    let page = include_str!("../../pages/cuts.html").replace("KEYS", &json!(keys).to_string());
    let own = "`/events/${key}?cut=${key}`";
    ensure!(page.contains(own), "the page has changed");
    proxy.page("/cuts.html", page.replace(own, &format!("`{}&cut=${{key}}`", url("${key}"))));
    browser.open(&proxy.url(0, "/cuts.html")).await?;
    let (mut running, address) = (JoinSet::new(), hub.address());
    for key in keys {
        let proxy = proxy.clone();
        running.spawn(async move {
            proxy.until(&key, ALL, |progress| progress.cut).await?;
            http::publish(address, &key, "missed").await?;
            http::publish(address, &format!("{key}?type=end"), "").await?;
            proxy.release(&key)?;
            let end = proxy.until(&key, ALL, |progress| progress.report.is_some()).await?;
            let received: Value = serde_json::from_str(end.report.as_deref().unwrap_or_default())?;
            let expected = json!([
                ["message", "before"],
                ["tick", TARGET_DATA],
                ["message", "behind"],
                ["message", "missed"]
            ]);
            ensure!(received == expected, "{key}: {received}");
            anyhow::Ok(())
        });
    }
    let mut failures = Vec::new();
    while let Some(done) = running.join_next().await {
        failures.extend(done?.err());
    }
    let first = failures.first().map(|error| format!("{error:#}")).unwrap_or_default();
    ensure!(failures.is_empty(), "{} of {} are wrong: {first}", failures.len(), length + 1);
    browser.quit().await.context("the browser")?;
    hub.stop().await.map(drop)
}
