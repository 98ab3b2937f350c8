//! Connections that break, and networks that swallow: nothing is lost, nothing comes twice.

use anyhow::{Result, ensure};
use headwater_tests::Browser;
use serde_json::{Value, json};

use crate::gate::State;
use crate::scene::{Scene, call, received, told};

headwater_tests::in_each_engine!(
    a_connection_that_breaks_is_resumed,
    a_network_that_swallows_is_noticed,
    what_will_never_work_is_told
);

const TRANSPORTS: [&str; 4] = ["eventsource", "fetch", "xhr", "poll"];

async fn lost(browser: &Browser) -> Result<()> {
    let is_lost = |told: &Value| told.to_string().contains("error 0");
    browser.until("told", is_lost).await.map(drop)
}

/// Whether a request for the topic named its place: in the header, or in the query, as polls do, and a native source
/// that its engine gave up and that was opened anew.
fn came_back(scene: &Scene, topic: &str) -> bool {
    let asks = format!("get /events/{topic}");
    scene.gate.requests().iter().any(|connection| {
        let connection = connection.to_lowercase();
        connection.match_indices(&asks).any(|(at, _)| {
            let request = connection.get(at..).and_then(|rest| rest.split("\r\n\r\n").next());
            let named = |place| request.is_some_and(|request| request.contains(place));
            named("last-event-id: #") || named("lasteventid=%23")
        })
    })
}

async fn a_connection_that_breaks_is_resumed(browser: Browser) -> Result<()> {
    let scene = Scene::start().await?;
    for transport in TRANSPORTS {
        browser.open(&scene.gate.url("/client.js.html")).await?;
        let options = json!({ "transport": transport });
        call(&browser, "listen", json!([format!("/events/{transport}"), options])).await?;
        told(&browser, "open").await?;
        scene.publish(transport, "before").await?;
        received(&browser, &["before"]).await?;
        scene.gate.set(State::Cut);
        lost(&browser).await?;
        scene.publish(transport, "missed").await?;
        scene.publish(transport, "missed too").await?;
        scene.gate.set(State::Open);
        received(&browser, &["before", "missed", "missed too"]).await?;
        scene.publish(transport, "after").await?;
        received(&browser, &["before", "missed", "missed too", "after"]).await?;
        ensure!(came_back(&scene, transport), "{transport}: came back without a place");
    }
    scene.end(browser).await
}

async fn a_network_that_swallows_is_noticed(browser: Browser) -> Result<()> {
    let scene = Scene::start().await?;
    for transport in ["fetch", "xhr"] {
        browser.open(&scene.gate.url("/client.js.html")).await?;
        let options = json!({ "transport": transport, "heartbeatTimeout": 1500 });
        call(&browser, "listen", json!([format!("/events/{transport}"), options])).await?;
        told(&browser, "open").await?;
        scene.publish(transport, "before").await?;
        received(&browser, &["before"]).await?;
        scene.gate.set(State::Lost);
        scene.publish(transport, "missed").await?;
        lost(&browser).await?;
        scene.gate.set(State::Open);
        received(&browser, &["before", "missed"]).await?;
        scene.gate.set(State::Cut);
        scene.gate.set(State::Open);
    }
    scene.end(browser).await
}

async fn what_will_never_work_is_told(browser: Browser) -> Result<()> {
    let scene = Scene::start().await?;
    browser.open(&scene.proxy.url(0, "/client.js.html")).await?;
    call(&browser, "follow", json!(["/events", "a", { "since": "yesterday" }])).await?;
    let told = browser.until("told", |told| told.to_string().contains("error 400")).await?;
    ensure!(told.to_string().contains("since=yesterday"), "it does not say why: {told}");
    browser.open(&scene.proxy.url(0, "/client.js.html")).await?;
    call(&browser, "listen", json!(["/nowhere", { "transport": "fetch" }])).await?;
    crate::scene::told(&browser, "error 2 404").await?;
    scene.end(browser).await
}
