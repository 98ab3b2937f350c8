//! A hub, a network to it, and a page that uses the client.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use headwater_tests::{Browser, Hub, Proxy, http};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::gate::Gate;

/// What every hub here is told: pages come back soon, and silence is noticed soon.
const ENVIRONMENT: [(&str, &str); 2] =
    [("HEADWATER_RECONNECT_MS", "50"), ("HEADWATER_HEARTBEAT_MS", "300")];

pub(crate) struct Scene {
    pub(crate) hub: Hub,
    pub(crate) proxy: Proxy,
    pub(crate) gate: Gate,
    /// Where the hub's log lies, and outlives it.
    data: TempDir,
}

/// How a hub ends before it is started again.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    /// As an operator ends it.
    Term,
    /// At once.
    Kill,
}

impl Scene {
    pub(crate) async fn start() -> Result<Self> {
        let data = tempfile::tempdir()?;
        let hub = hub("127.0.0.1:0", data.path()).await?;
        let proxy = Proxy::start(hub.address(), 1).await?;
        for script in ["client.js", "client.legacy.js"] {
            let page = include_str!("page.html").replace("SCRIPT", script);
            proxy.page(&format!("/{script}.html"), page.clone());
            for without in
                ["EventSource", "fetch", "EventSource&without=fetch", OLD, OLD_WITH_PROMISE]
            {
                proxy.page(&format!("/{script}.html?without={without}"), page.clone());
            }
        }
        let gate = Gate::start(address(&proxy)?).await?;
        Ok(Self { hub, proxy, gate, data })
    }

    /// Ends the hub and starts it again, at the same address and with the same log.
    pub(crate) async fn restart(&mut self, end: End) -> Result<()> {
        let address = self.hub.address().to_string();
        match end {
            End::Term => self.hub.program().terminate(Duration::from_secs(60)).await.map(drop)?,
            End::Kill => self.hub.program().kill().await?,
        }
        self.hub = hub(&address, self.data.path()).await?;
        Ok(())
    }

    pub(crate) async fn publish(&self, topic: &str, data: &str) -> Result<()> {
        http::publish(self.hub.address(), topic, data).await.map(drop)
    }

    /// Ends hub and browser.
    pub(crate) async fn end(self, browser: Browser) -> Result<()> {
        browser.quit().await?;
        self.hub.stop().await?;
        Ok(())
    }
}

async fn hub(listen: &str, data: &Path) -> Result<Hub> {
    let data = data.to_str().context("the folder's name is no text")?;
    Hub::start_at(listen, &["serve", "--log", "disk", "--data", data], &ENVIRONMENT).await
}

/// Everything that Internet Explorer does not have.
pub(crate) const OLD: &str = "EventSource&without=fetch&without=Promise&without=ReadableStream";

/// Where the proxy listens.
pub(crate) fn address(proxy: &Proxy) -> Result<SocketAddr> {
    let url = proxy.url(0, "");
    url.strip_prefix("http://").context("no address")?.parse().context("no address")
}

/// The same but for what a driver takes from the page.
const OLD_WITH_PROMISE: &str = "EventSource&without=fetch&without=ReadableStream";

/// Calls a function of the page.
pub(crate) async fn call(browser: &Browser, f: &str, arguments: Value) -> Result<()> {
    let done = browser.evaluate(&format!("{f}(...{arguments})")).await?;
    ensure!(done == json!(true), "{f}: {done}");
    Ok(())
}

/// Waits until the page has been told something.
pub(crate) async fn told(browser: &Browser, what: &str) -> Result<()> {
    let has = |told: &Value| told.as_array().is_some_and(|told| told.iter().any(|t| t == what));
    browser.until("told", has).await.map(drop)
}

/// Waits until the page has received so much, and holds it to exactly that.
pub(crate) async fn received(browser: &Browser, expected: &[&str]) -> Result<()> {
    let full = |got: &Value| got.as_array().is_some_and(|got| got.len() >= expected.len());
    let waited = browser.until("received", full).await;
    let told = browser.evaluate("told").await?;
    let got = waited.with_context(|| format!("expected {expected:?}, told {told}"))?;
    ensure!(got == json!(expected), "received {got}, not {expected:?}; told {told}");
    Ok(())
}
