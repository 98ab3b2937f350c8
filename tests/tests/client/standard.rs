//! The sentences of the standard as scripts see them, of `HeadwaterEventSource` in place of the engine's own: in
//! pages and in workers, over each way to connect.

use anyhow::{Context, Result, ensure};
use headwater_tests::{Browser, Engine};
use serde_json::json;

use crate::raw::Raw;

headwater_tests::in_each_engine!(it_does_what_the_standard_says);

const CLIENT: &str = include_str!("../../../crates/server/assets/client.js");
const HTML: &str = "text/html";
const SCRIPT: &str = "text/javascript";

/// What Firefox's own `EventSource`, which is used as long as it does, does otherwise: it drops NUL, ignores events
/// behind an id that has one, and takes no id from a block without data.
const OF_FIREFOX: [&str; 3] = [
    "data may hold NUL and be long",
    "an id that holds NUL is ignored",
    "an id without data counts",
];

async fn server() -> Result<Raw> {
    let files = [
        ("/page.html", (HTML, include_str!("standard/page.html"))),
        ("/frames/inner.html", (HTML, "<!doctype html><script src=\"/client.js\"></script>")),
        ("/client.js", (SCRIPT, CLIENT)),
        ("/harness.js", (SCRIPT, include_str!("standard/harness.js"))),
        ("/interface.js", (SCRIPT, include_str!("standard/interface.js"))),
        ("/stream.js", (SCRIPT, include_str!("standard/stream.js"))),
        ("/request.js", (SCRIPT, include_str!("standard/request.js"))),
        ("/worker.js", (SCRIPT, include_str!("standard/worker.js"))),
    ];
    Raw::start(files.into_iter().collect()).await
}

async fn it_does_what_the_standard_says(browser: Browser) -> Result<()> {
    let (here, other) = (server().await?, server().await?);
    let mut all = Vec::new();
    for (place, transport) in
        [("page", ""), ("page", "fetch"), ("page", "xhr"), ("worker", ""), ("worker", "fetch")]
    {
        let is_its_own = browser.engine() == Engine::Firefox && transport.is_empty();
        let without = if is_its_own { OF_FIREFOX.join(",") } else { String::new() };
        let query = format!(
            "where={place}&transport={transport}&other={}&without={without}",
            other.url("")
        );
        browser.open(&here.url(&format!("/page.html?{query}"))).await?;
        let failed = browser.until("failed", |failed| failed.is_array()).await;
        let failed = failed.with_context(|| format!("{place} {transport}"))?;
        for failed in failed.as_array().into_iter().flatten() {
            all.push(format!("{place} {transport}: {failed}"));
        }
    }
    browser.quit().await?;
    ensure!(all.is_empty(), "{:#}", json!(all));
    Ok(())
}
