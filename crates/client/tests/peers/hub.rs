//! This project's hub, through its restarts.

use std::net::SocketAddr;

use futures_util::StreamExt;
use headwater_client::{EventSource, Item, ReadTimeout, Statuses};
use headwater_tests::Hub;
use tokio::time::timeout;

use crate::DEADLINE;

/// A hub on disk at this address, with this folder.
async fn start(listen: &str, data: &str) -> Hub {
    Hub::start_at(listen, &["serve", "--data", data], &[]).await.unwrap()
}

async fn publish(address: SocketAddr, data: &str) {
    let url = format!("http://{address}/events/news");
    let answer = reqwest::Client::new().post(url).body(data.to_owned()).send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
}

fn subscribe(address: SocketAddr) -> EventSource {
    EventSource::builder(format!("http://{address}/events/news"))
        .read_timeout(ReadTimeout::Heartbeat)
        .retry_statuses(Statuses::temporary())
        .build()
        .unwrap()
}

/// The next item that is not about the connection.
async fn next(source: &mut EventSource) -> Item {
    loop {
        match timeout(DEADLINE, source.next()).await.unwrap().unwrap().unwrap() {
            Item::Open => {}
            // Not as long as the hub says: the test would wait longer than it has to.
            Item::Error(_) => source.reconnect(),
            item => return item,
        }
    }
}

async fn data(source: &mut EventSource) -> String {
    match next(source).await {
        Item::Message(event) => event.data,
        item => panic!("{item:?}"),
    }
}

#[tokio::test]
async fn nothing_is_lost_and_nothing_comes_twice_over_restarts_and_kills() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap();
    let mut hub = start("127.0.0.1:0", place).await;
    let address = hub.address();
    let mut source = subscribe(address);
    assert_eq!(timeout(DEADLINE, source.next()).await.unwrap().unwrap().unwrap(), Item::Open);
    // The stream has begun when its first event is there; before, an event could be too early for it.
    publish(address, "first").await;
    assert_eq!(data(&mut source).await, "first");
    for round in 0..4 {
        publish(address, &format!("{round} seen before")).await;
        assert_eq!(data(&mut source).await, format!("{round} seen before"));
        publish(address, &format!("{round} sent before")).await;
        if round % 2 == 0 {
            hub.stop().await.unwrap();
        } else {
            hub.program().kill().await.unwrap();
        }
        hub = start(&address.to_string(), place).await;
        publish(address, &format!("{round} missed")).await;
        assert_eq!(data(&mut source).await, format!("{round} sent before"));
        assert_eq!(data(&mut source).await, format!("{round} missed"));
    }
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn a_hub_that_has_forgotten_says_that_there_is_a_gap() {
    let memory = ["serve", "--log", "memory"];
    let hub = Hub::start(&memory).await.unwrap();
    let address = hub.address();
    let mut source = subscribe(address);
    assert_eq!(timeout(DEADLINE, source.next()).await.unwrap().unwrap().unwrap(), Item::Open);
    publish(address, "first").await;
    assert_eq!(data(&mut source).await, "first");
    let id = source.last_event_id().to_owned();
    hub.stop().await.unwrap();
    let hub = Hub::start_at(&address.to_string(), &memory, &[]).await.unwrap();
    publish(address, "missed").await;
    let Item::Gap(gap) = next(&mut source).await else { panic!("no gap") };
    assert_eq!(gap.requested, Some(id));
    assert_eq!(data(&mut source).await, "missed");
    assert_eq!(gap.resumed.as_deref(), Some(source.last_event_id()));
    hub.stop().await.unwrap();
}
