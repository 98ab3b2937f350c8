//! The demo's four pages in real browsers: each shows what its source says, loses nothing to the buttons of its
//! panel, can be read on a phone, and a file that is saved changes the page that shows it.
#![allow(clippy::disallowed_methods, missing_docs, reason = "browsers live in real time")]

use std::fs;

use anyhow::{Context, Result, ensure};
use headwater_tests::{Browser, Engine, Hub};
use serde_json::{Value, json};
use thirtyfour::By;

const ENVIRONMENT: [(&str, &str); 1] = [("HEADWATER_RECONNECT_MS", "50")];
const STATUS: &str = "document.querySelector('.status').dataset.status";
const TRANSPORT: &str = "document.querySelector('[data-transport]').dataset.transport";
/// What a page shows of its events when it has some.
const PAGES: [(&str, &str); 4] = [
    (
        "/stocks",
        "[...document.querySelectorAll('td.price')].filter(td => td.textContent).length === 6",
    ),
    ("/match", "document.querySelectorAll('.others button').length === 3"),
    ("/posts", "document.querySelectorAll('.post h2').length === 3"),
    ("/social", "document.querySelectorAll('.post').length === 12"),
];

headwater_tests::in_each_engine!(
    every_page_shows_what_its_source_says,
    nothing_is_lost_to_the_buttons,
    a_file_that_is_saved_changes_the_page,
    they_speak_two_languages_and_fit_a_phone
);

async fn every_page_shows_what_its_source_says(browser: Browser) -> Result<()> {
    let hub = Hub::start_with(&["demo"], &ENVIRONMENT).await?;
    for (path, shows) in PAGES {
        open(&browser, &hub, path, shows).await?;
        browser.until(STATUS, |status| status == "open").await?;
        ensure!(browser.evaluate(TRANSPORT).await? == "eventsource", "{path}");
        unharmed(&browser).await.context(path)?;
    }
    browser.quit().await?;
    hub.stop().await?;
    Ok(())
}

async fn nothing_is_lost_to_the_buttons(browser: Browser) -> Result<()> {
    let hub = Hub::start_with(&["demo"], &ENVIRONMENT).await?;
    for (path, shows) in PAGES {
        open(&browser, &hub, path, shows).await?;
        recovers_from_a_cut(&browser, "open").await.context(path)?;

        press(&browser, "without-eventsource").await?;
        browser.until(TRANSPORT, |over| over == "fetch").await.context(path)?;
        recovers_from_a_cut(&browser, "open").await.context(path)?;
        unharmed(&browser).await.context(path)?;
    }

    // What is left needs a page whose events keep coming.
    let [(path, shows), ..] = PAGES;
    open(&browser, &hub, path, shows).await?;
    goes_on(&browser).await?;
    press(&browser, "sleep").await?;
    press(&browser, "sleep").await?;
    goes_on(&browser).await?;
    press(&browser, "without-eventsource").await?;
    press(&browser, "without-fetch").await?;
    browser.until(TRANSPORT, |over| over == "xhr").await?;
    goes_on(&browser).await?;
    recovers_from_a_cut(&browser, "open").await?;
    press(&browser, "held").await?;
    browser.until(TRANSPORT, |over| over == "poll").await?;
    goes_on(&browser).await?;
    recovers_from_a_cut(&browser, "polling").await?;
    for button in ["held", "without-fetch", "without-eventsource"] {
        press(&browser, button).await?;
    }
    browser.until(TRANSPORT, |over| over == "eventsource").await?;
    goes_on(&browser).await?;
    unharmed(&browser).await?;
    browser.quit().await?;
    hub.stop().await?;
    Ok(())
}

async fn a_file_that_is_saved_changes_the_page(browser: Browser) -> Result<()> {
    let hub = Hub::start_with(&["demo"], &ENVIRONMENT).await?;
    browser.open(&hub.url("/posts")).await?;
    let shown = "document.querySelector('#path')?.textContent";
    let path = browser
        .until(shown, |path| path.as_str().is_some_and(|p| p.ends_with("posts.xml")))
        .await?;
    let path = path.as_str().context("no path")?.to_owned();
    let titles = "[...document.querySelectorAll('.post h2')].map(title => title.textContent)";
    browser.until(titles, |titles| titles.as_array().is_some_and(|t| t.len() == 3)).await?;

    let feed = fs::read_to_string(&path)?;
    let entry = "<entry><id>urn:test:4</id><title>From the test</title><author><name>T</name></author>\
                 <updated>2030-01-01T00:00:00Z</updated><content>new</content></entry></feed>";
    fs::write(&path, feed.replace("speaks", "sings").replace("</feed>", entry))?;
    let sings =
        |titles: &Value| titles[0] == "From the test" && titles[1] == "The gauge at the weir sings";
    browser.until(titles, sings).await?;
    fs::write(&path, "<feed></feed>")?;
    browser.until(titles, |titles| *titles == json!([])).await?;
    unharmed(&browser).await?;

    browser.quit().await?;
    hub.stop().await?;
    ensure!(!fs::exists(&path)?, "the demo left {path} behind");
    Ok(())
}

async fn they_speak_two_languages_and_fit_a_phone(browser: Browser) -> Result<()> {
    let hub = Hub::start_with(&["demo"], &ENVIRONMENT).await?;
    for (path, shows) in PAGES {
        open(&browser, &hub, path, shows).await?;
        let language = browser.evaluate("document.documentElement.lang").await?;
        let heading = browser.evaluate("document.querySelector('h1').textContent").await?;
        press(&browser, "language").await?;
        ensure!(browser.evaluate("document.documentElement.lang").await? != language);
        ensure!(browser.evaluate("document.querySelector('h1').textContent").await? != heading);
        let scheme = "getComputedStyle(document.body).backgroundColor";
        let before = browser.evaluate(scheme).await?;
        press(&browser, "theme").await?;
        browser.until(scheme, |now| *now != before).await?;
        pictures(&browser, path.trim_start_matches('/')).await.context(path)?;
    }
    browser.quit().await?;
    hub.stop().await?;
    Ok(())
}

/// Opens a page and waits until it shows something.
async fn open(browser: &Browser, hub: &Hub, path: &str, shows: &str) -> Result<()> {
    browser.open(&hub.url(path)).await?;
    if let Err(error) = browser.until(shows, |shows| shows == true).await {
        let panel = browser.evaluate("[document.visibilityState, document.body.innerText]").await?;
        return Err(error.context(format!("{path} shows {panel}\n{}", hub.log())));
    }
    Ok(())
}

/// Cuts the connection; expects that it is seen, and over by itself.
async fn recovers_from_a_cut(browser: &Browser, status: &str) -> Result<()> {
    press(browser, "break").await?;
    browser.until(STATUS, |status| status == "connecting").await?;
    browser.until(STATUS, |now| now == status).await?;
    Ok(())
}

/// Expects more events than there are.
async fn goes_on(browser: &Browser) -> Result<()> {
    let received = "Number(document.querySelector('#received').textContent.replaceAll(',', ''))";
    let before = browser.evaluate(received).await?.as_f64().context("no count")?;
    browser.until(received, |now| now.as_f64().is_some_and(|now| now > before)).await?;
    Ok(())
}

/// The page itself counts what is missing, and what came twice.
async fn unharmed(browser: &Browser) -> Result<()> {
    for count in ["missing", "twice"] {
        let shown = format!("document.querySelector('#{count}').textContent");
        let shown = browser.evaluate(&shown).await?;
        ensure!(shown == "0", "{count}: {shown}");
    }
    Ok(())
}

async fn press(browser: &Browser, id: &str) -> Result<()> {
    let button = browser.driver().find(By::Id(id)).await.with_context(|| format!("no {id}"))?;
    button.scroll_into_view().await?;
    button.click().await?;
    Ok(())
}

/// For people to look at; and no page may be wider than a phone.
async fn pictures(browser: &Browser, name: &str) -> Result<()> {
    if browser.engine() != Engine::Chromium {
        return Ok(());
    }
    let cdp = browser.driver().cdp();
    for (device, width, height) in [("phone", 390, 844), ("desktop", 1280, 900)] {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": device == "phone",
        });
        cdp.send_raw("Emulation.setDeviceMetricsOverride", metrics).await?;
        browser.screenshot(&format!("demo-{name}-{device}")).await?;
        let overhang = "document.documentElement.scrollWidth - window.innerWidth";
        let overhang = browser.evaluate(overhang).await?.as_i64().context("no width")?;
        ensure!(overhang <= 0, "on a {device} the page is {overhang} pixels too wide");
    }
    Ok(())
}
