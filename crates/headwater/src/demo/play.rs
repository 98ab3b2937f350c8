//! Plays a script to those who listen. Scripts read no clock and know no hub.

use std::collections::BTreeMap;
use std::time::Duration;

use headwater_log::{Appended, Draft, Event, EventType, Topic};
use serde_json::Value;
use tokio::time::sleep;

use crate::source::Publish;

/// How long a script goes on when nobody listens any more: a page whose connection broke shall miss something.
const LINGER: Duration = Duration::from_secs(30);

/// An event of a script: a topic, and a JSON object.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Said {
    pub(super) topic: String,
    pub(super) data: Value,
}

impl Said {
    pub(super) fn new(topic: impl Into<String>, data: Value) -> Self {
        Self { topic: topic.into(), data }
    }
}

/// What is told, step by step.
pub(super) trait Script: Send + 'static {
    /// The events of the next step; none if nothing happened.
    fn next(&mut self) -> Vec<Said>;
}

/// How a script is played.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    /// A topic of it: it goes on while somebody listens to that.
    pub(super) listened: Topic,
    /// How many steps are told at once when the demo starts, so that nobody finds an empty page.
    pub(super) before: usize,
    /// The time between steps.
    pub(super) every: Duration,
}

/// How many events each topic has. Scripts have a limit of topics.
type Told = BTreeMap<String, u64>;

/// Plays without end. Every event's data gets `n`, which counts the events of its topic without a hole, so that a
/// page can tell whether it has them all.
pub(super) async fn play(mut script: impl Script, pace: Pace, hub: impl Publish) {
    let mut listeners = hub.listeners(pace.listened);
    let mut told = Told::new();
    for _ in 0..pace.before {
        tell(script.next(), &mut told, &hub).await;
    }
    while listeners.wait_for(|&count| count > 0).await.is_ok() {
        let mut alone = Duration::ZERO;
        while alone < LINGER {
            tell(script.next(), &mut told, &hub).await;
            sleep(pace.every).await;
            alone = if *listeners.borrow() == 0 { alone + pace.every } else { Duration::ZERO };
        }
    }
}

async fn tell(said: Vec<Said>, told: &mut Told, hub: &impl Publish) {
    let time = hub.now();
    let mut drafts = Vec::with_capacity(said.len());
    for Said { topic: name, mut data } in said {
        let topic = match Topic::parse(&name) {
            Ok(topic) => topic,
            Err(error) => {
                tracing::warn!(name, "an event of the demo was not published: {error}");
                continue;
            }
        };
        let count = told.entry(name).or_default();
        *count += 1;
        if let Some(object) = data.as_object_mut() {
            object.insert("n".into(), (*count).into());
        }
        let event = Event {
            time,
            topics: [topic].into(),
            event_type: EventType::default(),
            data: data.to_string().into(),
            retry: None,
            private: false,
            publisher_id: None,
        };
        drafts.push(Draft { event, idempotency: None });
    }
    if drafts.is_empty() {
        return;
    }
    for answer in hub.publish(drafts).await {
        if let Appended::Rejected(why) = answer {
            tracing::warn!("an event of the demo was not published: {why}");
        }
    }
}
