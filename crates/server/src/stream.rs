//! A subscription as its connection sees it: a stream of blocks, fed by a shard.

use std::pin::Pin;
use std::sync::Mutex;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_util::Stream;
use headwater_hub::{Accepted, Block, BlockKind, Key, Resume};
use headwater_log::Position;

use crate::opened::{Attached, Listening, Seat};
use crate::shard::{Command, Inbox};

/// The blocks of one subscription. Dropping it frees the subscriber at once.
///
/// A block is made only when the connection asks for one, so that a stalled connection holds nothing
/// here but its place in the log.
pub struct EventStream {
    slot: Arc<Slot>,
    inbox: Inbox,
    resume: Resume,
    position: Position,
    _held: (Seat, Listening, Attached),
}

/// Where a shard and a connection meet.
#[derive(Default)]
pub(crate) struct Slot {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The subscriber's name, once the shard has taken it in.
    key: Option<Key>,
    block: Option<Block>,
    /// Of the connection, which waits for a block.
    waker: Option<Waker>,
    /// The shard has something that did not fit.
    wanted: bool,
    /// The shard has let go.
    ended: bool,
    /// The connection has let go.
    dropped: bool,
}

impl EventStream {
    pub(crate) fn new(
        slot: Arc<Slot>,
        inbox: Inbox,
        (resume, position): (Resume, Position),
        held: (Seat, Listening, Attached),
    ) -> Self {
        Self { slot, inbox, resume, position, _held: held }
    }

    /// How the stream relates to where its subscriber was, as far as is known when it opens.
    #[must_use]
    pub fn resume(&self) -> Resume {
        self.resume
    }

    /// Everything up to here that the subscription wants has been handed out.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }
}

impl Stream for EventStream {
    type Item = Block;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Block>> {
        let mut state = self.slot.state();
        if let Some(block) = state.block.take() {
            drop(state);
            self.position = block.position;
            return Poll::Ready(Some(block));
        }
        if state.ended {
            return Poll::Ready(None);
        }
        state.waker = Some(context.waker().clone());
        if std::mem::take(&mut state.wanted)
            && let Some(key) = state.key
        {
            drop(state);
            self.inbox.send(Command::Writable(key));
        }
        Poll::Pending
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        let mut state = self.slot.state();
        state.dropped = true;
        let key = state.key.filter(|_| !state.ended);
        drop(state);
        if let Some(key) = key {
            self.inbox.send(Command::Gone(key));
        }
    }
}

impl Slot {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names the subscriber, unless its connection is gone already.
    pub(crate) fn take_in(&self, subscribe: impl FnOnce() -> Key) -> Option<Key> {
        let mut state = self.state();
        if state.dropped {
            return None;
        }
        let key = subscribe();
        state.key = Some(key);
        Some(key)
    }

    /// Takes a block if the connection waits for one, all of it or nothing.
    pub(crate) fn offer(&self, block: &Block) -> Accepted {
        let mut state = self.state();
        if state.dropped {
            return Accepted::Closed;
        }
        // Without a waker the connection is not asking: its socket may be full, and a block that waited
        // here would be a copy held for a stalled subscriber.
        match state.waker.take() {
            Some(waker) => {
                state.block = Some(block.clone());
                drop(state);
                waker.wake();
                Accepted::Bytes(block.bytes.len())
            }
            // The stream ends with this one: it costs nothing to hold, and nothing follows it.
            None if block.kind == BlockKind::End && state.block.is_none() => {
                state.block = Some(block.clone());
                Accepted::Bytes(block.bytes.len())
            }
            None => {
                state.wanted = true;
                Accepted::Bytes(0)
            }
        }
    }

    /// Ends the stream after what it holds.
    pub(crate) fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
