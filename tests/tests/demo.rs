//! The demo's page in real browsers: times arrive by themselves, what one window publishes another shows, and
//! a hub that went away is found again.
#![allow(clippy::disallowed_methods, reason = "browsers live in real time")]

use anyhow::{Context, Result, ensure};
use headwater_tests::{Browser, Engine, Hub, http};
use serde_json::{Value, json};
use thirtyfour::By;

const ENVIRONMENT: [(&str, &str); 1] = [("HEADWATER_RECONNECT_MS", "50")];
const STATE: &str = "document.querySelector('#state').dataset.state";
const TIMES: &str = "[...document.querySelectorAll('#result > *')].map(line => line.textContent)";
const PUBLISHED: &str = "document.querySelector('#events').textContent";

headwater_tests::in_each_engine!(
    the_clock_appears_by_itself,
    one_window_publishes_and_another_shows_it,
    a_hub_that_went_away_is_found_again
);

async fn the_clock_appears_by_itself(browser: Browser) -> Result<()> {
    let hub = Hub::start_with(&["demo"], &ENVIRONMENT).await?;
    browser.open(&hub.url("/")).await?;
    browser.until(STATE, |state| state == "open").await?;
    let support = browser.evaluate("document.querySelector('#support').textContent").await?;
    ensure!(support.as_str().is_some_and(|s| s.contains("EventSource")), "it says {support}");
    let times = browser.until(TIMES, |times| strings(times).len() >= 3).await?;
    let times = strings(&times);
    ensure!(times.iter().all(|time| time.contains(':')), "no times: {times:?}");
    ensure!(times.windows(2).all(|pair| pair[0] != pair[1]), "the same twice: {times:?}");

    let links = "[...document.links].map(link => link.getAttribute('href'))";
    for link in strings(&browser.evaluate(links).await?) {
        let answer = http::request(hub.address(), "GET", &link, "", "").await?;
        ensure!(answer.head.status == 200, "the page links to {link}: {:?}", answer.head);
    }
    pictures(&browser).await?;
    browser.quit().await?;
    hub.stop().await?;
    Ok(())
}

async fn one_window_publishes_and_another_shows_it(browser: Browser) -> Result<()> {
    let hub = Hub::start_with(&["demo"], &ENVIRONMENT).await?;
    let driver = browser.driver();
    let first = driver.window().await?;
    browser.open(&hub.url("/")).await?;
    browser.until(STATE, |state| state == "open").await?;
    let second = driver.new_window().await?;
    driver.switch_to_window(second.clone()).await?;
    browser.open(&hub.url("/")).await?;
    browser.until(STATE, |state| state == "open").await?;

    let data = driver.find(By::Css("#data")).await?;
    data.clear().await?;
    data.send_keys("from the second window").await?;
    driver.find(By::Css("#publish button[type=submit]")).await?.click().await?;
    let shows = |text: &Value| text.as_str().is_some_and(|t| t.contains("from the second window"));
    browser.until(PUBLISHED, shows).await?;
    driver.switch_to_window(first).await?;
    browser.until(PUBLISHED, shows).await?;
    browser.screenshot("demo-published").await?;
    browser.quit().await?;
    hub.stop().await?;
    Ok(())
}

async fn a_hub_that_went_away_is_found_again(browser: Browser) -> Result<()> {
    let mut hub = Hub::start_with(&["demo"], &ENVIRONMENT).await?;
    let address = hub.address().to_string();
    browser.open(&hub.url("/")).await?;
    browser.until(STATE, |state| state == "open").await?;
    hub.program().kill().await?;
    browser.until(STATE, |state| state == "connecting").await?;
    let before = strings(&browser.evaluate(TIMES).await?).len();

    let hub = Hub::start_at(&address, &["demo"], &ENVIRONMENT).await?;
    browser.until(STATE, |state| state == "open").await?;
    browser.until(TIMES, |times| strings(times).len() >= before + 2).await?;
    browser.quit().await?;
    hub.stop().await?;
    Ok(())
}

/// For people to look at: what a phone and a desktop show, by day and by night.
async fn pictures(browser: &Browser) -> Result<()> {
    browser.screenshot("demo-desktop").await?;
    if browser.engine() != Engine::Chromium {
        return Ok(());
    }
    let cdp = browser.driver().cdp();
    for (device, width, height, mobile) in
        [("phone", 390, 844, true), ("desktop", 1280, 800, false)]
    {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 2, "mobile": mobile,
        });
        cdp.send_raw("Emulation.setDeviceMetricsOverride", metrics).await?;
        for scheme in ["light", "dark"] {
            let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
            cdp.send_raw("Emulation.setEmulatedMedia", json!({ "features": [feature] })).await?;
            browser.screenshot(&format!("demo-{device}-{scheme}")).await?;
        }
        let overhang = "document.documentElement.scrollWidth - window.innerWidth";
        let overhang = browser.evaluate(overhang).await?.as_i64().context("no width")?;
        ensure!(overhang <= 0, "on a {device} the page is {overhang} pixels too wide");
    }
    Ok(())
}

fn strings(value: &Value) -> Vec<String> {
    let texts = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}
