//! The one thread that writes: many requests to one sync.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::compaction::{Wake, remember};
use super::files::{Files, remove, replace};
use super::index::{LiveIndex, SealedIndex};
use super::options::{DiskOptions, Durability};
use super::record::{Place, Stored, encode, stored_len};
use super::segment::{Before, HEADER_BYTES, Header, index_name, scan, segment_name};
use super::state::{Open, Sealed};
use super::{Outside, Shared};
use crate::event::{Draft, IdempotencyKey, Millis, PublisherId, Record};
use crate::log::{Append, Appended, Rejection};
use crate::position::{Epoch, Offset, Position};

/// Drafts to be written, and where the answer goes.
pub(super) struct Request {
    pub(super) drafts: Vec<Draft>,
    pub(super) reply: oneshot::Sender<Append>,
    /// Its place among the requests that may wait.
    pub(super) _permit: OwnedSemaphorePermit,
}

/// The writing end of a log.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) files: Arc<dyn Files>,
    pub(super) options: DiskOptions,
    pub(super) epoch: Epoch,
    pub(super) next: Offset,
    pub(super) time: Millis,
    pub(super) before: Before,
    pub(super) outside: Outside,
    pub(super) current: Option<Current>,
    pub(super) compactor: SyncSender<Wake>,
}

/// The segment that is being written.
pub(super) struct Current {
    header: Header,
    file: Arc<dyn super::files::File>,
    /// 0 <= synced <= end
    end: u32,
    synced: u32,
    /// Nothing more is written to it.
    failed: Option<Failure>,
}

/// After what a segment ends early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    Write,
    /// What was not synced by then is not on disk, whatever a later sync says.
    Sync,
}

/// What one sync takes.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    stored: Vec<(Stored, u32)>,
    /// Which draft of which request gets which answer if all goes well.
    answers: Vec<(usize, usize, Appended)>,
    keys: HashMap<[u8; 16], Known>,
}

/// An idempotency key's first use.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) body: [u8; 16],
    pub(super) first: Position,
    pub(super) publisher_id: Option<PublisherId>,
}

/// How often is looked whether what is open has grown too old.
const LOOK: Duration = Duration::from_secs(60);
/// So many bytes are written before they are synced, even if more wait.
const BATCH_BYTES_MAX: usize = 8 << 20;

impl Writer {
    /// Writes what comes until nobody can send any more; then seals what is open.
    pub(super) fn run(mut self, requests: &Receiver<Request>) {
        loop {
            let request = match self.options.durability {
                Durability::Interval(interval) => requests.recv_timeout(interval),
                _ => requests.recv_timeout(LOOK),
            };
            match request {
                Ok(first) => {
                    let mut bytes = first.drafts.iter().map(stored_len).sum::<usize>();
                    let mut waiting = vec![first];
                    while bytes < BATCH_BYTES_MAX
                        && let Ok(next) = requests.try_recv()
                    {
                        bytes += next.drafts.iter().map(stored_len).sum::<usize>();
                        waiting.push(next);
                    }
                    self.commit(waiting);
                }
                Err(RecvTimeoutError::Timeout) => {
                    if matches!(self.options.durability, Durability::Interval(_)) {
                        self.sync_late();
                    }
                    self.seal_old();
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.sync_late();
        // What cannot be sealed now is read from end to end when the log is opened again.
        let _ = self.seal();
    }

    fn commit(&mut self, requests: Vec<Request>) {
        let mut answers: Vec<Append> = Vec::with_capacity(requests.len());
        let mut replies = Vec::with_capacity(requests.len());
        let mut batch = Batch::default();
        for (nth, request) in requests.into_iter().enumerate() {
            let unknown = Appended::Unknown { reason: String::new() };
            answers.push(vec![unknown; request.drafts.len()]);
            for (at, draft) in request.drafts.into_iter().enumerate() {
                if let Err(answer) = self.add(draft, (nth, at), &mut batch, &mut answers) {
                    set(&mut answers, nth, at, answer);
                }
            }
            replies.push(request.reply);
        }
        self.flush(&mut batch, &mut answers);
        for (reply, answer) in replies.into_iter().zip(answers) {
            // A publisher that is gone needs no answer.
            let _ = reply.send(answer);
        }
    }

    /// Puts a draft into the batch, or says why not.
    fn add(
        &mut self,
        mut draft: Draft,
        (nth, at): (usize, usize),
        batch: &mut Batch,
        answers: &mut [Append],
    ) -> Result<(), Appended> {
        let bytes = stored_len(&draft);
        let bytes_max = self.options.segment_bytes as usize - HEADER_BYTES;
        if bytes > bytes_max {
            return Err(Appended::Rejected(Rejection::TooLarge { bytes, bytes_max }));
        }
        draft.event.time = draft.event.time.max(self.time);
        if let Some(key) = draft.idempotency
            && let Some(known) = self.known(key, &draft, batch)
        {
            let answer = known?;
            batch.answers.push((nth, at, answer));
            return Ok(());
        }
        let used = match &self.current {
            Some(Current { failed: None, end, .. }) => Some(*end as usize + batch.bytes.len()),
            _ => None,
        };
        if used.is_none_or(|used| used + bytes > self.options.segment_bytes as usize) {
            self.flush(batch, answers);
            self.rotate().map_err(|error| unavailable(&error))?;
        }
        let Some(current) = &self.current else {
            return Err(unavailable(&io::Error::other("there is no segment to write to")));
        };
        self.time = draft.event.time;
        let position = Position { epoch: self.epoch, offset: self.next };
        self.next = Offset::new(self.next.get().saturating_add(1));
        let place = current.end + u32::try_from(batch.bytes.len()).unwrap_or(u32::MAX);
        let (synced, nonce) = (current.synced, current.header.nonce);
        encode(&draft, Place { position, synced, nonce }, &mut batch.bytes);
        if let Some(IdempotencyKey { key, body }) = draft.idempotency {
            let publisher_id = draft.event.publisher_id.clone();
            batch.keys.insert(key, Known { body, first: position, publisher_id });
        }
        let record = Record { position, event: draft.event };
        let stored = Stored { record, idempotency: draft.idempotency, synced, bytes };
        batch.stored.push((stored, place));
        batch.answers.push((nth, at, Appended::Committed(position)));
        Ok(())
    }

    /// What a key that was used before makes of a draft.
    fn known(
        &self,
        key: IdempotencyKey,
        draft: &Draft,
        batch: &Batch,
    ) -> Option<Result<Appended, Appended>> {
        let known = match batch.keys.get(&key.key) {
            Some(known) => known.clone(),
            None => match self.shared.find_key(&key.key, draft.event.time) {
                Ok(known) => known?,
                Err(error) => return Some(Err(unavailable(&error))),
            },
        };
        Some(if known.body == key.body {
            Ok(Appended::Duplicate { first: known.first, publisher_id: known.publisher_id })
        } else {
            Err(Appended::Rejected(Rejection::KeyReused))
        })
    }

    /// Writes a batch, syncs it if that is promised, shows it, and settles its answers.
    fn flush(&mut self, batch: &mut Batch, answers: &mut [Append]) {
        let batch = std::mem::take(batch);
        let written = self.write(&batch);
        let reason = match &written {
            Ok(()) => {
                if !batch.stored.is_empty() {
                    self.show(batch.stored);
                    self.shared.set_trouble(None);
                }
                None
            }
            Err(error) => Some(self.give_up(error)),
        };
        for (nth, at, answer) in batch.answers {
            let answer = match &reason {
                None => answer,
                Some(reason) => Appended::Unknown { reason: reason.clone() },
            };
            set(answers, nth, at, answer);
        }
    }

    fn write(&mut self, batch: &Batch) -> io::Result<()> {
        if batch.bytes.is_empty() {
            return Ok(());
        }
        let current = self.current.as_mut();
        let current = current.ok_or_else(|| io::Error::other("there is no segment to write to"))?;
        let written = current.file.write_at(&batch.bytes, u64::from(current.end));
        written.inspect_err(|_| current.failed = Some(Failure::Write))?;
        let end = current.end + u32::try_from(batch.bytes.len()).unwrap_or(u32::MAX);
        if self.options.durability == Durability::Always {
            current.file.sync().inspect_err(|_| current.failed = Some(Failure::Sync))?;
            current.synced = end;
        }
        current.end = end;
        Ok(())
    }

    /// After a failed write or sync nobody knows what is on disk: the segment ends where it was known, and
    /// a new one begins. It is never tried again as if nothing had happened.
    fn give_up(&self, error: &io::Error) -> String {
        let reason = format!("the segment could not be written: {error}");
        self.shared.set_trouble(Some(reason.clone()));
        reason
    }

    fn show(&self, stored: Vec<(Stored, u32)>) {
        let Some(last) = stored.last().map(|(stored, _)| stored.record.position.offset) else {
            return;
        };
        let mut state = self.shared.state();
        let mut records = Vec::with_capacity(stored.len());
        if let Some(open) = &mut state.open {
            // Whoever plans a compaction may hold the index for a moment; then it is copied.
            let index = Arc::make_mut(&mut open.index);
            for (stored, place) in stored {
                index.add(&stored, place);
                open.end = place + u32::try_from(stored.bytes).unwrap_or(u32::MAX);
                records.push(Arc::new(stored.record));
            }
        }
        records.into_iter().for_each(|record| state.recent.push(record));
        state.tail = last;
        drop(state);
        self.shared.tail.send_replace(last);
    }

    /// Syncs what was shown before it was on disk.
    fn sync_late(&mut self) {
        let Some(current) = &mut self.current else { return };
        if current.synced == current.end || current.failed == Some(Failure::Sync) {
            return;
        }
        match current.file.sync() {
            Ok(()) => current.synced = current.end,
            Err(error) => {
                current.failed = Some(Failure::Sync);
                self.give_up(&error);
            }
        }
    }

    /// Seals the open segment if it would else keep for much longer what has grown too old.
    fn seal_old(&mut self) {
        let Some(age_min) = self.options.retention.age_min() else { return };
        let first = self.shared.state().open.as_ref().and_then(|open| open.index.first_time());
        let age_ms = first.map_or(0, |first| (self.outside.now)().0.saturating_sub(first.0));
        if u128::from(age_ms) > age_min.as_millis() {
            self.sync_late();
            // What cannot be sealed now is tried again at the next look.
            let _ = self.seal();
        }
    }

    /// Seals the open segment, and begins another.
    fn rotate(&mut self) -> io::Result<()> {
        self.sync_late();
        let begun = self.seal().and_then(|()| self.begin());
        if let Err(error) = &begun {
            self.shared.set_trouble(Some(format!("no segment can be begun: {error}")));
        }
        begun
    }

    /// Writes the open segment's index beside it; from then on it is only read.
    fn seal(&mut self) -> io::Result<()> {
        if let Some(current) = &self.current
            && current.synced < current.end
        {
            self.cut_back(current)?;
        }
        self.current = None;
        let (header, file, index, end) = {
            let state = self.shared.state();
            let Some(open) = &state.open else { return Ok(()) };
            (open.header, open.file.clone(), open.index.clone(), open.end)
        };
        let empty = end as usize == HEADER_BYTES;
        if empty {
            // Gone for good before another begins: what was written to it and not shown must not come
            // back beside it.
            remove(&*self.files, &segment_name(header.base))?;
            self.shared.state().open = None;
            return Ok(());
        }
        let sealed = seal_file(&*self.files, header, file, &index.encode(header, end), end)?;
        self.before = Before { base: header.base, end };
        {
            let mut state = self.shared.state();
            state.sealed.push(Arc::new(sealed));
            state.open = None;
        }
        // If the compactor is at work it will look again anyway.
        let _ = self.compactor.try_send(Wake::Sealed);
        Ok(())
    }

    /// The sync failed: the segment ends at the last place that was synced. What was shown beyond it is
    /// lost, and whoever comes back for it is told so.
    fn cut_back(&self, current: &Current) -> io::Result<()> {
        let mut index = LiveIndex::new(current.header.base);
        let synced = Some(current.synced);
        scan(&current.file, current.header, synced, |stored, place| index.add(stored, place))?;
        let kept = index.count();
        {
            let mut state = self.shared.state();
            let state = &mut *state;
            if let Some(open) = state.open.as_mut().filter(|open| open.end > current.synced) {
                state.removed.begin();
                for (topic, ordinals) in open.index.postings() {
                    if let Some(&last) = ordinals.last().filter(|&&last| last >= kept) {
                        let offset = open.index.offset(last);
                        state.removed.note(topic, offset, self.options.removed_topics_max);
                    }
                }
                open.index = Arc::new(index);
                open.end = current.synced;
            }
        }
        remember(&self.shared, &*self.files)
    }

    fn begin(&mut self) -> io::Result<()> {
        let name = segment_name(self.next);
        // Begun before, and not finished: nothing was ever written to it that anybody was told of.
        remove(&*self.files, &name)?;
        let header = Header {
            epoch: self.epoch,
            base: self.next,
            nonce: (self.outside.random)(),
            before: self.before,
            compacted: None,
        };
        let file = self.files.create(&name, u64::from(self.options.segment_bytes))?;
        file.write_at(&header.encode(), 0)?;
        file.sync()?;
        self.files.sync_dir()?;
        let begin = HEADER_BYTES as u32;
        let failed = None;
        self.current =
            Some(Current { header, file: file.clone(), end: begin, synced: begin, failed });
        let index = Arc::new(LiveIndex::new(header.base));
        self.shared.state().open = Some(Open { header, file, index, end: begin });
        Ok(())
    }
}

/// Puts a segment's index in place, gives back what was reserved behind its records, and opens it.
pub(super) fn seal_file(
    files: &dyn Files,
    header: Header,
    file: Arc<dyn super::files::File>,
    index: &[u8],
    end: u32,
) -> io::Result<Sealed> {
    let index_file = replace(files, &index_name(header.base), index)?;
    let opened = SealedIndex::open(index_file)?;
    let opened = opened.ok_or_else(|| io::Error::other("the index cannot be read back"))?;
    file.truncate(u64::from(end))?;
    Sealed::new(file, opened)
}

fn set(answers: &mut [Append], nth: usize, at: usize, answer: Appended) {
    if let Some(slot) = answers.get_mut(nth).and_then(|answers| answers.get_mut(at)) {
        *slot = answer;
    }
}

fn unavailable(error: &io::Error) -> Appended {
    Appended::Rejected(Rejection::Unavailable { reason: error.to_string() })
}
