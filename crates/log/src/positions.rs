//! The places in a text that a matcher may have reached.

/// A set of positions from 0 to [`Positions::MAX`], as bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Positions([u64; WORDS]);

const WORDS: usize = Positions::MAX / 64 + 1;

impl Default for Positions {
    fn default() -> Self {
        Self([0; WORDS])
    }
}

impl Positions {
    /// The last position: a topic with every byte percent-encoded, below a base.
    pub(crate) const MAX: usize = 4096 - 1;

    /// Only the first position.
    pub(crate) fn start() -> Self {
        let mut start = Self::default();
        start.insert(0);
        start
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }

    pub(crate) fn contains(&self, at: usize) -> bool {
        self.0.get(at / 64).is_some_and(|word| word & (1 << (at % 64)) != 0)
    }

    fn insert(&mut self, at: usize) {
        if let Some(word) = self.0.get_mut(at / 64) {
            *word |= 1 << (at % 64);
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (word, more) in self.0.iter_mut().zip(other.0) {
            *word |= more;
        }
    }

    /// Those that are not in `other`.
    fn without(mut self, other: &Self) -> Self {
        for (word, less) in self.0.iter_mut().zip(other.0) {
            *word &= !less;
        }
        self
    }

    fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(index, &word)| {
            let mut left = word;
            std::iter::from_fn(move || {
                (left != 0).then(|| {
                    let bit = left.trailing_zeros() as usize;
                    left &= left - 1;
                    index * 64 + bit
                })
            })
        })
    }

    /// Behind `literal`, from wherever the text has it.
    pub(crate) fn past(&self, text: &[u8], literal: &[u8]) -> Self {
        if literal.is_empty() {
            return self.clone();
        }
        let mut past = Self::default();
        for at in self.iter() {
            if text.get(at..).is_some_and(|rest| rest.starts_with(literal)) {
                past.insert(at + literal.len());
            }
        }
        past
    }

    /// Wherever one unit leads: `unit` is the length of the one that stands at a place, if any does.
    pub(crate) fn step(&self, text: &[u8], unit: impl Fn(&[u8], usize) -> Option<usize>) -> Self {
        let mut reached = Self::default();
        for at in self.iter() {
            if let Some(length) = unit(text, at) {
                reached.insert(at + length);
            }
        }
        reached
    }

    /// Wherever any number of units leads, none included. One pass.
    pub(crate) fn along(&self, text: &[u8], unit: impl Fn(&[u8], usize) -> Option<usize>) -> Self {
        let mut reached = self.clone();
        for at in 0..text.len() {
            if reached.contains(at)
                && let Some(length) = unit(text, at)
            {
                reached.insert(at + length);
            }
        }
        reached
    }

    /// The same for at most `max` units. A pass for each, so at most as many as the text has bytes.
    pub(crate) fn along_at_most(
        &self,
        max: u16,
        text: &[u8],
        unit: impl Fn(&[u8], usize) -> Option<usize>,
    ) -> Self {
        let mut reached = self.clone();
        let mut edge = self.clone();
        for _ in 0..max {
            edge = edge.step(text, &unit).without(&reached);
            if edge.is_empty() {
                break;
            }
            reached.add(&edge);
        }
        reached
    }

    /// From the first place to the end of the text.
    pub(crate) fn onwards(&self, text: &[u8]) -> Self {
        let mut reached = Self::default();
        if let Some(first) = self.iter().next() {
            (first..=text.len()).for_each(|at| reached.insert(at));
        }
        reached
    }
}
