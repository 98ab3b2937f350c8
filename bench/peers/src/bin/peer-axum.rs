//! axum's `Sse`, as its documentation shows it, on one thread.

use std::convert::Infallible;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::get;
use futures_util::{Stream, StreamExt};
use headwater_bench_peers::{Topics, address};
use tokio_stream::wrappers::BroadcastStream;

type Channels = Topics<String>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let router = Router::new()
        .route("/events/{topic}", get(subscribe).post(publish))
        .with_state(Channels::default());
    let listener = tokio::net::TcpListener::bind(address()?).await?;
    Ok(axum::serve(
        axum::serve::ListenerExt::tap_io(listener, |socket| {
            let _ = socket.set_nodelay(true);
        }),
        router,
    )
    .await?)
}

async fn subscribe(
    State(channels): State<Channels>,
    Path(topic): Path<String>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let events = BroadcastStream::new(channels.subscribe(&topic));
    let events = events.filter_map(|data| async { Some(Ok(Event::default().data(data.ok()?))) });
    Sse::new(events).keep_alive(KeepAlive::default())
}

async fn publish(State(channels): State<Channels>, Path(topic): Path<String>, data: String) {
    channels.publish(&topic, data);
}
