//! How far a command is, on a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar on standard error, if that is a terminal.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Of so many bytes, or nobody knows how many.
    pub(crate) fn new(doing: &'static str, bytes: Option<u64>) -> Self {
        let template = match bytes {
            Some(_) => "{prefix} {bar:30} {bytes} of {total_bytes}{msg}, {eta} left",
            None => "{prefix} {spinner} {bytes}{msg}",
        };
        let style = ProgressStyle::with_template(template);
        let bar = ProgressBar::with_draw_target(bytes, ProgressDrawTarget::stderr());
        let bar = bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self(bar.with_prefix(doing))
    }

    /// So many bytes are done, of so many.
    pub(crate) fn reach(&self, bytes: u64, of: u64) {
        self.0.set_length(of);
        self.0.set_position(bytes);
    }

    /// So many bytes are done, and something is to be said of them.
    pub(crate) fn show(&self, bytes: u64, said: impl FnOnce() -> String) {
        if !self.0.is_hidden() {
            self.0.set_message(said());
            self.0.set_position(bytes);
        }
    }

    /// Writes something without the bar getting in its way.
    pub(crate) fn beside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.0.suspend(write)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
