//! What becomes of the sockets of a shard: an epoll instance of their own, which the thread's runtime
//! watches as one descriptor, so that a socket costs nothing here but its place in the kernel.

use std::io::{self, ErrorKind};
use std::time::Duration;

use mio::event::Source;
use mio::{Events, Interest, Poll, Token};
use tokio::io::unix::AsyncFd;

/// The sockets of a shard.
pub(super) struct Sockets {
    poll: AsyncFd<Poll>,
    events: Events,
}

/// What became of a socket.
pub(super) struct Ready {
    /// What it was registered as.
    pub(super) token: usize,
    /// It has bytes, or its end.
    pub(super) readable: bool,
    /// It takes bytes again.
    pub(super) writable: bool,
}

const EVENTS_MAX: usize = 1024;

impl Sockets {
    /// None yet. Call it inside the runtime that is to watch them.
    #[expect(
        deprecated,
        reason = "what takes its place is unsafe, for the sake of types that give their descriptor away; \
                  a Poll keeps its own as long as it lives"
    )]
    pub(super) fn new() -> io::Result<Self> {
        let poll = AsyncFd::with_interest(Poll::new()?, tokio::io::Interest::READABLE)?;
        Ok(Self { poll, events: Events::with_capacity(EVENTS_MAX) })
    }

    pub(super) fn register(&self, source: &mut impl Source, token: Token) -> io::Result<()> {
        self.poll.get_ref().registry().register(source, token, Interest::READABLE)
    }

    /// Asks for when the socket takes bytes again, or no longer. Asked anew, it is told anew.
    pub(super) fn watch(
        &self,
        source: &mut impl Source,
        token: Token,
        writable: bool,
    ) -> io::Result<()> {
        let interest =
            if writable { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        self.poll.get_ref().registry().reregister(source, token, interest)
    }

    /// Is over when something may have become of one of them.
    pub(super) async fn ready(&self) {
        if let Err(error) = self.poll.readable().await {
            // The runtime is on its way out: there is nothing to wait for.
            tracing::debug!(%error, "a shard no longer waits for its sockets");
            std::future::pending().await
        }
    }

    /// What became of some of them. Without a call to the system if nothing has.
    pub(super) fn take(&mut self) -> Vec<Ready> {
        let events = &mut self.events;
        let mut ready = Vec::new();
        let taken = self.poll.try_io_mut(tokio::io::Interest::READABLE, |poll| {
            poll.poll(events, Some(Duration::ZERO))?;
            ready.extend(events.iter().map(|event| Ready {
                token: event.token().0,
                readable: event.is_readable() || event.is_read_closed() || event.is_error(),
                writable: event.is_writable(),
            }));
            // With fewer than there is room for, these were all: the descriptor is waited for again.
            if ready.len() < EVENTS_MAX { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        match taken {
            Err(error)
                if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                tracing::error!(%error, "a shard cannot tell what became of its sockets");
            }
            _ => {}
        }
        ready
    }
}
