//! The binary, run against a server that follows a script.

#![allow(dead_code, reason = "each test uses its own part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failure here is a failed test")]

use std::fmt::Write as _;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// Long enough for any machine; only a failure waits for it.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) async fn within<T>(what: impl Future<Output = T>) -> T {
    timeout(LIMIT, what).await.expect("nothing happened for a minute")
}

/// A server that answers as the test says.
pub(crate) struct Server {
    listener: TcpListener,
    pub(crate) url: String,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        Self { listener, url }
    }

    /// The next connection, and its first request.
    pub(crate) async fn accept(&self) -> (Connection, Request) {
        let (socket, _) = within(self.listener.accept()).await.unwrap();
        let mut connection = Connection { socket: BufReader::new(socket) };
        let request = connection.request().await;
        (connection, request)
    }
}

pub(crate) struct Connection {
    socket: BufReader<TcpStream>,
}

/// A request as it came, its head in lower case but for the first line.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) headers: Vec<String>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter().filter_map(|header| header.split_once(": "));
        headers.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Connection {
    pub(crate) async fn request(&mut self) -> Request {
        within(async {
            let line = self.line().await;
            let mut headers = Vec::new();
            loop {
                let header = self.line().await;
                if header.is_empty() {
                    break;
                }
                headers.push(header);
            }
            let mut request = Request { line, headers, body: String::new() };
            let length = request.header("content-length").map_or(0, |value| value.parse().unwrap());
            let mut body = vec![0; length];
            self.socket.read_exact(&mut body).await.unwrap();
            request.body = String::from_utf8(body).unwrap();
            request
        })
        .await
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.socket.read_line(&mut line).await.unwrap();
        line.trim_end().to_owned()
    }

    /// A whole answer.
    pub(crate) async fn answer(&mut self, status: u16, headers: &[&str], body: &str) {
        let mut head = format!("HTTP/1.1 {status} Status\r\nContent-Length: {}\r\n", body.len());
        headers.iter().for_each(|header| write!(head, "{header}\r\n").unwrap());
        self.send(&format!("{head}\r\n{body}")).await;
    }

    /// The ids of a batch, `prefix` and a number each.
    pub(crate) async fn publish(&mut self, request: &Request, prefix: &str) {
        let count = request.body.lines().count();
        let lines: String = (0..count).map(|n| format!("{{\"id\":\"{prefix}{n}\"}}\n")).collect();
        self.answer(200, &["Content-Type: application/x-ndjson"], &lines).await;
    }

    /// The head of an event stream.
    pub(crate) async fn open(&mut self) {
        self.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n").await;
    }

    pub(crate) async fn send(&mut self, bytes: &str) {
        self.socket.write_all(bytes.as_bytes()).await.unwrap();
    }

    /// Waits until the other side has closed it.
    pub(crate) async fn closed(&mut self) {
        assert!(!matches!(within(self.socket.read(&mut [0])).await, Ok(1..)));
    }
}

/// The binary, running.
pub(crate) struct Headwater {
    child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<Lines<BufReader<ChildStdout>>>,
    stderr: ChildStderr,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    /// What was not read before.
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Headwater {
    /// Runs a command against a hub, with nothing of ours in its environment.
    pub(crate) fn run(url: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_headwater"));
        command.args(arguments).env_remove("HEADWATER_TOKEN").env("HEADWATER_URL", url);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().unwrap();
        Self {
            stdin: child.stdin.take(),
            stdout: child.stdout.take().map(|stdout| BufReader::new(stdout).lines()),
            stderr: child.stderr.take().unwrap(),
            child,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Writes to its standard input, which stays open.
    pub(crate) async fn write(&mut self, text: &str) {
        within(self.stdin.as_mut().unwrap().write_all(text.as_bytes())).await.unwrap();
    }

    /// The next line that it prints.
    pub(crate) async fn line(&mut self) -> String {
        let line = within(self.stdout.as_mut().unwrap().next_line()).await.unwrap();
        line.expect("it has ended")
    }

    /// Waits for its end, with its standard input closed.
    pub(crate) async fn end(mut self) -> Ended {
        drop(self.stdin.take());
        within(async {
            let (mut stdout, mut stderr) = (String::new(), String::new());
            let read_stdout = async {
                if let Some(lines) = self.stdout.take() {
                    lines.into_inner().read_to_string(&mut stdout).await.unwrap();
                }
            };
            let (_, read) = tokio::join!(read_stdout, self.stderr.read_to_string(&mut stderr));
            read.unwrap();
            let code = self.child.wait().await.unwrap().code();
            Ended { code, stdout, stderr }
        })
        .await
    }
}
