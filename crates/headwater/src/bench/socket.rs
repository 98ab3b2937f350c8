//! Opening connections: enough files, enough ports, and no waiting.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream as StdStream};

use anyhow::{Result, bail};
use mio::net::TcpStream;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};

/// Opens connections to one address, from as many source addresses as that takes.
#[derive(Debug)]
pub(crate) struct Dialer {
    to: SocketAddr,
    /// Loopback has 2^24 addresses, each with ports of its own; 1 means that the system chooses.
    sources: u32,
    opened: u32,
}

/// Connections from one source address. A port is not free again for a minute after its connection was
/// closed, and the usual range has 28,000.
const PER_SOURCE: usize = 12_000;
/// What else is open: the log, the terminal, the runtime, /proc.
const FILES_SPARE: u64 = 64;

impl Dialer {
    /// For about so many connections.
    pub(crate) fn new(to: SocketAddr, connections: usize) -> Self {
        let loopback = matches!(to.ip(), IpAddr::V4(ip) if ip.is_loopback());
        let sources =
            if loopback && cfg!(target_os = "linux") { connections / PER_SOURCE } else { 0 };
        Self { to, sources: u32::try_from(sources).unwrap_or(u32::MAX) + 1, opened: 0 }
    }

    /// Begins to open a connection; it is writable when it is open. A receive buffer of zero bytes is as
    /// large as the system likes.
    pub(crate) fn dial(&mut self, receive_bytes: usize) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(self.to), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if receive_bytes > 0 {
            socket.set_recv_buffer_size(receive_bytes)?;
        }
        if self.sources > 1 {
            let number = self.opened % self.sources;
            let source = Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + number);
            leave_port_open(&socket)?;
            socket.bind(&SocketAddr::from((source, 0)).into())?;
        }
        self.opened = self.opened.wrapping_add(1);
        match socket.connect(&self.to.into()) {
            Err(error) if !is_under_way(&error) => return Err(error),
            _ => {}
        }
        Ok(TcpStream::from_std(StdStream::from(socket)))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.to
    }
}

fn is_under_way(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
        || error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error())
}

/// Lets the port be chosen when it is known where to, so that it need not be free for everywhere.
#[cfg(target_os = "linux")]
fn leave_port_open(socket: &Socket) -> io::Result<()> {
    use nix::sys::socket::{setsockopt, sockopt::IpBindAddressNoPort};
    Ok(setsockopt(socket, IpBindAddressNoPort, &true)?)
}

#[cfg(not(target_os = "linux"))]
fn leave_port_open(_: &Socket) -> io::Result<()> {
    Ok(())
}

/// Makes sure that so many connections may be open at a time.
pub(crate) fn raise_file_limit(connections: usize) -> Result<()> {
    let needed = connections as u64 + FILES_SPARE;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    // The superuser may raise the hard limit too.
    let maximum = limit.maximum.map(|maximum| maximum.max(needed));
    let wanted = Rlimit { current: Some(needed), maximum };
    if setrlimit(Resource::Nofile, wanted).is_ok() {
        return Ok(());
    }
    let most = limit.maximum.unwrap_or(needed).saturating_sub(FILES_SPARE);
    bail!(
        "{connections} connections need {needed} open files, and the limit is {}: raise it \
         (`ulimit -Hn {needed}` as root, or LimitNOFILE= of a service), or ask for at most {most}",
        most + FILES_SPARE
    )
}
