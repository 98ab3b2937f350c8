//! How long to wait before the next attempt.

use std::time::Duration;

/// Counts attempts that came to nothing, and spreads what follows them.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    failures: u32,
    /// State of a SplitMix64 generator: a spread needs no secret, only difference between clients.
    random: u64,
}

impl Backoff {
    pub(crate) fn new(seed: u64) -> Self {
        Self { failures: 0, random: seed }
    }

    /// The connection was of use: the next delay is the reconnection time again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// An attempt came to nothing.
    pub(crate) fn fail(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    /// The reconnection time, and after failures a random share ("full jitter") of what doubles with each,
    /// up to `extra_max`.
    ///
    /// WHATWG HTML 9.2.3: "Wait a delay equal to the reconnection time of the event source." and
    /// "Optionally, wait some more. In particular, if the previous attempt failed, then user agents might
    /// introduce an exponential backoff delay to avoid overloading a potentially already overloaded server."
    pub(crate) fn delay(&mut self, reconnection_time: Duration, extra_max: Duration) -> Duration {
        if self.failures == 0 {
            return reconnection_time;
        }
        // A reconnection time of 0 doubled would stay 0, and hammer a server that is down.
        let unit = reconnection_time.max(Duration::from_secs(1));
        let doubled = 2_u32.saturating_pow(self.failures) - 1;
        let extra = unit.saturating_mul(doubled).min(extra_max);
        reconnection_time.saturating_add(self.share_of(extra))
    }

    /// Uniform between nothing and all of it.
    fn share_of(&mut self, all: Duration) -> Duration {
        let ns = u64::try_from(all.as_nanos()).unwrap_or(u64::MAX);
        let share_ns = (u128::from(self.next()) * u128::from(ns)) >> 64;
        Duration::from_nanos(u64::try_from(share_ns).unwrap_or(ns))
    }

    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.random;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: Duration = Duration::from_secs(3);
    const MAX: Duration = Duration::from_secs(30);

    #[test]
    fn waits_exactly_the_reconnection_time_after_a_connection_of_use() {
        let mut backoff = Backoff::new(1);
        backoff.fail();
        backoff.reset();
        assert_eq!(backoff.delay(THREE, MAX), THREE);
    }

    #[test]
    fn grows_with_every_failure_up_to_the_limit_and_uses_the_whole_range() {
        let mut longest = Vec::new();
        for failures in 1..=40 {
            let mut backoff = Backoff::new(7);
            (0..failures).for_each(|_| backoff.fail());
            let delays: Vec<_> = (0..1000).map(|_| backoff.delay(THREE, MAX)).collect();
            assert!(delays.iter().all(|delay| (THREE..=THREE + MAX).contains(delay)));
            let (least, most) = (delays.iter().min().unwrap(), delays.iter().max().unwrap());
            assert!(*least < THREE + (*most - THREE) / 10, "{failures}: {least:?} {most:?}");
            longest.push(*most);
        }
        assert!(longest[0] <= THREE * 2 && longest[0] > THREE + THREE / 2);
        assert!(longest[1] > longest[0] && longest[2] > longest[1]);
        assert!(longest[39] > THREE + MAX * 9 / 10);
    }

    #[test]
    fn backs_off_from_a_reconnection_time_of_zero_too() {
        let mut backoff = Backoff::new(3);
        (0..10).for_each(|_| backoff.fail());
        let total: Duration = (0..10).map(|_| backoff.delay(Duration::ZERO, MAX)).sum();
        assert!(total > Duration::from_secs(30), "{total:?}");
    }

    #[test]
    fn the_largest_values_do_not_overflow() {
        let mut backoff = Backoff { failures: u32::MAX, random: 5 };
        backoff.fail();
        assert_eq!(backoff.delay(Duration::MAX, Duration::MAX), Duration::MAX);
    }
}
