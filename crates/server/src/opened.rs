//! A subscription that has been resolved, and not yet been given to its shard.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use headwater_hub::{Access, Opening, Resume, Subscription};
use tokio::sync::watch;

use crate::shard::{Arrival, Command, Outlet, ShardHandle, Socket};
use crate::stream::{EventStream, Slot};

/// A subscription, a place in the log, and a seat in a shard.
pub(crate) struct Opened {
    pub(crate) subscription: Subscription,
    pub(crate) opening: Opening,
    pub(crate) retry_ms: u64,
    pub(crate) shard: ShardHandle,
    pub(crate) seat: Seat,
    pub(crate) listening: Listening,
    /// What the subscriber showed, if that has a name.
    pub(crate) owner: Option<Arc<Access>>,
    pub(crate) attached: Attached,
}

/// What few subscribers have, and what ends with them.
pub(crate) type Attached = Option<Box<dyn Send + Sync>>;

/// What a subscriber takes up, and whom it is counted for; given back when dropped.
pub(crate) struct Seat {
    of_hub: Arc<AtomicUsize>,
    of_shard: Option<Arc<AtomicUsize>>,
}

impl Seat {
    /// One of so many.
    pub(crate) fn take(count: &Arc<AtomicUsize>, max: usize) -> Option<Self> {
        let seat = Self { of_hub: count.clone(), of_shard: None };
        (count.fetch_add(1, Ordering::Relaxed) < max).then_some(seat)
    }

    /// Which shard it is at.
    pub(crate) fn at(mut self, count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        self.of_shard = Some(count.clone());
        self
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.of_hub.fetch_sub(1, Ordering::Relaxed);
        if let Some(count) = &self.of_shard {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// The counts of listeners that a subscription is part of.
pub(crate) struct Listening(Box<[watch::Sender<usize>]>);

impl Listening {
    pub(crate) fn new(counts: Vec<watch::Sender<usize>>) -> Self {
        for count in &counts {
            count.send_modify(|count| *count += 1);
        }
        Self(counts.into())
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        for count in &self.0 {
            count.send_modify(|count| *count = count.saturating_sub(1));
        }
    }
}

impl Opened {
    /// How the stream relates to where its subscriber was, as far as is known when it opens.
    pub(crate) fn resume(&self) -> Resume {
        self.opening.resume
    }

    /// Its blocks, to be sent by whoever polls for them; `None` if the shard has stopped.
    pub(crate) fn into_stream(self) -> Option<EventStream> {
        let Self { subscription, opening, retry_ms, shard, seat, listening, owner, attached } =
            self;
        let slot = Arc::new(Slot::default());
        let place = (opening.resume, opening.told);
        let outlet = Outlet::Body(slot.clone());
        let arrival = Arrival { subscription, opening, retry_ms, outlet, owner };
        let sent = shard.inbox.send(Command::Subscribe(Box::new(arrival)));
        sent.then(|| EventStream::new(slot, shard.inbox, place, (seat, listening, attached)))
    }

    /// Gives the shard a socket to send on by itself, first the head of the response. `held` is what is
    /// counted as long as the connection lasts. If the shard has stopped, the connection is closed.
    pub(crate) fn hand_over(
        self,
        stream: std::net::TcpStream,
        head: Box<[u8]>,
        held: impl Send + 'static,
    ) {
        let Self { subscription, opening, retry_ms, shard, seat, listening, owner, attached } =
            self;
        // Who has nothing attached does not pay for it.
        let held: Box<dyn Send> = match attached {
            None => Box::new((held, seat, listening)),
            Some(attached) => Box::new((held, seat, listening, attached)),
        };
        let outlet = Outlet::Socket(Socket::new(stream, head, held));
        let arrival = Arrival { subscription, opening, retry_ms, outlet, owner };
        shard.inbox.send(Command::Subscribe(Box::new(arrival)));
    }
}
