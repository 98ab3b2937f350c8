//! A log's directory, looked at from outside: nothing is written and no lock is taken, so that it can be
//! done beside the process that uses the log.
//!
//! That process may seal, compact and remove segments meanwhile. What was begun in a file that has changed
//! is begun again from the cursor that was reached.

mod info;
mod verify;

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::info::Info;
pub use self::verify::{Flaw, Step, Verified, Wrong};
use super::OpenError;
use super::files::{Directory, File, Files, read};
use super::index::SealedIndex;
use super::record::Stored;
use super::recovery::{FORMAT, FORMAT_LINE, KEY};
use super::segment::{Damage, Header, Scan, base_of, index_name, scan, segment_name};
use crate::event::{Millis, Record};
use crate::id::IdKey;
use crate::position::Offset;

/// The log in a directory, for reading only. Memory is constant but where it is said.
pub struct Inspection {
    files: ReadOnly,
    id_key: IdKey,
}

/// What a walk through all events comes by.
#[derive(Debug)]
pub enum Seen<'a> {
    /// The next event.
    Event(&'a Record),
    /// Events that should be here cannot be read.
    Flaw(Flaw),
    /// So many bytes of segments have been read, of so many.
    Read {
        /// Until now.
        bytes: u64,
        /// In all.
        of: u64,
    },
}

/// A segment, as it was when the directory was listed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    base: Offset,
    /// `None` if it cannot be read, and not be known from the index either.
    header: Option<Header>,
    /// Behind its last record, if that is known without reading all of it.
    end: Option<u32>,
    /// If it has an index that fits it: up to when it reaches.
    indexed: Option<Millis>,
    bytes: u64,
}

/// How often something is begun again that another process changes meanwhile.
const TRIES: usize = 100;

impl Inspection {
    /// Looks into a directory.
    ///
    /// # Errors
    /// If there is no log in it, or one of another version, or it cannot be read.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Io { path: path.to_owned(), source };
        let files = ReadOnly(path.to_owned());
        let format = match read(&files, FORMAT) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
            format => format.ok().flatten(),
        };
        let Some(format) = format else { return Err(OpenError::Absent { path: path.to_owned() }) };
        let found = String::from_utf8_lossy(&format);
        if found != FORMAT_LINE {
            let found = found.trim().to_owned();
            return Err(OpenError::Format { path: path.to_owned(), found });
        }
        let key = read(&files, KEY).map_err(failed)?.unwrap_or_default();
        // Without its key a log has no ids; verifying says so.
        let id_key = IdKey::new(key.try_into().unwrap_or_default());
        Ok(Self { files, id_key })
    }

    /// The key of the ids, kept with the log.
    #[must_use]
    pub fn id_key(&self) -> &IdKey {
        &self.id_key
    }

    /// Hands out every event since a time, in order, and says what cannot be read. Events that are appended
    /// meanwhile may be among them.
    ///
    /// # Errors
    /// The first of `each`, which ends the walk; or if files cannot be read.
    pub fn events(
        &self,
        since: Option<Millis>,
        each: &mut dyn FnMut(Seen<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let parts = self.parts()?;
        for flaw in verify::chain(&parts) {
            each(Seen::Flaw(flaw))?;
        }
        let mut walk = Walk { inspection: self, since, each, cursor: Offset::START };
        let mut parts = Some(parts);
        for _ in 0..TRIES {
            if walk.through(match parts.take() {
                Some(parts) => parts,
                None => self.parts()?,
            })? {
                return Ok(());
            }
        }
        Err(restless())
    }

    /// The segments, oldest first.
    fn parts(&self) -> io::Result<Vec<Part>> {
        for _ in 0..TRIES {
            let bases = self.bases()?;
            let parts: io::Result<Vec<Part>> = bases.iter().map(|&base| self.part(base)).collect();
            match parts {
                Ok(parts) if self.bases()? == bases => return Ok(finished(parts)),
                Ok(_) => {}
                Err(error) if is_change(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Err(restless())
    }

    fn bases(&self) -> io::Result<Vec<Offset>> {
        let mut bases: Vec<Offset> =
            self.files.list()?.iter().filter_map(|name| base_of(name)).collect();
        bases.sort_unstable();
        Ok(bases)
    }

    fn part(&self, base: Offset) -> io::Result<Part> {
        let file = self.files.open(&segment_name(base))?;
        let index = self.index(base)?.filter(|index| index.header.base == base);
        let own = Header::read(&*file)?.filter(|header| header.base == base);
        let header = own.or(index.as_ref().map(|index| index.header));
        let index = index.filter(|index| Some(index.header) == header);
        Ok(Part {
            base,
            header,
            end: index.as_ref().map(|index| index.end),
            indexed: index.map(|index| index.last_time),
            bytes: file.len()?,
        })
    }

    /// The index beside a segment, if its head is whole.
    fn index(&self, base: Offset) -> io::Result<Option<SealedIndex>> {
        match self.files.open(&index_name(base)) {
            Ok(file) => SealedIndex::open(file),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads a segment record by record. `None` if it is not any more what it was.
    fn scan(&self, part: &Part, mut each: impl FnMut(&Stored, u32)) -> io::Result<Option<Scan>> {
        let Some(header) = part.header else { return Ok(Some(Scan::default())) };
        let mut attempt = || {
            let file = self.files.open(&segment_name(part.base))?;
            if Header::read(&*file)?.is_some_and(|found| found != header) {
                return Ok(None);
            }
            if part.end.is_some() {
                return scan(&file, header, part.end, &mut each).map(Some);
            }
            // Somebody may be writing to it. What looks damaged because of that, before a record that was
            // whole, is whole by now.
            let first = scan(&file, header, None, |_, _| {})?;
            let scanned = scan(&file, header, Some(first.end), &mut each)?;
            Ok(Some(Scan { torn: first.torn, ..scanned }))
        };
        match attempt() {
            Err(error) if is_change(&error) => Ok(None),
            done => done,
        }
    }
}

/// Whether another process has removed the file, or given back what was reserved of it.
fn is_change(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::UnexpectedEof)
}

fn restless() -> io::Error {
    io::Error::other("another process changes the log faster than it can be read: try again")
}

/// Leaves out what is in a compacted segment too, and takes each one's end from the next one's head.
fn finished(parts: Vec<Part>) -> Vec<Part> {
    let mut kept: Vec<Part> = Vec::with_capacity(parts.len());
    let mut through = Offset::START;
    for part in parts {
        if part.base <= through {
            continue;
        }
        if let Some(compacted) = part.header.and_then(|header| header.compacted) {
            through = compacted.through;
        }
        if let (Some(last), Some(header)) = (kept.last_mut(), part.header)
            && header.before.base == last.base
        {
            last.end = last.end.or(Some(header.before.end));
        }
        kept.push(part);
    }
    kept
}

/// A walk through all events, and how far it is.
struct Walk<'a> {
    inspection: &'a Inspection,
    since: Option<Millis>,
    each: &'a mut dyn FnMut(Seen<'_>) -> io::Result<()>,
    /// Everything up to here has been handed out.
    cursor: Offset,
}

impl Walk<'_> {
    /// Whether the end was reached; else it goes on at the cursor with other segments.
    fn through(&mut self, parts: Vec<Part>) -> io::Result<bool> {
        let of = parts.iter().map(|part| part.bytes).sum();
        let bases: Vec<Offset> = parts.iter().skip(1).map(|part| part.base).collect();
        let mut bytes = 0;
        for (nth, part) in parts.iter().enumerate() {
            let last = bases.get(nth).map(|next| next.just_before());
            let behind = last.is_some_and(|last| last <= self.cursor);
            let old = part.indexed.is_some_and(|last| self.since.is_some_and(|since| last < since));
            if !behind && !old && !self.part(part)? {
                return Ok(false);
            }
            self.cursor = self.cursor.max(last.unwrap_or_default());
            bytes += part.bytes;
            (self.each)(Seen::Read { bytes, of })?;
        }
        Ok(true)
    }

    fn part(&mut self, part: &Part) -> io::Result<bool> {
        let mut failed = None;
        let (cursor, since, each) = (&mut self.cursor, self.since, &mut self.each);
        let scanned = self.inspection.scan(part, |stored, _| {
            let record = &stored.record;
            let old = since.is_some_and(|since| record.event.time < since);
            if failed.is_some() || record.position.offset <= *cursor {
                return;
            }
            *cursor = record.position.offset;
            if !old {
                failed = each(Seen::Event(record)).err();
            }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        let Some(scanned) = scanned else { return Ok(false) };
        for Damage { at, to } in scanned.damage {
            let wrong = Wrong::Unreadable { to };
            each(Seen::Flaw(Flaw { file: segment_name(part.base), at, wrong }))?;
        }
        Ok(true)
    }
}

/// The file system's files, none of which is changed.
struct ReadOnly(PathBuf);

impl Files for ReadOnly {
    fn list(&self) -> io::Result<Vec<String>> {
        Directory::new(&self.0).list()
    }

    fn create(&self, _: &str, _: u64) -> io::Result<Arc<dyn File>> {
        Err(ErrorKind::ReadOnlyFilesystem.into())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(fs::File::open(self.0.join(name))?))
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        Err(ErrorKind::ReadOnlyFilesystem.into())
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        Err(ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync_dir(&self) -> io::Result<()> {
        Err(ErrorKind::ReadOnlyFilesystem.into())
    }
}
