//! What appends are made to: each takes a group of events and returns when it is on disk.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use headwater_log::{
    DiskLog, DiskOptions, Draft, Durability, Event, EventType, Millis, Outside, Topic,
};

/// A store with one writer, which is handed what is waiting.
pub trait Store: Send {
    fn commit(&mut self, group: &[Vec<u8>]) -> Result<()>;
}

const FILE_BYTES: u64 = 64 << 20;

/// The least that can be done: a write and an `fdatasync` a group, in files whose blocks are reserved.
pub struct Raw {
    dir: PathBuf,
    file: File,
    files: u32,
    end: u64,
    buffer: Vec<u8>,
}

impl Raw {
    pub fn open(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let file = reserved(&dir.join("0"))?;
        Ok(Self { dir: dir.to_owned(), file, files: 1, end: 0, buffer: Vec::new() })
    }
}

fn reserved(path: &Path) -> Result<File> {
    let file = File::create_new(path)?;
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, FILE_BYTES)?;
    file.sync_all()?;
    Ok(file)
}

impl Store for Raw {
    fn commit(&mut self, group: &[Vec<u8>]) -> Result<()> {
        self.buffer.clear();
        group.iter().for_each(|event| self.buffer.extend_from_slice(event));
        if self.end + self.buffer.len() as u64 > FILE_BYTES {
            self.file = reserved(&self.dir.join(self.files.to_string()))?;
            (self.files, self.end) = (self.files + 1, 0);
        }
        self.file.write_all_at(&self.buffer, self.end)?;
        self.file.sync_data()?;
        self.end += self.buffer.len() as u64;
        Ok(())
    }
}

pub struct Fjall {
    db: fjall::Database,
    events: fjall::Keyspace,
    next: u64,
}

impl Fjall {
    pub fn open(dir: &Path) -> Result<Self> {
        let db = fjall::Database::builder(dir).open()?;
        let events = db.keyspace("events", fjall::KeyspaceCreateOptions::default)?;
        Ok(Self { db, events, next: 0 })
    }
}

impl Store for Fjall {
    fn commit(&mut self, group: &[Vec<u8>]) -> Result<()> {
        let mut batch = self.db.batch().durability(Some(fjall::PersistMode::SyncData));
        for event in group {
            batch.insert(&self.events, self.next.to_be_bytes(), event.as_slice());
            self.next += 1;
        }
        Ok(batch.commit()?)
    }
}

pub struct Sqlite(rusqlite::Connection);

impl Sqlite {
    pub fn open(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let db = rusqlite::Connection::open(dir.join("events.db"))?;
        db.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE events (id INTEGER PRIMARY KEY, data BLOB NOT NULL);",
        )?;
        Ok(Self(db))
    }
}

impl Store for Sqlite {
    fn commit(&mut self, group: &[Vec<u8>]) -> Result<()> {
        let transaction = self.0.transaction()?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO events (data) VALUES (?1)")?;
            for event in group {
                insert.execute([event])?;
            }
        }
        Ok(transaction.commit()?)
    }
}

/// The log, with everything that it does for an event: topic, time, checksum, indexes.
pub fn open_log(dir: &Path, durability: Durability) -> Result<DiskLog> {
    let options = DiskOptions { durability, ..DiskOptions::default() };
    let outside =
        Outside { id_key: [7; 16], random: Arc::new(|| fastrand::u64(..)), now: Arc::new(now) };
    let (log, recovery) = DiskLog::open(dir, options, outside)?;
    anyhow::ensure!(recovery.damaged.is_empty() && recovery.missing.is_empty(), "{recovery}");
    Ok(log)
}

pub fn now() -> Millis {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(now.as_millis()).unwrap_or_default())
}

pub fn draft(topic: Topic, data: Box<str>) -> Draft {
    let event = Event {
        time: now(),
        topics: [topic].into(),
        event_type: EventType::default(),
        data,
        retry: None,
        private: false,
        publisher_id: None,
    };
    Draft { event, idempotency: None }
}
