//! Opening a directory: what is whole is taken as it is, what was cut off is cut, what is damaged is told.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::compaction::remembered;
use super::epochs::{Epochs, NAME as EPOCHS};
use super::files::{File, Files, read, remove, replace};
use super::index::{LiveIndex, SealedIndex};
use super::record::PREFIX_BYTES;
use super::segment::{
    Before, Damage, HEADER_BYTES, Header, base_of, index_name, scan, segment_name,
};
use super::state::Sealed;
use super::writer::seal_file;
use crate::event::Millis;
use crate::position::Offset;
use crate::removed::Removed;

/// What was found in a directory.
pub(super) struct Found {
    pub(super) sealed: Vec<Arc<Sealed>>,
    pub(super) holes: Vec<(Offset, Offset)>,
    pub(super) floor: Offset,
    pub(super) next: Offset,
    pub(super) time: Millis,
    pub(super) before: Before,
    /// What the last segment stands for, if it was compacted.
    covers: Option<(Offset, Offset)>,
    pub(super) removed: Removed,
    pub(super) report: Recovery,
}

/// What opening a log found out, in one line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Segments that are kept.
    pub segments: usize,
    /// Records that can be read.
    pub records: u64,
    /// Segments that had to be read from end to end, because they were not sealed.
    pub read_again: usize,
    /// The segment whose end was cut off, and at which byte.
    pub torn: Option<(String, u32)>,
    /// Segments with stretches that cannot be read, and from which byte to which.
    pub damaged: Vec<(String, u32, u32)>,
    /// After which segments one is missing.
    pub missing: Vec<String>,
    /// Files that were damaged and could be made whole.
    pub restored: Vec<String>,
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { segments, records, read_again, torn, damaged, missing, restored } = self;
        write!(f, "{records} events in {segments} segments")?;
        if *read_again > 0 {
            write!(f, ", {read_again} read again because they were not closed")?;
        }
        if let Some((name, at)) = torn {
            write!(f, "; {name} was cut off in the middle of a write and ends at byte {at}")?;
        }
        for (name, at, to) in damaged {
            write!(f, "; {name} is damaged from byte {at} to {to}, these events are lost")?;
        }
        for name in missing {
            write!(f, "; a segment is missing before {name}, its events are lost")?;
        }
        for name in restored {
            write!(f, "; {name} was damaged and is whole again")?;
        }
        Ok(())
    }
}

/// Reads a directory. Costs the heads of all segments, and the whole of those that were not sealed.
pub(super) fn open(files: &dyn Files, epochs: &mut Epochs) -> io::Result<Found> {
    let mut report = Recovery::default();
    let segments = headed(files, &mut report)?;
    let told = segments.iter().map(|(_, header)| (header.epoch, header.base));
    if epochs.restore(files, told)? {
        report.restored.push(EPOCHS.to_owned());
    }
    let segments = without_covered(files, segments)?;
    for name in files.list()? {
        // What a crash left of a removal, or of a file that was to be put in place.
        let orphan = name.strip_suffix(".idx").is_some_and(|base| {
            !segments
                .iter()
                .any(|(_, header)| header.base.to_string() == base.trim_start_matches('0'))
        });
        if orphan || name.ends_with(".new") {
            files.remove(&name)?;
        }
    }
    let mut found = Found {
        sealed: Vec::with_capacity(segments.len()),
        holes: Vec::new(),
        floor: Offset::START,
        next: epochs.next(),
        time: Millis::default(),
        before: Before::default(),
        covers: None,
        removed: Removed::default(),
        report,
    };
    let ends: Vec<Option<Before>> = segments
        .iter()
        .skip(1)
        .map(|(_, header)| Some(header.before))
        .chain(std::iter::once(None))
        .collect();
    for ((file, header), after) in segments.into_iter().zip(ends) {
        // What the next one remembers of a segment was so before it was compacted.
        let end = header.compacted.map(|compacted| compacted.end);
        let end = end.or(after.filter(|after| after.base == header.base).map(|after| after.end));
        found.take(files, file, header, end)?;
    }
    let (removed_to, removed) = remembered(files, found.floor)?;
    found.removed = removed;
    // If retention took everything, the next offset and the floor are known from here alone.
    found.next = found.next.max(Offset::new(removed_to.get().saturating_add(1)));
    let first = found.sealed.first().map_or(found.next, |segment| segment.base());
    found.floor = found.floor.max(removed_to.min(first.just_before()));
    Ok(found)
}

/// The segments with what they begin with, oldest first.
fn headed(files: &dyn Files, report: &mut Recovery) -> io::Result<Vec<(Arc<dyn File>, Header)>> {
    let mut bases: Vec<Offset> = files.list()?.iter().filter_map(|name| base_of(name)).collect();
    bases.sort_unstable();
    let mut segments = Vec::with_capacity(bases.len());
    for base in bases {
        let name = segment_name(base);
        let file = files.open(&name)?;
        if let Some(header) = Header::read(&*file)?.filter(|header| header.base == base) {
            segments.push((file, header));
        } else if let Some(header) = header_of_index(files, base)? {
            file.write_at(&header.encode(), 0)?;
            file.sync()?;
            segments.push((file, header));
            report.restored.push(name);
        } else if is_blank(&*file)? {
            // Its head was never synced, so nothing in it was ever acknowledged.
            remove(files, &name)?;
        } else {
            // Nothing of it can be read, but what was acknowledged is not for us to remove.
            files.rename(&name, &format!("{name}.damaged"))?;
            files.sync_dir()?;
            let len = u32::try_from(file.len()?).unwrap_or(u32::MAX);
            report.damaged.push((name, 0, len));
        }
    }
    Ok(segments)
}

/// The head of a segment as its index remembers it.
fn header_of_index(files: &dyn Files, base: Offset) -> io::Result<Option<Header>> {
    let name = index_name(base);
    if !files.list()?.contains(&name) {
        return Ok(None);
    }
    let index = SealedIndex::open(files.open(&name)?)?;
    Ok(index.map(|index| index.header).filter(|header| header.base == base))
}

/// Whether nothing was ever written behind a head. Records are written one behind the other.
fn is_blank(file: &dyn File) -> io::Result<bool> {
    let mut first = [0; PREFIX_BYTES];
    match file.read_at(&mut first, HEADER_BYTES as u64) {
        Ok(()) => Ok(first == [0; PREFIX_BYTES]),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(true),
        Err(error) => Err(error),
    }
}

/// Removes the segments whose remains are in a compacted one: a crash came before that.
fn without_covered(
    files: &dyn Files,
    segments: Vec<(Arc<dyn File>, Header)>,
) -> io::Result<Vec<(Arc<dyn File>, Header)>> {
    let mut kept: Vec<(Arc<dyn File>, Header)> = Vec::with_capacity(segments.len());
    let mut through = Offset::START;
    for (file, header) in segments {
        if header.base <= through {
            remove(files, &segment_name(header.base))?;
            continue;
        }
        if let Some(compacted) = header.compacted {
            through = compacted.through;
        }
        kept.push((file, header));
    }
    Ok(kept)
}

impl Found {
    fn take(
        &mut self,
        files: &dyn Files,
        file: Arc<dyn File>,
        header: Header,
        end: Option<u32>,
    ) -> io::Result<()> {
        let name = segment_name(header.base);
        // A compacted segment stands for all that it was made of.
        let covered =
            self.covers.is_some_and(|(first, last)| (first..=last).contains(&header.before.base));
        if header.before.base != self.before.base && !covered {
            if self.sealed.is_empty() {
                // Retention took what was before.
                self.floor = header.base.just_before();
            } else {
                self.report.missing.push(name.clone());
                self.holes.push((self.next.just_before(), header.base.just_before()));
            }
        }
        let sealed = match whole_index(files, header, end)? {
            Some(index) => Some(Sealed::new(file, index)?),
            None => self.read_again(files, file, header, end)?,
        };
        self.next = self.next.max(header.base);
        let Some(sealed) = sealed else { return Ok(()) };
        self.report.segments += 1;
        self.report.records += u64::from(sealed.index.count());
        if sealed.index.is_sparse() && header.compacted.is_none() {
            let offsets = sealed.index.offsets(0, usize::MAX)?;
            self.holes.extend(missing(header.base, &offsets));
        }
        self.next = Offset::new(sealed.last.get().saturating_add(1)).max(self.next);
        self.covers = header.compacted.map(|compacted| (header.base, compacted.through));
        self.time = self.time.max(sealed.index.last_time);
        self.before = Before { base: header.base, end: sealed.index.end };
        self.sealed.push(Arc::new(sealed));
        Ok(())
    }

    /// A segment that was not sealed: reads it from end to end, and seals it.
    fn read_again(
        &mut self,
        files: &dyn Files,
        file: Arc<dyn File>,
        header: Header,
        end: Option<u32>,
    ) -> io::Result<Option<Sealed>> {
        let name = segment_name(header.base);
        let mut index = LiveIndex::new(header.base);
        index.reaches(self.time);
        let scanned = scan(&file, header, end, |stored, place| index.add(stored, place))?;
        self.report.read_again += 1;
        if scanned.torn {
            self.report.torn = Some((name.clone(), scanned.end));
        }
        for Damage { at, to } in scanned.damage {
            self.report.damaged.push((name.clone(), at, to));
        }
        if scanned.end as usize <= HEADER_BYTES && header.compacted.is_none() {
            remove(files, &name)?;
            return Ok(None);
        }
        let encoded = index.encode(header, scanned.end);
        seal_file(files, header, file, &encoded, scanned.end).map(Some)
    }
}

/// The index beside a segment, if it is whole and says where the segment ends.
fn whole_index(
    files: &dyn Files,
    header: Header,
    end: Option<u32>,
) -> io::Result<Option<SealedIndex>> {
    let name = index_name(header.base);
    if !files.list()?.contains(&name) {
        return Ok(None);
    }
    let index = SealedIndex::open(files.open(&name)?)?;
    Ok(index.filter(|index| index.header == header && end.is_none_or(|end| end == index.end)))
}

/// The stretches between records of a segment, as (cursor before, last offset).
fn missing(base: Offset, offsets: &[Offset]) -> Vec<(Offset, Offset)> {
    let mut after = base.just_before();
    let mut holes = Vec::new();
    for &offset in offsets {
        if offset.just_before() > after {
            holes.push((after, offset.just_before()));
        }
        after = offset;
    }
    holes
}

pub(super) const FORMAT: &str = "format";
/// The version of everything in the directory.
pub(super) const VERSION: u32 = 2;
pub(super) const FORMAT_LINE: &str = "headwater log, version 2\n";

/// Checks that the directory is a log of this version, or makes it one.
pub(super) fn check_format(files: &dyn Files) -> io::Result<Result<(), String>> {
    if let Some(found) = read(files, FORMAT)? {
        let found = String::from_utf8_lossy(&found).into_owned();
        return Ok(if found == FORMAT_LINE { Ok(()) } else { Err(found.trim().to_owned()) });
    }
    replace(files, FORMAT, FORMAT_LINE.as_bytes())?;
    Ok(Ok(()))
}

pub(super) const KEY: &str = "id-key";

/// The key of the ids: the one that is there, or a fresh one that will be.
pub(super) fn id_key(files: &dyn Files, fresh: [u8; 16]) -> io::Result<[u8; 16]> {
    if let Some(kept) = read(files, KEY)?.and_then(|bytes| bytes.try_into().ok()) {
        return Ok(kept);
    }
    replace(files, KEY, &fresh)?;
    Ok(fresh)
}
