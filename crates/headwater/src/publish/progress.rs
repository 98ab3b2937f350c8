//! How far a large input is, on a terminal.

use std::fs;

use indicatif::{BinaryBytes, HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar on standard error, if that is a terminal and the input turns out to be large.
pub(crate) struct Progress {
    bar: ProgressBar,
    bytes: u64,
}

impl Progress {
    /// Knows the size if standard input is a file.
    pub(crate) fn of_stdin() -> Self {
        let file = fs::metadata("/dev/stdin").ok().filter(fs::Metadata::is_file);
        let size = file.map(|file| file.len());
        let template = match size {
            Some(_) => "{bar:30} {msg}, {eta} left",
            None => "{spinner} {msg}",
        };
        let bar = ProgressBar::with_draw_target(size, ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template(template);
        Self {
            bar: bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())),
            bytes: 0,
        }
    }

    pub(crate) fn advance(&mut self, bytes: usize, published: u64) {
        let was_small = self.bytes < LARGE_BYTES;
        self.bytes = self.bytes.saturating_add(bytes as u64);
        if was_small && self.bytes >= LARGE_BYTES {
            // Draws nothing unless it is a terminal.
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        let events = HumanCount(published);
        self.bar
            .set_message(format!("{} read, {events} events published", BinaryBytes(self.bytes)));
        self.bar.set_position(self.bytes);
    }

    /// Writes something without the bar getting in its way.
    pub(crate) fn beside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// What is read in an instant needs no bar.
const LARGE_BYTES: u64 = 1 << 20;
