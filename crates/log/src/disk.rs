//! The log on disk: an append-only, segmented log of our own.
//!
//! A directory holds segments (`….log`: records, one behind the other, in blocks reserved in advance), an
//! index beside each that is sealed (`….idx`), the table of openings (`epochs`), the key of the ids, what
//! is remembered of removed events, and the version of all this (`format`). One thread writes; many
//! requests share a sync, and while one is synced the next gather. Readers never wait for it.

mod compaction;
mod epochs;
mod files;
mod index;
mod inspect;
mod options;
mod plan;
mod reading;
mod record;
mod recovery;
mod segment;
mod state;
mod writer;

#[cfg(test)]
mod simulation;

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
#[expect(
    clippy::disallowed_types,
    reason = "a backend: held for look-ups in memory, never over I/O"
)]
use std::sync::Mutex;
use std::sync::{Arc, MutexGuard, PoisonError, mpsc};
use std::thread;

use tokio::sync::{Semaphore, oneshot, watch};

pub use self::compaction::Compaction;
use self::compaction::{Compactor, Wake};
use self::epochs::Epochs;
use self::files::{Directory, Files};
pub use self::inspect::{Flaw, Info, Inspection, Seen, Step, Verified, Wrong};
pub use self::options::{DiskOptions, Durability, Outside};
pub use self::recovery::Recovery;
use self::state::{Recent, State};
use self::writer::{Request, Writer};
use crate::event::Draft;
use crate::filter::Filter;
use crate::id::IdKey;
use crate::log::{
    Append, Appended, Bounds, BoxFuture, Log, LogError, Page, Read, Rejection, Resolved, Seek,
    Size, Tail, TailBatch,
};
use crate::position::{Epoch, Offset, Position};
use crate::removed::Removals;
use crate::topic::Topic;

/// A log in a directory, which no other process may use at the same time.
///
/// Appending costs a write and a share of one sync; reading by id or by exact topics looks only at what
/// it gives. Memory: the index of the open segment (some 50 bytes a record), 8 MiB of the newest records,
/// and a few hundred bytes for each other segment.
#[derive(Clone)]
pub struct DiskLog(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    requests: Option<mpsc::Sender<Request>>,
    wakes: Option<mpsc::SyncSender<Wake>>,
    waiting: Arc<Semaphore>,
    threads: Vec<thread::JoinHandle<()>>,
    /// Held as long as the log is open.
    _lock: Option<fs::File>,
}

/// What the writer and the readers share.
struct Shared {
    id_key: IdKey,
    #[expect(
        clippy::disallowed_types,
        reason = "a backend: held for look-ups in memory, never over I/O"
    )]
    state: Mutex<State>,
    tail: watch::Sender<Offset>,
    trouble: watch::Sender<Option<String>>,
}

/// Why a log cannot be opened. The operator has to act.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Not allowed, no such disk, no room.
    #[error("the log in {} cannot be opened: {source}", .path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process has it.
    #[error("the log in {} is used by another process: stop that one, or use another directory", .path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// Only to be looked at, and not there.
    #[error("there is no log in {}: give the directory of a log, which holds a file named `format`", .path.display())]
    Absent {
        /// The directory.
        path: PathBuf,
    },
    /// Written by another version, or by something else.
    #[error("the log in {} is of a kind that this version does not know (`{found}`): use the version that wrote it", .path.display())]
    Format {
        /// The directory.
        path: PathBuf,
        /// What its `format` file says.
        found: String,
    },
}

impl DiskLog {
    /// Opens the log in a directory, or makes one. Reads the head of each segment, and the whole of the
    /// last one if it was not closed; says what it found.
    ///
    /// # Errors
    /// If the directory cannot be used, is in use, or is of another version.
    pub fn open(
        path: &Path,
        options: DiskOptions,
        outside: Outside,
    ) -> Result<(Self, Recovery), OpenError> {
        let failed = |source| OpenError::Io { path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(failed)?;
        let lock = fs::File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join("lock"))
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(OpenError::Locked { path: path.to_owned() });
            }
            Err(fs::TryLockError::Error(error)) => return Err(failed(error)),
        }
        let files = Arc::new(Directory::new(path));
        match recovery::check_format(&*files).map_err(failed)? {
            Ok(()) => Self::open_files(files, options, outside, Some(lock)).map_err(failed),
            Err(found) => Err(OpenError::Format { path: path.to_owned(), found }),
        }
    }

    fn open_files(
        files: Arc<dyn Files>,
        options: DiskOptions,
        outside: Outside,
        lock: Option<fs::File>,
    ) -> io::Result<(Self, Recovery)> {
        let id_key = IdKey::new(recovery::id_key(&*files, outside.id_key)?);
        let mut epochs = Epochs::open(&*files)?;
        let found = recovery::open(&*files, &mut epochs)?;
        let [e0, e1, e2, e3, ..] = (outside.random)().to_le_bytes();
        let epoch = Epoch::new(u32::from_le_bytes([e0, e1, e2, e3]));
        epochs.begin(epoch, found.next)?;
        let tail = found.next.just_before();
        let shared = Arc::new(Shared {
            id_key,
            state: State {
                floor: if found.sealed.is_empty() { tail } else { found.floor },
                sealed: found.sealed,
                open: None,
                tail,
                epochs,
                removed: found.removed,
                holes: found.holes,
                recent: Recent::new(tail),
            }
            .into(),
            tail: watch::Sender::new(tail),
            trouble: watch::Sender::new(None),
        });
        let (requests, queue) = mpsc::channel();
        // One wake that waits is enough: whoever is woken looks at everything.
        let (wakes, woken) = mpsc::sync_channel(1);
        let compactor = Compactor {
            shared: shared.clone(),
            files: files.clone(),
            options: options.clone(),
            outside: outside.clone(),
            doomed: VecDeque::new(),
            unreadable: Vec::new(),
            done: Compaction::default(),
            only_asked: lock.is_none(),
        };
        let waiting = Arc::new(Semaphore::new(options.queue_max.max(1)));
        let writer = Writer {
            shared: shared.clone(),
            files,
            options,
            epoch,
            next: found.next,
            time: found.time,
            before: found.before,
            outside,
            current: None,
            compactor: wakes.clone(),
        };
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            thread::Builder::new().name(name.to_owned()).spawn(work)
        };
        let writer = spawn("log-writer", Box::new(move || writer.run(&queue)))?;
        let compactor = spawn("log-compactor", Box::new(move || compactor.run(&woken)))?;
        let handle = Handle {
            shared,
            requests: Some(requests),
            wakes: Some(wakes),
            waiting,
            threads: vec![writer, compactor],
            _lock: lock,
        };
        Ok((Self(Arc::new(handle)), found.report))
    }

    /// Lets go now of everything that the settings do not keep, and says what went. In the course of
    /// things a segment is written anew only when half of it goes.
    ///
    /// # Errors
    /// If files cannot be read or written; what was done stays done.
    pub fn compact(&self) -> BoxFuture<'_, Result<Compaction, LogError>> {
        let wakes = self.0.wakes.clone();
        self.blocking(move |_| {
            let (reply, answer) = mpsc::channel();
            let gone = || io::Error::other("the log's compactor ended");
            wakes.ok_or_else(gone)?.send(Wake::Thorough(reply)).map_err(|_| gone())?;
            answer.recv().map_err(|_| gone())?
        })
    }

    /// Runs what touches files where blocking is allowed.
    fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> io::Result<T> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, LogError>> {
        let shared = self.0.shared.clone();
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || work(&shared)).await;
            match done {
                Ok(Ok(value)) => Ok(value),
                Ok(Err(error)) => Err(LogError::Unavailable { reason: error.to_string() }),
                Err(error) => Err(LogError::Unavailable { reason: error.to_string() }),
            }
        })
    }
}

impl Drop for Handle {
    /// Waits until what was appended is written and the open segment is sealed.
    fn drop(&mut self) {
        (self.requests, self.wakes) = (None, None);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held left at worst an index entry too few.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_trouble(&self, trouble: Option<String>) {
        self.trouble.send_if_modified(|known| {
            let changed = *known != trouble;
            *known = trouble;
            changed
        });
    }
}

impl Log for DiskLog {
    fn append(&self, drafts: Vec<Draft>) -> BoxFuture<'_, Append> {
        Box::pin(async move {
            let count = drafts.len();
            let closed = || {
                let reason = "the log is closed".to_owned();
                vec![Appended::Rejected(Rejection::Unavailable { reason }); count]
            };
            let Ok(permit) = self.0.waiting.clone().acquire_owned().await else {
                return closed();
            };
            let (reply, answer) = oneshot::channel();
            let request = Request { drafts, reply, _permit: permit };
            let sent = self.0.requests.as_ref().map(|requests| requests.send(request));
            match sent {
                Some(Ok(())) => answer.await.unwrap_or_else(|_| {
                    let reason = "the log's writer ended".to_owned();
                    vec![Appended::Unknown { reason }; count]
                }),
                _ => closed(),
            }
        })
    }

    fn tail(&self, after: Offset) -> Box<dyn Tail> {
        let changed = self.0.shared.tail.subscribe();
        Box::new(DiskTail { log: self.clone(), changed, after })
    }

    fn read(&self, read: Read) -> BoxFuture<'_, Result<Page, LogError>> {
        self.blocking(move |shared| shared.read(&read))
    }

    fn bounds(&self) -> Bounds {
        let state = self.0.shared.state();
        let tail = state.epochs.position(state.tail);
        Bounds { floor: state.floor, tail, removals: state.removed.now() }
    }

    fn size(&self) -> Option<Size> {
        Some(self.0.shared.state().size())
    }

    fn last_of(&self, topic: &Topic) -> Option<Offset> {
        // A few reads of index files, mostly out of the page cache.
        self.0.shared.newest_of(topic).ok().flatten()
    }

    fn may_have_lost(&self, after: Offset, filter: &Filter) -> bool {
        self.0.shared.state().may_have_lost(after, filter)
    }

    fn seek(&self, seek: Seek, filter: Arc<Filter>) -> BoxFuture<'_, Result<Offset, LogError>> {
        self.blocking(move |shared| shared.seek(seek, &filter))
    }

    fn resolve<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Resolved, LogError>> {
        // All who come back at once ask this: what needs no file is answered here and now.
        if let Some(resolved) = self.0.shared.resolve_generated(id) {
            return Box::pin(std::future::ready(Ok(resolved)));
        }
        let id = id.to_owned();
        self.blocking(move |shared| shared.resolve_published(&id))
    }

    fn position(&self, cursor: Offset) -> Position {
        self.0.shared.state().epochs.position(cursor)
    }

    fn id_key(&self) -> &IdKey {
        &self.0.shared.id_key
    }

    fn trouble(&self) -> Option<String> {
        self.0.shared.trouble.borrow().clone()
    }
}

struct DiskTail {
    log: DiskLog,
    changed: watch::Receiver<Offset>,
    after: Offset,
}

/// At most this many records a batch.
const TAIL_RECORDS_MAX: usize = 1024;

impl Tail for DiskTail {
    fn next(&mut self) -> BoxFuture<'_, Result<TailBatch, LogError>> {
        Box::pin(async move {
            let after = self.after;
            if self.changed.wait_for(|&tail| tail > after).await.is_err() {
                return Err(LogError::Closed);
            }
            let shared = &self.log.0.shared;
            let recent = {
                let state = shared.state();
                let records = state.recent.after(after, TAIL_RECORDS_MAX);
                records.map(|records| {
                    let full = records.len() == TAIL_RECORDS_MAX;
                    let last = records.last().filter(|_| full).map(|record| record.position);
                    (records, last.unwrap_or_else(|| state.epochs.position(state.tail)))
                })
            };
            let batch = match recent {
                Some((records, through)) => TailBatch { records, through, lost: false },
                None => {
                    let filter = Arc::new(Filter::all());
                    let select = crate::log::Select::Every;
                    let page =
                        self.log.read(Read { after, filter, select, bytes_max: 1 << 20 }).await?;
                    // A reader at the tail has had everything before: whatever went since is lost.
                    let lost = page.lost_since(Removals::NONE);
                    TailBatch { records: page.records, through: page.scanned_to, lost }
                }
            };
            self.after = batch.through.offset;
            Ok(batch)
        })
    }
}
