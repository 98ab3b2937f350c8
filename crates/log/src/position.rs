//! Where something lies in the log.

use std::fmt;

/// A place in the log's order: opaque, strictly increasing, never dense.
///
/// Compaction, brokers' markers and lost appends leave holes, so offsets are only ever compared. After
/// a reader has seen offset n, nothing at or below n ever appears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Offset(u64);

impl Offset {
    /// Before every record: what an empty log's tail is.
    pub const START: Self = Self(0);

    /// An offset that a backend counts by itself.
    #[must_use]
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The cursor that has seen everything before this record and not the record itself.
    ///
    /// The one place where an offset is counted with: whatever lies at the result, if anything, is
    /// older than the record, and that is all that a cursor says.
    #[must_use]
    pub const fn just_before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The bare number, for a backend's own arithmetic and for ids.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One opening of the log: random, so that an id handed out before a crash can never name another
/// event afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(u32);

impl Epoch {
    /// No log ever has this epoch: a position in it resolves to [`Foreign`](crate::Resolved::Foreign)
    /// everywhere.
    pub const FOREIGN: Self = Self(0);

    /// An epoch from a random number that is not 0 (which is taken for 1).
    #[must_use]
    pub const fn new(random: u32) -> Self {
        Self(if random == 0 { 1 } else { random })
    }

    /// The bare number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    pub(crate) const fn from_id(value: u32) -> Self {
        Self(value)
    }
}

/// An offset together with the opening of the log that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    /// The opening.
    pub epoch: Epoch,
    /// The place.
    pub offset: Offset,
}

impl Position {
    /// The place of a cursor that has seen everything before this one; see [`Offset::just_before`].
    #[must_use]
    pub const fn just_before(self) -> Self {
        Self { epoch: self.epoch, offset: self.offset.just_before() }
    }

    /// The position that resolves to nothing, so that who comes back with it is told of a gap.
    pub const FOREIGN: Self = Self { epoch: Epoch::FOREIGN, offset: Offset::START };
}
