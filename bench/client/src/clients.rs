//! One function per client: connects, takes so many events, and leaves.

use std::future::Future;
use std::hint::black_box;
use std::pin::{Pin, pin};

use eventsource_client::Client as _;
use futures_util::{Stream, StreamExt};
use headwater_client::{Builder, EventSource, Hyper, Item};

/// A client under test.
pub struct Subject {
    pub name: &'static str,
    pub receive: fn(&str, usize) -> Receiving<'_>,
}

/// A client at work.
pub type Receiving<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// All clients, ours first.
pub const ALL: [Subject; 5] = [
    Subject { name: "headwater-client", receive: |url, n| Box::pin(headwater(url, n)) },
    Subject {
        name: "headwater-client, hyper",
        receive: |url, n| Box::pin(headwater_hyper(url, n)),
    },
    Subject { name: "sseer 0.3", receive: |url, n| Box::pin(sseer(url, n)) },
    Subject {
        name: "eventsource-client 0.18.0",
        receive: |url, n| Box::pin(eventsource_client(url, n)),
    },
    Subject {
        name: "reqwest-eventsource 0.6",
        receive: |url, n| Box::pin(reqwest_eventsource(url, n)),
    },
];

async fn headwater(url: &str, events: usize) {
    ours(EventSource::builder(url), events).await;
}

async fn headwater_hyper(url: &str, events: usize) {
    let transport = Hyper::new().expect("a client");
    ours(EventSource::builder(url).transport(transport), events).await;
}

async fn ours(builder: Builder, events: usize) {
    let source = builder.build().expect("a source");
    take(source, events, |item| match item.expect("no error") {
        Item::Message(event) => {
            black_box(&event);
            true
        }
        _ => false,
    })
    .await;
}

async fn sseer(url: &str, events: usize) {
    let request = reqwest::Client::new().get(url);
    let source = sseer::reqwest::EventSource::new(request).expect("a source");
    take(source, events, |item| match item.expect("no error") {
        sseer::reqwest::StreamEvent::Event(event) => {
            black_box(&event);
            true
        }
        sseer::reqwest::StreamEvent::Open => false,
    })
    .await;
}

async fn eventsource_client(url: &str, events: usize) {
    let transport = launchdarkly_sdk_transport::HyperTransport::builder().build_http();
    let builder = eventsource_client::ClientBuilder::for_url(url).expect("a URL");
    let client = builder.build_with_transport(transport.expect("a client"));
    take(client.stream(), events, |item| match item.expect("no error") {
        eventsource_client::SSE::Event(event) => {
            black_box(&event);
            true
        }
        _ => false,
    })
    .await;
}

async fn reqwest_eventsource(url: &str, events: usize) {
    let request = reqwest_012::Client::new().get(url);
    let source = reqwest_eventsource::EventSource::new(request).expect("a source");
    take(source, events, |item| match item.expect("no error") {
        reqwest_eventsource::Event::Message(event) => {
            black_box(&event);
            true
        }
        reqwest_eventsource::Event::Open => false,
    })
    .await;
}

/// Takes items until so many of them were events.
async fn take<T>(source: impl Stream<Item = T>, events: usize, is_event: impl Fn(T) -> bool) {
    let mut source = pin!(source);
    let mut seen = 0;
    while seen < events {
        seen += usize::from(is_event(source.next().await.expect("it goes on")));
    }
}
