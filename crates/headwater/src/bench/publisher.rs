//! Publishers: connections that each carry one request at a time.

use std::io::{self, Read, Write};
use std::mem;

use anyhow::{Context, Result, anyhow, bail};
use mio::event::Event as Readiness;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::payload::Marker;
use super::response::{Body, Head};
use super::shared::Shared;
use super::socket::Dialer;

/// All publishers of a run.
#[derive(Debug)]
pub(crate) struct Publishers {
    all: Vec<Publisher>,
    /// The token of the first.
    first: usize,
    /// Those that could send now.
    idle: Vec<usize>,
    dialer: Dialer,
    /// Publishes that were answered with success.
    pub(crate) accepted: u64,
    /// What the first refusal said.
    refusal: Option<String>,
}

#[derive(Debug, Default)]
struct Publisher {
    stream: Option<TcpStream>,
    /// A request is under way, or the connection is being opened.
    busy: bool,
    connected: bool,
    /// What of the request the socket has not taken.
    rest: Vec<u8>,
    /// What has come of the answer: its head's bytes until that is complete.
    answer: Vec<u8>,
    head: Option<Head>,
    said: Vec<u8>,
    sent_ns: u64,
}

/// How much of a refusal's text is kept.
const SAID_BYTES_MAX: usize = 300;

impl Publishers {
    /// None is connected yet. `first` is the token of the first of them.
    pub(crate) fn new(shared: &Shared<'_>, first: usize) -> Self {
        let dialer = Dialer::new(shared.plan.publish.address, shared.plan.publishers);
        Self { all: Vec::new(), first, idle: Vec::new(), dialer, accepted: 0, refusal: None }
    }

    /// Begins to open every connection.
    pub(crate) fn dial_all(&mut self, count: usize, registry: &Registry) -> Result<()> {
        self.all.resize_with(count, Publisher::default);
        (0..count).try_for_each(|index| self.dial(index, registry))
    }

    /// Whether a publish could be sent now.
    pub(crate) fn has_idle(&self) -> bool {
        !self.idle.is_empty()
    }

    /// Whether every publish has been answered, and every connection is open.
    pub(crate) fn all_idle(&self) -> bool {
        self.idle.len() == self.all.len()
    }

    /// Sends a publish over an idle connection.
    pub(crate) fn send(&mut self, marker: &Marker, shared: &Shared<'_>) -> Result<()> {
        let index = self.idle.pop().context("no publisher is idle")?;
        let publisher = self.all.get_mut(index).context("no such publisher")?;
        publisher.rest = shared.plan.publish_request(marker);
        publisher.busy = true;
        publisher.sent_ns = shared.now_ns();
        // A connection that broke is noticed when it is read.
        let _ = publisher.flush();
        Ok(())
    }

    /// Handles a socket's readiness.
    ///
    /// # Errors
    /// If there is no getting through to the server, or it refuses the first publish.
    pub(crate) fn ready(
        &mut self,
        event: &Readiness,
        registry: &Registry,
        shared: &mut Shared<'_>,
    ) -> Result<()> {
        let index = event.token().0.saturating_sub(self.first);
        let Some(publisher) = self.all.get_mut(index) else { return Ok(()) };
        let was_busy = publisher.busy;
        match publisher.advance(event, shared) {
            Ok(None) => {}
            Ok(Some(head)) => {
                shared.tally.answer.saturating_record(shared.now_ns() - publisher.sent_ns);
                let said = mem::take(&mut publisher.said);
                self.account(head.status, &said, shared)?;
                if head.keep_alive && !event.is_read_closed() {
                    self.idle.push(index);
                } else {
                    self.dial(index, registry)?;
                }
            }
            Err(error) if !publisher.connected => {
                let address = self.dialer.address();
                return Err(error.context(format!("cannot connect to {address} to publish")));
            }
            Err(error) => {
                self.idle.retain(|idle| *idle != index);
                if was_busy {
                    shared.tally.faults.refused += 1;
                    self.refusal.get_or_insert_with(|| format!("no answer: {error:#}"));
                }
                self.dial(index, registry)?;
            }
        }
        let Some(publisher) = self.all.get_mut(index) else { return Ok(()) };
        if publisher.connected && !publisher.busy && !self.idle.contains(&index) {
            self.idle.push(index);
        }
        Ok(())
    }

    fn account(&mut self, status: u16, said: &[u8], shared: &mut Shared<'_>) -> Result<()> {
        if (200..300).contains(&status) {
            self.accepted += 1;
            return Ok(());
        }
        shared.tally.faults.refused += 1;
        let said = String::from_utf8_lossy(said);
        let text = format!("{status}: {}", said.trim());
        if self.accepted == 0 {
            bail!(
                "the server refuses to publish: {text} (see --publish-url, --publish-method, \
                 --publish-body, --publish-header and --token)"
            );
        }
        self.refusal.get_or_insert(text);
        Ok(())
    }

    /// What the first refusal said.
    pub(crate) fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    fn dial(&mut self, index: usize, registry: &Registry) -> Result<()> {
        let address = self.dialer.address();
        let dialed = self.dialer.dial(0);
        let mut stream =
            dialed.with_context(|| format!("cannot connect to {address} to publish"))?;
        let token = Token(self.first + index);
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        if let Some(publisher) = self.all.get_mut(index) {
            let stream = Some(stream);
            *publisher = Publisher { stream, busy: true, ..Publisher::default() };
        }
        Ok(())
    }
}

impl Publisher {
    /// Writes and reads what it can; the head of an answer that is complete.
    fn advance(&mut self, event: &Readiness, shared: &mut Shared<'_>) -> Result<Option<Head>> {
        if !self.connected {
            let Some(stream) = &mut self.stream else { return Ok(None) };
            if let Some(error) = stream.take_error()? {
                return Err(error.into());
            }
            if !event.is_writable() {
                return Ok(None);
            }
            (self.connected, self.busy) = (true, false);
            return Ok(None);
        }
        if event.is_writable() {
            self.flush()?;
        }
        if !event.is_readable() && !event.is_read_closed() && !event.is_error() {
            return Ok(None);
        }
        loop {
            let Some(stream) = &mut self.stream else { return Ok(None) };
            match stream.read(&mut shared.scratch) {
                Ok(0) => return self.end(),
                Ok(count) => {
                    let bytes = shared.scratch.get(..count).unwrap_or_default();
                    if let Some(head) = self.take(bytes)? {
                        return Ok(Some(head));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        while !self.rest.is_empty() {
            match stream.write(&self.rest) {
                Ok(count) if count == self.rest.len() => self.rest.clear(),
                Ok(count) => drop(self.rest.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) -> Result<Option<Head>> {
        let mut rest = bytes;
        if self.head.is_none() {
            self.answer.extend(bytes);
            let Some((head, length)) = Head::parse(&self.answer)? else { return Ok(None) };
            let before = self.answer.len() - bytes.len();
            rest = bytes.get(length.saturating_sub(before)..).unwrap_or_default();
            self.answer.clear();
            self.head = Some(head);
        }
        let Some(head) = &mut self.head else { return Ok(None) };
        while let Some(stretch) = head.body.next(&mut rest)? {
            let room = SAID_BYTES_MAX.saturating_sub(self.said.len()).min(stretch.len());
            self.said.extend(stretch.get(..room).unwrap_or_default());
        }
        if !head.body.is_over() {
            return Ok(None);
        }
        self.busy = false;
        Ok(self.head.take())
    }

    /// The connection's end, which may be the answer's too.
    fn end(&mut self) -> Result<Option<Head>> {
        match self.head.take() {
            Some(head) if head.body == Body::UntilEnd => {
                Ok(Some(Head { keep_alive: false, ..head }))
            }
            _ => Err(anyhow!("the server closed the connection")),
        }
    }
}
