//! The operator's listener: the hub's health and its metrics, apart from what is open to the public.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::Hub;
use crate::body::Body;
use crate::config::{AdminKey, Config};
use crate::front::ServeError;
use crate::guard::{self, Guard};
use crate::health;
use crate::metrics::Page;
use crate::problem::Problem;
use crate::route::{READ_ONLY, text, without_body};

/// Serves `GET /metrics` and `GET /healthz` of a hub until `shutdown` is over. With a key, who asks for the
/// metrics has to send it as `Authorization: Bearer KEY`; on loopback, only requests for a name of
/// loopback are answered, so that no web page reads them.
///
/// # Errors
/// If it cannot begin.
pub async fn serve_admin(
    listener: TcpListener,
    hub: Hub,
    key: Option<AdminKey>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let address = listener.local_addr().map_err(ServeError::Listener)?;
    let admin = Arc::new(Admin::new(hub, key, address));
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        // Who comes when all are taken waits in the system's queue.
        let accept = async {
            let permit = room.clone().acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept => accepted,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, _)) => {
                let admin = admin.clone();
                connections.spawn(async move {
                    admin.serve(stream).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "the admin listener cannot accept");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
    connections.shutdown().await;
    Ok(())
}

/// Connections at a time, of one request after the other.
const CONNECTIONS_MAX: usize = 32;
const ACCEPT_RETRY: Duration = Duration::from_millis(200);
/// How long a connection is kept without a whole request: longer than Prometheus waits between two.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
const BUFFER_BYTES: usize = 16 << 10;

struct Admin {
    hub: Hub,
    page: Page,
    guard: Guard,
    key: Option<AdminKey>,
}

impl Admin {
    fn new(hub: Hub, key: Option<AdminKey>, address: SocketAddr) -> Self {
        let guard = Guard::new(&Config::default(), address);
        Self { page: Page::new(hub.clone()), hub, guard, key }
    }

    async fn serve(self: Arc<Self>, stream: TcpStream) {
        let service = service_fn(|request: Request<_>| {
            let answer = self.answer(&request.into_parts().0);
            async { Ok::<_, Infallible>(answer) }
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(BUFFER_BYTES)
            .serve_connection(TokioIo::new(stream), service)
            .await;
        if let Err(error) = served {
            tracing::debug!(%error, "a connection of the admin listener ended");
        }
    }

    fn answer(&self, request: &Parts) -> Response<Body> {
        let answer = self.dispatch(request).unwrap_or_else(Problem::into_response);
        if request.method == Method::HEAD { without_body(answer) } else { answer }
    }

    fn dispatch(&self, request: &Parts) -> Result<Response<Body>, Problem> {
        self.guard.check_host(request)?;
        let metrics = match request.uri.path() {
            "/metrics" => true,
            "/healthz" => false,
            _ => return Err(Problem::new(StatusCode::NOT_FOUND, NOT_FOUND)),
        };
        if !matches!(request.method, Method::GET | Method::HEAD) {
            return Err(Problem::method_not_allowed(READ_ONLY));
        }
        if !metrics {
            return Ok(health::answer(&self.hub));
        }
        self.check_key(request)?;
        Ok(text(Page::CONTENT_TYPE, self.page.text()))
    }

    fn check_key(&self, request: &Parts) -> Result<(), Problem> {
        let Some(key) = &self.key else { return Ok(()) };
        match guard::bearer(request) {
            Some(given) if key.is(given) => Ok(()),
            Some(_) => Err(Problem::unauthorized(
                "this is not the hub's admin_key: check what you send as `Authorization: Bearer KEY`",
            )),
            None => Err(Problem::unauthorized(
                "the metrics need the hub's admin_key: send it as `Authorization: Bearer KEY`",
            )),
        }
    }
}

const NOT_FOUND: &str =
    "there is nothing here: metrics are at /metrics, the hub's health at /healthz";
