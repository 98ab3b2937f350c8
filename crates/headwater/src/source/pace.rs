//! When a program runs again.

use std::time::Duration;

/// The pause between one run and the next: what the program asked for with `retry`, as a page would
/// wait before it asks again, and longer and longer while it fails.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    failures: u32,
}

/// However small the `retry`: a loop that starts programs must leave the machine to others.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const BACKOFF_MIN: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(60);

impl Pace {
    /// `interval` is what holds as long as the program has not set another.
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, failures: 0 }
    }

    /// The program has printed a `retry`, which holds from then on, also for later runs.
    pub(super) fn set_interval(&mut self, interval: Duration) {
        self.interval = interval;
    }

    /// The pause after a run that ended as it should.
    pub(super) fn after_success(&mut self) -> Duration {
        self.failures = 0;
        self.interval.max(PAUSE_MIN)
    }

    /// The pause after a run that failed once it had run for `ran`: doubled each time, up to a minute,
    /// of which at random up to half is taken off, so that programs that failed together do not come
    /// back together. One that ran for longer than the longest pause begins anew.
    pub(super) fn after_failure(&mut self, ran: Duration, random: u32) -> Duration {
        if ran > BACKOFF_MAX {
            self.failures = 0;
        }
        let backoff = BACKOFF_MIN.saturating_mul(1 << self.failures.min(16)).min(BACKOFF_MAX);
        self.failures = self.failures.saturating_add(1);
        let spread = backoff.mul_f64(f64::from(random) / f64::from(u32::MAX) / 2.0);
        self.interval.max(backoff - spread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(500);
    const BRIEF: Duration = Duration::ZERO;

    #[test]
    fn a_program_that_works_runs_again_after_its_interval() {
        let mut pace = Pace::new(SHORT);
        assert_eq!(pace.after_success(), SHORT);
        pace.set_interval(Duration::from_secs(9));
        assert_eq!(pace.after_success(), Duration::from_secs(9));
        pace.set_interval(Duration::ZERO);
        assert_eq!(pace.after_success(), PAUSE_MIN);
        pace.set_interval(Duration::from_millis(u64::MAX));
        assert_eq!(pace.after_success(), Duration::from_millis(u64::MAX));
    }

    #[test]
    fn a_program_that_fails_waits_twice_as_long_each_time_up_to_a_minute() {
        let mut pace = Pace::new(SHORT);
        let waits: Vec<_> = (0..8).map(|_| pace.after_failure(BRIEF, 0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pace.after_success(), SHORT);
        assert_eq!(pace.after_failure(BRIEF, 0), BACKOFF_MIN);
        assert_eq!(pace.after_failure(BRIEF, 0), 2 * BACKOFF_MIN);
        assert_eq!(pace.after_failure(Duration::from_secs(61), 0), BACKOFF_MIN);
    }

    #[test]
    fn at_most_half_of_the_backoff_is_left_to_chance_and_the_interval_is_the_least() {
        let mut pace = Pace::new(SHORT);
        assert_eq!(pace.after_failure(BRIEF, u32::MAX), BACKOFF_MIN / 2);
        let mut slow = Pace::new(Duration::from_secs(3600));
        assert_eq!(slow.after_failure(BRIEF, 7), Duration::from_secs(3600));
        let mut long = Pace::new(SHORT);
        let waits = (0..1000).map(|_| long.after_failure(BRIEF, u32::MAX / 2));
        assert!(waits.max().unwrap() <= BACKOFF_MAX);
    }
}
