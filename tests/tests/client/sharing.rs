//! Sixty tabs over HTTP/1.1, which has six connections: they share one, and outlive the tab that holds it.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use headwater_tests::{Browser, Engine, http};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::scene::{Scene, call, received};

const TABS: usize = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_tabs_share_a_connection_and_outlive_its_leader() -> Result<()> {
    let browser = Browser::start(Engine::Chromium).await?;
    let scene = Scene::start().await?;
    let driver = browser.driver();
    let mut tabs = Vec::new();
    for number in 0..TABS {
        if number > 0 {
            let tab = driver.new_window().await?;
            driver.switch_to_window(tab).await?;
        }
        tabs.push(driver.window().await?);
        browser.open(&scene.gate.url("/client.js.html")).await?;
        // Half of them want something of their own besides.
        let topics =
            if number % 2 == 0 { json!(["all"]) } else { json!(["all", format!("own/{number}")]) };
        call(&browser, "follow", json!(["/events", topics, { "share": true }])).await?;
        browser.until("source.status", |status| status == "open").await?;
    }
    until_all_are_wanted(&scene).await?;
    scene.publish("all", "1").await?;
    scene.publish("own/59", "mine").await?;
    for (number, tab) in tabs.iter().enumerate() {
        driver.switch_to_window(tab.clone()).await?;
        let all = |got: &Value| got.to_string().contains("all 1");
        browser.until("received", all).await.with_context(|| format!("tab {number}"))?;
    }
    received(&browser, &["all 1", "own/59 mine"]).await?;

    // The first tab leads. It goes without a word, and what is published meanwhile waits for the next.
    let leader = tabs.remove(0);
    driver.switch_to_window(leader).await?;
    driver.close_window().await?;
    http::publish(scene.hub.address(), "all", "2").await?;
    http::publish(scene.hub.address(), "own/59", "mine too").await?;
    let both = |got: &Value| got.to_string().contains("all 2");
    for tab in &tabs {
        driver.switch_to_window(tab.clone()).await?;
        let got = browser.until("received", both).await?;
        ensure!(got.to_string().matches("all ").count() == 2, "lost or doubled: {got}");
    }
    received(&browser, &["all 1", "own/59 mine", "all 2", "own/59 mine too"]).await?;
    scene.end(browser).await
}

/// Waits until one stream was asked for that has everything that the tabs want.
async fn until_all_are_wanted(scene: &Scene) -> Result<()> {
    let mut last = String::new();
    for _ in 0..2400 {
        let requests = scene.gate.requests().join("");
        let mut asked = requests.lines().filter(|line| line.starts_with("GET /events"));
        last = asked.next_back().unwrap_or_default().to_owned();
        let own = (1..TABS).step_by(2);
        if !last.contains("wait=") && own.clone().all(|tab| last.contains(&format!("own%2F{tab}")))
        {
            return Ok(());
        }
        sleep(Duration::from_millis(50)).await;
    }
    bail!("not everything is wanted: {last}")
}
