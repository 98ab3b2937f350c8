//! The hub's notes to itself: kept for as long as they say, and shown to nobody who does not name them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failure here is a failed test")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use headwater_log::contract::draft;
use headwater_log::{
    Appended, DiskLog, DiskOptions, Draft, Epoch, Event, Filter, IdKey, Keep, Log, MemoryLimits,
    MemoryLog, Millis, Outside, Pattern, Read, Retention, Seek, Select, Topic,
};
use url::Url;

fn open(path: &Path, now: Millis, retention: Retention) -> DiskLog {
    let outside = Outside { id_key: [7; 16], random: Arc::new(|| 9), now: Arc::new(move || now) };
    let segment_bytes = 16 << 10;
    let options = DiskOptions { segment_bytes, retention, ..DiskOptions::default() };
    DiskLog::open(path, options, outside).unwrap().0
}

async fn append(log: &dyn Log, draft: Draft) {
    let appended = log.append(vec![draft]).await;
    assert!(matches!(appended[..], [Appended::Committed(_)]), "{appended:?}");
}

async fn note(log: &dyn Log, until: u64, data: &str) {
    let event = Event::control(Millis(1), Millis(until), data.into());
    append(log, Draft { event, idempotency: None }).await;
}

async fn fill(log: &dyn Log) {
    for _ in 0..40 {
        append(log, draft(&["filler"], &"x".repeat(1000))).await;
    }
}

async fn data(log: &dyn Log, filter: Filter, select: Select) -> Vec<String> {
    let (mut after, mut data, filter) = (log.bounds().floor, Vec::new(), Arc::new(filter));
    while after < log.bounds().tail.offset {
        let read = Read { after, filter: filter.clone(), select, bytes_max: 10_000 };
        let page = log.read(read).await.unwrap();
        after = page.scanned_to.offset;
        data.extend(page.records.iter().map(|record| record.event.data.to_string()));
    }
    data
}

fn notes() -> Filter {
    Filter::topic(Topic::control())
}

fn patterns() -> Vec<Pattern> {
    let base = Url::parse("http://127.0.0.1/").unwrap();
    ["/*", "/hub", "*://*/*", "/(.*)"].map(|text| Pattern::parse(text, &base).unwrap()).into()
}

async fn is_shown_to_nobody(log: &dyn Log) {
    append(log, draft(&["hub"], "an event")).await;
    note(log, 100, "a note").await;
    for filter in [Filter::all(), Filter::new(vec![], patterns())] {
        for select in [Select::Every, Select::NewestOfTopic] {
            assert_eq!(data(log, filter.clone(), select).await, ["an event"], "{filter:?}");
        }
        assert!(!filter.matches_topic(&Topic::control()));
    }
    assert_eq!(data(log, notes(), Select::Every).await, ["a note"]);
    let floor = log.bounds().floor;
    assert_eq!(log.seek(Seek::Last(9), Arc::new(Filter::all())).await.unwrap(), floor);
}

#[tokio::test]
async fn no_filter_shows_what_it_does_not_name() {
    is_shown_to_nobody(&MemoryLog::new(
        Epoch::new(1),
        IdKey::new([1; 16]),
        MemoryLimits::default(),
    ))
    .await;
    let folder = tempfile::tempdir().unwrap();
    is_shown_to_nobody(&open(folder.path(), Millis(1), Retention::default())).await;
}

#[tokio::test]
async fn stays_until_its_time_whatever_goes_around_it() {
    let second = Some(Duration::from_secs(1));
    let keep = Keep { age_max: second, ..Keep::default() };
    let base = Url::parse("http://127.0.0.1/").unwrap();
    let filler = Filter::new(vec![], vec![Pattern::parse("/fill*", &base).unwrap()]);
    let plain = Retention { rules: vec![], otherwise: keep };
    let by_rule = Retention { rules: vec![(filler, keep)], otherwise: Keep::default() };
    for retention in [plain, by_rule] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let log = open(path, Millis(1), retention.clone());
        note(&log, 500_000, "until then").await;
        note(&log, 9_000, "not so long").await;
        fill(&log).await;
        drop(log);
        for (now, expected) in
            [(10_000, &["until then"][..]), (20_000, &["until then"]), (500_000, &[])]
        {
            let log = open(path, Millis(now), retention.clone());
            fill(&log).await;
            log.compact().await.unwrap();
            drop(log);
            let log = open(path, Millis(now), retention.clone());
            assert_eq!(data(&log, notes(), Select::Every).await, expected, "at {now}");
            let rest = data(&log, Filter::all(), Select::Every).await;
            assert!(rest.iter().all(|data| data.starts_with('x')), "{rest:?}");
            assert!(rest.len() < 80, "{} events stayed", rest.len());
            drop(log);
        }
    }
}
