//! The table of (epoch, first offset), which says what an id of an earlier opening means.

use std::io;
use std::sync::Arc;

use bytes::{Buf, BufMut};

use super::files::{File, Files, replace};
use crate::log::Resolved;
use crate::position::{Epoch, Offset, Position};

pub(super) const NAME: &str = "epochs";
const ENTRY_BYTES: usize = 16;

/// Every opening of the log, oldest first.
pub(super) struct Epochs {
    file: Arc<dyn File>,
    openings: Vec<(Epoch, Offset)>,
    /// Where an entry cannot be read that others follow.
    damaged: Option<usize>,
}

impl Epochs {
    /// Reads the table, or begins one. A last entry that is not whole was never used, and is forgotten.
    pub(super) fn open(files: &dyn Files) -> io::Result<Self> {
        if !files.list()?.iter().any(|name| name == NAME) {
            let file = files.create(NAME, 0)?;
            files.sync_dir()?;
            return Ok(Self { file, openings: Vec::new(), damaged: None });
        }
        let file = files.open(NAME)?;
        let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(usize::MAX)];
        file.read_at(&mut bytes, 0)?;
        let entries: Vec<_> = bytes.chunks_exact(ENTRY_BYTES).map(decode).collect();
        let used = entries.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        let damaged = entries.iter().take(used).position(Option::is_none);
        let damaged = damaged.map(|nth| nth * ENTRY_BYTES);
        Ok(Self { file, openings: entries.into_iter().flatten().collect(), damaged })
    }

    /// Takes up the openings that segments tell of and the table does not, and makes the table whole again;
    /// whether it had to.
    pub(super) fn restore(
        &mut self,
        files: &dyn Files,
        told: impl Iterator<Item = (Epoch, Offset)>,
    ) -> io::Result<bool> {
        let mut restored = self.damaged.is_some();
        for (epoch, first) in told {
            if !self.knows(epoch) {
                let at = self.openings.partition_point(|&(_, own)| own <= first);
                self.openings.insert(at, (epoch, first));
                restored = true;
            }
        }
        if restored {
            let entries: Vec<u8> = self.openings.iter().copied().flat_map(encode).collect();
            self.file = replace(files, NAME, &entries)?;
            self.damaged = None;
        }
        Ok(restored)
    }

    /// The byte from which on an entry cannot be read, if others follow.
    pub(super) fn damaged_at(&self) -> Option<usize> {
        self.damaged
    }

    /// Adds the present opening; when this returns, it will be remembered.
    pub(super) fn begin(&mut self, epoch: Epoch, first: Offset) -> io::Result<()> {
        let entry = encode((epoch, first));
        self.file.write_at(&entry, (self.openings.len() * ENTRY_BYTES) as u64)?;
        self.file.sync()?;
        self.openings.push((epoch, first));
        Ok(())
    }

    /// The opening that gave an offset.
    pub(super) fn position(&self, offset: Offset) -> Position {
        let after = self.openings.partition_point(|&(_, first)| first <= offset);
        // What lies before the first opening is the place before everything.
        let at = after.saturating_sub(1);
        let epoch = self.openings.get(at).map_or(Epoch::FOREIGN, |&(epoch, _)| epoch);
        Position { epoch, offset }
    }

    /// Behind every offset that an earlier opening can have handed out and not lost.
    pub(super) fn next(&self) -> Offset {
        self.openings.last().map_or(Offset::new(1), |&(_, first)| first)
    }

    /// Every opening with its first offset, oldest first.
    pub(super) fn openings(&self) -> &[(Epoch, Offset)] {
        &self.openings
    }

    /// Whether an epoch is one of the log's.
    pub(super) fn knows(&self, epoch: Epoch) -> bool {
        self.openings.iter().any(|&(own, _)| own == epoch)
    }

    /// What a position says in a log that is kept beyond `floor` and visible up to `tail`.
    pub(super) fn resolve(&self, position: Position, floor: Offset, tail: Offset) -> Resolved {
        let Position { epoch, offset } = position;
        let Some(at) = self.openings.iter().position(|&(own, _)| own == epoch) else {
            return Resolved::Foreign;
        };
        match self.openings.get(at + 1) {
            // The opening ended before this place: a crash took it.
            Some(&(_, next)) if offset >= next => Resolved::Lost(next.just_before()),
            _ if offset > tail => Resolved::Ahead(offset),
            _ if offset < floor => Resolved::Trimmed(offset),
            _ => Resolved::At(offset),
        }
    }
}

fn encode((epoch, first): (Epoch, Offset)) -> Vec<u8> {
    let mut entry = Vec::with_capacity(ENTRY_BYTES);
    entry.put_u32_le(epoch.get());
    entry.put_u64_le(first.get());
    entry.put_u32_le(crc32c::crc32c(&entry));
    entry
}

fn decode(entry: &[u8]) -> Option<(Epoch, Offset)> {
    let (mut fields, mut checksum) = entry.split_at_checked(ENTRY_BYTES - 4)?;
    if crc32c::crc32c(fields) != checksum.try_get_u32_le().ok()? {
        return None;
    }
    Some((Epoch::new(fields.try_get_u32_le().ok()?), Offset::new(fields.try_get_u64_le().ok()?)))
}
