//! hyper with a body of shared frames, each encoded once, on one thread.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::StreamExt;
use headwater_bench_peers::{Topics, address};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio_stream::wrappers::BroadcastStream;

type Frames = Topics<Bytes>;
type Body = UnsyncBoxBody<Bytes, Infallible>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind(address()?).await?;
    let topics = Frames::default();
    loop {
        let (socket, _) = listener.accept().await?;
        let _ = socket.set_nodelay(true);
        let topics = topics.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, topics.clone()));
            // Whoever left has no use for the reason.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service)
                .await;
        });
    }
}

async fn answer(request: Request<Incoming>, topics: Frames) -> hyper::Result<Response<Body>> {
    let topic = request.uri().path().strip_prefix("/events/").unwrap_or_default().to_owned();
    let mut response = Response::new(Empty::new().boxed_unsync());
    if request.method() == Method::POST {
        let data = request.into_body().collect().await?.to_bytes();
        topics.publish(&topic, [b"data: ", &*data, b"\n\n"].concat().into());
    } else if request.method() == Method::GET {
        let frames = BroadcastStream::new(topics.subscribe(&topic));
        let frames = frames.filter_map(|frame| async { Some(Ok(Frame::data(frame.ok()?))) });
        *response.body_mut() = StreamBody::new(frames).boxed_unsync();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("text/event-stream"));
        headers.insert(CACHE_CONTROL, hyper::header::HeaderValue::from_static("no-cache"));
    } else {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    }
    Ok(response)
}
