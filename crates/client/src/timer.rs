//! The one timer of an event source.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

/// A timer that is set again only to fire earlier, or when it has fired: the deadline of a busy stream moves
/// on with every chunk.
#[derive(Default)]
pub(crate) struct Timer {
    /// When it fires, and what then does.
    set: Option<(Duration, Pin<Box<Sleep>>)>,
}

impl Timer {
    /// Ready when it has fired, possibly before `until`.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        now: Duration,
        until: Duration,
    ) -> Poll<()> {
        let set = self.set.take().filter(|(due, _)| now < *due && *due <= until);
        let new = || (until, Box::pin(sleep(until.saturating_sub(now))));
        let (_, sleep) = self.set.insert(set.unwrap_or_else(new));
        sleep.as_mut().poll(cx)
    }
}
