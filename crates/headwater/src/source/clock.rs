//! The built-in clock: the time of day, once a second.

use std::time::Duration;

use headwater_log::{Appended, Draft, Event, EventType, Millis, Topic};
use jiff::Timestamp;

use super::Publish;

/// Publishes the time to `topic` at every full second, as long as somebody listens.
pub(super) async fn run(topic: Topic, hub: impl Publish) {
    let mut listeners = hub.listeners(topic.clone());
    loop {
        if listeners.wait_for(|&count| count > 0).await.is_err() {
            return;
        }
        tokio::time::sleep(until_next_second(hub.now())).await;
        if *listeners.borrow() == 0 {
            continue;
        }
        let time = hub.now();
        let event = Event {
            time,
            topics: [topic.clone()].into(),
            event_type: EventType::default(),
            data: shown(time).into(),
            retry: None,
            private: false,
            publisher_id: None,
        };
        for answer in hub.publish(vec![Draft { event, idempotency: None }]).await {
            if let Appended::Rejected(why) = answer {
                tracing::warn!(%topic, "the clock's event was refused: {why}");
            }
        }
    }
}

fn until_next_second(now: Millis) -> Duration {
    Duration::from_millis(1000 - now.0 % 1000)
}

/// RFC 3339, with the space that it allows "for the sake of readability" (section 5.6).
fn shown(time: Millis) -> String {
    let time = i64::try_from(time.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    time.unwrap_or(Timestamp::MAX).strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_readable_and_sorts() {
        assert_eq!(shown(Millis(1_795_335_600_000)), "2026-11-22 08:20:00Z");
        assert_eq!(shown(Millis(0)), "1970-01-01 00:00:00Z");
        assert!(shown(Millis(u64::MAX)).starts_with("9999-"));
    }

    #[test]
    fn it_ticks_at_full_seconds() {
        assert_eq!(until_next_second(Millis(5_000)), Duration::from_secs(1));
        assert_eq!(until_next_second(Millis(5_001)), Duration::from_millis(999));
        assert_eq!(until_next_second(Millis(5_999)), Duration::from_millis(1));
    }
}
