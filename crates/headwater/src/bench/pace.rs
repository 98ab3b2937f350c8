//! When the next event is published.

use std::collections::VecDeque;
use std::time::Duration;

/// How publishing is paced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// So many events a second, each at its time.
    Rate(f64),
    /// So many events under way.
    Window(usize),
}

/// The times at which events are due. Time is nanoseconds since the run began.
#[derive(Debug)]
pub(crate) struct Schedule {
    begin_ns: u64,
    interval_ns: f64,
    count: u64,
}

impl Schedule {
    /// The first is due at `begin_ns`.
    pub(crate) fn new(begin_ns: u64, rate: f64) -> Self {
        Self { begin_ns, interval_ns: 1e9 / rate, count: 0 }
    }

    /// When the next is due. Counted from the beginning, so that no error adds up.
    pub(crate) fn next_ns(&self) -> u64 {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "times of a run stay far below 2^53 ns"
        )]
        let after = (self.count as f64 * self.interval_ns) as u64;
        self.begin_ns + after
    }

    /// The next has been taken.
    pub(crate) fn advance(&mut self) {
        self.count += 1;
    }
}

/// The events that are under way, in the order in which they were published.
#[derive(Debug, Default)]
pub(crate) struct UnderWay {
    /// The number of the first entry's event.
    first: u64,
    events: VecDeque<Event>,
    /// Those of them that are not at all of their subscribers.
    open: usize,
}

#[derive(Debug)]
struct Event {
    remaining: u32,
    published_ns: u64,
}

impl UnderWay {
    /// How many are not at all of their subscribers.
    pub(crate) fn open(&self) -> usize {
        self.open
    }

    /// The event of this number, one more than the last one's, now is on its way to so many subscribers.
    pub(crate) fn publish(&mut self, number: u64, remaining: u32, now_ns: u64) {
        if self.events.is_empty() {
            self.first = number;
        }
        self.events.push_back(Event { remaining, published_ns: now_ns });
        self.open += usize::from(remaining > 0);
        self.shed();
    }

    /// One more subscriber has it.
    pub(crate) fn arrive(&mut self, number: u64) {
        let index = number.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        let Some(event) = index.and_then(|index| self.events.get_mut(index)) else { return };
        if event.remaining > 0 {
            event.remaining -= 1;
            self.open -= usize::from(event.remaining == 0);
        }
        self.shed();
    }

    /// Gives up on what has been under way for too long: it was lost, and must not stop what follows.
    pub(crate) fn give_up(&mut self, now_ns: u64) {
        while let Some(event) = self.events.front_mut() {
            if event.remaining == 0 || now_ns.saturating_sub(event.published_ns) < PATIENCE_NS {
                return;
            }
            event.remaining = 0;
            self.open -= 1;
            self.shed();
        }
    }

    fn shed(&mut self) {
        while self.events.front().is_some_and(|event| event.remaining == 0) {
            self.events.pop_front();
            self.first += 1;
        }
    }
}

/// After this long an event that has not arrived counts as lost. Far more than any server needs that loses
/// nothing.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
const PATIENCE_NS: u64 = 5_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_does_not_drift() {
        let mut schedule = Schedule::new(7, 3.0);
        for _ in 0..3_000_000 {
            schedule.advance();
        }
        assert_eq!(schedule.next_ns(), 7 + 1_000_000_000_000_000);
    }

    #[test]
    fn an_event_is_under_way_until_all_have_it() {
        let mut under_way = UnderWay::default();
        under_way.publish(5, 2, 0);
        under_way.publish(6, 1, 0);
        under_way.arrive(6);
        assert_eq!(under_way.open(), 1);
        under_way.arrive(6);
        under_way.arrive(4);
        under_way.arrive(5);
        assert_eq!(under_way.open(), 1);
        under_way.arrive(5);
        assert_eq!(under_way.open(), 0);
        under_way.publish(7, 0, 0);
        assert_eq!(under_way.open(), 0);
        under_way.publish(8, 1, 0);
        under_way.arrive(8);
        assert_eq!(under_way.open(), 0);
    }

    #[test]
    fn what_is_lost_does_not_stop_what_follows() {
        let mut under_way = UnderWay::default();
        under_way.publish(0, 2, 10);
        under_way.publish(1, 2, 20);
        under_way.give_up(PATIENCE_NS);
        assert_eq!(under_way.open(), 2);
        under_way.give_up(PATIENCE_NS + 10);
        assert_eq!(under_way.open(), 1);
        under_way.arrive(1);
        under_way.arrive(1);
        assert_eq!(under_way.open(), 0);
    }
}
