//! A network between pages and a server: it can be cut, or swallow what is sent without a word.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How the network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Everything passes.
    Open,
    /// Connections break, new ones too.
    Cut,
    /// Nothing arrives any more on any connection that is there or comes, also later.
    Lost,
}

/// What connections look at.
#[derive(Debug, Clone, Copy)]
struct Network {
    state: State,
    /// How often it was cut: who looks later sees that it was, though it is open again.
    cuts: usize,
}

/// A running network; ends with the value.
#[derive(Debug)]
pub(crate) struct Gate {
    address: SocketAddr,
    network: watch::Sender<Network>,
    requests: Arc<Mutex<Vec<String>>>,
    _accepting: JoinSet<()>,
}

impl Gate {
    pub(crate) async fn start(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let network = watch::Sender::new(Network { state: State::Open, cuts: 0 });
        let requests = Arc::new(Mutex::default());
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, server, network.clone(), Arc::clone(&requests)));
        Ok(Self { address, network, requests, _accepting: accepting })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn set(&self, state: State) {
        self.network.send_modify(|network| {
            network.state = state;
            network.cuts += usize::from(state == State::Cut);
        });
    }

    /// What pages have sent on each connection, the last connection last.
    pub(crate) fn requests(&self) -> Vec<String> {
        lock(&self.requests).clone()
    }
}

fn lock(requests: &Mutex<Vec<String>>) -> std::sync::MutexGuard<'_, Vec<String>> {
    requests.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(
    listener: TcpListener,
    server: SocketAddr,
    network: watch::Sender<Network>,
    requests: Arc<Mutex<Vec<String>>>,
) {
    let mut connections = JoinSet::new();
    while let Ok((page, _)) = listener.accept().await {
        let network = network.subscribe();
        let requests = Arc::clone(&requests);
        connections.spawn(async move {
            // Whoever leaves, leaves; what matters is seen in the page.
            let _ = pass(page, server, network, &requests).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn pass(
    mut page: TcpStream,
    server: SocketAddr,
    mut network: watch::Receiver<Network>,
    requests: &Mutex<Vec<String>>,
) -> Result<()> {
    let at = {
        let mut requests = lock(requests);
        requests.push(String::new());
        requests.len() - 1
    };
    let (mut up, mut down) = ([0; 16 * 1024], [0; 16 * 1024]);
    let mut hub = TcpStream::connect(server).await?;
    let cuts = network.borrow().cuts;
    loop {
        let now = *network.borrow_and_update();
        if now.cuts > cuts {
            return Ok(page.set_zero_linger()?);
        }
        match now.state {
            State::Open => {}
            State::Cut => return Ok(page.set_zero_linger()?),
            State::Lost => {
                // It stays lost when the network is back; who wants to go on comes anew.
                drop(hub);
                network.wait_for(|network| network.cuts > cuts).await?;
                return Ok(page.set_zero_linger()?);
            }
        }
        tokio::select! {
            changed = network.changed() => changed?,
            read = page.read(&mut up) => {
                let sent = up.get(..read?).unwrap_or_default();
                if sent.is_empty() {
                    return Ok(());
                }
                if let Some(request) = lock(requests).get_mut(at) {
                    request.push_str(&String::from_utf8_lossy(sent));
                }
                hub.write_all(sent).await?;
            }
            read = hub.read(&mut down) => {
                let sent = down.get(..read?).unwrap_or_default();
                if sent.is_empty() {
                    return Ok(());
                }
                page.write_all(sent).await?;
            }
        }
    }
}
