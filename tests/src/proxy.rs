//! A proxy between pages and the hub that cuts a connection where a test says.
//!
//! A page asks for `/events/…?cut=KEY`; the hub ignores the query name, the proxy finds the [`Cut`] planned
//! for KEY. The first connection of a key is cut; later ones wait for [`Proxy::release`], so that a test
//! decides what was missed meanwhile, and pass through untouched. The proxy serves the pages too, so that
//! everything is of one origin, and takes what they report by `POST /report/KEY`.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::http::{Head, find};
use crate::wire::Wire;

/// No request of our pages is larger.
const MAX_HEAD: usize = 64 * 1024;

/// How a connection is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drop {
    /// An orderly end.
    Fin,
    /// A reset.
    Rst,
}

/// The block of a stream in which it is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    /// The first one.
    Open,
    /// The first one that holds this text.
    Holding(&'static str),
}

/// Where and how a stream is cut: after so many bytes of the block, not counting the chunks' framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// In which block.
    pub block: Block,
    /// After how many of its bytes.
    pub bytes: usize,
    /// How.
    pub by: Drop,
}

/// What happened to the connections of one key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// The `Last-Event-ID` of every connection so far; the first has none.
    pub connections: Vec<Option<String>>,
    /// How many of them got their open block.
    pub opened: usize,
    /// Whether the first was cut.
    pub cut: bool,
    /// Whether later ones may pass.
    pub released: bool,
    /// The head of an answer of the hub that was not 200.
    pub refused: Option<String>,
    /// What the page posted.
    pub report: Option<String>,
}

/// A running proxy; ends with the value.
#[derive(Debug)]
pub struct Proxy {
    addresses: Vec<SocketAddr>,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    hub: SocketAddr,
    /// The media type and the text of what is served at each path.
    files: Mutex<HashMap<String, (&'static str, String)>>,
    streams: Mutex<HashMap<String, Stream>>,
}

/// A key's plan and what became of it.
#[derive(Debug, Clone)]
struct Stream {
    cut: Cut,
    progress: watch::Sender<Progress>,
}

impl Proxy {
    /// Listens on `hosts` loopback addresses (127.0.0.1, 127.0.0.2, …): browsers open six connections to
    /// each.
    pub async fn start(hub: SocketAddr, hosts: u8) -> Result<Self> {
        let shared = Shared { hub, files: Mutex::default(), streams: Mutex::default() };
        let shared = Arc::new(shared);
        let (mut addresses, mut tasks) = (Vec::new(), JoinSet::new());
        for host in 1..=hosts {
            let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 0, host), 0)).await?;
            addresses.push(listener.local_addr()?);
            tasks.spawn(accept(listener, shared.clone()));
        }
        Ok(Self { addresses, shared, _tasks: tasks })
    }

    /// The URL of a path on one of the hosts.
    pub fn url(&self, host: usize, path: &str) -> String {
        self.addresses.get(host).map_or_else(String::new, |host| format!("http://{host}{path}"))
    }

    /// Serves this HTML at a path.
    pub fn page(&self, path: &str, html: String) {
        self.file(path, "text/html", html);
    }

    /// Serves this text at a path.
    pub fn file(&self, path: &str, media_type: &'static str, text: String) {
        lock(&self.shared.files).insert(path.to_owned(), (media_type, text));
    }

    /// Plans where the first stream of this key is cut.
    pub fn plan(&self, key: &str, cut: Cut) {
        let progress = watch::Sender::new(Progress::default());
        lock(&self.shared.streams).insert(key.to_owned(), Stream { cut, progress });
    }

    /// Lets the later connections of this key pass.
    pub fn release(&self, key: &str) -> Result<()> {
        self.shared.stream(key)?.progress.send_modify(|progress| progress.released = true);
        Ok(())
    }

    /// What has happened to this key.
    pub fn progress(&self, key: &str) -> Result<Progress> {
        Ok(self.shared.stream(key)?.progress.borrow().clone())
    }

    /// Waits until something has happened to this key, or the hub refused it.
    pub async fn until(
        &self,
        key: &str,
        limit: Duration,
        happened: impl Fn(&Progress) -> bool,
    ) -> Result<Progress> {
        let mut progress = self.shared.stream(key)?.progress.subscribe();
        let wait = progress.wait_for(|now| happened(now) || now.refused.is_some());
        let now = timeout(limit, wait).await.map(|result| result.map(|now| now.clone()));
        match now {
            Ok(Ok(now)) if now.refused.is_none() => Ok(now),
            _ => bail!("{key} stays at {:?}", self.progress(key)?),
        }
    }
}

impl Shared {
    fn stream(&self, key: &str) -> Result<Stream> {
        lock(&self.streams).get(key).cloned().with_context(|| format!("nothing planned for {key}"))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        connections.spawn(async move {
            // A page may leave at any moment; what matters is seen in `Progress`.
            let _ = serve(stream, &shared).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

/// One request, then the connection ends.
async fn serve(mut page: TcpStream, shared: &Shared) -> Result<()> {
    page.set_nodelay(true)?;
    let request = Request::read(&mut page).await?;
    if let Some(key) = request.target.strip_prefix("/report/") {
        let report = request.body.clone();
        shared.stream(key)?.progress.send_modify(|progress| progress.report = Some(report));
        // With a body: there are engines that show nothing of an answer that has none.
        let taken = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\
                      Connection: close\r\n\r\ntaken";
        return Ok(page.write_all(taken).await?);
    }
    let file = lock(&shared.files).get(&request.target).cloned();
    if let Some((media_type, text)) = file {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {media_type}; charset=utf-8\r\n\
             Cache-Control: no-store\r\nConnection: close\r\n\r\n"
        );
        return Ok(page.write_all(format!("{head}{text}").as_bytes()).await?);
    }
    let key = request.target.split(['?', '&']).find_map(|pair| pair.strip_prefix("cut="));
    match key {
        Some(key) => subscription(page, &request, shared, &shared.stream(key)?).await,
        None => pass(page, request.forward(shared.hub).await?).await,
    }
}

/// A stream with a plan: cut if it is the first, held until released if it is a later one.
async fn subscription(
    page: TcpStream,
    request: &Request,
    shared: &Shared,
    stream: &Stream,
) -> Result<()> {
    let mut first = false;
    stream.progress.send_modify(|progress| {
        first = progress.connections.is_empty();
        progress.connections.push(request.field("last-event-id"));
    });
    if !first {
        stream.progress.subscribe().wait_for(|progress| progress.released).await?;
    }
    let hub = request.forward(shared.hub).await?;
    relay(page, hub, first.then_some(stream.cut), &stream.progress).await
}

/// A request as the page sent it.
#[derive(Debug)]
struct Request {
    method: String,
    target: String,
    fields: Vec<(String, String)>,
    body: String,
}

impl Request {
    async fn read(page: &mut TcpStream) -> Result<Self> {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(at) = find(&bytes, b"\r\n\r\n") {
                break at + 4;
            }
            ensure!(bytes.len() < MAX_HEAD && page.read_buf(&mut bytes).await? > 0, "no request");
        };
        let mut body = bytes.split_off(end);
        let head = String::from_utf8(bytes)?;
        let mut lines = head.trim_end().split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            bail!("no request line: {head:?}");
        };
        let fields = lines.filter_map(|line| line.split_once(':'));
        let fields =
            fields.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
        let mut request = Self { method, target, fields: fields.collect(), body: String::new() };
        let length = request.field("content-length").map_or(Ok(0), |length| length.parse())?;
        while body.len() < length {
            ensure!(page.read_buf(&mut body).await? > 0, "closed inside the request's body");
        }
        request.body = String::from_utf8(body)?;
        Ok(request)
    }

    fn field(&self, name: &str) -> Option<String> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone())
    }

    /// Sends it to the hub as a reverse proxy of the same origin does, on a connection of its own: what names
    /// the proxy's address stays behind.
    async fn forward(&self, hub: SocketAddr) -> Result<TcpStream> {
        let mut stream = TcpStream::connect(hub).await?;
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        text += &format!("host: {hub}\r\nconnection: close\r\n");
        for (name, value) in &self.fields {
            if !["host", "connection", "origin", "referer"].contains(&name.as_str()) {
                text += &format!("{name}: {value}\r\n");
            }
        }
        stream.write_all(format!("{text}\r\n{}", self.body).as_bytes()).await?;
        Ok(stream)
    }
}

/// Hands on everything until one of the two leaves.
async fn pass(mut page: TcpStream, mut hub: TcpStream) -> Result<()> {
    tokio::io::copy_bidirectional(&mut page, &mut hub).await?;
    Ok(())
}

/// Hands the hub's answer to the page block by block and byte for byte, up to the cut if there is one.
async fn relay(
    mut page: TcpStream,
    mut hub: TcpStream,
    cut: Option<Cut>,
    progress: &watch::Sender<Progress>,
) -> Result<()> {
    let mut wire = Wire::default();
    let mut sent = 0;
    loop {
        while let Some(block) = wire.next_block() {
            let cut = cut.filter(|cut| cut.block.is(&block.text, block.first));
            let to = match cut {
                Some(cut) => block.after(cut.bytes),
                None => block.end(),
            };
            page.write_all(wire.bytes.get(sent..to).unwrap_or_default()).await?;
            sent = sent.max(to);
            if let Some(cut) = cut {
                drop_by(page, cut.by).await?;
                progress.send_modify(|progress| progress.cut = true);
                return Ok(());
            }
            if block.first {
                progress.send_modify(|progress| progress.opened += 1);
            }
        }
        let mut ignored = [0; 1];
        tokio::select! {
            read = hub.read_buf(&mut wire.bytes) => if read? == 0 {
                let refused = wire.head().filter(|head| Head::parse(head).is_ok_and(|head| head.status != 200));
                if refused.is_some() {
                    progress.send_modify(|p| p.refused = refused.map(str::to_owned));
                }
                page.write_all(wire.bytes.get(sent..).unwrap_or_default()).await?;
                return Ok(());
            },
            // A page sends nothing more: it has left, and so does the hub's subscriber.
            _ = page.read(&mut ignored) => return Ok(()),
        }
    }
}

async fn drop_by(mut page: TcpStream, by: Drop) -> Result<()> {
    match by {
        Drop::Fin => page.shutdown().await?,
        Drop::Rst => {
            // A reset throws away what the page has not read yet: give it the time, so that the half event
            // gets there. What the page has to show is the same either way.
            sleep(Duration::from_millis(20)).await;
            page.set_zero_linger()?;
        }
    }
    Ok(())
}

impl Block {
    fn is(self, text: &str, first: bool) -> bool {
        match self {
            Self::Open => first,
            Self::Holding(part) => text.contains(part),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Connection;

    const OPEN: &str = ":\nid: p\n\n";
    const EVENT: &str = "event: tick\ndata: 1\nid: q\n\n";
    const SOON: Duration = Duration::from_secs(20);

    /// A hub that answers everything with the open block and one event, then stays silent.
    async fn hub() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                Request::read(&mut stream).await.unwrap();
                let mut wire = String::from(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                     Transfer-Encoding: chunked\r\n\r\n",
                );
                for block in [OPEN, EVENT] {
                    wire += &format!("{:x}\r\n{block}\r\n", block.len());
                }
                stream.write_all(wire.as_bytes()).await.unwrap();
                open.push(stream);
            }
        });
        address
    }

    async fn received(proxy: &Proxy, key: &str) -> (String, bool) {
        let mut page = Connection::open(proxy.addresses[0]).await.unwrap();
        page.get(&format!("/events/x?cut={key}"), "").await.unwrap();
        let mut body = Vec::new();
        loop {
            match page.some().await {
                Ok(Some(payload)) => body.extend(payload),
                Ok(None) => panic!("a cut body does not end well"),
                Err(error) => {
                    let reset = format!("{error:#}").contains("reset");
                    return (String::from_utf8(body).unwrap(), reset);
                }
            }
        }
    }

    #[tokio::test]
    async fn a_stream_is_cut_at_every_byte_by_fin_and_by_rst() {
        let proxy = Proxy::start(hub().await, 1).await.unwrap();
        for by in [Drop::Fin, Drop::Rst] {
            for bytes in 0..=EVENT.len() {
                proxy.plan("k", Cut { block: Block::Holding("data: 1"), bytes, by });
                let expected = format!("{OPEN}{}", &EVENT[..bytes]);
                assert_eq!(received(&proxy, "k").await, (expected, by == Drop::Rst));
                assert!(proxy.until("k", SOON, |p| p.cut).await.unwrap().cut);
            }
            for bytes in 0..=OPEN.len() {
                proxy.plan("k", Cut { block: Block::Open, bytes, by });
                assert_eq!(received(&proxy, "k").await, (OPEN[..bytes].into(), by == Drop::Rst));
            }
        }
    }

    #[tokio::test]
    async fn later_connections_wait_and_then_pass_whole() {
        let proxy = Proxy::start(hub().await, 1).await.unwrap();
        proxy.plan("k", Cut { block: Block::Open, bytes: 3, by: Drop::Fin });
        received(&proxy, "k").await;
        let mut page = Connection::open(proxy.addresses[0]).await.unwrap();
        let ask = "GET /events/x?cut=k HTTP/1.1\r\nLast-Event-ID: p\r\n\r\n";
        page.send(ask).await.unwrap();
        let seen = proxy.until("k", SOON, |p| p.connections.len() == 2).await.unwrap();
        assert_eq!(seen.connections, [None, Some("p".into())]);
        assert_eq!(seen.opened, 0);
        proxy.release("k").unwrap();
        page.head().await.unwrap();
        assert_eq!(page.until("q\n\n").await.unwrap(), format!("{OPEN}{EVENT}"));
    }

    #[tokio::test]
    async fn pages_are_served_and_their_reports_taken() {
        let proxy = Proxy::start(hub().await, 1).await.unwrap();
        proxy.page("/a.html", "<p>hi".into());
        proxy.plan("k", Cut { block: Block::Open, bytes: 0, by: Drop::Fin });
        let host = proxy.addresses[0];
        let page = crate::http::request(host, "GET", "/a.html", "", "").await.unwrap();
        assert_eq!(page.body, "<p>hi");
        crate::http::request(host, "POST", "/report/k", "", "[1]").await.unwrap();
        assert_eq!(proxy.progress("k").unwrap().report.as_deref(), Some("[1]"));
    }
}
