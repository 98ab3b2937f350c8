//! Every transport receives the same.

use anyhow::Result;
use headwater_tests::{Browser, Engine};
use serde_json::json;

use crate::scene::{OLD, Scene, call, received, told};

headwater_tests::in_each_engine!(
    each_transport_receives_the_same,
    what_is_missing_is_done_without,
    the_legacy_script_needs_nothing_new
);

const EXPECTED: [&str; 3] = ["one\ntwo", "price 3", ""];

async fn publish(scene: &Scene, topic: &str) -> Result<()> {
    scene.publish(topic, "one\r\ntwo").await?;
    scene.publish(&format!("{topic}?type=price"), "3").await?;
    scene.publish(topic, "").await
}

async fn each_transport_receives_the_same(browser: Browser) -> Result<()> {
    let scene = Scene::start().await?;
    for transport in ["eventsource", "fetch", "xhr", "poll"] {
        browser.open(&scene.proxy.url(0, "/client.js.html")).await?;
        let options = json!({ "transport": transport });
        call(&browser, "listen", json!([format!("/events/{transport}"), options])).await?;
        told(&browser, "open").await?;
        publish(&scene, transport).await?;
        received(&browser, &EXPECTED).await?;
    }
    browser.open(&scene.proxy.url(0, "/client.js.html")).await?;
    call(&browser, "listen", json!(["/events/any"])).await?;
    told(&browser, "open").await?;
    publish(&scene, "any").await?;
    received(&browser, &EXPECTED).await?;
    scene.end(browser).await
}

async fn what_is_missing_is_done_without(browser: Browser) -> Result<()> {
    let scene = Scene::start().await?;
    for (without, transport) in [("EventSource", "fetch"), ("EventSource&without=fetch", "xhr")] {
        let page = format!("/client.js.html?without={without}");
        browser.open(&scene.proxy.url(0, &page)).await?;
        call(&browser, "follow", json!(["/events", [transport]])).await?;
        told(&browser, &format!("open {transport}")).await?;
        scene.publish(transport, "1").await?;
        received(&browser, &[&format!("{transport} 1")]).await?;
    }
    scene.end(browser).await
}

async fn the_legacy_script_needs_nothing_new(browser: Browser) -> Result<()> {
    let scene = Scene::start().await?;
    for transport in [json!({}), json!({ "transport": "poll" })] {
        // WebKit's driver cannot do without promises itself.
        let old = match browser.engine() {
            Engine::WebKit => OLD.replace("&without=Promise", ""),
            _ => OLD.to_owned(),
        };
        let page = format!("/client.legacy.js.html?without={old}");
        browser.open(&scene.proxy.url(0, &page)).await?;
        let made = browser
            .evaluate("window.EventSource === window.headwater.HeadwaterEventSource")
            .await?;
        anyhow::ensure!(made == json!(true), "it does not stand in for EventSource");
        call(&browser, "listen", json!(["/events/old", transport])).await?;
        told(&browser, "open").await?;
        publish(&scene, "old").await?;
        received(&browser, &EXPECTED).await?;
    }
    scene.end(browser).await
}
