//! The limit: one thread, one epoll, one `send` of a ready buffer for each subscriber, and nothing else.
//!
//! No ids, no resuming, no heartbeats; whoever does not keep up is cut off. What a real server adds to this
//! is what the comparison is about.

use std::collections::HashMap;
use std::io::Write;
use std::mem;
use std::net::TcpListener;
use std::os::fd::OwnedFd;

use anyhow::Result;
use headwater_bench_peers::address;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, listen, recv, send, sockopt};

fn main() -> Result<()> {
    let listener = TcpListener::bind(address()?)?;
    listener.set_nonblocking(true)?;
    listen(&listener, 4096)?;
    let mut server = Server {
        epoll: epoll::create(CreateFlags::CLOEXEC)?,
        connections: Vec::new(),
        free: Vec::new(),
        topics: HashMap::new(),
        request: Vec::new(),
        frame: Vec::new(),
    };
    epoll::add(&server.epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut ready = Vec::with_capacity(1024);
    loop {
        epoll::wait(&server.epoll, spare_capacity(&mut ready), None)?;
        for event in ready.drain(..) {
            match event.data.u64() {
                LISTENER => server.accept(&listener)?,
                slot => server.read(usize::try_from(slot)?),
            }
        }
    }
}

const LISTENER: u64 = u64::MAX;
const READ_BYTES: usize = 64 * 1024;
const NOT_SUBSCRIBED: u32 = u32::MAX;

struct Server {
    epoll: OwnedFd,
    /// By slot.
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    topics: HashMap<String, Vec<u32>>,
    /// What is being read.
    request: Vec<u8>,
    /// What is being sent.
    frame: Vec<u8>,
}

struct Connection {
    socket: OwnedFd,
    /// Where it stands in its topic's list.
    place: u32,
    /// A request that has not come whole.
    begun: Vec<u8>,
}

/// What a request asks for.
enum Asked {
    More,
    Subscribe(String),
    Publish(String, std::ops::Range<usize>),
    Nonsense,
}

impl Server {
    fn accept(&mut self, listener: &TcpListener) -> Result<()> {
        loop {
            let socket = match accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(socket) => socket,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::CONNABORTED) => continue,
                Err(error) => return Err(error.into()),
            };
            sockopt::set_tcp_nodelay(&socket, true)?;
            let slot = self.free.pop().unwrap_or(self.connections.len());
            if slot == self.connections.len() {
                self.connections.push(None);
            }
            let data = EventData::new_u64(slot as u64);
            epoll::add(&self.epoll, &socket, data, EventFlags::IN)?;
            self.connections[slot] =
                Some(Connection { socket, place: NOT_SUBSCRIBED, begun: Vec::new() });
        }
    }

    fn read(&mut self, slot: usize) {
        let Some(connection) = &mut self.connections[slot] else { return };
        let mut request = mem::take(&mut self.request);
        request.clear();
        request.append(&mut connection.begun);
        request.reserve(READ_BYTES);
        let received = recv(&connection.socket, spare_capacity(&mut request), RecvFlags::empty());
        let keep = match received {
            Ok((0, _)) => false,
            Ok(_) => self.answer(slot, &request),
            Err(Errno::AGAIN | Errno::INTR) => true,
            Err(_) => false,
        };
        self.request = request;
        if !keep {
            self.close(slot);
        }
    }

    /// Whether the connection goes on.
    fn answer(&mut self, slot: usize, mut request: &[u8]) -> bool {
        while !request.is_empty() {
            let (asked, length) = parse(request);
            let (this, rest) = request.split_at(length);
            let sent = match asked {
                Asked::More => {
                    let Some(connection) = &mut self.connections[slot] else { return false };
                    connection.begun = request.to_vec();
                    return true;
                }
                Asked::Nonsense => false,
                Asked::Subscribe(topic) => self.subscribe(slot, topic),
                Asked::Publish(topic, data) => {
                    self.publish(&topic, &this[data]);
                    self.send(slot, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                }
            };
            if !sent {
                return false;
            }
            request = rest;
        }
        true
    }

    fn subscribe(&mut self, slot: usize, topic: String) -> bool {
        let subscribers = self.topics.entry(topic).or_default();
        let Some(connection) = &mut self.connections[slot] else { return false };
        connection.place = u32::try_from(subscribers.len()).unwrap_or(NOT_SUBSCRIBED);
        subscribers.push(u32::try_from(slot).unwrap_or(NOT_SUBSCRIBED));
        self.send(
            slot,
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n\
              Transfer-Encoding: chunked\r\n\r\n",
        )
    }

    fn publish(&mut self, topic: &str, data: &[u8]) {
        let mut frame = mem::take(&mut self.frame);
        frame.clear();
        // Writing to a Vec cannot fail.
        let _ = write!(frame, "{:x}\r\ndata: ", "data: \n\n".len() + data.len());
        frame.extend(data);
        frame.extend(b"\n\n\r\n");
        let mut slow = Vec::new();
        for &slot in self.topics.get(topic).into_iter().flatten() {
            if !self.send(slot as usize, &frame) {
                slow.push(slot as usize);
            }
        }
        self.frame = frame;
        slow.into_iter().for_each(|slot| self.close(slot));
    }

    /// Whether the socket took all of it.
    fn send(&self, slot: usize, bytes: &[u8]) -> bool {
        let Some(connection) = &self.connections[slot] else { return true };
        send(&connection.socket, bytes, SendFlags::NOSIGNAL) == Ok(bytes.len())
    }

    fn close(&mut self, slot: usize) {
        let Some(connection) = self.connections[slot].take() else { return };
        self.free.push(slot);
        if connection.place == NOT_SUBSCRIBED {
            return;
        }
        // It is in one list only; which one is not kept, so that an idle connection costs less.
        let place = connection.place as usize;
        for subscribers in self.topics.values_mut() {
            if subscribers.get(place).is_some_and(|&other| other as usize == slot) {
                subscribers.swap_remove(place);
                if let Some(&moved) = subscribers.get(place)
                    && let Some(moved) = &mut self.connections[moved as usize]
                {
                    moved.place = connection.place;
                }
                return;
            }
        }
    }
}

/// The first request, and how long it is.
fn parse(request: &[u8]) -> (Asked, usize) {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Request::new(&mut headers);
    let begin = match head.parse(request) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return (Asked::More, 0),
        Err(_) => return (Asked::Nonsense, 0),
    };
    let Some(topic) = head.path.and_then(|path| path.strip_prefix("/events/")) else {
        return (Asked::Nonsense, begin);
    };
    if head.method == Some("GET") {
        return (Asked::Subscribe(topic.to_owned()), begin);
    }
    let length =
        head.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|header| str::from_utf8(header.value).ok()?.parse().ok());
    match begin + length.unwrap_or(0_usize) {
        end if end > request.len() => (Asked::More, 0),
        end => (Asked::Publish(topic.to_owned(), begin..end), end),
    }
}
