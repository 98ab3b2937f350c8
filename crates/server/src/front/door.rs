//! Who is let in: so many connections, so many of one address, so many a second.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::addresses::{Addresses, Place};
use crate::limits::Limits;
use crate::metrics::{Metrics, Open};

/// Lets connections in, or refuses them.
pub(super) struct Door {
    served: Arc<Semaphore>,
    refused: Arc<Semaphore>,
    rate: Rate,
}

/// So many connections are told that there is no room, at the same time; others are closed, upon which
/// pages come back by themselves too.
const REFUSED_MAX: usize = 256;

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    /// It is a proxy that is believed.
    pub(crate) trusted: bool,
    /// There is no room for it: whatever it asks for is refused.
    pub(crate) refused: Option<Full>,
}

/// Why there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    Connections,
    Address,
    Rate,
}

impl Full {
    /// The setting whose limit it is.
    pub(crate) fn setting(self) -> &'static str {
        match self {
            Self::Connections => "connections_max",
            Self::Address => "connections_per_address_max",
            Self::Rate => "accepts_per_second_max",
        }
    }

    /// What a request is told that is no subscription.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Address => StatusCode::TOO_MANY_REQUESTS,
            Self::Connections | Self::Rate => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(crate) fn detail(self) -> &'static str {
        match self {
            Self::Connections => {
                "the hub has as many connections as it may (connections_max): come back in a few seconds"
            }
            Self::Address => {
                "your address has as many connections or requests open as it may \
                 (connections_per_address_max): close some, or come back in a few seconds"
            }
            Self::Rate => {
                "more connections come at once than the hub takes (accepts_per_second_max): come back \
                 in a few seconds"
            }
        }
    }
}

/// A connection that is let in, to be served or to be told why it is not. What it takes up is given back
/// when this is dropped.
pub(super) struct Admitted {
    pub(super) peer: Peer,
    pub(super) held: (OwnedSemaphorePermit, Option<Place>, Option<Open>),
}

impl Door {
    pub(super) fn new(limits: &Limits, now: Instant) -> Self {
        Self {
            served: Arc::new(Semaphore::new(limits.connections_max)),
            refused: Arc::new(Semaphore::new(REFUSED_MAX)),
            rate: Rate::new(limits.accepts_per_second_max, now),
        }
    }

    /// Lets a connection in, to be served or refused, or turns it away (`None`).
    pub(super) fn admit(
        &mut self,
        (address, trusted): (IpAddr, bool),
        addresses: &Addresses,
        metrics: &Metrics,
        now: Instant,
    ) -> Option<Admitted> {
        match self.room_for(address, trusted, addresses, now) {
            Ok((permit, place)) => {
                let peer = Peer { address, trusted, refused: None };
                Some(Admitted { peer, held: (permit, place, Some(metrics.open())) })
            }
            Err(full) => {
                metrics.refuse(full.setting());
                let permit = self.refused.clone().try_acquire_owned().ok()?;
                let peer = Peer { address, trusted, refused: Some(full) };
                Some(Admitted { peer, held: (permit, None, None) })
            }
        }
    }

    fn room_for(
        &mut self,
        address: IpAddr,
        trusted: bool,
        addresses: &Addresses,
        now: Instant,
    ) -> Result<(OwnedSemaphorePermit, Option<Place>), Full> {
        if !self.rate.take(now) {
            return Err(Full::Rate);
        }
        let uncounted = trusted || address.is_loopback();
        let place = match uncounted {
            true => None,
            false => Some(addresses.take(address).ok_or(Full::Address)?),
        };
        let permit = self.served.clone().try_acquire_owned().map_err(|_| Full::Connections)?;
        Ok((permit, place))
    }
}

/// So many a second: all of them at once after a second without any, then evenly. It is a "generic cell
/// rate algorithm", which keeps one time and no timer.
struct Rate {
    every: Duration,
    /// When the next one would come if they came evenly.
    next: Instant,
}

impl Rate {
    const BURST: Duration = Duration::from_secs(1);

    fn new(per_second_max: u32, now: Instant) -> Self {
        Self { every: Self::BURST / per_second_max.max(1), next: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        let next = self.next.max(now) + self.every;
        if next.saturating_duration_since(now) > Self::BURST {
            return false;
        }
        self.next = next;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn so_many_come_in_a_second_at_once_or_evenly() {
        let now = Instant::now();
        let mut rate = Rate::new(4, now);
        assert_eq!((0..10).filter(|_| rate.take(now)).count(), 4);
        let later = now + Duration::from_millis(250);
        assert!(rate.take(later) && !rate.take(later));
        // A quiet minute earns no more than a second's.
        let late = now + Duration::from_secs(60);
        assert_eq!((0..10).filter(|_| rate.take(late)).count(), 4);
    }

    #[test]
    fn each_refusal_says_whose_limit_it_was() {
        let limits = Limits {
            connections_max: 3,
            accepts_per_second_max: 5,
            connections_per_address_max: 1,
            ..Limits::default()
        };
        let now = Instant::now();
        let addresses = Addresses::new(limits.connections_per_address_max);
        let metrics = Metrics::default();
        let mut door = Door::new(&limits, now);
        let mut come = |address, trusted| {
            let admitted = door.admit((ip(address), trusted), &addresses, &metrics, now).unwrap();
            (admitted.peer.refused, admitted)
        };
        let first = come("203.0.113.1", false);
        assert_eq!(first.0, None);
        let (full, second) = come("203.0.113.1", false);
        assert_eq!(full, Some(Full::Address));
        drop(second);
        // Proxies and loopback are not counted by address.
        let others = [come("203.0.113.1", true), come("127.0.0.1", false)];
        assert!(others.iter().all(|(full, _)| full.is_none()));
        assert_eq!(come("203.0.113.2", false).0, Some(Full::Connections));
        assert_eq!(come("127.0.0.1", false).0, Some(Full::Rate));
        drop(first);
        let later = now + Duration::from_secs(1);
        let place = door.admit((ip("203.0.113.1"), false), &addresses, &metrics, later).unwrap();
        assert_eq!(place.peer.refused, None);
    }

    #[test]
    fn beyond_some_refusals_connections_are_just_closed() {
        let limits = Limits { connections_max: 0, ..Limits::default() };
        let now = Instant::now();
        let (addresses, metrics) = (Addresses::new(1), Metrics::default());
        let mut door = Door::new(&limits, now);
        let mut come = || door.admit((ip("127.0.0.1"), false), &addresses, &metrics, now);
        let told: Vec<_> = (0..REFUSED_MAX).map(|_| come()).collect();
        assert!(told.iter().all(Option::is_some) && come().is_none());
    }
}
