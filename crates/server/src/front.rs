//! The front door: accepts connections, within limits, until it is told to stop.

mod addresses;
mod connection;
mod door;
mod handover;
mod wire;

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use headwater_log::LogError;
use hyper_util::rt::TokioExecutor;
use hyper_util::server::conn::auto;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use url::Url;

pub(crate) use self::addresses::{Addresses, Place, forwarded_for};
use self::door::{Admitted, Door};
pub(crate) use self::door::{Full, Peer};
use self::wire::InFlight;
pub(crate) use self::wire::Wire;
use crate::Hub;
use crate::authority;
use crate::config::Config;
use crate::cors::Cors;
use crate::guard::Guard;
use crate::limits::Limits;
use crate::mercure::Mercure;
use crate::plain::intake::Budget;
use crate::token::Tickets;

/// What all connections share.
pub(crate) struct Front {
    pub(crate) hub: Hub,
    pub(crate) config: Config,
    /// What patterns are relative to.
    pub(crate) base: Url,
    pub(crate) guard: Guard,
    pub(crate) cors: Cors,
    pub(crate) mercure: Mercure,
    pub(crate) bodies: Budget,
    pub(crate) addresses: Addresses,
    /// `None` where no key can be made for them.
    pub(crate) tickets: Option<Mutex<Tickets>>,
    http: auto::Builder<TokioExecutor>,
    stop: watch::Receiver<bool>,
}

/// What is counted while an answer is being sent.
pub(crate) struct Held {
    _in_flight: InFlight,
    _place: Option<Place>,
}

/// Why the server cannot run. The operator has to act.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener has no address.
    #[error("the listening socket cannot be used: {0}")]
    Listener(#[source] io::Error),
    /// The log does not say which tokens were revoked.
    #[error("the log cannot be read: {0}")]
    Log(#[source] LogError),
    /// A limit that the HTTP library cannot keep.
    #[error("header_bytes_max is {bytes} and has to be at least {min}", min = Limits::HEADER_BYTES_MIN)]
    HeaderBytes {
        /// What was set.
        bytes: usize,
    },
}

/// Serves the hub on a listener until `shutdown` is over; then ends the streams with their last block,
/// lets answers finish for 3 seconds, and returns within 5.
///
/// # Errors
/// If it cannot begin.
pub async fn serve(
    listener: TcpListener,
    hub: Hub,
    config: Config,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let address = listener.local_addr().map_err(ServeError::Listener)?;
    let (stop, stopped) = watch::channel(false);
    let front = Arc::new(Front::new(hub, config, address, stopped)?);
    let (set_over, over) = watch::channel(false);
    let updates = front.mercure.registry.clone().map(|registry| {
        let hub = front.hub.clone();
        tokio::spawn(async move { registry.publish(&hub, over).await })
    });
    front.hub.load_revocations().await.map_err(ServeError::Log)?;
    let mut connections = JoinSet::new();
    accept_until(&front, &listener, &mut connections, shutdown).await;
    // Nobody is let in any more; who asks on an open connection is told to come back.
    drop(listener);
    let finish = async {
        front.hub.stop(STREAMS_END_MAX).await;
        let _ = stop.send(true);
        while connections.join_next().await.is_some() {}
    };
    if tokio::time::timeout(FINISH_MAX, finish).await.is_err() {
        tracing::warn!(open = connections.len(), "connections did not finish and are cut");
    }
    connections.shutdown().await;
    let _ = set_over.send(true);
    if let Some(updates) = updates
        && tokio::time::timeout(UPDATES_END_MAX, updates).await.is_err()
    {
        tracing::warn!("the log did not take in time that the last subscriptions have ended");
    }
    Ok(())
}

const STREAMS_END_MAX: Duration = Duration::from_secs(2);
const UPDATES_END_MAX: Duration = Duration::from_secs(1);
const FINISH_MAX: Duration = Duration::from_secs(3);

impl Front {
    fn new(
        hub: Hub,
        config: Config,
        address: SocketAddr,
        stop: watch::Receiver<bool>,
    ) -> Result<Self, ServeError> {
        let limits = &config.limits;
        if limits.header_bytes_max < Limits::HEADER_BYTES_MIN {
            return Err(ServeError::HeaderBytes { bytes: limits.header_bytes_max });
        }
        for (setting, max) in [
            ("connections_max", limits.connections_max),
            ("connections_per_address_max", limits.connections_per_address_max),
            ("accepts_per_second_max", limits.accepts_per_second_max as usize),
            ("bodies_bytes_max", limits.bodies_bytes_max),
        ] {
            hub.metrics().limit(setting, max);
        }
        let base = config.root(address);
        Ok(Self {
            mercure: Mercure::new(&config, &base),
            base,
            guard: Guard::new(&config, address),
            cors: Cors::new(&config),
            bodies: Budget::new(limits.bodies_bytes_max),
            addresses: Addresses::new(limits.connections_per_address_max),
            http: connection::http(limits),
            tickets: authority::tickets(&hub),
            hub,
            config,
            stop,
        })
    }

    /// Is over when the server stops.
    pub(crate) fn stopping(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stop = self.stop.clone();
        async move {
            let _ = stop.wait_for(|stop| *stop).await;
        }
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        self.config.trusted_proxies.iter().any(|network| network.contains(address))
    }
}

/// Accepts until `shutdown` is over.
async fn accept_until(
    front: &Arc<Front>,
    listener: &TcpListener,
    connections: &mut JoinSet<()>,
    shutdown: impl Future<Output = ()>,
) {
    let mut door = Door::new(&front.config.limits, Instant::now());
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => return,
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection's task failed");
                }
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let address = address.ip().to_canonical();
                let client = (address, front.is_trusted(address));
                let metrics = front.hub.metrics();
                if let Some(admitted) =
                    door.admit(client, &front.addresses, metrics, Instant::now())
                {
                    set_up(&stream, front);
                    let runtime = front.hub.runtime();
                    connections.spawn_on(serve_one(front.clone(), stream, admitted), &runtime);
                }
            }
            // The client has gone again.
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted; is the limit on open files too low?");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

const ACCEPT_RETRY: Duration = Duration::from_millis(200);

/// Serves a connection on the runtime on which this is polled.
async fn serve_one(front: Arc<Front>, stream: TcpStream, admitted: Admitted) {
    let Admitted { peer, held } = admitted;
    let moved = stream.into_std().and_then(TcpStream::from_std);
    match moved {
        Ok(stream) => {
            if let Some((handover, stream)) = connection::serve(front, stream, peer).await {
                handover.complete(stream, held);
            }
        }
        Err(error) => tracing::error!(%error, "a connection cannot be served"),
    }
}

/// Small events leave at once; who vanished without a word is noticed.
fn set_up(stream: &TcpStream, front: &Front) {
    let socket = SockRef::from(stream);
    let keepalive =
        TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_INTERVAL);
    let mut set = stream.set_nodelay(true).and(socket.set_tcp_keepalive(&keepalive));
    #[cfg(target_os = "linux")]
    {
        let write_timeout = Duration::from_millis(front.hub.config().write_timeout_ms);
        set = set.and(socket.set_tcp_user_timeout(Some(write_timeout)));
    }
    #[cfg(not(target_os = "linux"))]
    let _ = front;
    if let Err(error) = set {
        tracing::debug!(%error, "a socket could not be set up");
    }
}

const KEEPALIVE_AFTER: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
