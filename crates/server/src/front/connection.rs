//! One connection, from its first byte to its last.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::handover::Handover;
use super::wire::{Expiry, Patience, Wire};
use super::{Front, Held, Peer};
use crate::limits::Limits;
use crate::route;

/// Serves a connection until it ends, expires, or the front stops and its answers are through; or until
/// it becomes a subscription, which a shard is to serve.
pub(crate) async fn serve(
    front: Arc<Front>,
    stream: TcpStream,
    peer: Peer,
) -> Option<(Handover, TcpStream)> {
    let wire = Wire::new(stream);
    let patience = front.patience(peer);
    let service = {
        let (front, wire) = (front.clone(), wire.clone());
        service_fn(move |request: Request<Incoming>| {
            let in_flight = wire.begin(request.version() == Version::HTTP_2);
            let (front, wire) = (front.clone(), wire.clone());
            // Boxed, because the HTTP library keeps room for it as long as the connection lasts.
            Box::pin(async move {
                let version = request.version();
                let (mut answer, mut place) = route::answer(&front, peer, request, &wire).await;
                if version != Version::HTTP_2
                    && !wire.is_blocked()
                    && let Some(handover) = Handover::of(&mut answer, &mut place)
                {
                    wire.hand_over(handover);
                    // The connection is taken from here, and this with it.
                    return std::future::pending().await;
                }
                let held = Held { _in_flight: in_flight, _place: place };
                Ok::<_, Infallible>(answer.map(|body| body.polled().hold(held)))
            })
        })
    };
    let mut connection =
        Box::pin(front.http.serve_connection(TokioIo::new(wire.socket()), service));
    let mut stopping = pin!(front.stopping());
    let mut stopped = false;
    let mut timer = Timer::default();
    let end = poll_fn(|cx| {
        if !stopped && stopping.as_mut().poll(cx).is_ready() {
            stopped = true;
            connection.as_mut().graceful_shutdown();
        }
        if let Poll::Ready(result) = connection.as_mut().poll(cx) {
            if let Err(error) = result {
                tracing::debug!(peer = %peer.address, %error, "a connection ended");
            }
            return Poll::Ready(End::Over);
        }
        if let Some(handover) = wire.take_handover() {
            return Poll::Ready(End::Taken(Box::new(handover)));
        }
        timer.poll(wire.expiry(patience), cx).map(End::Expired)
    })
    .await;
    if let Some(setting) = wire.exceeded() {
        front.hub.metrics().refuse(setting);
    }
    match end {
        End::Taken(handover) => {
            // All of the library's, with its share of the socket.
            drop(connection);
            return Arc::into_inner(wire).map(|wire| (*handover, wire.into_stream()));
        }
        End::Expired(Expiry::HalfHead) => {
            front.hub.metrics().refuse("header_timeout_ms");
            wire.give_up_on_head(patience);
        }
        End::Expired(Expiry::Stalled) => {
            tracing::debug!(peer = %peer.address, "a client took nothing for the write timeout");
            wire.reset();
            return None;
        }
        End::Expired(Expiry::Idle) | End::Over => {}
    }
    wire.linger().await;
    None
}

/// How the serving of a connection ends.
enum End {
    Over,
    Expired(Expiry),
    Taken(Box<Handover>),
}

/// One timer, set to whatever comes first, and not there when nothing does.
#[derive(Default)]
struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    fn poll(
        &mut self,
        expiry: Option<(tokio::time::Instant, Expiry)>,
        cx: &mut Context<'_>,
    ) -> Poll<Expiry> {
        let Some((at, reason)) = expiry else {
            self.0 = None;
            return Poll::Pending;
        };
        let sleep = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if sleep.deadline() != at {
            sleep.as_mut().reset(at);
        }
        sleep.as_mut().poll(cx).map(|()| reason)
    }
}

/// The HTTP library, set up so that a connection cannot take more than the limits say.
pub(super) fn http(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    let header_bytes_max = limits.header_bytes_max.max(Limits::HEADER_BYTES_MIN);
    http.http1()
        // Of a request's head too, which has to fit in a buffer.
        .max_buf_size(header_bytes_max)
        // Kept by the wire, which can also say so to the client.
        .header_read_timeout(None);
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(limits.streams_per_connection_max)
        .max_header_list_size(u32::try_from(header_bytes_max).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(header_bytes_max);
    http
}

/// An HTTP/2 connection that does not answer a ping is closed.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// What a publisher may send ahead of being read.
const STREAM_WINDOW_BYTES: u32 = 64 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 256 << 10;

impl Front {
    fn patience(&self, peer: Peer) -> Patience {
        let limits = &self.config.limits;
        let mut patience = Patience {
            head: limits.header_timeout(),
            idle: limits.idle_timeout(),
            write: Duration::from_millis(self.hub.config().write_timeout_ms),
        };
        if peer.refused.is_some() {
            patience.head = patience.head.min(REFUSED_MAX);
            patience.idle = Duration::ZERO;
            patience.write = patience.write.min(REFUSED_MAX);
        }
        patience
    }
}

/// Who is refused has this long to ask.
const REFUSED_MAX: Duration = Duration::from_secs(2);
