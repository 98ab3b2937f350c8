//! How long a server's silence is worth waiting for, learnt from the comments that it sends to be heard.

use std::time::Duration;

/// What is known of a server's heartbeat.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heartbeat {
    /// The longest silence that a comment has ended, but no less than `PERIOD_MIN`. `None` until there is
    /// reason to think that the server has a heartbeat.
    period: Option<Duration>,
}

impl Heartbeat {
    /// A comment has come after so long a silence.
    pub(crate) fn handle_comment(&mut self, silence: Duration) {
        // A comment that comes with other things, as padding or a greeting, promises no others.
        if silence >= SILENCE_MIN {
            self.period = self.period.max(Some(silence.max(PERIOD_MIN)));
        }
    }

    /// It is a Headwater hub, which has one.
    pub(crate) fn handle_hub(&mut self) {
        self.period = self.period.max(Some(PERIOD_MIN));
    }

    /// After how long a silence the connection is dead.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.period.map(|period| period.saturating_mul(3))
    }
}

/// WHATWG HTML 9.2.7: "authors can include a comment line (one starting with a ':' character) every 15
/// seconds or so." A shorter silence between an event and the next heartbeat says nothing of the period.
const PERIOD_MIN: Duration = Duration::from_secs(15);

const SILENCE_MIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn is_learnt_from_comments_that_end_a_silence() {
        let mut heartbeat = Heartbeat::default();
        heartbeat.handle_comment(Duration::from_millis(20));
        assert_eq!(heartbeat.timeout(), None);
        heartbeat.handle_comment(s(2));
        assert_eq!(heartbeat.timeout(), Some(s(45)));
        heartbeat.handle_comment(s(30));
        heartbeat.handle_comment(s(5));
        assert_eq!(heartbeat.timeout(), Some(s(90)));
        heartbeat.handle_comment(Duration::MAX);
        assert_eq!(heartbeat.timeout(), Some(Duration::MAX));
    }

    #[test]
    fn a_hub_has_one() {
        let mut heartbeat = Heartbeat::default();
        heartbeat.handle_hub();
        assert_eq!(heartbeat.timeout(), Some(s(45)));
    }
}
