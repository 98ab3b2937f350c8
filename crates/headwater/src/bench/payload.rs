//! What a published event carries, so that a subscriber can tell which one it is and how long it took.

use std::fmt::Write;

use memchr::memmem;

/// Names one event of one run. It survives being wrapped in JSON, a form or a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    /// Which run, so that what an earlier one left behind is not counted.
    pub(crate) run: u16,
    /// The topic's number, below 2^24.
    pub(crate) topic: u32,
    /// The event's number within its topic, from 0.
    pub(crate) sequence: u32,
    /// When it should have been sent, in nanoseconds since the run began, below 2^48.
    pub(crate) intended_ns: u64,
}

/// The shortest payload: a marker and nothing else.
pub(crate) const BYTES_MIN: usize = PREFIX.len() + 4 + 6 + 8 + 12;

const PREFIX: &str = "hwb-";

impl Marker {
    /// The payload: the marker, filled up to `size` bytes.
    pub(crate) fn payload(&self, size: usize) -> String {
        let Self { run, topic, sequence, intended_ns } = self;
        let mut text = String::with_capacity(size.max(BYTES_MIN));
        // Writing to a String cannot fail.
        let _ = write!(text, "{PREFIX}{run:04x}{topic:06x}{sequence:08x}{intended_ns:012x}");
        text.extend(std::iter::repeat_n('.', size.saturating_sub(text.len())));
        text
    }

    /// The markers in an event's data, wherever they are: some servers put several events into one.
    pub(crate) fn all(data: &str) -> impl Iterator<Item = Self> {
        let mut rest = data;
        std::iter::from_fn(move || {
            loop {
                let begin = match rest.starts_with(PREFIX) {
                    true => 0,
                    false => memmem::find(rest.as_bytes(), PREFIX.as_bytes())?,
                };
                rest = rest.get(begin + PREFIX.len()..)?;
                if let Some(marker) = Self::parse(rest) {
                    return Some(marker);
                }
            }
        })
    }

    /// What follows the prefix.
    fn parse(mut rest: &str) -> Option<Self> {
        let mut number = |digits: usize| {
            let (text, tail) = rest.split_at_checked(digits)?;
            rest = tail;
            u64::from_str_radix(text, 16).ok()
        };
        Some(Self {
            run: u16::try_from(number(4)?).ok()?,
            topic: u32::try_from(number(6)?).ok()?,
            sequence: u32::try_from(number(8)?).ok()?,
            intended_ns: number(12)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKER: Marker =
        Marker { run: 0xbeef, topic: 70_000, sequence: 3, intended_ns: 1_234_567_890 };

    fn found(data: &str) -> Vec<Marker> {
        Marker::all(data).collect()
    }

    #[test]
    fn a_payload_is_as_long_as_asked_for_and_found_again() {
        for size in [BYTES_MIN, 100, 5_000] {
            let text = MARKER.payload(size);
            assert_eq!(text.len(), size);
            assert_eq!(found(&text), [MARKER]);
            assert_eq!(found(&format!("{{\"data\":\"hwb-{text}\"}}")), [MARKER]);
            assert_eq!(found(&format!("{text}{text}\n{text}")), [MARKER; 3]);
        }
    }

    #[test]
    fn other_texts_hold_no_marker() {
        for text in ["", "hello", "hwb-", "hwb-12", "hwb-zzzz0000000000000000000000000000zz"] {
            assert_eq!(found(text), [], "{text}");
        }
    }
}
