//! A hub with its server, on a port that the system chose.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use headwater_log::{Epoch, IdKey, Log, MemoryLimits, MemoryLog, Topic};
use headwater_server::{Config, Hub, HubConfig, serve};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::client::{Answer, Connection, Subscriber};

/// Nothing that is waited for takes this long, except when it never comes.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("what was waited for did not come within {PATIENCE:?}"),
    }
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) hub: Hub,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// How a server is set up.
#[derive(Default)]
pub(crate) struct SetUp {
    pub(crate) config: Config,
    pub(crate) hub: HubConfig,
    pub(crate) log: MemoryLimits,
}

impl SetUp {
    pub(crate) async fn start(self) -> Server {
        let log = MemoryLog::new(Epoch::new(7), IdKey::new([7; 16]), self.log.clone());
        self.start_with(Arc::new(log)).await
    }

    pub(crate) async fn start_with(self, log: Arc<dyn Log>) -> Server {
        let hub = HubConfig { shards: 1, ..self.hub };
        let hub = Hub::start(log, &hub).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let serving = serve(listener, hub.clone(), self.config, async {
            let _ = stopped.await;
        });
        let task = tokio::spawn(async { serving.await.unwrap() });
        Server { address, hub, stop, task }
    }
}

impl Server {
    /// A server as it is by default.
    pub(crate) async fn start() -> Self {
        SetUp::default().start().await
    }

    pub(crate) async fn with(set: impl FnOnce(&mut Config)) -> Self {
        let mut set_up = SetUp::default();
        set(&mut set_up.config);
        set_up.start().await
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.address).await
    }

    /// Sends one request on a connection of its own.
    pub(crate) async fn ask(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut connection = self.connect().await;
        connection.write(request.as_ref()).await;
        connection.answer().await
    }

    /// `GET` with header lines (each with its line end).
    pub(crate) async fn get(&self, target: &str, headers: &str) -> Answer {
        self.ask(format!("GET {target} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n")).await
    }

    pub(crate) async fn post(&self, target: &str, headers: &str, body: impl AsRef<[u8]>) -> Answer {
        self.ask(post(target, headers, body)).await
    }

    /// Publishes data and gives the event's id.
    pub(crate) async fn publish(&self, target: &str, data: &str) -> String {
        let answer = self.post(target, "", data).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// Subscribes; the stream has begun when this returns.
    pub(crate) async fn subscribe(&self, target: &str, headers: &str) -> Subscriber {
        let mut connection = self.connect().await;
        let request = format!("GET {target} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
        connection.write(request.as_bytes()).await;
        connection.subscriber().await
    }

    /// Begins a long poll on a topic, and waits until the hub knows of it.
    pub(crate) async fn poll(&self, topic: &str) -> Connection {
        let mut listeners = self.watch(topic);
        let mut connection = self.connect().await;
        let request = format!(
            "GET /events/{topic} HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\n\r\n"
        );
        connection.write(request.as_bytes()).await;
        within(listeners.wait_for(|count| *count == 1)).await.unwrap();
        connection
    }

    /// How many subscribers listen to a topic, of those who come from now on.
    pub(crate) fn watch(&self, topic: &str) -> watch::Receiver<usize> {
        self.hub.watch_topic(Topic::parse(topic).unwrap())
    }

    /// Stops, and waits until it has.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        within(self.task).await.unwrap();
    }
}

pub(crate) fn post(target: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = body.len();
    let mut request = format!(
        "POST {target} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n{headers}\r\n"
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}
