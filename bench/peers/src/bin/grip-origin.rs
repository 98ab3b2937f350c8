//! The server behind Pushpin: it answers every request with "hold this as a stream of that channel".

use std::convert::Infallible;

use bytes::Bytes;
use headwater_bench_peers::address;
use http_body_util::Empty;
use hyper::Response;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind(address()?).await?;
    loop {
        let (socket, _) = listener.accept().await?;
        tokio::spawn(async move {
            let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| async move {
                let topic = request.uri().path().rsplit('/').next().unwrap_or_default();
                let held = Response::builder()
                    .header("content-type", "text/event-stream")
                    .header("grip-hold", "stream")
                    .header("grip-channel", topic)
                    .body(Empty::<Bytes>::new());
                Ok::<_, Infallible>(held.unwrap_or_default())
            });
            // Whoever left has no use for the reason.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service)
                .await;
        });
    }
}
