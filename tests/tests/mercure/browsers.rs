//! Real browsers: a page of one origin, a hub at another, and a cookie that no script sees.

use anyhow::{Result, ensure};
use headwater_tests::Browser;
use serde_json::Value;

use crate::stage::Stage;

headwater_tests::in_each_engine!(
    a_page_listens_and_publishes_with_its_cookie,
    without_a_cookie_a_page_sees_what_is_public
);

const TOPIC: &str = "https://example.com/books/1";

/// Publishes from the page; what it was answered.
async fn publish(browser: &Browser, stage: &Stage, fields: &str) -> Result<String> {
    browser.evaluate(&format!("ask('{}', {fields})", stage.url(""))).await?;
    let answer = browser.until("answer", Value::is_string).await?;
    Ok(answer.as_str().unwrap_or_default().to_owned())
}

async fn told(browser: &Browser, wanted: &str) -> Result<()> {
    let has = |told: &Value| told.as_array().is_some_and(|all| all.iter().any(|one| one == wanted));
    browser.until("told", has).await.map(drop)
}

async fn a_page_listens_and_publishes_with_its_cookie(browser: Browser) -> Result<()> {
    let grants = ["--publish", TOPIC, "--subscribe", TOPIC];
    let stage = Stage::start_for("lifetime_ms = 3000", &grants).await?;
    browser.open(&stage.page()).await?;
    ensure!(browser.evaluate("document.cookie").await? == "");
    browser.evaluate(&format!("listen('{}'), 1", stage.url(&format!("?match={TOPIC}")))).await?;
    told(&browser, "open").await?;
    let fields = |data: &str| {
        format!("{{topic: '{TOPIC}', data: '{data}', id: 'id-{data}', private: 'on'}}")
    };
    for data in ["1", "2"] {
        let answer = publish(&browser, &stage, &fields(data)).await?;
        ensure!(answer == format!("200 id-{data}"), "{answer}");
        told(&browser, &format!("id-{data} {data}")).await?;
    }
    // The stream has ended, and the page comes back by itself.
    let opened = "told.filter((one) => one == 'open').length";
    browser.until(opened, |count| count.as_u64() > Some(1)).await?;
    ensure!(publish(&browser, &stage, &fields("3")).await? == "200 id-3");
    told(&browser, "id-3 3").await?;
    let all = browser.evaluate("told.filter((one) => one != 'open')").await?;
    ensure!(all == serde_json::json!(["id-1 1", "id-2 2", "id-3 3"]), "{all}");
    let refused = publish(&browser, &stage, "{topic: 'other'}").await?;
    ensure!(refused.starts_with("403 "), "{refused}");
    browser.quit().await?;
    stage.end().await
}

async fn without_a_cookie_a_page_sees_what_is_public(browser: Browser) -> Result<()> {
    let stage = Stage::start("").await?;
    browser.open(&stage.page()).await?;
    browser.evaluate(&format!("listen('{}'), 1", stage.url("?match=*"))).await?;
    told(&browser, "open").await?;
    ensure!(publish(&browser, &stage, "{topic: 'a'}").await?.starts_with("401 "));
    let client = reqwest::Client::builder()
        .add_root_certificate(reqwest::Certificate::from_pem(&std::fs::read(stage.authority())?)?)
        .no_proxy()
        .build()?;
    let token = stage.mint(&["--publish", "*"]).await?;
    for (private, data) in [("&private=on", "secret"), ("", "public")] {
        let form = format!("topic=a&id={data}&data={data}{private}");
        let request = client.post(stage.url("")).bearer_auth(&token).body(form);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        ensure!(request.send().await?.text().await? == data);
    }
    told(&browser, "public public").await?;
    let all = browser.evaluate("told").await?;
    ensure!(all == serde_json::json!(["open", "public public"]), "{all}");
    browser.quit().await?;
    stage.end().await
}
