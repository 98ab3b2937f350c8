//! Sets of HTTP statuses.

use std::fmt;

/// A set of HTTP statuses, 100 to 599; others cannot be in it.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Statuses([u64; 10]);

impl Statuses {
    /// None: every answer but 200 and 204 is final, as in a browser.
    pub const NONE: Self = Self([0; 10]);

    /// Those that say "later": 408, 425, 429 and all from 500 to 599.
    #[must_use]
    pub fn temporary() -> Self {
        [408, 425, 429].into_iter().chain(500..=599).collect()
    }

    /// Whether it is in the set.
    #[must_use]
    pub fn contains(&self, status: u16) -> bool {
        let word = self.0.get(usize::from(status / 64)).copied().unwrap_or_default();
        word >> (status % 64) & 1 == 1
    }
}

impl FromIterator<u16> for Statuses {
    fn from_iter<I: IntoIterator<Item = u16>>(statuses: I) -> Self {
        let mut set = Self::NONE;
        for status in statuses.into_iter().filter(|status| (100..=599).contains(status)) {
            if let Some(word) = set.0.get_mut(usize::from(status / 64)) {
                *word |= 1 << (status % 64);
            }
        }
        set
    }
}

impl<const N: usize> From<[u16; N]> for Statuses {
    fn from(statuses: [u16; N]) -> Self {
        statuses.into_iter().collect()
    }
}

impl fmt::Debug for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries((100..=599).filter(|status| self.contains(*status))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_in_and_nothing_else() {
        let set: Statuses = [401, 503, 0, 65535].into_iter().collect();
        assert_eq!(format!("{set:?}"), "{401, 503}");
        assert!((0..=u16::MAX).all(|status| set.contains(status) == [401, 503].contains(&status)));
        assert_eq!((0..1000).filter(|status| Statuses::temporary().contains(*status)).count(), 103);
        assert!(!Statuses::NONE.contains(500));
    }
}
