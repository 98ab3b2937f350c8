//! A random life of a page: drops, restarts of the network, silence, sleep. Whatever happens, its list is what was
//! published.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use headwater_tests::Browser;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::gate::State;
use crate::scene::{Scene, call, told};

headwater_tests::in_each_engine!(a_page_has_what_was_published_whatever_happens);

const STEPS: usize = 60;

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
}

fn seed() -> Result<u64> {
    match std::env::var("SEED") {
        Ok(seed) => Ok(seed.parse()?),
        Err(_) => Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos().into()),
    }
}

async fn a_page_has_what_was_published_whatever_happens(browser: Browser) -> Result<()> {
    let scene = Scene::start().await?;
    let seed = seed()?;
    println!("{:?}: SEED={seed}", browser.engine());
    let mut random = Random(seed);
    let transports = ["fetch", "xhr", "poll"];
    let transport = transports[usize::try_from(random.below(3))?];
    browser.open(&scene.gate.url("/client.js.html")).await?;
    let options = json!({ "transport": transport, "heartbeatTimeout": 1500 });
    call(&browser, "follow", json!(["/events", "a", options])).await?;
    let open = if transport == "poll" { "polling" } else { "open" };
    told(&browser, &format!("{open} {transport}")).await?;

    let mut published = Vec::new();
    for step in 0..STEPS {
        match random.below(10) {
            0 => scene.gate.set(State::Cut),
            1 => scene.gate.set(State::Lost),
            2 | 3 => scene.gate.set(State::Open),
            4 => {
                let event = if random.below(2) == 0 { "online" } else { "pageshow" };
                browser.evaluate(&format!("dispatchEvent(new Event('{event}'))")).await?;
            }
            5 => sleep(Duration::from_millis(random.below(400))).await,
            _ => {
                scene.publish("a", &step.to_string()).await?;
                published.push(format!("a {step}"));
            }
        }
    }
    // What was lost stays lost until it is cut.
    scene.gate.set(State::Cut);
    scene.gate.set(State::Open);
    scene.publish("a", "end").await?;
    published.push("a end".to_owned());
    let ended =
        |got: &Value| got.as_array().is_some_and(|got| got.iter().any(|line| line == "a end"));
    let got = browser.until("received", ended).await?;
    ensure!(got == json!(published), "SEED={seed} {transport}: received {got}, not {published:?}");
    scene.end(browser).await
}
