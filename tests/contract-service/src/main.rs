//! The service by which the contract harness for SSE clients, `sse-contract-tests`, drives `headwater-client`:
//! `headwater-contract-service [ADDRESS]` listens at 127.0.0.1:8000 unless told otherwise.
//!
//! `GET /` tells what the client can do; `POST /` makes an event source, which reports to a callback URL; `POST`
//! to it is a command, `DELETE` ends it; `DELETE /` ends the service.

#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_types,
    reason = "a service that only tests run shares little, and seldom"
)]

mod callback;
mod service;
mod stream;

use std::sync::Arc;

use anyhow::{Context, Result};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use crate::service::Service;

#[tokio::main]
async fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8000".to_owned());
    let listener = TcpListener::bind(&address).await;
    let listener = listener.with_context(|| format!("cannot listen at {address}"))?;
    println!("http://{}", listener.local_addr()?);
    let service = Arc::new(Service::new()?);
    loop {
        let (socket, _) = tokio::select! {
            accepted = listener.accept() => accepted?,
            () = service.ended() => return Ok(()),
        };
        let service = Arc::clone(&service);
        tokio::spawn(async move {
            let answer = service_fn(|request| service.answer(request));
            let mut http = http1::Builder::new();
            // A harness that leaves in the middle is its own business.
            let _ =
                http.timer(TokioTimer::new()).serve_connection(TokioIo::new(socket), answer).await;
            service.connection_ended();
        });
    }
}
