//! A server that answers what the page asks it to answer: everything about an answer is in the request's query.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// What else a request may name: its media type and its text.
type Files = HashMap<&'static str, (&'static str, &'static str)>;

/// A running server; ends with the value.
#[derive(Debug)]
pub(crate) struct Raw {
    address: SocketAddr,
    _accepting: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    files: Files,
    /// How often each key was asked for.
    asked: Mutex<HashMap<Vec<u8>, usize>>,
}

impl Raw {
    pub(crate) async fn start(files: Files) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { files, asked: Mutex::default() });
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((page, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    // Whoever leaves, leaves; what matters is seen in the page.
                    let _ = serve(page, &shared).await;
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, _accepting: accepting })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// A request, as far as answers depend on it.
struct Request {
    method: String,
    path: String,
    /// Percent-decoded, in their order.
    query: Vec<(String, Vec<u8>)>,
    fields: Vec<(String, Vec<u8>)>,
}

impl Request {
    async fn read(page: &mut TcpStream) -> Result<Self> {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            ensure!(bytes.len() < 64 * 1024 && page.read_buf(&mut bytes).await? > 0, "no request");
        };
        let mut lines = bytes.get(..end).unwrap_or_default().split(|byte| *byte == b'\n');
        let first = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
        let mut words = first.split_whitespace().map(str::to_owned);
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let fields = lines.filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = String::from_utf8_lossy(line.get(..colon)?).to_lowercase();
            Some((name, line.get(colon + 1..)?.trim_ascii().to_vec()))
        });
        Ok(Self {
            method,
            path: path.to_owned(),
            query: pairs.map(|(name, value)| (name.to_owned(), decode(value))).collect(),
            fields: fields.collect(),
        })
    }

    fn all(&self, name: &str) -> Vec<Vec<u8>> {
        let named = self.query.iter().filter(|(n, _)| n == name);
        named.map(|(_, value)| value.clone()).collect()
    }

    fn one(&self, name: &str) -> Option<Vec<u8>> {
        self.all(name).pop()
    }

    /// A header field as hexadecimal digits, so that each of its bytes is seen.
    fn field(&self, name: &str) -> String {
        let field = self.fields.iter().find(|(n, _)| n == name);
        field.map_or("none".to_owned(), |(_, value)| {
            value.iter().map(|byte| format!("{byte:02x}")).collect()
        })
    }
}

fn decode(text: &str) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| *byte == b'%');
        let digits = digits.and_then(|two| std::str::from_utf8(two).ok());
        let code = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        decoded.push(code.unwrap_or(*byte));
        rest = if code.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    decoded
}

async fn serve(mut page: TcpStream, shared: &Shared) -> Result<()> {
    page.set_nodelay(true)?;
    let request = Request::read(&mut page).await?;
    if let Some((media_type, text)) = shared.files.get(request.path.as_str()) {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {media_type}; charset=utf-8\r\n");
        let answer = format!("{head}Connection: close\r\n\r\n{text}");
        return Ok(page.write_all(answer.as_bytes()).await?);
    }
    let text = |bytes: Option<Vec<u8>>| bytes.map(|b| String::from_utf8_lossy(&b).into_owned());
    let status = text(request.one("status")).unwrap_or("200".to_owned());
    let mut head = format!("HTTP/1.1 {status} As asked\r\nConnection: close\r\n").into_bytes();
    if let Some(media_type) = request.one("type") {
        head.extend([b"Content-Type: ", media_type.as_slice(), b"\r\n"].concat());
    }
    for field in request.all("header") {
        head.extend([field.as_slice(), b"\r\n"].concat());
    }
    page.write_all(&[head.as_slice(), b"\r\n"].concat()).await?;
    if request.method == "OPTIONS" {
        return Ok(());
    }
    let asked = {
        let mut asked = shared.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = asked.entry(request.one("key").unwrap_or_default()).or_default();
        *asked += 1;
        *asked
    };
    let then = request.all("then");
    for piece in if asked > 1 && !then.is_empty() { then } else { request.all("piece") } {
        page.write_all(&filled(piece, &request, asked)).await?;
        // Pieces that come together would be one.
        sleep(Duration::from_millis(20)).await;
    }
    let holds = request.one("hold").is_some_and(|from| from.is_empty() || asked > 1);
    while holds && page.read(&mut [0; 64]).await? > 0 {}
    Ok(())
}

/// A piece, with what the request said in the places that are left for it.
fn filled(piece: Vec<u8>, request: &Request, asked: usize) -> Vec<u8> {
    let Ok(mut text) = String::from_utf8(piece.clone()) else { return piece };
    text = text.replace("{n}", &asked.to_string());
    for name in ["last-event-id", "accept", "cookie", "cache-control"] {
        text = text.replace(&format!("{{{name}}}"), &request.field(name));
    }
    text.into_bytes()
}
