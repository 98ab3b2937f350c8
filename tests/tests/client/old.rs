//! Pages in engines that have no `EventSource`: the classic script receives over what they have.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use headwater_tests::{Block, Cut, Drop, OldEngine};
use serde_json::{Value, json};

use crate::gate::State;
use crate::scene::Scene;

/// For everything that a page has to come to; these engines are slow, and so is a busy machine.
const SOON: Duration = Duration::from_secs(120);

#[tokio::test]
async fn phantomjs_streams() -> Result<()> {
    receives_and_comes_back(OldEngine::PhantomJs, "open xhr").await
}

#[tokio::test]
async fn internet_explorer_9_polls() -> Result<()> {
    receives_and_comes_back(OldEngine::InternetExplorer9, "polling poll").await
}

#[tokio::test]
async fn internet_explorer_11_polls() -> Result<()> {
    receives_and_comes_back(OldEngine::InternetExplorer11, "polling poll").await
}

#[tokio::test]
async fn khtml_polls() -> Result<()> {
    receives_and_comes_back(OldEngine::Khtml, "polling poll").await
}

async fn receives_and_comes_back(engine: OldEngine, over: &str) -> Result<()> {
    let scene = Scene::start().await?;
    scene.proxy.page("/old.html", include_str!("old.html").to_owned());
    // Nothing is cut there; it takes the page's reports.
    scene.proxy.plan("old", Cut { block: Block::Open, bytes: 0, by: Drop::Fin });
    let page = engine.show(&scene.gate.url("/old.html"))?;
    let lives = async || {
        let opened = until(&scene, |report| has(report, "told", &["open", over])).await?;
        let lacks = json!("undefined,undefined,undefined,undefined");
        ensure!(opened.get("lacks") == Some(&lacks), "no old engine: {opened}");

        publish(&scene, &["one\r\ntwo", ""]).await?;
        scene.publish("prices/a?type=price", "3").await?;
        scene.publish("old?type=price", "4").await?;
        let mut received = vec!["one\ntwo", "", "price 4"];
        let mut followed = vec!["old one\r\ntwo", "old ", "prices/a 3", "old 4"];
        exactly(&scene, &received, &followed).await?;

        scene.gate.set(State::Cut);
        publish(&scene, &["missed", "missed too"]).await?;
        scene.gate.set(State::Open);
        received.extend(["missed", "missed too"]);
        followed.extend(["old missed", "old missed too"]);
        exactly(&scene, &received, &followed).await?;

        publish(&scene, &["after"]).await?;
        received.push("after");
        followed.push("old after");
        exactly(&scene, &received, &followed).await
    };
    let all = || {
        let requests = scene.gate.requests();
        let last = requests.iter().rfind(|request| !request.contains("/report/"));
        format!("{engine:?} asked {last:?} at last, and said: {}", page.said())
    };
    lives().await.with_context(all)?;
    scene.hub.stop().await?;
    Ok(())
}

async fn publish(scene: &Scene, all: &[&str]) -> Result<()> {
    for data in all {
        scene.publish("old", data).await?;
    }
    Ok(())
}

/// Waits until both faces have received so much, and holds them to exactly that.
async fn exactly(scene: &Scene, received: &[&str], followed: &[&str]) -> Result<()> {
    let length = |report: &Value, list| report.get(list)?.as_array().map(Vec::len);
    let report = until(scene, |report| {
        length(report, "received") >= Some(received.len())
            && length(report, "followed") >= Some(followed.len())
    });
    let report = report.await?;
    let is = |list, expected: &[&str]| report.get(list) == Some(&json!(expected));
    ensure!(
        is("received", received) && is("followed", followed),
        "{report}, not {received:?} and {followed:?}"
    );
    Ok(())
}

/// Waits until the page reports what is wanted.
async fn until(scene: &Scene, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    let parse = |report: &Option<String>| serde_json::from_str::<Value>(report.as_deref()?).ok();
    let seen = scene
        .proxy
        .until("old", SOON, |progress| parse(&progress.report).is_some_and(|r| wanted(&r)));
    parse(&seen.await?.report).context("no report")
}

fn has(report: &Value, list: &str, all: &[&str]) -> bool {
    let list = report.get(list).and_then(Value::as_array);
    list.is_some_and(|list| all.iter().all(|one| list.iter().any(|said| said == one)))
}
