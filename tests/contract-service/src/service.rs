//! What the harness asks of the service.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, LOCATION};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;
use tokio::sync::Notify;

use crate::callback::Callbacks;
use crate::stream::{Command, Settings, Stream};

/// What the client can do beyond the standard, in the harness's words.
const CAPABILITIES: [&str; 10] = [
    "bom",
    "comments",
    "event-type-listeners",
    "headers",
    "last-event-id",
    "post",
    "read-timeout",
    "report",
    "restart",
    "server-directed-shutdown-request",
];

/// The event sources that the harness has made.
pub(crate) struct Service {
    client: reqwest::Client,
    streams: Mutex<Streams>,
    ends: AtomicBool,
    ended: Notify,
}

#[derive(Default)]
struct Streams {
    made: u64,
    /// By number. As many as the harness leaves open, at most `STREAMS_MAX`.
    open: HashMap<u64, Stream>,
}

type Answer = Response<Full<Bytes>>;

impl Service {
    pub(crate) fn new() -> Result<Self> {
        // A connection for each callback: there is no other that could have been closed meanwhile.
        let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build()?;
        let (ends, ended) = (AtomicBool::new(false), Notify::new());
        Ok(Self { client, streams: Mutex::default(), ends, ended })
    }

    /// Until the harness has ended the service and has its answer.
    pub(crate) async fn ended(&self) {
        self.ended.notified().await;
    }

    pub(crate) fn connection_ended(&self) {
        if self.ends.load(Ordering::Relaxed) {
            self.ended.notify_one();
        }
    }

    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Result<Answer, Infallible> {
        let (head, body) = request.into_parts();
        let number = head.uri.path().strip_prefix("/streams/").and_then(|n| n.parse().ok());
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        Ok(match (head.method, head.uri.path(), number) {
            (Method::GET, "/", _) => capabilities(),
            (Method::POST, "/", _) => self.create(&body),
            (Method::DELETE, "/", _) => {
                self.ends.store(true, Ordering::Relaxed);
                last(empty(StatusCode::NO_CONTENT))
            }
            (Method::POST, _, Some(number)) => self.command(number, &body),
            (Method::DELETE, _, Some(number)) => match self.streams().open.remove(&number) {
                Some(_) => empty(StatusCode::NO_CONTENT),
                None => empty(StatusCode::NOT_FOUND),
            },
            _ => empty(StatusCode::NOT_FOUND),
        })
    }

    fn create(&self, body: &[u8]) -> Answer {
        let settings: Settings = match serde_json::from_slice(body) {
            Ok(settings) => settings,
            Err(error) => return bad(&error),
        };
        let callbacks = Callbacks::new(self.client.clone(), &settings.callback_url);
        let mut streams = self.streams();
        if streams.open.len() >= STREAMS_MAX {
            return empty(StatusCode::SERVICE_UNAVAILABLE);
        }
        match Stream::start(settings, callbacks) {
            Ok(stream) => {
                streams.made += 1;
                let number = streams.made;
                streams.open.insert(number, stream);
                located(&format!("/streams/{number}"))
            }
            Err(error) => bad(&error),
        }
    }

    fn command(&self, number: u64, body: &[u8]) -> Answer {
        let command: Command = match serde_json::from_slice(body) {
            Ok(command) => command,
            Err(error) => return bad(&error),
        };
        match self.streams().open.get(&number) {
            Some(stream) => {
                stream.command(command);
                empty(StatusCode::ACCEPTED)
            }
            None => empty(StatusCode::NOT_FOUND),
        }
    }

    fn streams(&self) -> std::sync::MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const BODY_BYTES_MAX: usize = 1 << 20;
const STREAMS_MAX: usize = 1000;

fn capabilities() -> Answer {
    let told = json!({
        "name": "headwater-client",
        "clientVersion": env!("CARGO_PKG_VERSION"),
        "capabilities": CAPABILITIES,
    });
    let mut answer = Response::new(Full::from(told.to_string()));
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    answer
}

fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

fn bad(error: &impl ToString) -> Answer {
    let mut answer = Response::new(Full::from(error.to_string()));
    *answer.status_mut() = StatusCode::BAD_REQUEST;
    answer
}

fn located(path: &str) -> Answer {
    let mut answer = empty(StatusCode::CREATED);
    if let Ok(path) = path.parse() {
        answer.headers_mut().insert(LOCATION, path);
    }
    answer
}

/// After which the connection is closed.
fn last(mut answer: Answer) -> Answer {
    let close = hyper::header::HeaderValue::from_static("close");
    answer.headers_mut().insert(hyper::header::CONNECTION, close);
    answer
}
