//! The disk backend keeps the contract of the log, and what was acknowledged survives what can happen to
//! a process and its files.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failure here is a failed test")]

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use headwater_log::contract::{Keep, draft};
use headwater_log::{
    Appended, DiskLog, DiskOptions, Filter, IdempotencyKey, Keep as KeepOf, Log, Millis, Offset,
    OpenError, Outside, Position, PublisherId, Read, Record, Recovery, Rejection, Removals,
    Resolved, Retention, Select, Topic,
};
use tempfile::TempDir;

const KEY: [u8; 16] = [7; 16];

static SEED: AtomicU64 = AtomicU64::new(1);

/// Events are as old as their times say at this one.
fn outside(now: Millis) -> Outside {
    let random = || {
        let seed = SEED.fetch_add(1, Ordering::Relaxed);
        seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    };
    Outside { id_key: KEY, random: Arc::new(random), now: Arc::new(move || now) }
}

fn small() -> DiskOptions {
    DiskOptions { segment_bytes: 16 << 10, ..DiskOptions::default() }
}

fn open(path: &Path, options: DiskOptions) -> (DiskLog, Recovery) {
    open_at(path, options, Millis(0))
}

fn open_at(path: &Path, options: DiskOptions, now: Millis) -> (DiskLog, Recovery) {
    DiskLog::open(path, options, outside(now)).unwrap()
}

fn make(keep: Keep) -> Arc<dyn Log> {
    let options = match keep {
        Keep::Everything => DiskOptions { segment_bytes: 64 << 10, ..DiskOptions::default() },
        Keep::Little | Keep::States => {
            let retention = keep.retention();
            DiskOptions { bytes_max: Some(64 << 10), retention, ..small() }
        }
    };
    // Used again by the next run, because nobody is left to remove it.
    let nth = CASES.fetch_add(1, Ordering::Relaxed);
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("contract-{nth}"));
    let _ = fs::remove_dir_all(&directory);
    Arc::new(open(&directory, options).0)
}

static CASES: AtomicU64 = AtomicU64::new(0);

mod contract {
    headwater_log::contract_tests!(super::make);
}

async fn publish(log: &DiskLog, topic: &str, data: &str) -> Position {
    match log.append(vec![draft(&[topic], data)]).await.pop() {
        Some(Appended::Committed(position)) => position,
        other => panic!("{other:?}"),
    }
}

async fn everything(log: &DiskLog) -> (Vec<Arc<Record>>, bool) {
    let (mut after, mut records, mut lost) = (log.bounds().floor, Vec::new(), false);
    while after < log.bounds().tail.offset {
        let read = Read {
            after,
            filter: Arc::new(Filter::all()),
            select: Select::Every,
            bytes_max: 10_000,
        };
        let page = log.read(read).await.unwrap();
        assert!(page.scanned_to.offset > after);
        after = page.scanned_to.offset;
        lost |= page.lost_since(Removals::NONE);
        records.extend(page.records);
    }
    (records, lost)
}

fn data(records: &[Arc<Record>]) -> Vec<&str> {
    records.iter().map(|record| &*record.event.data).collect()
}

/// The file of the newest segment.
fn newest_segment(path: &Path) -> PathBuf {
    let names = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    names.filter(|path| path.extension().is_some_and(|end| end == "log")).max().unwrap()
}

/// A copy of a directory while its log is open: what a kill at this moment would leave.
fn copy_of(path: &Path) -> TempDir {
    let copy = TempDir::new().unwrap();
    for entry in fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

#[tokio::test]
async fn what_was_published_is_there_when_it_is_opened_again() {
    let directory = TempDir::new().unwrap();
    let mut positions = Vec::new();
    for opening in 0..4 {
        let (log, recovery) = open(directory.path(), small());
        assert_eq!(recovery.records, 100 * opening);
        assert_eq!((recovery.read_again, recovery.torn), (0, None));
        for nth in 0..100 {
            positions
                .push(publish(&log, "t", &format!("{opening}:{nth} {}", "x".repeat(200))).await);
        }
    }
    let (log, _) = open(directory.path(), small());
    let (records, lost) = everything(&log).await;
    assert!(!lost);
    assert_eq!(records.iter().map(|record| record.position).collect::<Vec<_>>(), positions);
    assert!(positions.is_sorted_by(|a, b| a.offset < b.offset));
    for position in positions {
        let id = log.id_key().seal(position);
        assert_eq!(log.resolve(&id).await.unwrap(), Resolved::At(position.offset));
    }
}

#[tokio::test]
async fn a_kill_loses_nothing_that_was_acknowledged() {
    let directory = TempDir::new().unwrap();
    let (log, _) = open(directory.path(), small());
    for nth in 0..150 {
        publish(&log, "t", &format!("{nth} {}", "x".repeat(150))).await;
        if nth % 30 == 29 {
            let killed = copy_of(directory.path());
            let (again, recovery) = open(killed.path(), small());
            assert_eq!(recovery.records, nth + 1);
            assert_eq!((recovery.read_again, recovery.torn), (1, None));
            assert_eq!(everything(&again).await.0.len() as u64, nth + 1);
        }
    }
}

#[tokio::test]
async fn a_write_that_was_cut_off_is_cut_and_its_id_never_names_another() {
    let directory = TempDir::new().unwrap();
    let (log, _) = open(directory.path(), small());
    for nth in 0..10 {
        publish(&log, "t", &nth.to_string()).await;
    }
    let segment = newest_segment(directory.path());
    let before = fs::read(&segment).unwrap();
    let last = publish(&log, "t", "the last, of which a part is lost").await;
    let id = log.id_key().seal(last);
    let after = fs::read(&segment).unwrap();
    let changed: Vec<usize> = (0..after.len()).filter(|&at| before[at] != after[at]).collect();
    for cut in (changed[0] + 1..=changed[changed.len() - 1]).step_by(3) {
        let killed = copy_of(directory.path());
        let file = fs::File::options().write(true).open(newest_segment(killed.path())).unwrap();
        file.write_all_at(&vec![0; after.len() - cut], cut as u64).unwrap();
        let (again, recovery) = open(killed.path(), small());
        assert_eq!(recovery.records, 10, "{cut}");
        assert!(recovery.torn.is_some() && recovery.damaged.is_empty(), "{recovery}");
        let new = publish(&again, "t", "another").await;
        assert_eq!(new.offset, last.offset);
        assert_eq!(again.resolve(&id).await.unwrap(), Resolved::Lost(new.offset.just_before()));
        assert_eq!(everything(&again).await.0.len(), 11);
    }
}

#[tokio::test]
async fn damage_in_the_middle_is_told_and_never_served() {
    let directory = TempDir::new().unwrap();
    let (log, _) = open(directory.path(), small());
    for nth in 0..20 {
        publish(&log, "t", &format!("event {nth}.")).await;
    }
    let killed = copy_of(directory.path());
    let segment = newest_segment(killed.path());
    let bytes = fs::read(&segment).unwrap();
    let at = bytes.windows(8).position(|window| window == b"event 7.").unwrap();
    let file = fs::File::options().write(true).open(&segment).unwrap();
    file.write_all_at(b"E", at as u64).unwrap();
    let (again, recovery) = open(killed.path(), small());
    let [(name, from, to)] = &recovery.damaged[..] else { panic!("{recovery}") };
    assert!(segment.ends_with(name) && (*from as usize) < at && at < *to as usize);
    let (records, lost) = everything(&again).await;
    assert!(lost);
    assert_eq!(records.len(), 19);
    assert!(!data(&records).contains(&"Event 7."));
    let filter = Filter::topic(Topic::parse("t").unwrap());
    assert!(again.may_have_lost(Offset::new(3), &filter));
    assert!(!again.may_have_lost(Offset::new(8), &filter));
    // Also when the damage comes after the segment was sealed.
    drop(again);
    let at = bytes.windows(8).position(|window| window == b"event 9.").unwrap();
    file.write_all_at(b"E", at as u64).unwrap();
    let (again, _) = open(killed.path(), small());
    let (records, lost) = everything(&again).await;
    assert!(lost && records.len() == 18);
}

#[tokio::test]
async fn an_index_that_is_lost_is_made_again() {
    let directory = TempDir::new().unwrap();
    let (log, _) = open(directory.path(), small());
    for nth in 0..300 {
        publish(&log, "t", &format!("{nth} {}", "x".repeat(200))).await;
    }
    drop(log);
    for entry in fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "idx") {
            fs::remove_file(path).unwrap();
        }
    }
    let (log, recovery) = open(directory.path(), small());
    assert_eq!((recovery.records, recovery.read_again), (300, recovery.segments));
    assert_eq!(everything(&log).await.0.len(), 300);
}

#[tokio::test]
async fn a_missing_segment_is_missed() {
    let directory = TempDir::new().unwrap();
    let (log, _) = open(directory.path(), small());
    for nth in 0..300 {
        publish(&log, "t", &format!("{nth} {}", "x".repeat(200))).await;
    }
    drop(log);
    let mut segments: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "log"))
        .collect();
    segments.sort();
    assert!(segments.len() > 3);
    fs::remove_file(&segments[1]).unwrap();
    let (log, recovery) = open(directory.path(), small());
    assert_eq!(recovery.missing.len(), 1, "{recovery}");
    let (records, lost) = everything(&log).await;
    assert!(lost && records.len() < 300);
}

#[tokio::test]
async fn what_was_removed_is_remembered() {
    let directory = TempDir::new().unwrap();
    let options = DiskOptions { bytes_max: Some(64 << 10), ..small() };
    let (log, _) = open(directory.path(), options.clone());
    publish(&log, "gone", "x").await;
    for _ in 0..500 {
        publish(&log, "busy", &"x".repeat(300)).await;
    }
    log.compact().await.unwrap();
    let floor = log.bounds().floor;
    assert!(floor > Offset::START);
    drop(log);
    let size: u64 =
        fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
    assert!(size < 100 << 10, "{size}");
    let (log, _) = open(directory.path(), options);
    assert_eq!(log.bounds().floor, floor);
    let lost =
        |topic| log.may_have_lost(Offset::START, &Filter::topic(Topic::parse(topic).unwrap()));
    assert!(lost("gone") && lost("busy") && !lost("never"));
}

#[tokio::test]
async fn old_segments_go_by_age() {
    let directory = TempDir::new().unwrap();
    let keep = KeepOf { age_max: Some(Duration::from_secs(60)), ..KeepOf::default() };
    let retention = Retention { otherwise: keep, ..Retention::default() };
    let options = DiskOptions { retention, ..small() };
    let (log, _) = open_at(directory.path(), options, Millis(299_000));
    for second in 0..300 {
        let mut draft = draft(&["t"], &"x".repeat(400));
        draft.event.time = Millis(second * 1000);
        log.append(vec![draft]).await;
    }
    log.compact().await.unwrap();
    let (records, _) = everything(&log).await;
    let oldest = records[0].event.time.0 / 1000;
    assert!((150..=239).contains(&oldest), "{oldest}");
}

#[tokio::test]
async fn ids_keys_and_order_outlive_the_process() {
    let directory = TempDir::new().unwrap();
    let mut named = draft(&["t"], "x");
    named.event.publisher_id = Some(PublisherId::parse("mine").unwrap());
    named.idempotency = Some(IdempotencyKey { key: [1; 16], body: [2; 16] });
    let (log, _) = open(directory.path(), small());
    let Appended::Committed(first) = log.append(vec![named.clone()]).await[0].clone() else {
        panic!("not committed")
    };
    for _ in 0..200 {
        publish(&log, "t", &"x".repeat(200)).await;
    }
    for _ in 0..2 {
        assert_eq!(log.resolve("mine").await.unwrap(), Resolved::At(first.offset));
    }
    drop(log);
    let (log, _) = open(directory.path(), small());
    assert_eq!(log.resolve("mine").await.unwrap(), Resolved::At(first.offset));
    let mut other = named.clone();
    other.idempotency = Some(IdempotencyKey { key: [1; 16], body: [3; 16] });
    let mut later = named.clone();
    later.event.time = Millis(named.event.time.0 + 24 * 60 * 60 * 1000);
    let publisher_id = named.event.publisher_id.clone();
    let answers = log.append(vec![named, other, later]).await;
    assert_eq!(answers[0], Appended::Duplicate { first, publisher_id });
    assert_eq!(answers[1], Appended::Rejected(Rejection::KeyReused));
    assert!(matches!(answers[2], Appended::Committed(_)));
}

#[tokio::test]
async fn a_directory_is_one_process_at_a_time_and_one_version() {
    let directory = TempDir::new().unwrap();
    let (log, _) = open(directory.path(), small());
    let again = DiskLog::open(directory.path(), small(), outside(Millis(0))).map(|_| ());
    assert!(matches!(again, Err(OpenError::Locked { .. })));
    drop(log);
    fs::write(directory.path().join("format"), "headwater log, version 3\n").unwrap();
    let again = DiskLog::open(directory.path(), small(), outside(Millis(0))).map(|_| ());
    assert!(matches!(again, Err(OpenError::Format { found, .. }) if found.ends_with("version 3")));
}

#[tokio::test]
async fn openings_without_events_leave_no_segments() {
    let directory = TempDir::new().unwrap();
    for _ in 0..5 {
        let (log, recovery) = open(directory.path(), small());
        assert_eq!((recovery.segments, recovery.records), (0, 0));
        assert_eq!(log.bounds().tail.offset, Offset::START);
    }
    assert!(fs::read_dir(directory.path()).unwrap().count() < 6);
}

#[tokio::test]
async fn a_page_of_a_quiet_topic_waits_for_one_segment_only() {
    let directory = TempDir::new().unwrap();
    let (log, _) = open(directory.path(), small());
    let mut quiet = Vec::new();
    for _ in 0..5 {
        quiet.push(publish(&log, "quiet", "one").await.offset);
        for _ in 0..100 {
            publish(&log, "loud", &"x".repeat(200)).await;
        }
    }
    let filter = Arc::new(Filter::topic(Topic::parse("quiet").unwrap()));
    let (mut after, mut pages) = (Offset::START, Vec::new());
    while after < log.bounds().tail.offset {
        let filter = filter.clone();
        let read = Read { after, filter, select: Select::Every, bytes_max: 64 << 10 };
        let page = log.read(read).await.unwrap();
        pages.push(page.records.iter().map(|record| record.position.offset).collect::<Vec<_>>());
        after = page.scanned_to.offset;
    }
    assert_eq!(pages.concat(), quiet);
    assert!(pages.iter().all(|page| page.len() <= 1), "{pages:?}");
}
