//! A page that sleeps: its process is stopped, and goes on later, without having noticed. A binary of its own, because
//! all pages of an engine that this process started are put to sleep.
#![allow(clippy::disallowed_methods, missing_docs, reason = "browsers live in real time")]

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use headwater_tests::{Browser, Engine, Hub, Proxy, http};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::time::sleep;

headwater_tests::in_each_engine!(a_page_that_slept_has_what_it_missed);

/// Longer than the page takes silence for.
const ASLEEP: Duration = Duration::from_millis(2500);

async fn a_page_that_slept_has_what_it_missed(browser: Browser) -> Result<()> {
    let environment = [("HEADWATER_RECONNECT_MS", "50"), ("HEADWATER_HEARTBEAT_MS", "300")];
    let hub = Hub::start_with(&["serve", "--log", "memory"], &environment).await?;
    let proxy = Proxy::start(hub.address(), 1).await?;
    let page = include_str!("client/page.html").replace("SCRIPT", "client.js");
    proxy.page("/page.html", page);
    for transport in ["eventsource", "fetch", "xhr", "poll"] {
        browser.open(&proxy.url(0, "/page.html")).await?;
        let options = json!({ "transport": transport, "heartbeatTimeout": 1500 });
        let url = format!("/events/{transport}");
        browser.evaluate(&format!("listen('{url}', {options})")).await?;
        browser.until("told.length", |told| told != 0).await?;
        http::publish(hub.address(), transport, "before").await?;
        let mut expected = vec!["before".to_owned()];
        browser.until("received", |got| *got == json!(expected)).await?;

        let processes = pages(browser.engine())?;
        ensure!(!processes.is_empty(), "no process of {:?} shows pages", browser.engine());
        signal(&processes, Signal::STOP)?;
        for number in 0..20 {
            http::publish(hub.address(), transport, &number.to_string()).await?;
            expected.push(number.to_string());
        }
        sleep(ASLEEP).await;
        signal(&processes, Signal::CONT)?;
        http::publish(hub.address(), transport, "after").await?;
        expected.push("after".to_owned());
        let full = |got: &Value| got.as_array().is_some_and(|got| got.len() >= expected.len());
        let got = browser.until("received", full).await.context(transport)?;
        ensure!(got == json!(expected), "{transport}: {got}");
    }
    browser.quit().await?;
    hub.stop().await?;
    Ok(())
}

/// The processes that show the pages of an engine, among those that this one started.
fn pages(engine: Engine) -> Result<Vec<Pid>> {
    let mark = match engine {
        Engine::Chromium => "--type=renderer",
        Engine::Firefox => "-contentproc",
        Engine::WebKit => "WebKitWebProcess",
    };
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        // It may have ended since.
        let command = fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
        // What Firefox calls a tab shows pages; its other helpers carry the network.
        let shows =
            command.contains(mark) && (engine != Engine::Firefox || command.ends_with("tab\0"));
        if shows && is_ours(id) {
            found.extend(Pid::from_raw(id));
        }
    }
    Ok(found)
}

/// Whether we started it, or something did that we started.
fn is_ours(mut id: i32) -> bool {
    let us = i32::try_from(std::process::id()).unwrap_or_default();
    for _ in 0..32 {
        if id == us {
            return true;
        }
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // The name in parentheses may hold anything.
        let parent =
            stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
        let Some(parent) = parent.filter(|&parent| parent > 1) else { return false };
        id = parent;
    }
    false
}

fn signal(processes: &[Pid], signal: Signal) -> Result<()> {
    for process in processes {
        kill_process(*process, signal)?;
    }
    Ok(())
}
