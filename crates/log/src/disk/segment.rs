//! A segment file: its name, its header, and the reading of one from end to end.

use std::io;
use std::sync::Arc;

use bytes::{Buf, BufMut};

use super::files::File;
use super::record::{Found, PREFIX_BYTES, Stored, decode};
use crate::position::{Epoch, Offset};

/// What a segment begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) epoch: Epoch,
    /// The first record's offset; those that follow count up.
    pub(super) base: Offset,
    /// Random, so that the blocks' former content can never pass for records.
    pub(super) nonce: u64,
    /// The segment before: where it begins (0 if there was none) and where its records end. So a segment
    /// that is missing is missed, and what was found to be the end of one stays its end.
    pub(super) before: Before,
    /// If it was compacted: numbers that are left out are no loss, and its end is known.
    pub(super) compacted: Option<Compacted>,
}

/// What a compacted segment stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Compacted {
    /// The last offset of the segments that it was made of.
    pub(super) through: Offset,
    /// Behind its last record.
    pub(super) end: u32,
}

/// The segment before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Before {
    pub(super) base: Offset,
    pub(super) end: u32,
}

pub(super) const HEADER_BYTES: usize = 64;
const MAGIC: &[u8; 8] = b"hwlogseg";
const HEADER_CHECKED_BYTES: usize = 8 + 4 + 8 + 8 + 8 + 4 + 8 + 4;

impl Header {
    pub(super) fn encode(self) -> [u8; HEADER_BYTES] {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.put_slice(MAGIC);
        out.put_u32_le(self.epoch.get());
        out.put_u64_le(self.base.get());
        out.put_u64_le(self.nonce);
        out.put_u64_le(self.before.base.get());
        out.put_u32_le(self.before.end);
        // A segment that was not compacted ends at 0.
        out.put_u64_le(self.compacted.map_or(0, |compacted| compacted.through.get()));
        out.put_u32_le(self.compacted.map_or(0, |compacted| compacted.end));
        out.put_u32_le(crc32c::crc32c(&out));
        out.resize(HEADER_BYTES, 0);
        let mut header = [0; HEADER_BYTES];
        header.copy_from_slice(&out);
        header
    }

    pub(super) fn decode(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let (checked, mut rest) = bytes.split_at(HEADER_CHECKED_BYTES);
        if crc32c::crc32c(checked) != rest.try_get_u32_le().ok()? {
            return None;
        }
        let mut fields = checked.strip_prefix(MAGIC)?;
        Some(Self {
            epoch: Epoch::new(fields.try_get_u32_le().ok()?),
            base: Offset::new(fields.try_get_u64_le().ok()?),
            nonce: fields.try_get_u64_le().ok()?,
            before: Before {
                base: Offset::new(fields.try_get_u64_le().ok()?),
                end: fields.try_get_u32_le().ok()?,
            },
            compacted: {
                let through = Offset::new(fields.try_get_u64_le().ok()?);
                let end = fields.try_get_u32_le().ok()?;
                (end > 0).then_some(Compacted { through, end })
            },
        })
    }

    pub(super) fn read(file: &dyn File) -> io::Result<Option<Self>> {
        let mut bytes = [0; HEADER_BYTES];
        match file.read_at(&mut bytes, 0) {
            Ok(()) => Ok(Self::decode(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The file of the segment that begins at an offset.
pub(super) fn segment_name(base: Offset) -> String {
    format!("{base:020}.log")
}

/// The file of the index of a sealed segment.
pub(super) fn index_name(base: Offset) -> String {
    format!("{base:020}.idx")
}

/// The offset in a segment's file name.
pub(super) fn base_of(name: &str) -> Option<Offset> {
    let digits = name.strip_suffix(".log").filter(|digits| digits.len() == 20)?;
    digits.parse().ok().map(Offset::new)
}

/// A stretch of a segment that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damage {
    pub(super) at: u32,
    /// The place of the next record that can be read.
    pub(super) to: u32,
}

/// How a segment that was not sealed ends.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Behind the last record.
    pub(super) end: u32,
    /// So many bytes behind it look like the rest of writes that were cut off.
    pub(super) torn: bool,
    pub(super) damage: Vec<Damage>,
}

/// Reads a segment record by record: hands each with its place to `each`. Memory is constant.
///
/// If the end is known, nothing behind it is looked at, and what is missing before it is damage.
///
/// A record that cannot be read is damage if one behind it was written when this one was known to be on
/// disk; else the log ends here, because nobody was told of what follows.
pub(super) fn scan(
    file: &Arc<dyn File>,
    header: Header,
    end: Option<u32>,
    mut each: impl FnMut(&Stored, u32),
) -> io::Result<Scan> {
    let end = header.compacted.map_or(end, |compacted| Some(compacted.end));
    let len = file.len()?.min(u64::from(end.unwrap_or(u32::MAX)));
    let mut reader = Reader::new(file, len, READ_BYTES);
    let mut scan = Scan::default();
    let (mut at, mut next) = (HEADER_BYTES as u64, header.base);
    loop {
        let found = reader.record(at, header)?;
        let stored = match found {
            Found::Record(stored)
                if stored.record.position.offset >= next
                    && (header.compacted.is_some()
                        || stored.record.position.epoch == header.epoch) =>
            {
                stored
            }
            _ => match reader.resync(at, header, next)? {
                Some(to) => {
                    scan.damage.push(Damage { at: place(at), to: place(to) });
                    at = to;
                    continue;
                }
                None => {
                    scan.end = place(at);
                    match end.filter(|&end| place(at) < end) {
                        Some(end) => scan.damage.push(Damage { at: place(at), to: end }),
                        None => scan.torn = !matches!(found, Found::End),
                    }
                    return Ok(scan);
                }
            },
        };
        next = Offset::new(stored.record.position.offset.get().saturating_add(1));
        each(&stored, place(at));
        at += stored.bytes as u64;
    }
}

fn place(at: u64) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// A window onto a file, moved forward.
pub(super) struct Reader<'a> {
    file: &'a Arc<dyn File>,
    len: u64,
    buffer: Vec<u8>,
    /// Where the buffer lies.
    at: u64,
    read_bytes: usize,
}

const READ_BYTES: usize = 1 << 20;

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a Arc<dyn File>, len: u64, read_bytes: usize) -> Self {
        Self { file, len, buffer: Vec::new(), at: 0, read_bytes }
    }

    /// At least `wanted` bytes at a place, fewer only at the file's end.
    fn bytes(&mut self, at: u64, wanted: usize) -> io::Result<&[u8]> {
        let left = usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX);
        let wanted = wanted.min(left);
        let skip = at.checked_sub(self.at).and_then(|skip| usize::try_from(skip).ok());
        let held = skip.is_some_and(|skip| self.buffer.len() >= skip.saturating_add(wanted));
        if !held {
            self.buffer.resize(wanted.max(self.read_bytes).min(left), 0);
            self.at = at;
            self.file.read_at(&mut self.buffer, at)?;
        }
        let skip = usize::try_from(at - self.at).unwrap_or(usize::MAX);
        Ok(self.buffer.get(skip..).unwrap_or_default())
    }

    /// What stands at a place.
    pub(super) fn record(&mut self, at: u64, header: Header) -> io::Result<Found> {
        let bytes_max = usize::try_from(self.len).unwrap_or(usize::MAX);
        let mut wanted = PREFIX_BYTES;
        loop {
            let bytes = self.bytes(at, wanted)?;
            let whole = bytes.len() >= wanted;
            match decode(bytes, header.nonce, bytes_max) {
                Found::Cut(needed) if whole && needed > wanted => wanted = needed,
                // The file ends here.
                Found::Cut(_) if bytes.is_empty() => return Ok(Found::End),
                Found::Cut(_) => return Ok(Found::Damaged),
                found => return Ok(found),
            }
        }
    }

    /// The next place behind `at` with a record that proves that `at` had been synced.
    fn resync(&mut self, at: u64, header: Header, next: Offset) -> io::Result<Option<u64>> {
        const ALIGN: usize = 8;
        let mut to = at + ALIGN as u64;
        while to < self.len {
            let bytes = self.bytes(to, PREFIX_BYTES)?;
            let zeros = bytes.chunks_exact(ALIGN).take_while(|word| *word == [0; ALIGN]).count();
            if zeros > 0 {
                to += (zeros * ALIGN) as u64;
                continue;
            }
            if let Found::Record(stored) = self.record(to, header)?
                && stored.record.position.offset >= next
                && u64::from(stored.synced) > at
            {
                return Ok(Some(to));
            }
            to += ALIGN as u64;
        }
        Ok(None)
    }
}
