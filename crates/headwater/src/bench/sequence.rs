//! What one subscriber has received of its topic: in order, late, twice, or not at all.

/// The numbers that have arrived. Twenty bytes, however many they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sequence {
    /// The number that should come next.
    next: u32,
    /// Of the 64 numbers before `next`, the lowest bit for the newest: whether it is accounted for.
    seen: u64,
    /// Until something has arrived, `next` is the first number that must.
    begun: bool,
}

/// What an arriving number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// A new event, after so many that did not come.
    New {
        /// How many are missing before it.
        skipped: u32,
    },
    /// One of those that were missing: out of order.
    Late,
    /// One that had come before; also what is more than 64 numbers too late.
    Duplicate,
}

impl Sequence {
    /// For a subscription that was confirmed when `published` events of its topic had been sent: those may
    /// still come, later ones must.
    pub(crate) fn starting(published: u32) -> Self {
        Self { next: published, seen: u64::MAX, begun: false }
    }

    /// Takes the next number that arrived.
    pub(crate) fn take(&mut self, number: u32) -> Arrival {
        if !self.begun {
            self.begun = true;
            self.next = self.next.min(number);
        }
        if let Some(age) = self.next.checked_sub(number).and_then(|age| age.checked_sub(1)) {
            let bit = 1_u64.checked_shl(age).unwrap_or_default();
            if bit == 0 || self.seen & bit != 0 {
                return Arrival::Duplicate;
            }
            self.seen |= bit;
            return Arrival::Late;
        }
        let skipped = number - self.next;
        self.seen = self.seen.checked_shl(skipped.saturating_add(1)).unwrap_or_default() | 1;
        self.next = number.saturating_add(1);
        Arrival::New { skipped }
    }

    /// How many of `published` events are still to come.
    pub(crate) fn missing(&self, published: u32) -> u32 {
        published.saturating_sub(self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_order_are_new() {
        let mut sequence = Sequence::starting(0);
        for number in 0..200 {
            assert_eq!(sequence.take(number), Arrival::New { skipped: 0 });
        }
        assert_eq!(sequence.missing(200), 0);
        assert_eq!(sequence.missing(203), 3);
    }

    #[test]
    fn a_skipped_number_may_come_late_but_only_once() {
        let mut sequence = Sequence::starting(0);
        assert_eq!(sequence.take(3), Arrival::New { skipped: 3 });
        assert_eq!(sequence.take(1), Arrival::Late);
        assert_eq!(sequence.take(1), Arrival::Duplicate);
        assert_eq!(sequence.take(3), Arrival::Duplicate);
        assert_eq!(sequence.take(4), Arrival::New { skipped: 0 });
        assert_eq!(sequence.take(200), Arrival::New { skipped: 195 });
        assert_eq!(sequence.take(0), Arrival::Duplicate);
    }

    #[test]
    fn a_late_subscriber_misses_nothing_from_before() {
        let mut sequence = Sequence::starting(10);
        assert_eq!(sequence.missing(12), 2);
        assert_eq!(sequence.take(12), Arrival::New { skipped: 2 });
        let mut sequence = Sequence::starting(10);
        assert_eq!(sequence.take(8), Arrival::New { skipped: 0 });
        assert_eq!(sequence.take(9), Arrival::New { skipped: 0 });
    }
}
