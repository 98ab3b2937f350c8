//! Whether everything in a log is as it was written.

use std::fmt;
use std::io;

use super::{Inspection, Part, TRIES, restless};
use crate::disk::compaction::REMOVED;
use crate::disk::epochs::{Epochs, NAME as EPOCHS};
use crate::disk::files::{Files, read};
use crate::disk::index::{LiveIndex, SealedIndex};
use crate::disk::recovery::KEY;
use crate::disk::segment::{Before, Damage, Header, index_name, segment_name};
use crate::event::Millis;
use crate::removed::Removed;

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// The file, in the log's directory.
    pub file: String,
    /// The byte in it.
    pub at: u32,
    /// What is wrong there.
    pub wrong: Wrong,
}

/// What is wrong with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// Up to this byte no event can be read.
    Unreadable {
        /// The byte behind it.
        to: u32,
    },
    /// The head says nothing, and it is not known from the index either.
    Head,
    /// The head says nothing; the index knows what it said.
    HeadOnly,
    /// The opening that it was written by is not in the table of them.
    Epoch,
    /// A segment before this one is not there.
    MissingBefore,
    /// The event at this byte is older than the one before.
    Time,
    /// A full segment has no index, or one whose head says nothing.
    NoIndex,
    /// The index does not say what is in its segment.
    Index,
    /// A file of the log's own cannot be read.
    File,
}

impl Wrong {
    /// What comes of it, and what to do.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::Unreadable { .. } | Self::MissingBefore | Self::Head | Self::Epoch => {
                "these events are lost here: restore them from a copy of the log"
            }
            Self::HeadOnly => "its events can be read: export them",
            Self::Time => "asking for events since a time may give too few or too many",
            Self::NoIndex => "nothing is lost: the next start makes it again",
            Self::Index => {
                "events may be missed when they are looked for: remove the index file while the hub is \
                 stopped, and the next start makes it again"
            }
            Self::File => "see docs/durability.md for what it is for",
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, at, wrong } = self;
        match wrong {
            Wrong::Unreadable { to } => {
                write!(f, "{file}: bytes {at} to {to} hold no event that can be read")
            }
            Wrong::Head | Wrong::HeadOnly => write!(f, "{file}: byte {at}: the head is damaged"),
            Wrong::Epoch => {
                write!(f, "{file}: byte {at}: written by an opening of the log that is not known")
            }
            Wrong::MissingBefore => write!(f, "{file}: a segment is missing before it"),
            Wrong::Time => write!(f, "{file}: byte {at}: the event is older than the one before"),
            Wrong::NoIndex => write!(f, "{file}: there is no index that can be read"),
            Wrong::Index => {
                write!(f, "{file}: byte {at}: the index does not say what is in its segment")
            }
            Wrong::File => write!(f, "{file}: byte {at}: cannot be read"),
        }
    }
}

/// How a verification goes on.
#[derive(Debug)]
pub enum Step {
    /// Something is wrong.
    Flaw(Flaw),
    /// So many bytes of segments have been read, of so many.
    Read {
        /// Until now.
        bytes: u64,
        /// In all.
        of: u64,
    },
}

/// What was verified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Segments that were read from end to end.
    pub segments: usize,
    /// Events that are as they were written.
    pub events: u64,
    /// The segment that ends in the middle of a write, and at which byte: the next start cuts that off,
    /// and nobody was told that it was taken.
    pub torn: Option<(String, u32)>,
}

impl Inspection {
    /// Reads everything, and holds it against its checksums, the order of the log, and the indexes. Holds
    /// the index of one segment.
    ///
    /// # Errors
    /// If files cannot be read.
    pub fn verify(&self, each: &mut dyn FnMut(Step)) -> io::Result<Verified> {
        let parts = self.parts()?;
        let epochs = self.verify_tables(each)?;
        chain(&parts).into_iter().for_each(|flaw| each(Step::Flaw(flaw)));
        let of = parts.iter().map(|part| part.bytes).sum();
        let (mut bytes, mut time) = (0, Millis::default());
        let mut verified = Verified::default();
        let mut next = parts.iter().skip(1).map(|part| part.base);
        for part in &parts {
            let next = next.next();
            if let Some(checked) = self.verify_part(part, next.is_none(), &epochs, time)? {
                checked.flaws.into_iter().for_each(|flaw| each(Step::Flaw(flaw)));
                verified.segments += 1;
                verified.events += checked.events;
                verified.torn = checked.torn.map(|at| (segment_name(part.base), at));
                time = time.max(checked.time);
            }
            bytes += part.bytes;
            each(Step::Read { bytes, of });
        }
        Ok(verified)
    }

    /// The small files.
    fn verify_tables(&self, each: &mut dyn FnMut(Step)) -> io::Result<Epochs> {
        let mut flaw = |file: &str, at| {
            each(Step::Flaw(Flaw { file: file.to_owned(), at, wrong: Wrong::File }));
        };
        if read(&self.files, KEY)?.is_none_or(|key| key.len() != 16) {
            flaw(KEY, 0);
        }
        if let Some(removed) = read(&self.files, REMOVED)?
            && removed.split_first_chunk::<8>().is_none_or(|(_, r)| Removed::decode(r).is_none())
        {
            flaw(REMOVED, 0);
        }
        let epochs = Epochs::open(&self.files)?;
        if let Some(at) = epochs.damaged_at() {
            flaw(EPOCHS, u32::try_from(at).unwrap_or(u32::MAX));
        }
        Ok(epochs)
    }

    /// `None` if the segment was removed meanwhile.
    fn verify_part(
        &self,
        part: &Part,
        last: bool,
        epochs: &Epochs,
        time: Millis,
    ) -> io::Result<Option<Checked>> {
        let mut part = part.clone();
        for _ in 0..TRIES {
            if let Some(checked) = self.check(&part, last, epochs, time)? {
                // Its index may have been put in place, or it may have been written anew, meanwhile.
                let now = self.part_again(&part)?;
                if checked.flaws.is_empty() || now.as_ref().is_none_or(|now| *now == part) {
                    return Ok(Some(checked));
                }
            }
            match self.part_again(&part)? {
                Some(now) => part = now,
                None => return Ok(None),
            }
        }
        Err(restless())
    }

    /// The segment as it is now, with what only its neighbour knew.
    fn part_again(&self, part: &Part) -> io::Result<Option<Part>> {
        match self.part(part.base) {
            Ok(now) if now.header == part.header => {
                Ok(Some(Part { end: now.end.or(part.end), ..now }))
            }
            Ok(now) => Ok(Some(now)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// `None` if the segment is not any more what it was.
    fn check(
        &self,
        part: &Part,
        last: bool,
        epochs: &Epochs,
        time: Millis,
    ) -> io::Result<Option<Checked>> {
        let mut checked = Checked { time, ..Checked::default() };
        let name = segment_name(part.base);
        let flaw = |at, wrong| Flaw { file: name.clone(), at, wrong };
        let own = match self.files.open(&name) {
            Ok(file) => Header::read(&*file)?.filter(|header| header.base == part.base),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(header) = part.header else {
            // The newest may have been made and not yet written to.
            if !last {
                checked.flaws.push(flaw(0, Wrong::Head));
            }
            return Ok(Some(checked));
        };
        if own.is_none() {
            checked.flaws.push(flaw(0, Wrong::HeadOnly));
        }
        if !epochs.knows(header.epoch) {
            checked.flaws.push(flaw(0, Wrong::Epoch));
        }
        let mut index = LiveIndex::new(part.base);
        let mut times = Vec::new();
        let scanned = self.scan(part, |stored, place| {
            let own = stored.record.event.time;
            if own < checked.time && times.len() < TIMES_MAX {
                times.push(place);
            }
            checked.time = checked.time.max(own);
            checked.events += 1;
            index.add(stored, place);
        })?;
        let Some(scanned) = scanned else { return Ok(None) };
        for &Damage { at, to } in &scanned.damage {
            checked.flaws.push(flaw(at, Wrong::Unreadable { to }));
        }
        checked.flaws.extend(times.into_iter().map(|at| flaw(at, Wrong::Time)));
        checked.torn = scanned.torn.then_some(scanned.end);
        // Only what was never closed has no index.
        let has_index = self.files.list()?.contains(&index_name(part.base));
        let open = last && !has_index && header.compacted.is_none();
        if !open && !scanned.damage.is_empty() {
            // An index that was made before the damage says more, which is no fault of its own.
            return Ok(Some(checked));
        }
        if !open && let Some((at, wrong)) = self.check_index(part, header, index, scanned.end)? {
            checked.flaws.push(Flaw { file: index_name(part.base), at, wrong });
        }
        Ok(Some(checked))
    }

    /// The first byte at which an index is not the one that its segment makes.
    fn check_index(
        &self,
        part: &Part,
        header: Header,
        mut expected: LiveIndex,
        end: u32,
    ) -> io::Result<Option<(u32, Wrong)>> {
        let fitting = |index: &SealedIndex| index.header == header;
        let Some(sealed) = self.index(part.base)?.filter(fitting) else {
            return Ok(Some((0, Wrong::NoIndex)));
        };
        // It may stand for records that are gone.
        expected.reaches(sealed.last_time);
        let expected = expected.encode(header, end);
        let found = read(&self.files, &index_name(part.base))?.unwrap_or_default();
        let same = found.iter().zip(&expected).take_while(|(found, expected)| found == expected);
        let at = same.count();
        let differs = at < found.len().max(expected.len());
        Ok(differs.then(|| (u32::try_from(at).unwrap_or(u32::MAX), Wrong::Index)))
    }
}

/// More events of one segment that are out of order are not listed.
const TIMES_MAX: usize = 100;

/// What became of a segment.
#[derive(Default)]
struct Checked {
    flaws: Vec<Flaw>,
    events: u64,
    torn: Option<u32>,
    /// Of the newest event until now.
    time: Millis,
}

/// Where segments are missing: each knows the one before it.
pub(super) fn chain(parts: &[Part]) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    let mut before: Option<&Part> = None;
    for part in parts {
        if let (Some(before), Some(header)) = (before, part.header) {
            let compacted = before.header.and_then(|header| header.compacted);
            let through = compacted.map_or(before.base, |compacted| compacted.through);
            let Before { base, .. } = header.before;
            if !(before.base..=through).contains(&base) {
                let file = segment_name(part.base);
                flaws.push(Flaw { file, at: 0, wrong: Wrong::MissingBefore });
            }
        }
        before = Some(part);
    }
    flaws
}
