//! An event stream on the wire, taken apart into blocks without losing where each byte stood.

use crate::chunked::Chunked;
use crate::http::find;

/// What came from the hub: a head, then blocks that end in a blank line, in chunks or as they are.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    pub(crate) bytes: Vec<u8>,
    /// How much of `bytes` was looked at.
    read: usize,
    framing: Option<Framing>,
    /// The payload of the block that has not ended yet, each byte with its place in `bytes`.
    payload: Vec<(u8, usize)>,
    blocks: usize,
}

/// How the blocks lie in the response.
#[derive(Debug)]
enum Framing {
    Chunked(Chunked),
    /// Up to the end of the connection.
    Bare,
}

/// A whole block.
#[derive(Debug)]
pub(crate) struct WireBlock {
    pub(crate) first: bool,
    pub(crate) text: String,
    /// Where the part of the wire before its first byte ends.
    start: usize,
    /// Where each byte of it ends.
    ends: Vec<usize>,
}

impl Wire {
    /// The head, once it is whole.
    pub(crate) fn head(&self) -> Option<&str> {
        let head = self.bytes.get(..find(&self.bytes, b"\r\n\r\n")?)?;
        std::str::from_utf8(head).ok()
    }

    /// The next block that is whole.
    pub(crate) fn next_block(&mut self) -> Option<WireBlock> {
        if self.framing.is_none() {
            let head = self.head()?.to_ascii_lowercase();
            let chunked = head.contains("transfer-encoding: chunked");
            self.read = head.len() + 4;
            self.framing =
                Some(if chunked { Framing::Chunked(Chunked::new()) } else { Framing::Bare });
        }
        let framing = self.framing.as_mut()?;
        while let Some(byte) = self.bytes.get(self.read) {
            self.read += 1;
            if let Framing::Chunked(chunked) = framing
                && !chunked.take(*byte)
            {
                continue;
            }
            self.payload.push((*byte, self.read));
            if matches!(self.payload.as_slice(), [.., (b'\n', _), (b'\n', _)]) {
                let payload = std::mem::take(&mut self.payload);
                let text: Vec<u8> = payload.iter().map(|(byte, _)| *byte).collect();
                let ends: Vec<usize> = payload.iter().map(|(_, end)| *end).collect();
                self.blocks += 1;
                return Some(WireBlock {
                    first: self.blocks == 1,
                    text: String::from_utf8_lossy(&text).into_owned(),
                    start: ends.first().map_or(0, |end| end - 1),
                    ends,
                });
            }
        }
        None
    }
}

impl WireBlock {
    /// Where on the wire so many of its bytes end.
    pub(crate) fn after(&self, bytes: usize) -> usize {
        bytes
            .checked_sub(1)
            .map_or(self.start, |last| self.ends.get(last).copied().unwrap_or_else(|| self.end()))
    }

    /// Where on the wire it ends.
    pub(crate) fn end(&self) -> usize {
        self.ends.last().copied().unwrap_or(self.start)
    }
}
