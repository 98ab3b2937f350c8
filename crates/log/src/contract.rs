//! What every backend must do: one suite of cases, run over each.
//!
//! `contract_tests!(make)` makes a test of every case; `make` opens an empty log that keeps what
//! [`Keep`] says. Cases of several tasks want a multi-threaded runtime, which the macro brings.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests, if for several crates")]

mod removal;

use std::sync::Arc;

use url::Url;

pub use self::removal::{
    a_newest_state_stays_and_is_no_gap, removal_concerns_only_the_topics_removed,
    removed_places_are_trimmed, the_size_is_that_of_what_is_kept,
};

use crate::{
    Appended, Draft, Event, EventType, Filter, IdKey, IdempotencyKey, Log, Millis, Offset, Page,
    Pattern, Position, PublisherId, Read, Record, Rejection, Removals, Resolved, Retention, Seek,
    Select, Topic,
};

/// How much the log under test keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// All that a case appends.
    Everything,
    /// The newest 64 KiB or so; older records go.
    Little,
    /// The same, and of the topics `latest` and `three` the newest event, and the newest three.
    States,
}

impl Keep {
    /// The rules that this wants.
    #[must_use]
    pub fn retention(self) -> Retention {
        let newest = |name, count| {
            let keep = crate::Keep { count_max: Some(count), ..crate::Keep::default() };
            (Filter::topic(topic(name)), keep)
        };
        let rules = match self {
            Self::States => vec![newest("latest", 1), newest("three", 3)],
            Self::Everything | Self::Little => Vec::new(),
        };
        Retention { rules, ..Retention::default() }
    }
}

/// Makes a `#[tokio::test]` of every case of the contract.
#[macro_export]
macro_rules! contract_tests {
    ($make:expr) => {
        $crate::contract_tests!($make;
            records_come_back_in_order, offsets_increase_and_time_never_goes_back,
            the_tail_follows_concurrent_appends, a_waiting_tail_can_be_dropped,
            a_filter_gives_its_records_each_once, a_sparse_reader_makes_progress,
            a_page_ends_at_its_budget, newest_of_topic_gives_one_record_a_topic,
            seeking_by_time_and_by_count, ids_resolve_to_their_places,
            foreign_ids_resolve_to_nothing, publishers_ids_resolve_to_their_first_event,
            removal_concerns_only_the_topics_removed, removed_places_are_trimmed,
            a_repeated_key_is_one_event, a_rejected_draft_stops_no_other,
            a_newest_state_stays_and_is_no_gap, the_size_is_that_of_what_is_kept,
        );
    };
    ($make:expr; $($case:ident),+ $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            $crate::contract::$case(&$make).await;
        })+
    };
}

type Make<'a> = &'a dyn Fn(Keep) -> Arc<dyn Log>;

fn topic(text: &str) -> Topic {
    Topic::parse(text).unwrap()
}

fn filter(topics: &[&str]) -> Arc<Filter> {
    Arc::new(Filter::new(topics.iter().map(|text| topic(text)).collect(), Vec::new()))
}

fn pattern(text: &str) -> Arc<Filter> {
    let base = Url::parse("http://127.0.0.1:8080/").unwrap();
    Arc::new(Filter::new(Vec::new(), vec![Pattern::parse(text, &base).unwrap()]))
}

fn all() -> Arc<Filter> {
    Arc::new(Filter::all())
}

/// An event of some topics.
#[must_use]
pub fn draft(topics: &[&str], data: &str) -> Draft {
    let event = Event {
        time: Millis(1_000),
        topics: topics.iter().map(|text| topic(text)).collect(),
        event_type: EventType::default(),
        data: data.into(),
        retry: None,
        private: false,
        publisher_id: None,
    };
    Draft { event, idempotency: None }
}

async fn append(log: &dyn Log, drafts: Vec<Draft>) -> Vec<Position> {
    let count = drafts.len();
    let answers = log.append(drafts).await;
    assert_eq!(answers.len(), count);
    let positions = answers.into_iter().map(|answer| match answer {
        Appended::Committed(position) => position,
        other => panic!("not committed: {other:?}"),
    });
    positions.collect()
}

async fn read(log: &dyn Log, after: Offset, filter: &Arc<Filter>, select: Select) -> Page {
    let bytes_max = 64 * 1024;
    log.read(Read { after, filter: filter.clone(), select, bytes_max }).await.unwrap()
}

/// Everything after a cursor, page by page.
async fn read_all(
    log: &dyn Log,
    mut after: Offset,
    filter: &Arc<Filter>,
    select: Select,
) -> Vec<Arc<Record>> {
    let mut records = Vec::new();
    let end = log.bounds().tail.offset;
    for _ in 0..10_000 {
        if after >= end {
            return records;
        }
        let page = read(log, after, filter, select).await;
        assert!(page.scanned_to.offset > after, "a page that moves nowhere");
        for record in &page.records {
            assert!(
                record.position.offset > after && record.position.offset <= page.scanned_to.offset
            );
            after = record.position.offset;
        }
        after = page.scanned_to.offset;
        records.extend(page.records);
    }
    panic!("the end was not reached");
}

fn data(records: &[Arc<Record>]) -> Vec<&str> {
    records.iter().map(|record| &*record.event.data).collect()
}

/// Appends of several batches are read back as they were, in order.
pub async fn records_come_back_in_order(make: Make<'_>) {
    let log = make(Keep::Everything);
    assert!(read_all(&*log, Offset::START, &all(), Select::Every).await.is_empty());
    let mut full = draft(&["a", "b"], "one\r\ntwo\n\u{0}é");
    full.event.event_type = EventType::parse("price").unwrap();
    full.event.retry = Some(500);
    full.event.publisher_id = Some(PublisherId::parse("mine").unwrap());
    let first = append(&*log, vec![full.clone(), draft(&["c"], "")]).await;
    append(&*log, vec![draft(&["a"], "last")]).await;
    let records = read_all(&*log, Offset::START, &all(), Select::Every).await;
    assert_eq!(data(&records), ["one\r\ntwo\n\u{0}é", "", "last"]);
    assert_eq!(records[0].event, full.event);
    assert_eq!(records[1].position, first[1]);
    let tail = log.tail(Offset::START).next().await.unwrap();
    assert_eq!(tail.records, records);
    assert_eq!(tail.through, log.bounds().tail);
}

/// "strictly increasing", and "its time (the hub's, never going backwards)".
pub async fn offsets_increase_and_time_never_goes_back(make: Make<'_>) {
    let log = make(Keep::Everything);
    let mut drafts = Vec::new();
    for (at, time) in [5_000, 3_000, 9_000, 1].into_iter().enumerate() {
        drafts.push(draft(&["t"], &at.to_string()));
        drafts[at].event.time = Millis(time);
    }
    let positions = append(&*log, drafts).await;
    assert!(positions.is_sorted_by(|a, b| a.offset < b.offset));
    assert!(positions[0].offset > Offset::START);
    let records = read_all(&*log, Offset::START, &all(), Select::Every).await;
    let times: Vec<u64> = records.iter().map(|record| record.event.time.0).collect();
    assert_eq!(times, [5_000, 5_000, 9_000, 9_000]);
    assert_eq!(log.bounds().tail, positions[3]);
    assert_eq!(log.position(positions[1].offset), positions[1]);
}

/// A reader at the tail gets every record of concurrent publishers once, in the order of the log.
pub async fn the_tail_follows_concurrent_appends(make: Make<'_>) {
    let log = make(Keep::Everything);
    let publishers: Vec<_> = (0..4)
        .map(|publisher| {
            let log = log.clone();
            tokio::spawn(async move {
                for nth in 0..250 {
                    append(&*log, vec![draft(&["t"], &format!("{publisher}:{nth}"))]).await;
                }
            })
        })
        .collect();
    let mut tail = log.tail(Offset::START);
    let mut seen = Vec::new();
    while seen.len() < 1000 {
        let batch = tail.next().await.unwrap();
        assert!(!batch.lost);
        assert!(batch.records.iter().all(|record| record.position.offset <= batch.through.offset));
        seen.extend(batch.records);
    }
    for publisher in publishers {
        publisher.await.unwrap();
    }
    assert!(seen.is_sorted_by(|a, b| a.position.offset < b.position.offset));
    assert_eq!(seen, read_all(&*log, Offset::START, &all(), Select::Every).await);
    for publisher in 0..4 {
        let own: Vec<_> = data(&seen)
            .into_iter()
            .filter_map(|data| data.strip_prefix(&format!("{publisher}:")))
            .collect();
        assert_eq!(own, (0..250).map(|nth| nth.to_string()).collect::<Vec<_>>());
    }
}

/// "Dropping the future loses nothing."
pub async fn a_waiting_tail_can_be_dropped(make: Make<'_>) {
    let log = make(Keep::Everything);
    let mut tail = log.tail(Offset::START);
    for nth in 0..3 {
        tokio::select! {
            biased;
            batch = tail.next() => panic!("nothing was appended, and yet {batch:?}"),
            () = tokio::task::yield_now() => {}
        }
        append(&*log, vec![draft(&["t"], &nth.to_string())]).await;
        assert_eq!(data(&tail.next().await.unwrap().records), [nth.to_string()]);
    }
}

/// Exact topics, patterns, both, everything; a record of two matching topics comes once.
pub async fn a_filter_gives_its_records_each_once(make: Make<'_>) {
    let log = make(Keep::Everything);
    let topics: [&[&str]; 6] =
        [&["a"], &["b"], &["a", "b"], &["stocks/X"], &["c", "a"], &["/stocks/Y", "stocks/X"]];
    let drafts = topics.iter().zip(0..).map(|(topics, nth)| draft(topics, &format!("{nth}")));
    append(&*log, drafts.collect()).await;
    for (filter, expected) in [
        (filter(&["a"]), vec!["0", "2", "4"]),
        (filter(&["a", "b"]), vec!["0", "1", "2", "4"]),
        (filter(&["none"]), vec![]),
        (pattern("/stocks/:symbol"), vec!["3", "5"]),
        (all(), vec!["0", "1", "2", "3", "4", "5"]),
    ] {
        let records = read_all(&*log, Offset::START, &filter, Select::Every).await;
        assert_eq!(data(&records), expected, "{filter:?}");
        let after = read_all(
            &*log,
            records.first().map_or(Offset::START, |r| r.position.offset),
            &filter,
            Select::Every,
        )
        .await;
        assert_eq!(data(&after), expected.get(1..).unwrap_or_default(), "{filter:?}");
    }
    assert_eq!(
        log.last_of(&topic("b")),
        Some(
            read_all(&*log, Offset::START, &filter(&["b"]), Select::Every).await[1].position.offset
        )
    );
    assert_eq!(log.last_of(&topic("none")), None);
}

/// "a sparse reader makes progress without a match".
pub async fn a_sparse_reader_makes_progress(make: Make<'_>) {
    let log = make(Keep::Everything);
    for _ in 0..10 {
        append(&*log, (0..500).map(|_| draft(&["busy"], "x")).collect()).await;
    }
    append(&*log, vec![draft(&["quiet/1"], "found")]).await;
    for filter in [filter(&["quiet/1"]), pattern("/quiet/*")] {
        let records = read_all(&*log, Offset::START, &filter, Select::Every).await;
        assert_eq!(data(&records), ["found"]);
    }
}

/// A page stops when its budget is used up, after at least one record, and the next goes on from there.
pub async fn a_page_ends_at_its_budget(make: Make<'_>) {
    let log = make(Keep::Everything);
    append(&*log, (0..5).map(|nth| draft(&["t"], &nth.to_string().repeat(100))).collect()).await;
    for filter in [filter(&["t"]), all()] {
        for (bytes_max, count) in [(1, 1), (100, 1), (101, 2), (250, 3), (10_000, 5)] {
            let after = Offset::START;
            let read = Read { after, filter: filter.clone(), select: Select::Every, bytes_max };
            let page = log.read(read).await.unwrap();
            assert_eq!(page.records.len(), count, "{bytes_max}");
            let last = page.records[count - 1].position;
            assert_eq!(page.scanned_to, last);
            assert!(!page.lost_since(Removals::NONE));
        }
    }
}

/// The newest record of each topic that the filter matches, in log order.
pub async fn newest_of_topic_gives_one_record_a_topic(make: Make<'_>) {
    let log = make(Keep::Everything);
    let topics: [&[&str]; 6] = [&["r/a"], &["r/b"], &["r/a"], &["r/c", "r/b"], &["x"], &["r/c"]];
    let drafts = topics.iter().zip(0..).map(|(topics, nth)| draft(topics, &format!("{nth}")));
    append(&*log, drafts.collect()).await;
    for (filter, expected) in [
        (pattern("/r/*"), vec!["2", "3", "5"]),
        (filter(&["r/a", "x"]), vec!["2", "4"]),
        (filter(&["r/c"]), vec!["5"]),
        (all(), vec!["2", "3", "4", "5"]),
    ] {
        let records = read_all(&*log, Offset::START, &filter, Select::NewestOfTopic).await;
        assert_eq!(data(&records), expected, "{filter:?}");
    }
}

/// Cursors by time and by count, from which exactly the wanted records follow.
pub async fn seeking_by_time_and_by_count(make: Make<'_>) {
    let log = make(Keep::Everything);
    let drafts = (0..10).map(|nth| {
        let mut draft = draft(&[if nth % 2 == 0 { "even" } else { "odd" }], &nth.to_string());
        draft.event.time = Millis(1_000 * (nth + 1));
        draft
    });
    append(&*log, drafts.collect()).await;
    for (seek, filter, expected) in [
        (Seek::Time(Millis(0)), all(), 10),
        (Seek::Time(Millis(9_000)), all(), 2),
        (Seek::Time(Millis(9_001)), all(), 1),
        (Seek::Time(Millis(99_000)), all(), 0),
        (Seek::Last(3), all(), 3),
        (Seek::Last(0), all(), 0),
        (Seek::Last(99), all(), 10),
        (Seek::Last(2), filter(&["even"]), 2),
        (Seek::Last(2), pattern("/odd"), 2),
        (Seek::Last(2), filter(&["none"]), 0),
    ] {
        let cursor = log.seek(seek, filter.clone()).await.unwrap();
        let records = read_all(&*log, cursor, &filter, Select::Every).await;
        assert_eq!(records.len(), expected, "{seek:?} {filter:?}");
    }
}

/// "`At(offset)` → replay from there; `Ahead` (known epoch, beyond this node's tail)".
pub async fn ids_resolve_to_their_places(make: Make<'_>) {
    let log = make(Keep::Everything);
    let start = log.id_key().seal(log.position(Offset::START));
    assert_eq!(log.resolve(&start).await.unwrap(), Resolved::At(Offset::START));
    let positions = append(&*log, (0..3).map(|_| draft(&["t"], "x")).collect()).await;
    for position in &positions {
        let id = log.id_key().seal(*position);
        assert_eq!(log.resolve(&id).await.unwrap(), Resolved::At(position.offset));
    }
    let beyond = Offset::new(positions[2].offset.get() + 5);
    let id = log.id_key().seal(Position { offset: beyond, ..positions[2] });
    assert_eq!(log.resolve(&id).await.unwrap(), Resolved::Ahead(beyond));
}

/// "`Foreign` (other hub, lost key, unknown epoch, not an id at all)".
pub async fn foreign_ids_resolve_to_nothing(make: Make<'_>) {
    let log = make(Keep::Everything);
    let position = append(&*log, vec![draft(&["t"], "x")]).await[0];
    let other_key = IdKey::new([0x5a; 16]).seal(position);
    let epoch = crate::Epoch::new(position.epoch.get().wrapping_add(1));
    let other_epoch = log.id_key().seal(Position { epoch, ..position });
    let reserved = log.id_key().seal(Position::FOREIGN);
    for id in [&other_key, &other_epoch, &reserved, "", "nobody's", "#", "é\u{0}"] {
        assert_eq!(log.resolve(id).await.unwrap(), Resolved::Foreign, "{id:?}");
    }
}

/// "indexed; a duplicate resolves to its first occurrence".
pub async fn publishers_ids_resolve_to_their_first_event(make: Make<'_>) {
    let log = make(Keep::Everything);
    let named = |id: &str| {
        let mut draft = draft(&["t"], id);
        draft.event.publisher_id = Some(PublisherId::parse(id).unwrap());
        draft
    };
    let positions = append(&*log, vec![named("a"), named("b"), named("a")]).await;
    assert_eq!(log.resolve("a").await.unwrap(), Resolved::At(positions[0].offset));
    assert_eq!(log.resolve("b").await.unwrap(), Resolved::At(positions[1].offset));
}

/// "Duplicates by key are dropped where the tail is read, first in log order wins".
pub async fn a_repeated_key_is_one_event(make: Make<'_>) {
    let log = make(Keep::Everything);
    let keyed = |key: u8, body: u8, data: &str| {
        let mut draft = draft(&["t"], data);
        draft.idempotency = Some(IdempotencyKey { key: [key; 16], body: [body; 16] });
        draft
    };
    let first = append(&*log, vec![keyed(1, 1, "one")]).await[0];
    let answers =
        log.append(vec![keyed(1, 1, "one"), keyed(1, 2, "other"), keyed(2, 1, "two")]).await;
    assert_eq!(answers[0], Appended::Duplicate { first, publisher_id: None });
    assert_eq!(answers[1], Appended::Rejected(Rejection::KeyReused));
    assert!(matches!(answers[2], Appended::Committed(_)));
    let records = read_all(&*log, Offset::START, &all(), Select::Every).await;
    assert_eq!(data(&records), ["one", "two"]);
    assert_eq!(log.tail(Offset::START).next().await.unwrap().records, records);
}

/// Drafts that cannot be kept are refused one by one.
pub async fn a_rejected_draft_stops_no_other(make: Make<'_>) {
    let log = make(Keep::Little);
    let large = "x".repeat(128 * 1024);
    let answers =
        log.append(vec![draft(&["t"], "a"), draft(&["t"], &large), draft(&["t"], "b")]).await;
    assert!(matches!(answers[0], Appended::Committed(_)));
    assert!(matches!(answers[1], Appended::Rejected(Rejection::TooLarge { .. })));
    assert!(matches!(answers[2], Appended::Committed(_)));
    let records = read_all(&*log, Offset::START, &all(), Select::Every).await;
    assert_eq!(data(&records), ["a", "b"]);
}
