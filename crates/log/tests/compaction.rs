//! What the disk backend lets go of, and what it says of it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failure here is a failed test")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use headwater_log::contract::draft;
use headwater_log::{
    Appended, DiskLog, DiskOptions, Filter, IdempotencyKey, Keep, Log, Millis, Offset, Outside,
    Pattern, Position, PublisherId, Read, Record, Removals, Resolved, Retention, Seek, Select,
    Topic,
};
use tempfile::TempDir;
use url::Url;

const HOUR_MS: u64 = 60 * 60 * 1000;

fn of(topics: &[&str]) -> Filter {
    Filter::new(topics.iter().map(|topic| Topic::parse(topic).unwrap()).collect(), Vec::new())
}

fn matching(pattern: &str) -> Filter {
    let base = Url::parse("http://127.0.0.1:8080/").unwrap();
    Filter::new(Vec::new(), vec![Pattern::parse(pattern, &base).unwrap()])
}

/// `/latest/*` keeps the newest event, `/ten/*` ten, `/hour/*` an hour, `/small/*` 4 KiB.
fn retention() -> Retention {
    let hour = Duration::from_secs(3600);
    let rules = vec![
        (matching("/latest/*"), Keep::LATEST),
        (matching("/ten/*"), Keep { count_max: Some(10), ..Keep::default() }),
        (matching("/hour/*"), Keep { age_max: Some(hour), ..Keep::default() }),
        (matching("/small/*"), Keep { bytes_max: Some(4096), ..Keep::default() }),
    ];
    Retention { rules, ..Retention::default() }
}

fn open(path: &Path, now: Millis) -> (DiskLog, headwater_log::Recovery) {
    static SEED: AtomicU64 = AtomicU64::new(1);
    let random = || SEED.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let outside = Outside { id_key: [7; 16], random: Arc::new(random), now: Arc::new(move || now) };
    let segment_bytes = 16 << 10;
    let options = DiskOptions { segment_bytes, retention: retention(), ..DiskOptions::default() };
    DiskLog::open(path, options, outside).unwrap()
}

async fn publish(log: &DiskLog, topics: &[&str], data: &str, time: Millis) -> Position {
    let mut draft = draft(topics, data);
    draft.event.time = time;
    match log.append(vec![draft]).await.pop() {
        Some(Appended::Committed(position)) => position,
        other => panic!("{other:?}"),
    }
}

async fn read(log: &DiskLog, filter: &Filter, select: Select) -> Vec<Arc<Record>> {
    let (mut after, mut records) = (log.bounds().floor, Vec::new());
    while after < log.bounds().tail.offset {
        let filter = Arc::new(filter.clone());
        let page = log.read(Read { after, filter, select, bytes_max: 10_000 }).await.unwrap();
        assert!(!page.lost_since(log.bounds().removals));
        after = page.scanned_to.offset;
        records.extend(page.records);
    }
    records
}

fn data(records: &[Arc<Record>]) -> Vec<&str> {
    records.iter().map(|record| &*record.event.data).collect()
}

/// Fills what is being written, so that all before is sealed.
async fn seal(log: &DiskLog) {
    for _ in 0..20 {
        publish(log, &["filler"], &"x".repeat(1000), Millis(0)).await;
    }
}

fn size(path: &Path) -> u64 {
    fs::read_dir(path).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

#[tokio::test]
async fn many_updates_of_few_topics_become_few_records() {
    let directory = TempDir::new().unwrap();
    let (log, _) = open(directory.path(), Millis(0));
    let mut last = Vec::new();
    for nth in 0..3000 {
        let topic = format!("latest/{}", nth % 7);
        let position = publish(&log, &[&topic], &format!("{nth}"), Millis(0)).await;
        last.push((position, topic, nth.to_string()));
    }
    seal(&log).await;
    // Much of it went by itself when segments were full.
    log.compact().await.unwrap();
    let size = size(directory.path());
    assert!(size < 3000 * 64 / 2, "{size}");
    assert_eq!(log.compact().await.unwrap().records, 0);
    let log = {
        drop(log);
        let (log, recovery) = open(directory.path(), Millis(0));
        assert_eq!((recovery.read_again, recovery.torn.clone()), (0, None), "{recovery}");
        assert!(recovery.missing.is_empty() && recovery.damaged.is_empty(), "{recovery}");
        log
    };
    let kept = read(&log, &matching("/latest/*"), Select::Every).await;
    let newest: Vec<&str> = last[2993..].iter().map(|(_, _, data)| &**data).collect();
    assert_eq!(data(&kept), newest);
    assert_eq!(data(&read(&log, &matching("/latest/*"), Select::NewestOfTopic).await), newest);
    for (position, topic, _) in &last {
        // Whoever was at any of them goes on from there, and has lost nothing.
        let resolved = log.resolve(&log.id_key().seal(*position)).await.unwrap();
        // If the compactor was quick, the oldest segments went whole.
        let known = [Resolved::At(position.offset), Resolved::Trimmed(position.offset)];
        assert!(known.contains(&resolved), "{resolved:?}");
        assert!(!log.may_have_lost(position.offset, &of(&[topic])));
        let of_topic = Topic::parse(topic).unwrap();
        let newest = last[2993..].iter().find(|(_, own, _)| own == topic).unwrap().0;
        assert_eq!(log.last_of(&of_topic), Some(newest.offset));
    }
    // New events come behind all that ever was.
    let next = publish(&log, &["latest/0"], "next", Millis(0)).await;
    assert!(last.iter().all(|(position, ..)| next.offset > position.offset));
}

#[tokio::test]
async fn an_event_stays_while_one_of_its_topics_keeps_it() {
    let directory = TempDir::new().unwrap();
    let (log, _) = open(directory.path(), Millis(0));
    publish(&log, &["latest/a", "all"], "first of both", Millis(0)).await;
    publish(&log, &["latest/a"], "second", Millis(0)).await;
    publish(&log, &["latest/a", "latest/b"], "third", Millis(0)).await;
    publish(&log, &["latest/a"], "fourth", Millis(0)).await;
    for nth in 0..25 {
        publish(&log, &["ten/x"], &format!("ten {nth}"), Millis(0)).await;
    }
    seal(&log).await;
    log.compact().await.unwrap();
    let kept = read(&log, &of(&["latest/a"]), Select::Every).await;
    assert_eq!(data(&kept), ["first of both", "third", "fourth"]);
    let kept = read(&log, &of(&["ten/x"]), Select::Every).await;
    assert_eq!(data(&kept), (15..25).map(|nth| format!("ten {nth}")).collect::<Vec<_>>());
    let last = log.seek(Seek::Last(3), Arc::new(of(&["ten/x"]))).await.unwrap();
    let page = Read {
        after: last,
        filter: Arc::new(of(&["ten/x"])),
        select: Select::Every,
        bytes_max: 1 << 20,
    };
    assert_eq!(data(&log.read(page).await.unwrap().records), ["ten 22", "ten 23", "ten 24"]);
    assert!(!log.may_have_lost(Offset::START, &matching("/*/*")));
}

#[tokio::test]
async fn age_and_size_are_a_gap_for_the_topics_that_lost_by_them_and_for_no_other() {
    let directory = TempDir::new().unwrap();
    let (log, _) = open(directory.path(), Millis(3 * HOUR_MS));
    let start = publish(&log, &["all"], "kept", Millis(0)).await.offset;
    let old = publish(&log, &["hour/x"], "old", Millis(HOUR_MS)).await.offset;
    publish(&log, &["hour/x"], "young", Millis(2 * HOUR_MS)).await;
    for nth in 0..30 {
        let text = format!("{nth} {}", "x".repeat(300));
        publish(&log, &["small/x"], &text, Millis(2 * HOUR_MS)).await;
    }
    seal(&log).await;
    let began = log.bounds().removals;
    log.compact().await.unwrap();
    assert_eq!(data(&read(&log, &of(&["all"]), Select::Every).await), ["kept"]);
    assert_eq!(data(&read(&log, &of(&["hour/x"]), Select::Every).await), ["young"]);
    let small = read(&log, &of(&["small/x"]), Select::Every).await;
    assert!((8..=11).contains(&small.len()), "{}", small.len());
    let lost = |after, topic| log.may_have_lost(after, &of(&[topic]));
    assert!(!lost(Offset::START, "all") && !lost(Offset::START, "filler"));
    assert!(lost(start, "hour/x") && !lost(old, "hour/x"));
    assert!(lost(start, "small/x") && !lost(small[0].position.offset, "small/x"));
    // A reader that had begun before has lost them; one that begins now asked for what is left.
    let read = Read {
        after: start,
        filter: Arc::new(of(&["hour/x"])),
        select: Select::Every,
        bytes_max: 1 << 20,
    };
    let page = log.read(read).await.unwrap();
    assert!(page.lost_since(began) && !page.lost_since(log.bounds().removals));
    drop(log);
    let (log, _) = open(directory.path(), Millis(3 * HOUR_MS));
    assert!(log.may_have_lost(start, &of(&["hour/x"])));
    assert!(!log.may_have_lost(Offset::START, &of(&["all"])));
    assert!(log.bounds().removals > Removals::NONE);
}

#[tokio::test]
async fn a_key_is_known_for_its_24_hours_though_newer_events_came() {
    let directory = TempDir::new().unwrap();
    for (age_h, known) in [(23, true), (25, false)] {
        let (log, _) = open(directory.path(), Millis(age_h * HOUR_MS));
        let mut keyed = draft(&["latest/k"], "keyed");
        keyed.idempotency = Some(IdempotencyKey { key: [age_h as u8; 16], body: [2; 16] });
        keyed.event.publisher_id = Some(PublisherId::parse(&format!("id-{age_h}")).unwrap());
        let first = log.append(vec![keyed.clone()]).await[0].clone();
        assert!(matches!(first, Appended::Committed(_)));
        publish(&log, &["latest/k"], "newer", Millis(0)).await;
        seal(&log).await;
        log.compact().await.unwrap();
        keyed.event.time = Millis(age_h * HOUR_MS);
        let again = log.append(vec![keyed]).await[0].clone();
        assert_eq!(matches!(again, Appended::Duplicate { .. }), known, "{age_h}: {again:?}");
    }
}

#[tokio::test]
async fn a_reader_in_the_middle_reads_on() {
    let directory = TempDir::new().unwrap();
    let (log, _) = open(directory.path(), Millis(0));
    for nth in 0..2000 {
        let topic = if nth % 10 == 0 { "all" } else { "latest/x" };
        publish(&log, &[topic], &format!("{nth}"), Millis(0)).await;
    }
    seal(&log).await;
    let filter = Arc::new(of(&["all"]));
    let (mut after, mut records) = (Offset::START, Vec::new());
    while after < log.bounds().tail.offset {
        let read = Read { after, filter: filter.clone(), select: Select::Every, bytes_max: 100 };
        let page = log.read(read).await.unwrap();
        assert!(!page.lost_since(Removals::NONE));
        after = page.scanned_to.offset;
        records.extend(page.records);
        log.compact().await.unwrap();
    }
    assert_eq!(data(&records), (0..200).map(|nth| (10 * nth).to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_damaged_stays_as_it_is_and_is_still_told() {
    use std::os::unix::fs::FileExt;
    let directory = TempDir::new().unwrap();
    let (log, _) = open(directory.path(), Millis(0));
    publish(&log, &["all"], "before", Millis(0)).await;
    let flipped = publish(&log, &["all"], "flipped", Millis(0)).await;
    for nth in 0..300 {
        publish(&log, &["latest/x"], &format!("{nth}"), Millis(0)).await;
    }
    seal(&log).await;
    // What is sealed is looked at in the background; from here on nothing moves until something is.
    log.compact().await.unwrap();
    let first = directory.path().join(format!("{:020}.log", 1));
    let bytes = fs::read(&first).unwrap();
    let at = bytes.windows(7).position(|window| window == b"flipped").unwrap();
    let file = fs::File::options().write(true).open(&first).unwrap();
    file.write_all_at(b"F", at as u64).unwrap();
    // What is beside it is to go.
    publish(&log, &["latest/x"], "newer", Millis(0)).await;
    seal(&log).await;
    log.compact().await.unwrap();
    log.compact().await.unwrap();
    let filter = Arc::new(of(&["all"]));
    let after = flipped.offset.just_before();
    let read = Read { after, filter, select: Select::Every, bytes_max: 1 << 20 };
    let page = log.read(read).await.unwrap();
    assert!(page.records.is_empty() && page.damaged);
}
