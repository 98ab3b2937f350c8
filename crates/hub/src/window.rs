//! The newest part of the log, held in memory as frames that are ready to send.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use headwater_log::{Event, IdKey, Offset, Position, Record, TailBatch, Topic};

use crate::encoding::{Encoding, encode, id_of};

/// One ring of the newest records in log order, bounded in bytes. Whoever reads the log's tail writes
/// it; everybody else reads a [`Snapshot`].
pub struct Window {
    bytes_max: usize,
    chunks: Arc<VecDeque<Arc<Chunk>>>,
    /// What the chunks take together.
    bytes: Arc<AtomicUsize>,
    /// How many slots of the newest chunk are filled.
    filled: usize,
    /// Every visible event beyond it is in the window.
    base: Offset,
    through: Position,
}

/// The window as it was at one moment. Cloning costs three reference counts; what it shows never changes,
/// and it keeps what it shows alive, so hold it for a turn only.
#[derive(Clone)]
pub struct Snapshot {
    chunks: Arc<VecDeque<Arc<Chunk>>>,
    bytes: Arc<AtomicUsize>,
    base: Offset,
    through: Position,
}

/// A record, and its frames as they come to be needed.
pub struct Entry {
    record: Arc<Record>,
    frames: [OnceLock<Bytes>; Encoding::FRAMES],
}

impl Entry {
    fn new(record: Arc<Record>) -> Self {
        Self { record, frames: [const { OnceLock::new() }; Encoding::FRAMES] }
    }

    /// The record.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    fn offset(&self) -> Offset {
        self.record.position.offset
    }

    fn footprint(&self) -> usize {
        const ENTRY: usize = size_of::<Entry>() + size_of::<Record>() + 6 * size_of::<usize>();
        let event = &self.record.event;
        ENTRY + event.data.len() + event.topics.len() * size_of::<Topic>()
    }
}

/// So many records, or a 64th of the window's bytes, are let go together.
const CHUNK_RECORDS_MAX: usize = 256;
const CHUNKS_PER_WINDOW: usize = 64;
/// No chunk takes so many bytes.
const RELEASED: usize = 1 << (usize::BITS - 1);

/// A stretch of the ring: filled slot by slot by the window, read by anyone up to where a snapshot says.
struct Chunk {
    slots: Box<[OnceLock<Arc<Entry>>]>,
    /// Of entries, and of frames and indexes made for them since; with [`RELEASED`], when the window has
    /// let it go.
    bytes: AtomicUsize,
    /// What all chunks of the window take.
    of_window: Arc<AtomicUsize>,
    /// The offset of the last entry; 0 while there is none.
    last: AtomicU64,
    /// Where each topic's entries are; made when the chunk is full and somebody first asks.
    index: OnceLock<HashMap<Topic, Box<[u16]>>>,
}

impl Chunk {
    fn new(of_window: &Arc<AtomicUsize>) -> Arc<Self> {
        let slots = (0..CHUNK_RECORDS_MAX).map(|_| OnceLock::new()).collect();
        Arc::new(Self {
            slots,
            bytes: AtomicUsize::new(0),
            of_window: of_window.clone(),
            last: AtomicU64::new(0),
            index: OnceLock::new(),
        })
    }

    /// Fills the next slot. Only the window calls this, so no slot is ever filled twice.
    fn push(&self, at: usize, entry: Arc<Entry>) {
        self.charge(entry.footprint());
        self.last.store(entry.offset().get(), Ordering::Relaxed);
        if let Some(slot) = self.slots.get(at) {
            let _ = slot.set(entry);
        }
    }

    fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.slots.iter().map_while(OnceLock::get)
    }

    /// The entries after a cursor.
    fn entries_after(&self, cursor: Offset) -> impl Iterator<Item = &Arc<Entry>> {
        let before =
            |slot: &OnceLock<Arc<Entry>>| slot.get().is_some_and(|entry| entry.offset() <= cursor);
        let from = self.slots.partition_point(before);
        self.slots.iter().skip(from).map_while(OnceLock::get)
    }

    fn entry(&self, slot: u16) -> Option<&Arc<Entry>> {
        self.slots.get(usize::from(slot)).and_then(OnceLock::get)
    }

    fn charge(&self, bytes: usize) {
        // Who looks at it in a snapshot may still make frames when the window has let it go. Each byte that
        // was counted before is taken off with the chunk, so that the sum is right in the end.
        if self.bytes.fetch_add(bytes, Ordering::Relaxed) & RELEASED == 0 {
            self.of_window.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed) & !RELEASED
    }

    /// It is no longer the window's.
    fn release(&self) {
        let bytes = self.bytes.fetch_or(RELEASED, Ordering::Relaxed);
        self.of_window.fetch_sub(bytes & !RELEASED, Ordering::Relaxed);
    }

    fn last(&self) -> Offset {
        Offset::new(self.last.load(Ordering::Relaxed))
    }

    fn index(&self) -> &HashMap<Topic, Box<[u16]>> {
        self.index.get_or_init(|| {
            let mut index: HashMap<Topic, Vec<u16>> = HashMap::new();
            for (slot, entry) in (0..).zip(self.entries()) {
                for topic in &entry.record.event.topics {
                    let slots = index.entry(topic.clone()).or_default();
                    if slots.last() != Some(&slot) {
                        slots.push(slot);
                    }
                }
            }
            const TOPIC: usize = size_of::<(Topic, Box<[u16]>)>() + 16;
            self.charge(index.values().map(|slots| TOPIC + 2 * slots.len()).sum());
            index.into_iter().map(|(topic, slots)| (topic, slots.into())).collect()
        })
    }
}

impl Window {
    /// A window over what follows a position of the log, of at most about `bytes_max` bytes: the events,
    /// and the frames made of them.
    #[must_use]
    pub fn new(after: Position, bytes_max: usize) -> Self {
        Self {
            bytes_max,
            chunks: Arc::default(),
            bytes: Arc::default(),
            filled: 0,
            base: after.offset,
            through: after,
        }
    }

    /// Takes the next part of the tail; lets the oldest go. A few hundred nanoseconds a record.
    pub fn push(&mut self, batch: TailBatch) {
        if batch.lost {
            // What was removed before it could be read is missing here too.
            self.chunks.iter().for_each(|chunk| chunk.release());
            self.chunks = Arc::default();
            let first = batch.records.first().map_or(batch.through, |record| record.position);
            self.base = first.offset.just_before();
        }
        let mut chunk = self.chunks.back().cloned();
        for record in batch.records {
            let full = |chunk: &Arc<Chunk>| {
                self.filled == CHUNK_RECORDS_MAX
                    || chunk.bytes() > self.bytes_max / CHUNKS_PER_WINDOW
            };
            let open = match chunk.take().filter(|chunk| !full(chunk)) {
                Some(open) => open,
                None => {
                    self.filled = 0;
                    let open = Chunk::new(&self.bytes);
                    Arc::make_mut(&mut self.chunks).push_back(open.clone());
                    open
                }
            };
            open.push(self.filled, Arc::new(Entry::new(record)));
            self.filled += 1;
            chunk = Some(open);
        }
        self.through = batch.through;
        self.trim();
    }

    fn trim(&mut self) {
        while self.bytes() > self.bytes_max
            && self.chunks.len() > 1
            && let Some(oldest) = Arc::make_mut(&mut self.chunks).pop_front()
        {
            oldest.release();
            self.base = oldest.last();
        }
    }

    /// What the window takes now, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        sum(&self.bytes)
    }

    /// The window as it is now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            chunks: self.chunks.clone(),
            bytes: self.bytes.clone(),
            base: self.base,
            through: self.through,
        }
    }
}

/// While a chunk is let go the sum may be less than nothing for a moment.
fn sum(bytes: &AtomicUsize) -> usize {
    usize::try_from(bytes.load(Ordering::Relaxed).cast_signed()).unwrap_or_default()
}

/// Entries that were found, and where the search stopped if it did before its end.
pub(crate) struct Found {
    pub(crate) entries: Vec<Arc<Entry>>,
    pub(crate) through: Option<Position>,
}

/// At most this many records a gathering, however small they are.
const RUN_RECORDS_MAX: usize = 1024;
/// At most this many entries are held against matchers in one gathering.
const ASKED_MAX: usize = 4096;

impl Snapshot {
    /// Every visible event beyond it is in the window.
    #[must_use]
    pub fn base(&self) -> Offset {
        self.base
    }

    /// What the window takes by now, in bytes, with the frames that were made since.
    #[must_use]
    pub fn bytes(&self) -> usize {
        sum(&self.bytes)
    }

    /// How far the log was visible.
    #[must_use]
    pub fn through(&self) -> Position {
        self.through
    }

    /// The id of the newest record, if it is in the window.
    #[must_use]
    pub fn last_id(&self, key: &IdKey) -> Option<String> {
        let last = self.through.offset;
        let newest = |chunk: &Arc<Chunk>| {
            chunk.entries().take_while(|entry| entry.offset() <= last).last().cloned()
        };
        let entry = self.chunks.iter().rev().find_map(newest)?;
        Some(id_of(&entry.record, key))
    }

    /// At most `count` entries after a cursor that lies in the window, in log order.
    pub(crate) fn after(&self, cursor: Offset, count: usize) -> Vec<Arc<Entry>> {
        self.chunks_after(cursor)
            .flat_map(|chunk| chunk.entries_after(cursor))
            .take_while(|entry| entry.offset() <= self.through.offset)
            .take(count)
            .cloned()
            .collect()
    }

    /// Entries in `(cursor, to]` that match, in log order, until their data reach `bytes_max` (one is
    /// always taken). If topics are given they are all that can match, and nothing else is looked at;
    /// else `matches` is asked, of a bounded number of entries.
    pub(crate) fn gather(
        &self,
        (cursor, to): (Offset, Offset),
        topics: Option<&[Topic]>,
        mut wants: impl FnMut(&Event, bool) -> bool,
        bytes_max: usize,
    ) -> Found {
        let mut entries: Vec<Arc<Entry>> = Vec::new();
        let (mut bytes, mut asked) = (0, 0);
        for chunk in self.chunks_after(cursor) {
            let sealed = !self.chunks.back().is_some_and(|open| std::ptr::eq(&**open, chunk));
            let slots = topics.filter(|_| sealed).map(|topics| slots_of(chunk, topics));
            let candidates: &mut dyn Iterator<Item = &Arc<Entry>> = match &slots {
                Some(slots) => &mut slots.iter().filter_map(|&slot| chunk.entry(slot)),
                None => &mut chunk.entries_after(cursor),
            };
            let in_reach = candidates
                .skip_while(|entry| entry.offset() <= cursor)
                .take_while(|entry| entry.offset() <= to);
            for entry in in_reach {
                // What the index gives has one of the topics.
                if wants(&entry.record.event, slots.is_some()) {
                    bytes += entry.record.event.data.len();
                    entries.push(entry.clone());
                }
                asked += usize::from(slots.is_none());
                if bytes >= bytes_max || entries.len() >= RUN_RECORDS_MAX || asked >= ASKED_MAX {
                    return Found { through: Some(entry.record.position), entries };
                }
            }
        }
        Found { entries, through: None }
    }

    /// An entry's frame, made now if nobody needed it before, and charged to the window.
    pub(crate) fn frame(&self, entry: &Entry, encoding: Encoding, key: &IdKey) -> Bytes {
        let mut made = 0;
        let frame = entry.frames.get(encoding.frame()).map(|frame| {
            frame.get_or_init(|| {
                let frame = encode(&entry.record, encoding, key);
                made = frame.len();
                frame
            })
        });
        if made > 0
            && let Some(chunk) = self.chunks_after(entry.offset().just_before()).next()
        {
            chunk.charge(made);
        }
        frame.cloned().unwrap_or_default()
    }

    /// The chunks that may hold entries after a cursor.
    fn chunks_after(&self, cursor: Offset) -> impl Iterator<Item = &Chunk> {
        let from = self.chunks.partition_point(|chunk| chunk.last() <= cursor);
        self.chunks.iter().skip(from).map(|chunk| &**chunk)
    }
}

fn slots_of(chunk: &Chunk, topics: &[Topic]) -> Vec<u16> {
    let index = chunk.index();
    if let [topic] = topics {
        return index.get(topic).map(|slots| slots.to_vec()).unwrap_or_default();
    }
    let mut slots: Vec<u16> =
        topics.iter().filter_map(|topic| index.get(topic)).flatten().copied().collect();
    slots.sort_unstable();
    slots.dedup();
    slots
}
