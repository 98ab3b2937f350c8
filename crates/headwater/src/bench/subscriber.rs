//! A subscriber: its connection, what it has read of the answer, what it has received.

use std::io::{self, Read, Write};
use std::mem;

use anyhow::{Result, anyhow};
use headwater_event_stream::{Decoder, Event, Item, Limits};
use mio::event::Event as Readiness;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::payload::Marker;
use super::plan::Plan;
use super::response::{Body, Head};
use super::sequence::{Arrival, Sequence};
use super::shared::Shared;
use super::socket::Dialer;

/// Takes about 400 bytes while connected.
#[derive(Debug)]
pub(crate) struct Subscriber {
    number: usize,
    stream: Option<TcpStream>,
    phase: Phase,
    /// Does not read once the answer's head is there.
    stalled: bool,
    decoder: Decoder,
    /// What has arrived; `None` before it was ever subscribed.
    sequence: Option<Sequence>,
    /// When its connection was begun.
    since_ns: u64,
    /// What the server told it to wait before it reconnects.
    retry_ms: u64,
}

#[derive(Debug)]
enum Phase {
    Away,
    Connecting,
    /// The request is sent; what has come of the answer's head.
    Head(Vec<u8>),
    Streaming(Body),
}

/// What has become of a subscriber that was ready.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Nothing that concerns others.
    Same,
    /// It is subscribed from now on.
    Opened,
    /// It was subscribed, and its stream ended.
    Ended,
    /// It could not be subscribed.
    Failed(anyhow::Error),
}

/// What waits to be read at a subscriber that stalls: the system's smallest.
const STALLED_RECEIVE_BYTES: usize = 1;
/// Before a server says otherwise.
const RETRY_MS: u64 = 1000;
const RETRY_MS_MAX: u64 = 60_000;

impl Subscriber {
    pub(crate) fn new(number: usize, plan: &Plan) -> Self {
        let bytes_max = 2 * plan.size + (1 << 16);
        let limits = Limits { line_bytes_max: bytes_max, event_bytes_max: bytes_max };
        Self {
            number,
            stream: None,
            phase: Phase::Away,
            stalled: number >= plan.subscribers,
            decoder: Decoder::with_limits(limits),
            sequence: None,
            since_ns: 0,
            retry_ms: RETRY_MS,
        }
    }

    /// Begins to connect.
    pub(crate) fn dial(
        &mut self,
        dialer: &mut Dialer,
        registry: &Registry,
        now_ns: u64,
    ) -> io::Result<()> {
        let receive_bytes = if self.stalled { STALLED_RECEIVE_BYTES } else { 0 };
        let mut stream = dialer.dial(receive_bytes)?;
        registry.register(
            &mut stream,
            Token(self.number),
            Interest::READABLE | Interest::WRITABLE,
        )?;
        self.decoder.reset();
        (self.stream, self.phase, self.since_ns) = (Some(stream), Phase::Connecting, now_ns);
        Ok(())
    }

    /// Drops the connection. What it has received stays known, for when it comes back.
    pub(crate) fn hang_up(&mut self) {
        (self.stream, self.phase) = (None, Phase::Away);
    }

    /// Becomes somebody else, who has received nothing yet.
    pub(crate) fn forget(&mut self) {
        self.hang_up();
        self.decoder.set_last_event_id("");
        (self.sequence, self.retry_ms) = (None, RETRY_MS);
    }

    /// Whether its answer's head has come and its stream has not ended.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Streaming(_))
    }

    /// Whether it reads what comes.
    pub(crate) fn reads(&self) -> bool {
        !self.stalled
    }

    /// How many of `published` events of its topic have not come.
    pub(crate) fn missing(&self, published: u32) -> u32 {
        self.sequence.map_or(0, |sequence| sequence.missing(published))
    }

    /// How long to wait before it reconnects, in nanoseconds.
    pub(crate) fn retry_ns(&self) -> u64 {
        self.retry_ms.min(RETRY_MS_MAX) * 1_000_000
    }

    /// Handles its socket's readiness.
    pub(crate) fn ready(&mut self, event: &Readiness, shared: &mut Shared<'_>) -> Outcome {
        let was_open = self.is_open();
        match self.advance(event, shared) {
            Ok(()) if !was_open && self.is_open() => Outcome::Opened,
            Ok(()) => Outcome::Same,
            Err(error) => {
                self.hang_up();
                if was_open { Outcome::Ended } else { Outcome::Failed(error) }
            }
        }
    }

    /// Whether a subscriber that does not read has been cut off: it reads now, to see the end.
    pub(crate) fn was_cut_off(&mut self, shared: &mut Shared<'_>) -> bool {
        let Some(stream) = &mut self.stream else { return true };
        loop {
            match stream.read(&mut shared.scratch) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
            }
        }
    }

    fn advance(&mut self, event: &Readiness, shared: &mut Shared<'_>) -> Result<()> {
        if matches!(self.phase, Phase::Connecting) && (event.is_writable() || event.is_error()) {
            self.ask(shared)?;
        }
        let readable = event.is_readable() || event.is_read_closed() || event.is_error();
        if !readable || matches!(self.phase, Phase::Away | Phase::Connecting) {
            return Ok(());
        }
        loop {
            if self.stalled && self.is_open() {
                return Ok(());
            }
            let Some(stream) = &mut self.stream else { return Ok(()) };
            let mut scratch = mem::take(&mut shared.scratch);
            let read = stream.read(&mut scratch);
            let taken = match &read {
                Ok(count) => self.take(scratch.get(..*count).unwrap_or_default(), shared),
                Err(_) => Ok(()),
            };
            let whole = read.as_ref().is_ok_and(|count| *count == scratch.len());
            shared.scratch = scratch;
            taken?;
            match read {
                Ok(0) => return Err(anyhow!("the server closed the connection")),
                // A read that leaves room has taken everything (epoll(7)), unless the end is there too.
                Ok(_) if !whole && !event.is_read_closed() => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    return Err(error.into());
                }
                _ => {}
            }
        }
    }

    /// Sends the request on a connection that is open now.
    fn ask(&mut self, shared: &Shared<'_>) -> Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        if let Some(error) = stream.take_error()? {
            return Err(error.into());
        }
        let request = shared.plan.subscribe_request(self.number, self.decoder.last_event_id());
        // A new connection's buffer has room for it.
        stream.write_all(&request)?;
        self.phase = Phase::Head(Vec::new());
        Ok(())
    }

    /// Takes bytes as they were read.
    fn take(&mut self, bytes: &[u8], shared: &mut Shared<'_>) -> Result<()> {
        shared.tally.bytes += bytes.len() as u64;
        let Phase::Head(begun) = &mut self.phase else { return self.take_body(bytes, shared) };
        // The head nearly always comes in one piece.
        let mut begun = mem::take(begun);
        let all = if begun.is_empty() {
            bytes
        } else {
            begun.extend(bytes);
            begun.as_slice()
        };
        let Some((head, length)) = Head::parse(all)? else {
            self.phase = Phase::Head(if begun.is_empty() { bytes.to_vec() } else { begun });
            return Ok(());
        };
        let (_, rest) = all.split_at(length.min(all.len()));
        check(&head, rest)?;
        self.phase = Phase::Streaming(head.body);
        let published = shared.published(self.number);
        self.sequence.get_or_insert_with(|| Sequence::starting(published));
        shared.tally.connect.saturating_record(shared.now_ns().saturating_sub(self.since_ns));
        if self.stalled {
            return Ok(());
        }
        self.take_body(rest, shared)
    }

    fn take_body(&mut self, mut bytes: &[u8], shared: &mut Shared<'_>) -> Result<()> {
        let Phase::Streaming(body) = &mut self.phase else { return Ok(()) };
        let now_ns = shared.now_ns();
        while let Some(mut stretch) = body.next(&mut bytes)? {
            while let Some(item) = self.decoder.decode(&mut stretch)? {
                match item {
                    Item::Event(event) => {
                        receive(self.number, self.sequence.as_mut(), event, now_ns, shared);
                    }
                    Item::Retry(ms) => self.retry_ms = ms,
                    Item::Comment(_) => {}
                }
            }
        }
        if body.is_over() {
            return Err(anyhow!("the server ended the stream"));
        }
        Ok(())
    }
}

/// Whether an answer's head begins an event stream.
fn check(head: &Head, rest: &[u8]) -> Result<()> {
    if head.status != 200 {
        let said = String::from_utf8_lossy(rest);
        let said: String = said.trim().chars().take(300).collect();
        return Err(anyhow!("the server answered {}: {said}", head.status));
    }
    let kind = head.content_type.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("text/event-stream") {
        return Err(anyhow!(
            "the answer is no event stream but {kind:?}: is the path of --url right?"
        ));
    }
    Ok(())
}

/// Accounts for what an event carries.
fn receive(
    number: usize,
    sequence: Option<&mut Sequence>,
    event: Event<'_>,
    now_ns: u64,
    shared: &mut Shared<'_>,
) {
    if event.event_type == "hub.gap" {
        shared.tally.faults.gaps += 1;
    }
    let Some(sequence) = sequence else { return };
    for marker in Marker::all(event.data).filter(|marker| marker.run == shared.plan.run) {
        if marker.topic as usize == shared.plan.topic_of(number) {
            account(number, sequence, &marker, now_ns, shared);
        } else {
            shared.tally.faults.misdelivered += 1;
        }
    }
}

fn account(
    number: usize,
    sequence: &mut Sequence,
    marker: &Marker,
    now_ns: u64,
    shared: &mut Shared<'_>,
) {
    match sequence.take(shared.place(marker)) {
        Arrival::New { skipped } => shared.tally.faults.lost += u64::from(skipped),
        Arrival::Late => {
            shared.tally.faults.lost = shared.tally.faults.lost.saturating_sub(1);
            shared.tally.faults.reordered += 1;
        }
        Arrival::Duplicate => {
            shared.tally.faults.duplicates += 1;
            return;
        }
    }
    shared.tally.deliver(marker.intended_ns, now_ns);
    shared.arrive(marker);
    if let Some(from_ns) = shared.tally.storm_from_ns
        && sequence.missing(shared.published(number)) == 0
    {
        shared.tally.catch_up.saturating_record(now_ns.saturating_sub(from_ns));
    }
}
