//! The one thread that writes: many requests to one sync.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::files::{Files, remove, replace};
use super::index::{LiveIndex, SealedIndex};
use super::options::{DiskOptions, Durability};
use super::record::{Place, Stored, encode, stored_len};
use super::segment::{Before, HEADER_BYTES, Header, index_name, segment_name};
use super::state::{Open, Sealed};
use super::{Shared, retention};
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
    pub(super) random: Box<dyn FnMut() -> u64 + Send>,
    pub(super) current: Option<Current>,
}

/// The segment that is being written.
pub(super) struct Current {
    header: Header,
    file: Arc<dyn super::files::File>,
    /// 0 <= synced <= end
    end: u32,
    synced: u32,
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

/// So many bytes are written before they are synced, even if more wait.
const BATCH_BYTES_MAX: usize = 8 << 20;

impl Writer {
    /// Writes what comes until nobody can send any more; then seals what is open.
    pub(super) fn run(mut self, requests: &Receiver<Request>) {
        loop {
            let request = match self.options.durability {
                Durability::Interval(interval) => requests.recv_timeout(interval),
                _ => requests.recv().map_err(|_| RecvTimeoutError::Disconnected),
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
                Err(RecvTimeoutError::Timeout) => self.sync_late(),
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
        retention::apply(&self.shared, &*self.files, &self.options, self.time);
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
        let used = self.current.as_ref().map(|current| current.end as usize + batch.bytes.len());
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
        current.file.write_at(&batch.bytes, u64::from(current.end))?;
        let end = current.end + u32::try_from(batch.bytes.len()).unwrap_or(u32::MAX);
        if self.options.durability == Durability::Always {
            current.file.sync()?;
            current.synced = end;
        }
        current.end = end;
        Ok(())
    }

    /// After a failed write or sync nobody knows what is on disk: the segment ends where it was known, and
    /// a new one begins. It is never tried again as if nothing had happened.
    fn give_up(&mut self, error: &io::Error) -> String {
        let reason = format!("the segment could not be written: {error}");
        self.current = None;
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
            let base = open.header.base.get();
            for (stored, place) in stored {
                open.index.add(base, &stored, place);
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
        if current.synced == current.end {
            return;
        }
        match current.file.sync() {
            Ok(()) => current.synced = current.end,
            Err(error) => {
                self.give_up(&error);
            }
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
        self.current = None;
        let (header, file, index, end) = {
            let state = self.shared.state();
            let Some(open) = &state.open else { return Ok(()) };
            let index = open.index.encode(open.header, open.end);
            (open.header, open.file.clone(), index, open.end)
        };
        let empty = end as usize == HEADER_BYTES;
        if empty {
            // Gone for good before another begins: what was written to it and not shown must not come
            // back beside it.
            remove(&*self.files, &segment_name(header.base))?;
            self.shared.state().open = None;
            return Ok(());
        }
        let sealed = seal_file(&*self.files, header, file, &index, end)?;
        self.before = Before { base: header.base, end };
        let mut state = self.shared.state();
        state.sealed.push(Arc::new(sealed));
        state.open = None;
        Ok(())
    }

    fn begin(&mut self) -> io::Result<()> {
        let name = segment_name(self.next);
        // Begun before, and not finished: nothing was ever written to it that anybody was told of.
        remove(&*self.files, &name)?;
        let header = Header {
            epoch: self.epoch,
            base: self.next,
            nonce: (self.random)(),
            before: self.before,
        };
        let file = self.files.create(&name, u64::from(self.options.segment_bytes))?;
        file.write_at(&header.encode(), 0)?;
        file.sync()?;
        self.files.sync_dir()?;
        let begin = HEADER_BYTES as u32;
        self.current = Some(Current { header, file: file.clone(), end: begin, synced: begin });
        let index = LiveIndex::default();
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
    Ok(Sealed { file, index: opened, bytes: u64::from(end) + index.len() as u64 })
}

fn set(answers: &mut [Append], nth: usize, at: usize, answer: Appended) {
    if let Some(slot) = answers.get_mut(nth).and_then(|answers| answers.get_mut(at)) {
        *slot = answer;
    }
}

fn unavailable(error: &io::Error) -> Appended {
    Appended::Rejected(Rejection::Unavailable { reason: error.to_string() })
}
