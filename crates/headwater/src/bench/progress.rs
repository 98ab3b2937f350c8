//! What a run is doing, on a terminal.

use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::tally::Tally;

/// One line on standard error, if that is a terminal.
pub(crate) struct Progress {
    bar: ProgressBar,
    shown: Instant,
    end: Option<Instant>,
    deliveries: u64,
    /// What the next line begins with.
    doing: &'static str,
}

const INTERVAL: Duration = Duration::from_millis(250);

impl Progress {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{spinner} {msg}");
        Self {
            bar: bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner())),
            shown: Instant::now(),
            end: None,
            deliveries: 0,
            doing: "",
        }
    }

    /// What follows.
    pub(crate) fn doing(&mut self, what: &'static str) {
        (self.doing, self.end) = (what, None);
        self.bar.set_message(what);
    }

    /// It lasts until then.
    pub(crate) fn until(&mut self, end: Instant) {
        self.end = Some(end);
    }

    /// So many are connected.
    pub(crate) fn connecting(&mut self, open: usize, all: usize) {
        if self.is_due() {
            let count = |number| HumanCount(number as u64);
            self.bar.set_message(format!("connecting: {} of {}", count(open), count(all)));
            self.bar.tick();
            self.shown = Instant::now();
        }
    }

    /// So much has been counted.
    pub(crate) fn show(&mut self, tally: &Tally) {
        if self.doing.is_empty() || !self.is_due() {
            return;
        }
        let mut line = self.doing.to_owned();
        if let Some(end) = self.end {
            let left = end.saturating_duration_since(Instant::now()).as_secs_f64();
            line += &format!(", {left:.0} s left");
        }
        if tally.deliveries > 0 {
            #[expect(clippy::cast_precision_loss, reason = "for the eye")]
            let rate =
                (tally.deliveries - self.deliveries) as f64 / self.shown.elapsed().as_secs_f64();
            line += &format!(", {rate:.0} deliveries/s");
            self.deliveries = tally.deliveries;
        }
        if let Some(second) = tally.seconds.last().filter(|second| second.deliveries > 0) {
            line += &format!(", p99 {:.2} ms", second.p99_us / 1e3);
        }
        if tally.faults.lost > 0 {
            line += &format!(", {} lost", HumanCount(tally.faults.lost));
        }
        self.bar.set_message(line);
        self.bar.tick();
        self.shown = Instant::now();
    }

    fn is_due(&self) -> bool {
        !self.bar.is_hidden() && self.shown.elapsed() >= INTERVAL
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
