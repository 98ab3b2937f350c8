//! The built binary from outside: started in an empty folder, spoken to over real sockets.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Longer than anything here may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A folder to run the binary in.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// With one more file in it.
    pub(crate) fn with(self, name: &str, text: &str) -> Self {
        fs::write(self.path().join(name), text).unwrap();
        self
    }

    /// The binary, without settings from the environment of the tests.
    pub(crate) fn command(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_headwater"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("HEADWATER_") {
                command.env_remove(name);
            }
        }
        command.args(arguments).envs(variables.iter().copied()).current_dir(self.path());
        command.stdin(Stdio::null());
        command
    }

    /// Runs it to its end: its exit code, and what it said on stdout and on stderr.
    pub(crate) fn run(
        &self,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> (i32, String, String) {
        let mut command = self.command(arguments, variables);
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code().unwrap_or(-1), text(stdout), text(stderr))
    }

    /// Starts a hub, at a port chosen by the system, and waits until it listens.
    pub(crate) fn start(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Hub {
        let mut command = self.command(arguments, variables);
        command.args(["--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let said = lines_of(child.stdout.take().unwrap());
        let log = lines_of(child.stderr.take().unwrap());
        let mut hub = Hub { child, log, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let line = said.recv_timeout(PATIENCE).expect("the hub says where it listens");
        let address = line.strip_prefix("Headwater is listening on http://").unwrap();
        hub.address = address.parse().unwrap();
        hub
    }
}

fn lines_of(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// A hub that runs.
pub(crate) struct Hub {
    child: Child,
    log: Receiver<String>,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Hub {
    /// Waits for a line of its log that holds this.
    pub(crate) fn logs(&self, what: &str) -> String {
        let end = Instant::now() + PATIENCE;
        let mut seen = String::new();
        while let Ok(line) = self.log.recv_timeout(end.saturating_duration_since(Instant::now())) {
            if line.contains(what) {
                return line;
            }
            seen += &line;
            seen.push('\n');
        }
        panic!("the log does not say {what:?}:\n{seen}")
    }

    /// Sends a request and gives the answer's head and body; the connection is then over.
    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> (String, String) {
        let mut stream = self.connect();
        let (address, length) = (self.address, body.len());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Content-Length: {length}\r\n{headers}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("a whole answer");
        (head.to_owned(), body.to_owned())
    }

    /// What `GET` gives.
    pub(crate) fn get(&self, path: &str) -> (String, String) {
        self.ask("GET", path, "", "")
    }

    /// Publishes, and says the status.
    pub(crate) fn publish(&self, path: &str, headers: &str, data: &str) -> u16 {
        let (head, _) = self.ask("POST", path, headers, data);
        head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
    }

    /// Subscribes, and waits for the open block.
    pub(crate) fn subscribe(&self, path: &str) -> Subscriber {
        let mut stream = self.connect();
        let address = self.address;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
        let mut subscriber = Subscriber { stream, seen: String::new() };
        let id = subscriber.sees("\nid: ");
        // The head and the open block are over; what came with them is not.
        let rest = subscriber.seen.split_once(&id).map(|(_, rest)| rest.to_owned());
        subscriber.seen = rest.unwrap_or_default();
        subscriber
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(id.unwrap(), signal).unwrap();
    }

    /// Waits for its end, which must come.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("the hub goes on")
    }

    /// Asks it to stop; it must end well.
    pub(crate) fn stop(mut self) {
        self.signal(Signal::TERM);
        assert_eq!(self.ended().code(), Some(0));
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // It has ended already if these fail.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection on which a stream arrives.
pub(crate) struct Subscriber {
    stream: TcpStream,
    /// Everything since the open block, with the framing of HTTP.
    pub(crate) seen: String,
}

impl Subscriber {
    /// Waits until this has arrived, and gives the rest of its line.
    pub(crate) fn sees(&mut self, what: &str) -> String {
        loop {
            let found = self.seen.split_once(what).and_then(|(_, rest)| rest.split_once('\n'));
            if let Some((rest, _)) = found {
                return rest.trim_end().to_owned();
            }
            assert!(self.read() > 0, "the stream ended without {what:?}: {:?}", self.seen);
        }
    }

    /// Reads on to the stream's end.
    pub(crate) fn until_the_end(mut self) -> String {
        while self.read() > 0 {}
        self.seen
    }

    fn read(&mut self) -> usize {
        let mut piece = [0; 4096];
        let read = self.stream.read(&mut piece).expect("something arrives in time, or the end");
        self.seen += &String::from_utf8_lossy(&piece[..read]);
        read
    }
}
