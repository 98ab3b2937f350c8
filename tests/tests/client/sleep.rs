//! A page that sleeps: its process is stopped, and goes on later, without having noticed.

use std::time::Duration;

use anyhow::{Context, Result};
use headwater_tests::Browser;
use serde_json::json;
use tokio::time::sleep;

use crate::scene::{Scene, call, received, told};

headwater_tests::in_each_engine!(a_page_that_slept_has_what_it_missed);

/// Longer than the page takes silence for.
const ASLEEP: Duration = Duration::from_millis(2500);

async fn a_page_that_slept_has_what_it_missed(browser: Browser) -> Result<()> {
    let scene = Scene::start().await?;
    for transport in ["eventsource", "fetch", "xhr", "poll"] {
        browser.open(&scene.proxy.url(0, "/client.js.html")).await?;
        let options = json!({ "transport": transport, "heartbeatTimeout": 1500 });
        call(&browser, "listen", json!([format!("/events/{transport}"), options])).await?;
        told(&browser, "open").await?;
        scene.publish(transport, "before").await?;
        received(&browser, &["before"]).await?;

        let asleep = browser.put_to_sleep()?;
        let missed: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        for data in &missed {
            scene.publish(transport, data).await?;
        }
        sleep(ASLEEP).await;
        asleep.wake()?;
        scene.publish(transport, "after").await?;
        let mut expected = vec!["before"];
        expected.extend(missed.iter().map(String::as_str));
        expected.push("after");
        received(&browser, &expected).await.context(transport)?;
    }
    scene.end(browser).await
}
