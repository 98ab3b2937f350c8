//! Waiting for sockets until a time that is finer than a millisecond, which is all that `epoll_wait` knows.

use std::io;
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};

/// A poll with a precise time-out.
#[derive(Debug)]
pub(crate) struct Timer {
    #[cfg(target_os = "linux")]
    clock: rustix::fd::OwnedFd,
}

#[cfg(target_os = "linux")]
impl Timer {
    /// Wakes `poll` up with this token, which means nothing else.
    pub(crate) fn new(poll: &Poll, token: Token) -> io::Result<Self> {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        use std::os::fd::AsRawFd;
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let clock = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let raw = clock.as_raw_fd();
        // Edge-triggered, and setting it again clears it: it is never read.
        poll.registry().register(&mut mio::unix::SourceFd(&raw), token, Interest::READABLE)?;
        Ok(Self { clock })
    }

    /// Waits for events, at most so long.
    pub(crate) fn wait(
        &self,
        poll: &mut Poll,
        events: &mut Events,
        most: Duration,
    ) -> io::Result<()> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
        // Whole milliseconds need no help, and a long wait not to the microsecond.
        if most.is_zero() || most > LONG {
            return poll.poll(events, Some(most));
        }
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value = Timespec { tv_sec: 0, tv_nsec: most.subsec_nanos().into() };
        let spec = Itimerspec { it_interval: zero, it_value: value };
        timerfd_settime(&self.clock, TimerfdTimerFlags::empty(), &spec)?;
        poll.poll(events, Some(most + LONG))
    }
}

#[cfg(target_os = "linux")]
const LONG: Duration = Duration::from_millis(50);

#[cfg(not(target_os = "linux"))]
impl Timer {
    /// Elsewhere the time-out is as fine as the system's poll.
    pub(crate) fn new(_: &Poll, _: Token) -> io::Result<Self> {
        Ok(Self {})
    }

    /// Waits for events, at most so long.
    pub(crate) fn wait(
        &self,
        poll: &mut Poll,
        events: &mut Events,
        most: Duration,
    ) -> io::Result<()> {
        poll.poll(events, Some(most))
    }
}
