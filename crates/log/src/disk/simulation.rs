//! The disk log over files that fail: writes that are refused or stop half-way, syncs that fail, a full
//! disk, and crashes at which any subset of what was not synced is lost, torn or out of order.
//!
//! A failure prints its seed; `HEADWATER_SEED=n` runs it alone, `HEADWATER_SEEDS=n` tries so many.
#![allow(
    clippy::disallowed_types,
    reason = "the simulated disk is shared with the writer's thread"
)]

mod flips;

use std::collections::{BTreeMap, HashMap};
use std::io;
#[expect(
    clippy::disallowed_types,
    reason = "the simulated disk is shared with the writer's thread"
)]
use std::sync::Mutex;
use std::sync::{Arc, MutexGuard};

use fastrand::Rng;

use super::files::{File, Files};
use super::{DiskLog, DiskOptions, Durability, Outside, Recovery};
use crate::contract::draft;
use crate::{
    Appended, Filter, Keep, Log, Millis, Offset, Position, Read, Record, Resolved, Retention,
    Select, Topic,
};

/// A disk whose unsynced content may be lost.
#[derive(Clone)]
#[expect(
    clippy::disallowed_types,
    reason = "the simulated disk is shared with the writer's thread"
)]
struct Disk(Arc<Mutex<Content>>);

struct Content {
    rng: Rng,
    /// Of 1000 operations, so many fail.
    faults: u64,
    full: bool,
    /// After so many operations the power goes.
    operations_left: u64,
    /// What the power cut left.
    left: Option<Box<Content>>,
    names: BTreeMap<String, usize>,
    /// What a crash leaves of `names`.
    synced_names: BTreeMap<String, usize>,
    inodes: Vec<Inode>,
}

#[derive(Default, Clone)]
struct Inode {
    bytes: Vec<u8>,
    synced: Vec<u8>,
    /// Written and not synced, in order.
    pending: Vec<(usize, Vec<u8>)>,
}

impl Disk {
    fn new(seed: u64) -> Self {
        let content = Content {
            rng: Rng::with_seed(seed),
            faults: 0,
            full: false,
            operations_left: u64::MAX,
            left: None,
            names: BTreeMap::new(),
            synced_names: BTreeMap::new(),
            inodes: Vec::new(),
        };
        Self(Arc::new(Mutex::new(content)))
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap()
    }

    /// The disk after a power cut: now, or when it was to be. Whoever still writes to the old one writes
    /// to nothing.
    fn crash(&self) -> Self {
        let mut content = self.content();
        let left = content.left.take();
        let after = left.unwrap_or_else(|| Box::new(content.cut()));
        Self(Arc::new(Mutex::new(*after)))
    }
}

impl Content {
    /// One operation is done.
    fn done(&mut self) {
        self.operations_left = self.operations_left.saturating_sub(1);
        if self.operations_left == 0 && self.left.is_none() {
            self.left = Some(Box::new(self.cut()));
        }
    }

    /// What a power cut leaves: any part of what was not synced.
    fn cut(&mut self) -> Self {
        let Self { rng, names, synced_names, inodes, .. } = self;
        let mut left = synced_names.clone();
        for (name, inode) in names.iter() {
            if rng.bool() {
                left.insert(name.clone(), *inode);
            }
        }
        for name in synced_names.keys() {
            if !names.contains_key(name) && rng.bool() {
                left.remove(name);
            }
        }
        let inodes = inodes.iter().map(|inode| {
            let mut bytes = inode.synced.clone();
            bytes.resize(inode.bytes.len().max(bytes.len()), 0);
            for (at, written) in &inode.pending {
                match rng.u8(..3) {
                    0 => {}
                    1 => put(&mut bytes, *at, written),
                    // Sector by sector.
                    _ => {
                        for (nth, sector) in written.chunks(64).enumerate() {
                            if rng.bool() {
                                put(&mut bytes, at + nth * 64, sector);
                            }
                        }
                    }
                }
            }
            Inode { synced: bytes.clone(), bytes, pending: Vec::new() }
        });
        Self {
            inodes: inodes.collect(),
            rng: Rng::with_seed(rng.u64(..)),
            faults: 0,
            full: false,
            operations_left: u64::MAX,
            left: None,
            names: left.clone(),
            synced_names: left,
        }
    }
}

fn put(bytes: &mut Vec<u8>, at: usize, written: &[u8]) {
    bytes.resize(bytes.len().max(at + written.len()), 0);
    bytes[at..at + written.len()].copy_from_slice(written);
}

impl Content {
    fn fails(&mut self) -> bool {
        let faults = self.faults;
        self.rng.u64(..1000) < faults
    }
}

fn fault() -> io::Error {
    io::Error::other("injected")
}

impl Files for Disk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.content().names.keys().cloned().collect())
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<Arc<dyn File>> {
        let mut content = self.content();
        if content.fails() || (content.full && bytes > 0) {
            return Err(fault());
        }
        assert!(!content.names.contains_key(name), "{name} is there already");
        let inode = content.inodes.len();
        let zeros = vec![0; usize::try_from(bytes).unwrap()];
        content.inodes.push(Inode { bytes: zeros, ..Inode::default() });
        content.names.insert(name.to_owned(), inode);
        content.done();
        Ok(Arc::new(Opened { disk: self.clone(), inode }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let content = self.content();
        let inode = *content.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(Opened { disk: self.clone(), inode }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut content = self.content();
        if content.fails() {
            return Err(fault());
        }
        let inode = content.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        content.names.insert(to.to_owned(), inode);
        content.done();
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut content = self.content();
        if content.fails() {
            return Err(fault());
        }
        content.names.remove(name).map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut content = self.content();
        if content.fails() {
            return Err(fault());
        }
        content.synced_names = content.names.clone();
        content.done();
        Ok(())
    }
}

struct Opened {
    disk: Disk,
    inode: usize,
}

impl File for Opened {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.content().inodes[self.inode].bytes.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let content = self.disk.content();
        let at = usize::try_from(at).unwrap();
        let bytes = content.inodes[self.inode].bytes.get(at..at + buffer.len());
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let mut content = self.disk.content();
        let at = usize::try_from(at).unwrap();
        let fails = content.fails();
        let len = if fails { content.rng.u64(..=bytes.len() as u64) } else { bytes.len() as u64 };
        let written = bytes[..usize::try_from(len).unwrap()].to_vec();
        let inode = &mut content.inodes[self.inode];
        put(&mut inode.bytes, at, &written);
        inode.pending.push((at, written));
        content.done();
        if fails { Err(fault()) } else { Ok(()) }
    }

    fn sync(&self) -> io::Result<()> {
        let mut content = self.disk.content();
        let fails = content.fails();
        let Content { rng, inodes, .. } = &mut *content;
        let Inode { bytes, synced, pending } = &mut inodes[self.inode];
        synced.resize(bytes.len(), 0);
        for (at, written) in pending.drain(..) {
            // After a failed sync the system takes the pages for clean: they are lost for good.
            if !fails || rng.u64(..2) == 0 {
                put(synced, at, &written);
            }
        }
        content.done();
        if fails { Err(fault()) } else { Ok(()) }
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut content = self.disk.content();
        let len = usize::try_from(len).unwrap();
        let inode = &mut content.inodes[self.inode];
        inode.bytes.truncate(len);
        Ok(())
    }
}

/// What publishers were told.
#[derive(Default)]
struct Told {
    committed: Vec<(Position, String, &'static str)>,
    rejected: Vec<String>,
    /// Every event that was ever seen at a position.
    seen: HashMap<(u32, u64), String>,
    published: usize,
}

async fn simulate(seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let mut disk = Disk::new(seed ^ 1);
    let mut told = Told::default();
    let bytes_max = rng.bool().then(|| rng.u64(4_000..20_000));
    let durability = if rng.u64(..3) == 0 { Durability::Os } else { Durability::Always };
    let promised =
        Promise { durable: durability == Durability::Always, whole: bytes_max.is_none() };
    for opening in 0..6_u32 {
        let rules = vec![(of(STATE), Keep::LATEST)];
        let retention = Retention { rules, ..Retention::default() };
        let options = DiskOptions {
            durability,
            segment_bytes: 2048,
            bytes_max,
            retention,
            ..DiskOptions::default()
        };
        let outside = outside(seed ^ (u64::from(opening) << 32));
        let opened = DiskLog::open_files(Arc::new(disk.clone()), options, outside, None);
        let (log, recovery) = opened.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        check(seed, &log, &recovery, &mut told, promised).await;
        let faults = [0, 0, 5, 30][usize::try_from(rng.u64(..4)).unwrap()];
        if rng.bool() {
            disk.content().operations_left = rng.u64(1..150);
        }
        for _ in 0..rng.u64(..60) {
            {
                let mut content = disk.content();
                content.faults = faults;
                content.full = content.rng.u64(..8) == 0;
            }
            publish(&mut rng, &log, &disk, &mut told).await;
            if rng.u64(..5) == 0 {
                // It may fail, like everything else here.
                let _ = log.compact().await;
            }
        }
        {
            let mut content = disk.content();
            (content.faults, content.full) = (0, false);
        }
        // The hub goes on by itself when the disk does.
        if rng.bool() && disk.content().left.is_none() {
            let before = told.committed.len();
            publish(&mut rng, &log, &disk, &mut told).await;
            let cut = disk.content().left.is_some();
            assert!(cut || told.committed.len() > before, "seed {seed}: it does not recover");
        }
        if rng.u64(..3) == 0 && disk.content().left.is_none() {
            drop(log);
            disk.content().operations_left = u64::MAX;
        }
        if disk.content().left.is_some() || rng.bool() {
            disk = disk.crash();
        }
    }
}

fn outside(seed: u64) -> Outside {
    let numbers = Mutex::new(Rng::with_seed(seed));
    let random = Arc::new(move || numbers.lock().unwrap().u64(..));
    Outside { id_key: [7; 16], random, now: Arc::new(Millis::default) }
}

async fn publish(rng: &mut Rng, log: &DiskLog, disk: &Disk, told: &mut Told) {
    let data: Vec<(String, &'static str)> = (0..rng.u64(..4) + 1)
        .map(|nth| {
            let size = usize::try_from(rng.u64(..200)).unwrap();
            let data = format!("{}.{nth} {}", told.published, "x".repeat(size));
            (data, [HISTORY, STATE][usize::from(rng.u64(..3) == 0)])
        })
        .collect();
    told.published += 1;
    let drafts = data.iter().map(|(data, topic)| draft(&[topic], data)).collect();
    let answers = log.append(drafts).await;
    // Nobody hears an answer that comes after the power has gone.
    let in_time = disk.content().left.is_none();
    for (answer, (data, topic)) in answers.into_iter().zip(data).filter(|_| in_time) {
        match answer {
            Appended::Committed(position) => told.committed.push((position, data, topic)),
            Appended::Rejected(_) => told.rejected.push(data),
            Appended::Unknown { .. } => {}
            Appended::Duplicate { .. } => panic!("nothing was published twice"),
        }
    }
}

/// What a log is set up for.
#[derive(Clone, Copy)]
struct Promise {
    /// What was acknowledged is on disk.
    durable: bool,
    /// Nothing is removed because of its size.
    whole: bool,
}

async fn check(seed: u64, log: &DiskLog, recovery: &Recovery, told: &mut Told, promised: Promise) {
    assert!(recovery.damaged.is_empty(), "seed {seed}: {recovery}");
    assert!(recovery.missing.is_empty(), "seed {seed}: {recovery}");
    let records = everything(log).await;
    let offsets = records.iter().map(|record| record.position.offset);
    assert!(offsets.is_sorted_by(|a, b| a < b), "seed {seed}: order");
    for record in &records {
        let Position { epoch, offset } = record.position;
        let data = record.event.data.to_string();
        assert!(!told.rejected.contains(&data), "seed {seed}: {data} was refused");
        let known = told.seen.entry((epoch.get(), offset.get())).or_insert(data.clone());
        assert_eq!(*known, data, "seed {seed}: an id names two events");
    }
    let found: HashMap<&str, Position> =
        records.iter().map(|record| (&*record.event.data, record.position)).collect();
    let newest = records.iter().rfind(|record| record.event.topics[0].as_str() == STATE);
    let newest = newest.map(|record| record.position.offset);
    let mut lost = false;
    for (position, data, topic) in &told.committed {
        let resolved = log.resolve(&log.id_key().seal(*position)).await.unwrap();
        if let Some(found) = found.get(&**data) {
            assert_eq!(found, position, "seed {seed}: {data}");
            assert_eq!(resolved, Resolved::At(position.offset), "seed {seed}: {data}");
            continue;
        }
        let of_topic = of(topic);
        let told = log.may_have_lost(position.offset.just_before(), &of_topic);
        if !promised.durable && (told || matches!(resolved, Resolved::Lost(_))) {
            lost = true;
        } else if *topic == STATE {
            assert!(
                newest > Some(position.offset),
                "seed {seed}: {} was the newest state {position:?} {resolved:?} {told} {newest:?} {recovery} {:?}",
                &data[..4],
                log.bounds()
            );
        } else {
            assert!(!promised.whole && told, "seed {seed}: {data} went without a word");
        }
    }
    let state_lost = log.may_have_lost(Offset::START, &of(STATE));
    assert!(lost || !state_lost, "seed {seed}: a state is no history");
}

const HISTORY: &str = "t";
const STATE: &str = "s";

fn of(topic: &str) -> Filter {
    Filter::topic(Topic::parse(topic).unwrap())
}

async fn everything(log: &DiskLog) -> Vec<Arc<Record>> {
    let (mut after, mut records) = (log.bounds().floor, Vec::new());
    while after < log.bounds().tail.offset {
        let filter = Arc::new(Filter::all());
        let read = Read { after, filter, select: Select::Every, bytes_max: 4096 };
        let page = log.read(read).await.unwrap();
        assert!(!page.lost_since(log.bounds().removals) && page.scanned_to.offset > after);
        after = page.scanned_to.offset;
        records.extend(page.records);
    }
    records
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_whatever_the_disk_does() {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    if let Some(seed) = number("HEADWATER_SEED") {
        return simulate(seed).await;
    }
    let first = fastrand::u64(..1 << 40);
    println!("seeds from {first}");
    for seed in first..first + number("HEADWATER_SEEDS").unwrap_or(200) {
        let outcome = tokio::spawn(simulate(seed)).await;
        assert!(outcome.is_ok(), "HEADWATER_SEED={seed} fails");
    }
}
