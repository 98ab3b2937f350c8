//! Bits that flip in what holds a log together: nothing that can be read is thrown away, and verifying finds
//! every one.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failure here is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_log::contract::draft;
use headwater_log::{
    Appended, DiskLog, DiskOptions, Filter, Flaw, Inspection, Log, Millis, Outside, Position, Read,
    Recovery, Resolved, Seen, Select, Step, Wrong,
};
use tempfile::TempDir;

fn open(path: &Path) -> (DiskLog, Recovery) {
    let options = DiskOptions { segment_bytes: 16 << 10, ..DiskOptions::default() };
    let outside = Outside {
        id_key: [7; 16],
        random: Arc::new(|| fastrand::u64(..)),
        now: Arc::new(|| Millis(0)),
    };
    DiskLog::open(path, options, outside).unwrap()
}

async fn publish(log: &DiskLog, data: &str) -> Position {
    match log.append(vec![draft(&["t"], data)]).await.pop() {
        Some(Appended::Committed(position)) => position,
        other => panic!("{other:?}"),
    }
}

/// Three openings of 100 events each, in several segments.
async fn written() -> (TempDir, Vec<Position>) {
    let directory = TempDir::new().unwrap();
    let mut positions = Vec::new();
    for _ in 0..3 {
        let (log, _) = open(directory.path());
        for nth in 0..100 {
            positions.push(publish(&log, &format!("{nth} {}", "x".repeat(200))).await);
        }
    }
    (directory, positions)
}

/// Where everything is that can be read, and whether something cannot.
async fn everything(log: &DiskLog) -> (Vec<Position>, bool) {
    let (mut after, mut positions, mut lost) = (log.bounds().floor, Vec::new(), false);
    while after < log.bounds().tail.offset {
        let filter = Arc::new(Filter::all());
        let read = Read { after, filter, select: Select::Every, bytes_max: 10_000 };
        let page = log.read(read).await.unwrap();
        positions.extend(page.records.iter().map(|record| record.position));
        lost |= page.damaged;
        after = page.scanned_to.offset;
    }
    (positions, lost)
}

fn files(path: &Path, extension: &str) -> Vec<PathBuf> {
    let paths = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|e| e == extension)).collect();
    paths.sort();
    paths
}

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 4;
    fs::write(file, bytes).unwrap();
}

fn flaws(path: &Path) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    let inspection = Inspection::open(path).unwrap();
    inspection
        .verify(&mut |step| {
            if let Step::Flaw(flaw) = step {
                flaws.push(flaw);
            }
        })
        .unwrap();
    flaws
}

fn copy_of(path: &Path) -> TempDir {
    let copy = TempDir::new().unwrap();
    for entry in fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

#[tokio::test]
async fn a_damaged_head_is_known_from_the_index() {
    let (directory, positions) = written().await;
    for (nth, segment) in files(directory.path(), "log").iter().enumerate() {
        flip(segment, 5 + 8 * nth);
    }
    assert!(flaws(directory.path()).iter().all(|flaw| flaw.wrong == Wrong::HeadOnly));
    let (log, recovery) = open(directory.path());
    assert!(recovery.damaged.is_empty() && recovery.missing.is_empty(), "{recovery}");
    assert_eq!(recovery.restored.len(), recovery.segments, "{recovery}");
    assert_eq!(everything(&log).await, (positions, false));
    drop(log);
    assert_eq!(flaws(directory.path()), []);
}

#[tokio::test]
async fn a_segment_of_which_nothing_is_known_is_put_aside() {
    let (directory, positions) = written().await;
    let (log, _) = open(directory.path());
    publish(&log, "acknowledged").await;
    let killed = copy_of(directory.path());
    let newest = files(killed.path(), "log").pop().unwrap();
    flip(&newest, 20);
    let (again, recovery) = open(killed.path());
    let name = newest.file_name().unwrap().to_string_lossy().into_owned();
    assert_eq!(recovery.damaged.first().map(|(name, ..)| name), Some(&name), "{recovery}");
    assert!(newest.with_extension("log.damaged").exists());
    assert_eq!(everything(&again).await.0, positions);
    // Whoever had the event that is lost is told.
    let id = log.id_key().seal(log.bounds().tail);
    publish(&again, "another").await;
    assert!(matches!(again.resolve(&id).await.unwrap(), Resolved::Lost(_)));
}

#[tokio::test]
async fn a_damaged_table_of_openings_takes_no_events_along() {
    let (directory, positions) = written().await;
    for entry in [0, 1, 2] {
        let damaged = copy_of(directory.path());
        flip(&damaged.path().join("epochs"), entry * 16 + 6);
        assert!(!flaws(damaged.path()).is_empty());
        for _ in 0..2 {
            let (log, recovery) = open(damaged.path());
            assert!(recovery.damaged.is_empty(), "{recovery}");
            assert_eq!(everything(&log).await, (positions.clone(), false), "entry {entry}");
            for &position in &positions {
                let id = log.id_key().seal(position);
                assert_eq!(log.resolve(&id).await.unwrap(), Resolved::At(position.offset));
            }
        }
        assert_eq!(flaws(damaged.path()), []);
    }
}

#[tokio::test]
async fn every_flipped_bit_is_found() {
    let (directory, _) = written().await;
    assert_eq!(flaws(directory.path()), []);
    let mut rng = fastrand::Rng::with_seed(1);
    for extension in ["log", "idx"] {
        let paths = files(directory.path(), extension);
        for _ in 0..60 {
            let file = &paths[rng.usize(..paths.len())];
            let whole = fs::read(file).unwrap();
            let at = rng.usize(..whole.len());
            flip(file, at);
            let found = flaws(directory.path());
            let name = file.file_name().unwrap().to_string_lossy();
            // The rests behind heads and records say nothing.
            let says_nothing = found.is_empty() && whole[at] == 0;
            let near = found.iter().any(|flaw| flaw.file == name && flaw.at as usize <= at);
            assert!(near || says_nothing, "byte {at} of {name}: {found:?}");
            fs::write(file, whole).unwrap();
        }
    }
}

#[tokio::test]
async fn a_walk_beside_the_writer_and_its_compaction_misses_nothing() {
    let (directory, mut positions) = written().await;
    let (log, _) = open(directory.path());
    for nth in 0..50 {
        positions.push(publish(&log, &nth.to_string()).await);
    }
    let inspection = Inspection::open(directory.path()).unwrap();
    let mut seen = Vec::new();
    let more = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            (0..300)
                .map(|nth| runtime.block_on(publish(&log, &nth.to_string())))
                .collect::<Vec<_>>()
        });
        while !writer.is_finished() {
            seen.clear();
            inspection
                .events(None, &mut |one| {
                    match one {
                        Seen::Event(record) => seen.push(record.position),
                        Seen::Flaw(flaw) => panic!("{flaw}"),
                        Seen::Read { .. } => {}
                    }
                    Ok(())
                })
                .unwrap();
            assert!(seen.len() >= positions.len() && seen.starts_with(&positions));
            assert_eq!(flaws(directory.path()), []);
        }
        writer.join().unwrap()
    });
    positions.extend(more);
    let info = inspection.info().unwrap();
    assert_eq!((info.events, info.topics, info.epochs.len()), (650, 1, 4));
    assert_eq!(info.tail, positions[649]);
    assert_eq!(info.tail, log.bounds().tail);
}
