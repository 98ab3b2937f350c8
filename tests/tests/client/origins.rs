//! Pages of another origin.

use anyhow::{Result, ensure};
use headwater_tests::{Browser, Hub, Proxy};
use serde_json::{Value, json};

use crate::gate::{Gate, State};
use crate::scene::{Scene, address, call, received, told};

headwater_tests::in_each_engine!(
    a_page_of_another_origin_listens_with_its_cookies,
    a_page_that_is_not_let_is_told
);

async fn a_page_of_another_origin_listens_with_its_cookies(browser: Browser) -> Result<()> {
    // The page's origin has to be known before its hub: the proxy's hub is never asked for events here.
    let elsewhere = Scene::start().await?;
    let origin = elsewhere.proxy.url(0, "");
    let environment =
        [("HEADWATER_CORS_ORIGINS", origin.as_str()), ("HEADWATER_RECONNECT_MS", "50")];
    let hub = Hub::start_with(&["serve", "--log", "memory"], &environment).await?;
    let gate = Gate::start(hub.address()).await?;
    for transport in ["eventsource", "fetch", "xhr", "poll"] {
        browser.open(&elsewhere.proxy.url(0, "/client.js.html")).await?;
        browser.evaluate("(document.cookie = 'who=me') && true").await?;
        let options = json!({ "transport": transport, "withCredentials": true });
        call(&browser, "listen", json!([gate.url(&format!("/events/{transport}")), options]))
            .await?;
        told(&browser, "open").await?;
        headwater_tests::http::publish(hub.address(), transport, "1").await?;
        received(&browser, &["1"]).await?;
        gate.set(State::Cut);
        browser.until("told", |told: &Value| told.to_string().contains("error 0")).await?;
        headwater_tests::http::publish(hub.address(), transport, "2").await?;
        gate.set(State::Open);
        received(&browser, &["1", "2"]).await?;
        let requests = gate.requests().join("\n").to_lowercase();
        let asked = requests.matches(&format!("get /events/{transport}")).count();
        ensure!(asked > 1 && requests.contains("cookie: who=me"), "{transport}: {requests}");
    }
    hub.stop().await?;
    elsewhere.end(browser).await
}

async fn a_page_that_is_not_let_is_told(browser: Browser) -> Result<()> {
    let scene = Scene::start().await?;
    let other = Proxy::start(scene.hub.address(), 1).await?;
    let url = format!("http://{}/events/a", address(&other)?);
    for transport in [json!({}), json!({ "transport": "fetch" }), json!({ "transport": "xhr" })] {
        browser.open(&scene.proxy.url(0, "/client.js.html")).await?;
        call(&browser, "listen", json!([url, transport])).await?;
        told(&browser, "error 2 0").await?;
    }
    scene.end(browser).await
}
