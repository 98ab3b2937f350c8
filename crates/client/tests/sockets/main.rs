//! `EventSource` over sockets, against a server that follows a script, over each transport.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod beyond;
mod examples;
mod redirects;
mod server;
mod standard;

use std::time::Duration;

use futures_util::StreamExt;
use headwater_client::{Builder, Error, Event, EventSource, Hyper, Item, Lost, Reconnecting};
use tokio::time::timeout;

/// What carries the connection.
#[derive(Clone, Copy, Debug)]
enum Over {
    Reqwest,
    Hyper,
}

/// Both: no feature changes behaviour.
const BOTH: [Over; 2] = [Over::Reqwest, Over::Hyper];

impl Over {
    /// A source that comes back after a millisecond.
    fn builder(self, url: &str) -> Builder {
        let builder = EventSource::builder(url).reconnection_time(TICK);
        let builder = builder.backoff(Duration::ZERO, Duration::ZERO);
        match self {
            Self::Reqwest => builder,
            Self::Hyper => builder.transport(Hyper::new().unwrap()),
        }
    }

    fn source(self, url: &str) -> EventSource {
        self.builder(url).build().unwrap()
    }
}

const TICK: Duration = Duration::from_millis(1);

/// How long anything that must come may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// The next thing that happens.
async fn next(source: &mut EventSource) -> Item {
    timeout(DEADLINE, source.next()).await.unwrap().unwrap().unwrap()
}

/// The error that ends it.
async fn end(source: &mut EventSource) -> Error {
    let error = timeout(DEADLINE, source.next()).await.unwrap().unwrap().unwrap_err();
    assert!(timeout(DEADLINE, source.next()).await.unwrap().is_none());
    error
}

async fn is_over(source: &mut EventSource) -> bool {
    timeout(DEADLINE, source.next()).await.unwrap().is_none()
}

fn message(data: &str, id: &str) -> Item {
    Item::Message(Event { event: "message".into(), data: data.into(), id: id.into(), retry: None })
}

fn lost(cause: Lost) -> Item {
    Item::Error(Reconnecting { delay: TICK, cause })
}

/// Why the connection is tried again, whatever it was exactly.
async fn network_error(source: &mut EventSource) -> String {
    match next(source).await {
        Item::Error(Reconnecting { cause: Lost::Network(what), .. }) => what,
        item => panic!("{item:?}"),
    }
}
