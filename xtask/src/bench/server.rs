//! A server under measurement: started on its own processor, stopped by its own id.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::measure::without_settings;
use super::peers::{Peer, Ready};

/// Running; stopped when dropped.
pub(crate) struct Server {
    /// The last is the one that is measured.
    children: Vec<Child>,
    port: u16,
    publish_port: u16,
    folder: PathBuf,
}

const PATIENCE: Duration = Duration::from_secs(20);

/// A command on one processor, with as many files as may be open.
pub(crate) fn pinned(core: usize) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n \"$(ulimit -Hn)\"; exec taskset -c \"$0\" \"$@\""]);
    command.arg(core.to_string());
    command
}

impl Server {
    /// Starts it in an empty folder and waits until it accepts connections.
    pub(crate) fn start(peer: Peer, ready: &Ready, core: usize, topics: usize) -> Result<Self> {
        let (port, publish_port, other_port) = (free_port()?, free_port()?, free_port()?);
        let folder = std::env::temp_dir().join(format!("headwater-bench-{port}"));
        std::fs::create_dir_all(&folder)?;
        let mut server = Self { children: Vec::new(), port, publish_port, folder };
        let ports = [port, publish_port, other_port];
        for words in peer.commands(ready, &ports, &server.folder)? {
            let log = File::create(server.folder.join(format!("{}.out", server.children.len())))?;
            let mut command = pinned(core);
            command.args(&words).current_dir(&server.folder).stdin(Stdio::null());
            without_settings(&mut command);
            command.envs(peer.environment());
            command.stdout(log.try_clone()?).stderr(log);
            let child = command.spawn();
            server.children.push(child.with_context(|| format!("cannot start {}", peer.name()))?);
        }
        server.wait_until_it_listens(peer)?;
        for topic in 0..topics {
            if let Some(request) = peer.create_request(topic, port) {
                server.ask(&request)?;
            }
        }
        Ok(server)
    }

    /// The process that is measured, with its children.
    pub(crate) fn pid(&self) -> u32 {
        self.children.last().map_or(0, Child::id)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn publish_port(&self) -> u16 {
        self.publish_port
    }

    fn wait_until_it_listens(&mut self, peer: Peer) -> Result<()> {
        let (end, address) = (Instant::now() + PATIENCE, local(self.port));
        while TcpStream::connect(address).is_err() {
            let ended =
                self.children.iter_mut().any(|child| matches!(child.try_wait(), Ok(Some(_))));
            if ended || Instant::now() > end {
                let said = said(&self.folder);
                bail!("{} does not listen on {address}: {said}", peer.name());
            }
            sleep(Duration::from_millis(50));
        }
        // Pushpin's parts, and Node, are not all there when the port is.
        sleep(Duration::from_millis(500));
        Ok(())
    }

    fn ask(&self, request: &str) -> Result<()> {
        let mut socket = TcpStream::connect(local(self.port))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.write_all(request.as_bytes())?;
        let mut answer = [0; 12];
        socket.read_exact(&mut answer)?;
        ensure!(answer.starts_with(b"HTTP/1.1 2"), "the server refused {request:?}");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            // Asked first, because a master that is killed leaves its workers behind.
            let id = child.id().to_string();
            let _ = Command::new("kill").args(["-TERM", &id]).status();
            let end = Instant::now() + PATIENCE;
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < end {
                sleep(Duration::from_millis(20));
            }
            // Both fail if it has ended, as it should have.
            let _ = child.kill();
            let _ = child.wait();
        }
        // What is left of it is in the system's folder for such things.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The last words of whoever said something.
fn said(folder: &Path) -> String {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let outputs = files.filter(|file| file.path().extension().is_some_and(|end| end == "out"));
    let texts = outputs.filter_map(|file| std::fs::read_to_string(file.path()).ok());
    let last = |text: String| text.trim().lines().next_back().map(str::to_owned);
    texts.filter_map(last).collect::<Vec<_>>().join("; ")
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(local(0))?.local_addr()?.port())
}
