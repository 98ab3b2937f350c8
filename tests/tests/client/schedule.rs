//! A random life of pages: connections that drop, a network that swallows, a hub that restarts, sleep, tabs that are
//! closed. Whatever happens, their lists are what was published.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use headwater_tests::Browser;
use serde_json::{Value, json};
use thirtyfour::WindowHandle;
use tokio::time::sleep;

use crate::gate::State;
use crate::scene::{End, Scene, call};

headwater_tests::in_each_engine!(
    a_page_has_what_was_published_whatever_happens,
    tabs_that_share_have_what_was_published_whatever_happens
);

const STEPS: usize = 60;
const TABS: usize = 4;
/// What takes seconds happens so often at most.
const RESTARTS: usize = 3;
const SLEEPS: usize = 2;
/// Longer than pages take silence for.
const ASLEEP: Duration = Duration::from_millis(2000);

/// Numbers from a seed: SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (word ^ (word >> 31)) % bound
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or_default()
    }
}

fn seed() -> Result<u64> {
    match std::env::var("SEED") {
        Ok(seed) => Ok(seed.parse()?),
        Err(_) => Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos().into()),
    }
}

async fn a_page_has_what_was_published_whatever_happens(browser: Browser) -> Result<()> {
    let seed = seed()?;
    let mut random = Random(seed);
    let transport = ["any", "fetch", "xhr", "poll"][random.index(4)];
    println!("{:?}: SEED={seed}, {transport}", browser.engine());
    let scene = Scene::start().await?;
    let options = match transport {
        // What it finds itself, the engine's own source first.
        "any" => json!({ "types": ["message"], "heartbeatTimeout": 1500 }),
        _ => json!({ "transport": transport, "heartbeatTimeout": 1500 }),
    };
    open(&browser, &scene, &options).await?;
    let tabs = vec![browser.driver().window().await?];
    let life = Life { scene, browser, random, tabs, published: Vec::new() };
    life.live().await.with_context(|| format!("SEED={seed} {transport}"))
}

async fn tabs_that_share_have_what_was_published_whatever_happens(browser: Browser) -> Result<()> {
    let seed = seed()?;
    println!("{:?}: SEED={seed}, shared", browser.engine());
    let scene = Scene::start().await?;
    let mut tabs = Vec::new();
    for number in 0..TABS {
        if number > 0 {
            let tab = browser.driver().new_window().await?;
            browser.driver().switch_to_window(tab).await?;
        }
        tabs.push(browser.driver().window().await?);
        open(&browser, &scene, &json!({ "share": true, "heartbeatTimeout": 1500 })).await?;
    }
    let life = Life { scene, browser, random: Random(seed), tabs, published: Vec::new() };
    life.live().await.with_context(|| format!("SEED={seed} shared"))
}

/// A page that follows `a`, and does.
async fn open(browser: &Browser, scene: &Scene, options: &Value) -> Result<()> {
    browser.open(&scene.gate.url("/client.js.html")).await?;
    call(browser, "follow", json!(["/events", "a", options])).await?;
    browser.until("source.status", |status| status == "open" || status == "polling").await?;
    Ok(())
}

struct Life {
    scene: Scene,
    browser: Browser,
    random: Random,
    tabs: Vec<WindowHandle>,
    published: Vec<String>,
}

impl Life {
    async fn live(mut self) -> Result<()> {
        let (mut restarts, mut sleeps) = (0, 0);
        for step in 0..STEPS {
            match self.random.below(16) {
                0 => self.scene.gate.set(State::Cut),
                1 => self.scene.gate.set(State::Lost),
                2 | 3 => self.scene.gate.set(State::Open),
                4 => {
                    let event = if self.random.below(2) == 0 { "online" } else { "pageshow" };
                    let script = format!("dispatchEvent(new Event('{event}'))");
                    self.browser.evaluate(&script).await?;
                }
                5 => sleep(Duration::from_millis(self.random.below(400))).await,
                6 if restarts < RESTARTS => {
                    restarts += 1;
                    let end = if self.random.below(2) == 0 { End::Term } else { End::Kill };
                    self.scene.restart(end).await?;
                }
                7 if sleeps < SLEEPS => {
                    sleeps += 1;
                    let asleep = self.browser.put_to_sleep()?;
                    self.publish(&format!("{step} in sleep")).await?;
                    sleep(ASLEEP).await;
                    asleep.wake()?;
                }
                8 if self.tabs.len() > 1 => self.close().await?,
                _ => self.publish(&step.to_string()).await?,
            }
        }
        self.hold().await
    }

    async fn publish(&mut self, data: &str) -> Result<()> {
        self.scene.publish("a", data).await?;
        self.published.push(format!("a {data}"));
        Ok(())
    }

    /// Closes any tab, and looks at another.
    async fn close(&mut self) -> Result<()> {
        let tab = self.tabs.remove(self.random.index(self.tabs.len()));
        let driver = self.browser.driver();
        driver.switch_to_window(tab).await?;
        driver.close_window().await?;
        let next = self.tabs.first().context("no tab is left")?;
        Ok(driver.switch_to_window(next.clone()).await?)
    }

    /// Lets the network be well, and holds every tab to what was published.
    async fn hold(mut self) -> Result<()> {
        // What was lost stays lost until it is cut.
        self.scene.gate.set(State::Cut);
        self.scene.gate.set(State::Open);
        self.publish("end").await?;
        let ended =
            |got: &Value| got.as_array().is_some_and(|got| got.iter().any(|line| line == "a end"));
        for tab in &self.tabs {
            self.browser.driver().switch_to_window(tab.clone()).await?;
            let got = self.browser.until("received", ended).await?;
            let told = self.browser.evaluate("told").await?;
            let expected = &self.published;
            ensure!(got == json!(expected), "received {got}, not {expected:?}; told {told}");
        }
        self.scene.end(self.browser).await
    }
}
