//! Where a shard's blocks go: sockets of its own, and bodies that others send.

use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;

use headwater_hub::{Accepted, Block, Close, Key, Sink};
use mio::Token;
use mio::net::TcpStream;
use socket2::SockRef;

use super::sockets::{Ready, Sockets};
use crate::stream::Slot;

/// Where one subscriber's blocks go.
pub(crate) enum Outlet {
    /// To a socket that the shard has for itself.
    Socket(Socket),
    /// To whoever polls a body.
    Body(Arc<Slot>),
}

/// A connection that is nothing but a stream from here on.
///
/// The response has no length and no chunks: it ends when the connection does (RFC 9112, 6.3, rule 8),
/// so that a run is sent as it is. It lies in the list of outlets itself, which is what a delivery to very
/// many subscribers waits for.
pub(crate) struct Socket {
    stream: TcpStream,
    /// The response's head, which leaves with the first block.
    head: Box<[u8]>,
    /// The socket took less than all, and says when it takes more.
    full: bool,
    /// Bytes that the client sent after its request: they mean nothing.
    unasked: u32,
    /// What is counted as long as the connection lasts.
    _held: Box<dyn Send>,
}

/// A client that goes on talking on a connection that only listens is cut off.
const UNASKED_BYTES_MAX: u32 = 16 << 10;

impl Socket {
    /// A socket that waits for nothing, with the head of the response that is to be sent on it.
    pub(crate) fn new(stream: std::net::TcpStream, head: Box<[u8]>, held: Box<dyn Send>) -> Self {
        let stream = TcpStream::from_std(stream);
        Self { stream, head, full: false, unasked: 0, _held: held }
    }

    /// Sends as much as the socket takes.
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let sent = if self.head.is_empty() {
                self.stream.write(bytes)
            } else {
                self.stream.write_vectored(&[IoSlice::new(&self.head), IoSlice::new(bytes)])
            };
            return match sent {
                Ok(sent) if self.head.is_empty() => Ok(sent),
                // A fresh socket takes far more than a head.
                Ok(sent) if sent < self.head.len() => Err(ErrorKind::WriteZero.into()),
                Ok(sent) => Ok(sent - std::mem::take(&mut self.head).len()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock && self.head.is_empty() => {
                    Ok(0)
                }
                Err(error) => Err(error),
            };
        }
    }

    /// Sends the head alone, because no first block follows at once.
    fn send_head(&mut self) -> io::Result<()> {
        let sent = self.stream.write(&self.head)?;
        if sent < self.head.len() {
            return Err(ErrorKind::WriteZero.into());
        }
        self.head = Box::default();
        Ok(())
    }

    /// Reads what there is, which means nothing; whether the client is still there.
    fn is_open(&mut self, scratch: &mut [u8]) -> bool {
        loop {
            match self.stream.read(scratch) {
                Ok(0) => return false,
                Ok(read) => {
                    // It is read piece by piece.
                    self.unasked += u32::try_from(read).unwrap_or(u32::MAX / 2);
                    if self.unasked > UNASKED_BYTES_MAX {
                        return false;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }
}

/// The outlets of a shard's subscribers, by slot.
pub(super) struct Outlets {
    pub(super) sockets: Sockets,
    outlets: Vec<Option<(Key, Outlet)>>,
    scratch: Box<[u8]>,
}

impl Outlets {
    /// None yet. Call it inside the runtime that is to watch their sockets.
    pub(super) fn new() -> io::Result<Self> {
        let sockets = Sockets::new()?;
        Ok(Self { sockets, outlets: Vec::new(), scratch: vec![0; 4096].into() })
    }

    /// Takes in a subscriber's outlet. `greeted` says that its first block follows at once.
    ///
    /// # Errors
    /// If its socket is of no use.
    pub(super) fn insert(&mut self, key: Key, mut outlet: Outlet, greeted: bool) -> io::Result<()> {
        if let Outlet::Socket(socket) = &mut outlet {
            let token = Token(key.slot());
            self.sockets.register(&mut socket.stream, token)?;
            if !greeted {
                socket.send_head()?;
            }
        }
        if self.outlets.len() <= key.slot() {
            self.outlets.resize_with(key.slot() + 1, || None);
        }
        if let Some(place) = self.outlets.get_mut(key.slot()) {
            *place = Some((key, outlet));
        }
        Ok(())
    }

    fn find(&mut self, key: Key) -> Option<&mut Outlet> {
        let (own, outlet) = self.outlets.get_mut(key.slot())?.as_mut()?;
        (*own == key).then_some(outlet)
    }

    fn take(&mut self, key: Key) -> Option<Outlet> {
        self.find(key)?;
        let (_, outlet) = self.outlets.get_mut(key.slot())?.take()?;
        Some(outlet)
    }

    /// A subscriber's connection is gone.
    pub(super) fn remove(&mut self, key: Key) {
        drop(self.take(key));
    }

    /// The shard has let a subscriber go.
    pub(super) fn close(&mut self, key: Key, reason: Close) {
        match self.take(key) {
            Some(Outlet::Socket(mut socket)) => {
                if reason == Close::Stalled {
                    // Without it the system would go on offering for minutes what nobody takes.
                    let _ =
                        SockRef::from(&socket.stream).set_linger(Some(std::time::Duration::ZERO));
                    return;
                }
                // A socket that is closed with bytes unread resets the connection, and the last block
                // might be lost with it.
                let _ = socket.stream.shutdown(Shutdown::Write);
                let _ = socket.is_open(&mut self.scratch);
            }
            Some(Outlet::Body(slot)) => slot.end(),
            None => {}
        }
    }

    /// The other end of a subscriber's connection, if it has one for itself.
    pub(super) fn peer(&self, key: Key) -> Option<SocketAddr> {
        match self.outlets.get(key.slot())? {
            Some((own, Outlet::Socket(socket))) if *own == key => socket.stream.peer_addr().ok(),
            _ => None,
        }
    }

    /// What became of the socket in a slot.
    pub(super) fn event(&mut self, ready: &Ready) -> Option<Event> {
        let (key, outlet) = self.outlets.get_mut(ready.token)?.as_mut()?;
        let Outlet::Socket(socket) = outlet else { return None };
        if ready.readable && !socket.is_open(&mut self.scratch) {
            return Some(Event::Gone(*key));
        }
        (ready.writable && socket.full).then_some(Event::Writable(*key))
    }
}

/// What happened at a socket.
pub(super) enum Event {
    Gone(Key),
    Writable(Key),
}

impl Sink for Outlets {
    fn send(&mut self, key: Key, block: &Block) -> Accepted {
        let outlet = self.outlets.get_mut(key.slot()).and_then(Option::as_mut);
        let Some((_, outlet)) = outlet.filter(|(own, _)| *own == key) else {
            return Accepted::Closed;
        };
        let socket = match outlet {
            Outlet::Body(slot) => return slot.offer(block),
            Outlet::Socket(socket) => socket,
        };
        let Ok(sent) = socket.send(&block.bytes) else { return Accepted::Closed };
        let full = sent < block.bytes.len();
        if full != socket.full || full {
            // Asked for each time that something is left: the event comes once.
            if self.sockets.watch(&mut socket.stream, Token(key.slot()), full).is_err() {
                return Accepted::Closed;
            }
            socket.full = full;
        }
        Accepted::Bytes(sent)
    }
}
