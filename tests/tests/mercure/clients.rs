//! Programs: Symfony's components, and the packages that most pages and Node programs use.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use headwater_tests::Program;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::OnceCell;
use tokio::time::sleep;

use crate::stage::{SECRET, Stage};

const PATIENCE: Duration = Duration::from_secs(60);
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mercure/clients");

/// The packages, installed once for all tests; the Node that they want is one of them.
async fn node() -> Result<&'static Path> {
    static INSTALLED: OnceCell<PathBuf> = OnceCell::const_new();
    let folder = INSTALLED
        .get_or_try_init(async || {
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mercure-clients");
            std::fs::create_dir_all(&folder)?;
            for file in ["package.json", "package-lock.json", "subscribe.mjs"] {
                std::fs::copy(Path::new(FOLDER).join(file), folder.join(file))?;
            }
            let (lock, marker) = (folder.join("package-lock.json"), folder.join("installed"));
            let locked = std::fs::read(lock)?;
            if std::fs::read(&marker).is_ok_and(|installed| installed == locked) {
                return anyhow::Ok(folder);
            }
            let mut npm = Command::new("npm");
            npm.args(["ci", "--no-audit", "--no-fund", "--loglevel", "error"]).current_dir(&folder);
            let installed = npm.output().await.context("npm: `cargo xtask setup` brings it")?;
            ensure!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
            std::fs::write(marker, locked)?;
            Ok(folder)
        })
        .await?;
    Ok(folder)
}

/// A client in Node that subscribes.
async fn in_node(stage: &Stage, client: &str, query: &str, token: &str) -> Result<Program> {
    let folder = node().await?;
    let mut command = Command::new(folder.join("node_modules/.bin/node"));
    command.arg("subscribe.mjs").args([client, &stage.url(query), token]).current_dir(folder);
    Program::start(command.env("NODE_EXTRA_CA_CERTS", stage.authority()))
}

/// Symfony's component, with arguments behind the hub's URL and the authority.
fn symfony(stage: &Stage, action: &str, query: &str, token: &str) -> Command {
    let mut command = Command::new("php");
    command.arg("symfony.php").args([action, &stage.url(query)]);
    command.arg(stage.authority()).arg(token).current_dir(FOLDER);
    command
}

/// Has Symfony's publisher publish updates; gives the id of each.
async fn publish(stage: &Stage, token: &str, updates: &[Value]) -> Result<Vec<String>> {
    let mut command = symfony(stage, "publish", "", token);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut php = command.spawn().context("php: `cargo xtask setup` brings it")?;
    let lines: String = updates.iter().map(|update| format!("{update}\n")).collect();
    let mut stdin = php.stdin.take().context("no stdin")?;
    stdin.write_all(lines.as_bytes()).await?;
    drop(stdin);
    let output = tokio::time::timeout(PATIENCE, php.wait_with_output()).await??;
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "Symfony publishes nothing: {said}{complaint}");
    Ok(said.lines().map(str::to_owned).collect())
}

/// Waits until a client has told so many messages; with how often it opened.
async fn messages(client: &mut Program, count: usize) -> Result<(Vec<Value>, usize)> {
    client
        .says(PATIENCE, |said| {
            let whole = said.get(..=said.rfind('\n')?)?;
            let told = whole.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let (opened, messages): (Vec<_>, Vec<_>) =
                told.partition(|told| told.get("open").is_some());
            (messages.len() >= count).then_some((messages, opened.len()))
        })
        .await
}

async fn opened(client: &mut Program) -> Result<()> {
    client.says(PATIENCE, |said| said.contains("\"open\":true").then_some(())).await
}

/// Every client hears what Symfony publishes, in order, each event once, although its stream ends again and
/// again under its hands.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_symfony_publishes_reaches_every_client_exactly_once() -> Result<()> {
    let stage = Stage::start("lifetime_ms = 700").await?;
    let publisher = stage.mint(&["--publish", "*"]).await?;
    let subscriber = stage.mint(&["--subscribe", "https://example.com/books/1"]).await?;
    let query = "?match=https://example.com/books/1&match_urlpattern=/other/:id";
    let mut clients = Vec::new();
    for name in ["eventsource", "fetch-event-source"] {
        clients.push((name, in_node(&stage, name, query, &subscriber).await?));
    }
    let php = Program::start(&mut symfony(&stage, "subscribe", query, &subscriber))?;
    clients.push(("symfony", php));
    for (_, client) in &mut clients {
        opened(client).await?;
    }
    let mut expected = Vec::new();
    for round in 0..10 {
        let updates: Vec<Value> = (0..3)
            .map(|number| {
                let data = json!({ "round": round, "number": number, "text": "é\n\n{}" });
                expected.push(data.clone());
                json!({
                    "topics": ["https://example.com/books/1", "alternate"],
                    "data": data.to_string(), "private": number == 1,
                    "id": (number == 2).then(|| format!("id-[\"{round}\"]")),
                })
            })
            .collect();
        let ids = publish(&stage, &publisher, &updates).await?;
        ensure!(ids.len() == 3 && ids[2] == format!("id-[\"{round}\"]"), "{ids:?}");
        sleep(Duration::from_millis(200)).await;
    }
    for (name, client) in &mut clients {
        let (told, opened) = messages(client, expected.len()).await.context(*name)?;
        let data: Vec<_> = told.iter().map(|told| told["data"].clone()).collect();
        ensure!(data == expected, "{name}: {told:#?}");
        ensure!(opened > 1, "{name} was never sent away");
        let of_last_round = told.last().map(|told| told["id"].clone());
        ensure!(of_last_round == Some(json!("id-[\"9\"]")), "{name}: {of_last_round:?}");
    }
    stage.end().await
}

/// Applications of Symfony that nobody has touched since 2018, and pages that follow by `topic=`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_applications_find_the_hub_that_they_know() -> Result<()> {
    let stage = Stage::start("compat = \"0.x\"\nsubscriptions = true").await?;
    ensure!(stage.log().contains("weakens what tokens are worth"), "{}", stage.log());
    let token = stage.mint(&["--subscribe", "*"]).await?;
    let query = "?topic=https://example.com/books/{id}&authorization=";
    let mut page = in_node(&stage, "eventsource", &format!("{query}{token}"), "").await?;
    opened(&mut page).await?;
    let update =
        json!({"topics": ["https://example.com/books/1"], "data": "{\"a\":1}", "private": true});
    let ids = publish(&stage, &format!("old:{SECRET}"), &[update]).await?;
    let (told, _) = messages(&mut page, 1).await?;
    ensure!(told == [json!({"type": "message", "id": ids[0], "data": {"a": 1}})], "{told:?}");
    // Nothing of the token is in the hub's log.
    ensure!(!stage.log().contains(&token), "{}", stage.log());
    stage.end().await
}

/// The crate `mercure`, in a program of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_crate_mercure_publishes_arrives() -> Result<()> {
    let stage = Stage::start("compat = \"0.x\"").await?;
    let topic = "https://example.com/books/1";
    let token = stage.mint(&["--subscribe", topic]).await?;
    let mut page = in_node(&stage, "eventsource", &format!("?match={topic}"), &token).await?;
    opened(&mut page).await?;
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["run", "--quiet", "--locked", "--manifest-path"]);
    command.arg(Path::new(FOLDER).join("publisher/Cargo.toml")).arg("--target-dir");
    command.arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("mercure-publisher")).arg("--");
    command.arg(stage.url("")).arg(stage.authority()).args([SECRET, topic, "[1]"]);
    let output = command.output().await?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "it publishes nothing: {complaint}");
    let id = String::from_utf8(output.stdout)?;
    let (told, _) = messages(&mut page, 1).await?;
    ensure!(told == [json!({"type": "message", "id": id.trim(), "data": [1]})], "{told:?}");
    stage.end().await
}

/// Who watches subscriptions hears of another client's, also when that is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_killed_is_seen_to_be_gone() -> Result<()> {
    let stage = Stage::start("subscriptions = true").await?;
    let watcher = stage.mint(&["--subscribe", "*"]).await?;
    let query = "?match_urlpattern=/.well-known/mercure/subscriptions/*";
    let mut watching = in_node(&stage, "fetch-event-source", query, &watcher).await?;
    // Its own.
    messages(&mut watching, 1).await?;
    let mut other = in_node(&stage, "eventsource", "?match=a", "").await?;
    let (told, _) = messages(&mut watching, 2).await?;
    ensure!(told[1]["type"] == "mercure" && told[1]["data"]["match"] == "a", "{told:?}");
    ensure!(told[1]["data"]["active"] == true, "{told:?}");
    other.kill().await?;
    let (told, _) = messages(&mut watching, 3).await?;
    ensure!(told[2]["data"]["id"] == told[1]["data"]["id"], "{told:?}");
    ensure!(told[2]["data"]["active"] == false, "{told:?}");
    stage.end().await
}

/// QUERY passes through a proxy, and the stream's first bytes come before there is an event.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_with_a_body_subscribes_through_a_proxy() -> Result<()> {
    let stage = Stage::start("").await?;
    let publisher = stage.mint(&["--publish", "*"]).await?;
    let mut client = in_node(&stage, "query", "?match=a", "").await?;
    opened(&mut client).await?;
    client.says(PATIENCE, |said| said.contains("\n:\nretry: ").then_some(())).await?;
    publish(&stage, &publisher, &[json!({"topics": ["a"], "data": "hello"})]).await?;
    client.says(PATIENCE, |said| said.contains("data: hello\n").then_some(())).await?;
    stage.end().await
}
