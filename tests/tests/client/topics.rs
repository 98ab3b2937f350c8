//! Topics come and go while the connection stays in its place.

use std::time::Duration;

use anyhow::{Result, ensure};
use headwater_tests::Browser;
use serde_json::json;
use tokio::time::sleep;

use crate::scene::{Scene, call, received, told};

headwater_tests::in_each_engine!(a_topic_that_is_added_begins_now, events_are_awaited_in_a_loop);

async fn a_topic_that_is_added_begins_now(browser: Browser) -> Result<()> {
    let scene = Scene::start().await?;
    for transport in ["fetch", "xhr", "poll"] {
        browser.open(&scene.proxy.url(0, "/client.js.html")).await?;
        let options = json!({ "transport": transport });
        let (a, b) = (format!("{transport}/a"), format!("{transport}/b"));
        call(&browser, "follow", json!(["/events", a, options])).await?;
        let open = if transport == "poll" { "polling poll" } else { "open" };
        let open = if open == "open" { format!("open {transport}") } else { open.to_owned() };
        told(&browser, &open).await?;
        scene.publish(&b, "too early").await?;
        scene.publish(&a, "1").await?;
        let first = format!("{a} 1");
        received(&browser, &[&first]).await?;
        scene.publish(&b, "too early too").await?;
        browser.evaluate(&format!("source.add('{b}')")).await?;
        // A topic counts from when the hub knows of it: it is there when an event of it comes.
        let mut sent = Vec::new();
        for number in 0..600 {
            scene.publish(&b, &number.to_string()).await?;
            scene.publish(&a, &number.to_string()).await?;
            sent.push(number);
            let got = browser.evaluate("received").await?.to_string();
            if got.contains(&format!("{b} ")) {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
        scene.publish(&a, "last").await?;
        let last = format!("{a} last");
        let got = browser.until("received", |got| got.to_string().contains(&last)).await?;
        let got: Vec<String> = serde_json::from_value(got)?;
        let of = |topic: &str| -> Vec<String> {
            let mine = got.iter().filter_map(|line| line.strip_prefix(&format!("{topic} ")));
            mine.map(str::to_owned).collect()
        };
        let mut expected = vec!["1".to_owned()];
        expected.extend(sent.iter().map(ToString::to_string));
        expected.push("last".to_owned());
        ensure!(of(&a) == expected, "{transport}: {:?} of the old topic, not {expected:?}", of(&a));
        let tail: Vec<_> = sent.iter().map(ToString::to_string).collect();
        ensure!(tail.ends_with(&of(&b)), "{transport}: {:?} of the new topic", of(&b));
        ensure!(!of(&b).is_empty(), "{transport}: nothing of the new topic");

        browser.evaluate(&format!("source.remove('{a}')")).await?;
        scene.publish(&a, "not wanted").await?;
        scene.publish(&b, "end").await?;
        let end = format!("{b} end");
        let got = browser.until("received", |got| got.to_string().contains(&end)).await?;
        ensure!(!got.to_string().contains("not wanted"), "{transport}: {got}");
    }
    scene.end(browser).await
}

async fn events_are_awaited_in_a_loop(browser: Browser) -> Result<()> {
    let scene = Scene::start().await?;
    browser.open(&scene.proxy.url(0, "/client.js.html")).await?;
    // A reader that is slower than the events, with room for three.
    let script = "(async () => {
        const subscription = headwater.subscribe('/events', 'n', {
            json: true, queueMax: 3, onstatus: (status) => told.push(status),
        });
        for await (const event of subscription) {
            received.push(String(event.data.n));
            await new Promise((go) => setTimeout(go, 5));
        }
    })() && true";
    let begun = browser.evaluate(script.trim()).await?;
    ensure!(begun == json!(true), "{begun}");
    told(&browser, "open").await?;
    let numbers: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    for number in &numbers {
        scene.publish("n", &format!("{{\"n\":{number}}}")).await?;
    }
    let expected: Vec<&str> = numbers.iter().map(String::as_str).collect();
    received(&browser, &expected).await?;
    scene.end(browser).await
}
