//! The examples, as they are: htmx's and Turbo's own code receives from the hub, and comes back after a cut.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use headwater_tests::Browser;
use serde_json::json;

use crate::gate::State;
use crate::scene::Scene;

headwater_tests::in_each_engine!(htmx_receives, htmx_receives_over_the_client, turbo_receives);

/// Where pages say that their scripts are.
const CDN: &str = "https://cdn.jsdelivr.net/npm/";

/// A page of `examples`.
#[derive(Clone, Copy)]
struct Example {
    folder: &'static str,
    topic: &'static str,
    /// What the page has besides, in front of its heading.
    more: &'static str,
    /// The page's source, as a script finds it.
    source: &'static str,
    /// What selects what it shows.
    shown: &'static str,
    /// What is published, with `{}` for the text.
    block: &'static str,
}

const HTMX: Example = Example {
    folder: "htmx",
    topic: "news",
    more: "",
    source: "document.querySelector('[sse-connect]')['htmx-internal-data']?.sseEventSource",
    shown: "li",
    block: "<li>{}</li>",
};

const TURBO: Example = Example {
    folder: "turbo",
    topic: "chat",
    more: "",
    source: "document.querySelector('turbo-stream-source').streamSource",
    shown: "#messages p",
    block: "<turbo-stream action=\"append\" target=\"messages\">\
            <template><p>{}</p></template></turbo-stream>",
};

async fn htmx_receives(browser: Browser) -> Result<()> {
    lives(browser, HTMX, "EventSource").await
}

async fn htmx_receives_over_the_client(browser: Browser) -> Result<()> {
    // As its README says.
    let more = "<script src=\"/client.js\"></script><script>
        htmx.createEventSource = (url) => new headwater.HeadwaterEventSource(url);
    </script>";
    lives(browser, Example { more, ..HTMX }, "headwater.HeadwaterEventSource").await
}

async fn turbo_receives(browser: Browser) -> Result<()> {
    lives(browser, TURBO, "EventSource").await
}

async fn lives(browser: Browser, example: Example, class: &str) -> Result<()> {
    let scene = Scene::start().await?;
    let page = with_scripts(&scene, example)?;
    scene.proxy.page("/example.html", page);
    browser.open(&scene.gate.url("/example.html")).await?;
    let is_open = format!("{0} instanceof {class} && {0}.readyState === 1", example.source);
    browser.until(&is_open, |open| *open == json!(true)).await?;

    publish(&scene, example, "one").await?;
    shows(&browser, example, &["one"]).await?;
    scene.gate.set(State::Cut);
    publish(&scene, example, "two").await?;
    publish(&scene, example, "three").await?;
    scene.gate.set(State::Open);
    shows(&browser, example, &["one", "two", "three"]).await?;
    browser.screenshot(&format!("example-{}", example.folder)).await?;
    scene.end(browser).await
}

async fn publish(scene: &Scene, example: Example, text: &str) -> Result<()> {
    scene.publish(example.topic, &example.block.replace("{}", text)).await
}

/// Waits until the page shows so much, and holds it to exactly that.
async fn shows(browser: &Browser, example: Example, expected: &[&str]) -> Result<()> {
    let shown = format!(
        "[...document.querySelectorAll('{}')].map((element) => element.textContent)",
        example.shown
    );
    let full =
        |got: &serde_json::Value| got.as_array().is_some_and(|got| got.len() >= expected.len());
    let got = browser.until(&shown, full).await?;
    ensure!(got == json!(expected), "{} shows {got}, not {expected:?}", example.folder);
    Ok(())
}

/// The example's page as it is, but for its scripts: they come from where npm has put them.
fn with_scripts(scene: &Scene, example: Example) -> Result<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = root.join("examples").join(example.folder).join("index.html");
    let page = fs::read_to_string(&page).with_context(|| format!("no {}", page.display()))?;
    let mut local = String::new();
    let mut parts = page.split(CDN);
    local += parts.next().unwrap_or_default();
    for part in parts {
        let (name, rest) = part.split_once('"').context("an address without an end")?;
        let path = format!("/npm/{name}");
        scene.proxy.file(&path, "text/javascript", fs::read_to_string(installed(&root, name)?)?);
        local += &format!("{path}\"{rest}");
    }
    ensure!(local.contains("/npm/"), "the page has no scripts");
    Ok(local.replacen("<h1>", &format!("{}<h1>", example.more), 1))
}

/// Where a file of a package lies, of the major version that the page names.
fn installed(root: &Path, name: &str) -> Result<PathBuf> {
    let (package, rest) = name.rsplit_once('@').context("a package without a version")?;
    let (major, file) = rest.split_once('/').context("a package without a file")?;
    let folder = root.join("web/client/node_modules").join(package);
    let manifest = fs::read_to_string(folder.join("package.json"))
        .with_context(|| format!("{package} is missing: `cargo xtask web` installs it"))?;
    let manifest: serde_json::Value = serde_json::from_str(&manifest)?;
    let version = manifest.get("version").and_then(|version| version.as_str()).unwrap_or_default();
    ensure!(version.split('.').next() == Some(major), "{package} {version} is not {major}");
    Ok(folder.join(file))
}
