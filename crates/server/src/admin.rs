//! The operator's listener, apart from what is open to the public: the hub's health and its metrics, who
//! listens, which tokens are good no more, and why a token allows what it does.

mod explain;
mod listeners;
mod revoke;

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::{Deserialize, Serialize};
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
use crate::plain::intake::{self, Bounds, Budget};
use crate::problem::Problem;
use crate::route::{READ_ONLY, text, without_body};
use crate::token::Authorization;

/// What the operator's listener has to know.
#[derive(Debug, Clone, Default)]
pub struct AdminConfig {
    /// What whoever asks for more than the hub's health has to send as `Authorization: Bearer KEY`.
    pub key: Option<AdminKey>,
    /// Who decides what may be done, to say why.
    pub authorization: Option<Authorization>,
}

/// Serves the operator's listener of a hub until `shutdown` is over. On loopback, only requests for a name
/// of loopback are answered, and nothing is done for a page of elsewhere.
///
/// # Errors
/// If it cannot begin.
pub async fn serve_admin(
    listener: TcpListener,
    hub: Hub,
    config: AdminConfig,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let address = listener.local_addr().map_err(ServeError::Listener)?;
    let admin = Arc::new(Admin::new(hub, config, address));
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
    config: AdminConfig,
    bodies: Budget,
}

/// What requests hold of bodies together, and the largest of one.
const BODIES_BYTES: usize = 1 << 20;
const BODY_BYTES_MAX: usize = 64 << 10;
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

impl Admin {
    fn new(hub: Hub, config: AdminConfig, address: SocketAddr) -> Self {
        let guard = Guard::new(&Config::default(), address);
        let bodies = Budget::new(BODIES_BYTES);
        Self { page: Page::new(hub.clone()), hub, guard, config, bodies }
    }

    async fn serve(self: Arc<Self>, stream: TcpStream) {
        let service = service_fn(|request: Request<Incoming>| async {
            let (request, body) = request.into_parts();
            Ok::<_, Infallible>(self.answer(&request, body).await)
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

    async fn answer(&self, request: &Parts, body: Incoming) -> Response<Body> {
        let answer = self.dispatch(request, body).await.unwrap_or_else(Problem::into_response);
        if request.method == Method::HEAD { without_body(answer) } else { answer }
    }

    async fn dispatch(&self, request: &Parts, body: Incoming) -> Result<Response<Body>, Problem> {
        self.guard.check_host(request)?;
        self.guard.check_origin(request)?;
        let allow = match request.uri.path() {
            "/metrics" | "/healthz" => READ_ONLY,
            "/admin/connections" => "GET, HEAD, DELETE",
            "/admin/explain" | "/admin/revoke" => "POST",
            _ => return Err(Problem::new(StatusCode::NOT_FOUND, NOT_FOUND)),
        };
        if !allow.split(", ").any(|method| request.method == method) {
            return Err(Problem::method_not_allowed(allow));
        }
        let path = request.uri.path();
        if path == "/healthz" {
            return Ok(health::answer(&self.hub));
        }
        self.check_key(request)?;
        match (path, &request.method) {
            ("/metrics", _) => Ok(text(Page::CONTENT_TYPE, self.page.text())),
            ("/admin/connections", &Method::DELETE) => listeners::close(&self.hub, request).await,
            ("/admin/connections", _) => listeners::list(&self.hub, request).await,
            ("/admin/revoke", _) => {
                revoke::answer(&self.hub, &self.config, &self.json(body).await?).await
            }
            _ => explain::answer(&self.hub, &self.config, &self.json(body).await?).await,
        }
    }

    async fn json(&self, body: Incoming) -> Result<String, Problem> {
        let bounds = Bounds { bytes_max: BODY_BYTES_MAX, setting: "64 KiB", timeout: BODY_TIMEOUT };
        Ok(intake::read(body, bounds, &self.bodies).await?.text()?.to_owned())
    }

    fn check_key(&self, request: &Parts) -> Result<(), Problem> {
        let Some(key) = &self.config.key else { return Ok(()) };
        match guard::bearer(request) {
            Some(given) if key.is(given) => Ok(()),
            Some(_) => Err(Problem::unauthorized(
                "this is not the hub's admin_key: check what you send as `Authorization: Bearer KEY`",
            )),
            None => Err(Problem::unauthorized(
                "this needs the hub's admin_key: send it as `Authorization: Bearer KEY`",
            )),
        }
    }
}

const NOT_FOUND: &str = "there is nothing here: metrics are at /metrics, the hub's health at /healthz, listeners at \
     /admin/connections";

/// An answer of the operator's listener.
fn json(value: &impl Serialize) -> Response<Body> {
    // What is answered are texts, numbers and lists, which always serialise.
    let line = serde_json::to_string(value).unwrap_or_default() + "\n";
    text("application/json", line)
}

/// What the operator sends; names that mean nothing are not passed over, because one that is misspelt
/// would mean more than was wanted.
fn parsed<'a, T: Deserialize<'a>>(text: &'a str, such_as: &str) -> Result<T, Problem> {
    serde_json::from_str(text).map_err(|error| {
        Problem::bad_request(format!("this is not such JSON as {such_as}: {error}"))
    })
}
