//! What the peers have in common: who listens to what.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast;

/// A channel for each topic.
pub struct Topics<T>(Arc<Mutex<HashMap<String, broadcast::Sender<T>>>>);

/// Events that wait for a subscriber before it loses some.
const WAITING_MAX: usize = 1024;

impl<T: Clone> Topics<T> {
    /// Everything that is published to the topic from now on.
    pub fn subscribe(&self, topic: &str) -> broadcast::Receiver<T> {
        let mut topics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let channel = topics.entry(topic.to_owned());
        channel.or_insert_with(|| broadcast::channel(WAITING_MAX).0).subscribe()
    }

    /// To all who have subscribed to the topic; nothing happens if nobody has.
    pub fn publish(&self, topic: &str, event: T) {
        let topics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = topics.get(topic) {
            // All of them may be gone.
            let _ = channel.send(event);
        }
    }
}

impl<T> Default for Topics<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Clone for Topics<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// The address to listen on: the only argument.
///
/// # Errors
/// If there is none, or it is no address.
pub fn address() -> anyhow::Result<std::net::SocketAddr> {
    let argument = std::env::args().nth(1);
    let argument = argument.ok_or_else(|| anyhow::anyhow!("give the address to listen on"))?;
    Ok(argument.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_reaches_those_of_its_topic() {
        let topics = Topics::default();
        let (mut one, mut other) = (topics.subscribe("a"), topics.subscribe("b"));
        topics.publish("a", 1);
        topics.publish("c", 2);
        assert_eq!(one.try_recv(), Ok(1));
        assert!(other.try_recv().is_err());
    }
}
