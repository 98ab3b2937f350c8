//! What a backend says of what it has let go.

use super::{Keep, Make, all, append, data, draft, filter, pattern, read, read_all, topic};
use crate::{Log, Offset, Position, Removals, Resolved, Select};

/// Fills a log that keeps little: one record of `quiet`, then `busy` until old records are gone.
async fn overflow(log: &dyn Log) -> Vec<Position> {
    let mut positions = append(log, vec![draft(&["before"], "x"), draft(&["gone"], "x")]).await;
    // What is too much may go a little later.
    for nth in 0..20_000 {
        positions.extend(append(log, vec![draft(&["busy"], &"x".repeat(1024))]).await);
        if nth >= 200 && log.bounds().floor >= positions[1].offset {
            return positions;
        }
    }
    panic!("nothing was removed")
}

/// "quiet topics do not cry gap".
pub async fn removal_concerns_only_the_topics_removed(make: Make<'_>) {
    let log = make(Keep::Little);
    let positions = overflow(&*log).await;
    let (start, before) = (Offset::START, positions[0].offset);
    for (after, filter, lost) in [
        (start, filter(&["busy"]), true),
        (start, filter(&["gone"]), true),
        (start, filter(&["never"]), false),
        (start, pattern("/nev*"), false),
        (start, pattern("/go*"), true),
        (start, all(), true),
        (before, filter(&["before"]), false),
        (positions[1].offset, filter(&["gone"]), false),
        (log.bounds().floor, all(), false),
        (log.bounds().tail.offset, filter(&["busy"]), false),
    ] {
        assert_eq!(log.may_have_lost(after, &filter), lost, "{after} {filter:?}");
        let page = read(&*log, after, &filter, Select::Every).await;
        assert_eq!(page.lost_since(Removals::NONE), lost, "{after}");
        assert!(!page.lost_since(log.bounds().removals), "{after}");
    }
    assert_eq!(log.last_of(&topic("gone")), None);
}

/// "`Trimmed` → gap, then from the oldest kept".
pub async fn removed_places_are_trimmed(make: Make<'_>) {
    let log = make(Keep::Little);
    let positions = overflow(&*log).await;
    let floor = log.bounds().floor;
    for (position, expected) in [
        (positions[0], Resolved::Trimmed(positions[0].offset)),
        (log.position(floor), Resolved::At(floor)),
        (log.bounds().tail, Resolved::At(log.bounds().tail.offset)),
    ] {
        let id = log.id_key().seal(position);
        assert_eq!(log.resolve(&id).await.unwrap(), expected);
    }
    let kept = read_all(&*log, floor, &all(), Select::Every).await;
    assert_eq!(kept.last().map(|record| record.position), positions.last().copied());
    assert!(kept.len() > 10 && kept.len() < positions.len());
    // A reader of the tail that was too slow is told so, if it cannot be given what it missed.
    let batch = log.tail(Offset::START).next().await.unwrap();
    assert!(batch.lost || batch.records[0].position == positions[0]);
}

/// "Topics under `latest` or a count promise the newest state, not the exact suffix: compaction is no gap
/// there." And "an event goes when all its topics would drop it".
pub async fn a_newest_state_stays_and_is_no_gap(make: Make<'_>) {
    let log = make(Keep::States);
    let start = append(&*log, vec![draft(&["busy"], "first")]).await[0].offset;
    for nth in 0..4 {
        let states = ["latest", "three"].map(|name| draft(&[name], &format!("{name} {nth}")));
        append(&*log, states.to_vec()).await;
    }
    append(&*log, vec![draft(&["latest", "other"], "both")]).await;
    for nth in 0..20_000 {
        append(&*log, vec![draft(&["busy"], &"x".repeat(1024))]).await;
        if nth >= 200 && log.may_have_lost(Offset::START, &filter(&["busy"])) {
            break;
        }
    }
    assert!(log.may_have_lost(Offset::START, &filter(&["busy"])), "nothing was removed");
    for (name, least) in
        [("latest", vec!["both"]), ("three", vec!["three 1", "three 2", "three 3"])]
    {
        let kept = read_all(&*log, Offset::START, &filter(&[name]), Select::Every).await;
        assert!(data(&kept).ends_with(&least), "{name}: {:?}", data(&kept));
        assert!(!log.may_have_lost(start, &filter(&[name])), "{name}");
        assert_eq!(log.last_of(&topic(name)), kept.last().map(|record| record.position.offset));
        let page = read(&*log, start, &filter(&[name]), Select::Every).await;
        assert!(!page.lost_since(Removals::NONE), "{name}");
    }
    // The place of an event that was dropped is still one to go on from.
    let id = log.id_key().seal(log.position(start));
    let resolved = log.resolve(&id).await.unwrap();
    assert!(matches!(resolved, Resolved::At(at) | Resolved::Trimmed(at) if at == start));
    let state = read_all(&*log, start, &filter(&["latest"]), Select::NewestOfTopic).await;
    assert_eq!(data(&state), ["both"]);
}

/// A backend that tells its size tells that of the records that can be read.
pub async fn the_size_is_that_of_what_is_kept(make: Make<'_>) {
    let log = make(Keep::Little);
    let Some(empty) = log.size() else { return };
    assert_eq!(empty.events, 0);
    append(&*log, vec![draft(&["a"], "x"), draft(&["b"], &"y".repeat(1_000))]).await;
    let two = log.size().unwrap();
    assert!(two.events == 2 && two.bytes >= empty.bytes + 1_000, "{two:?}");
    overflow(&*log).await;
    let kept = read_all(&*log, log.bounds().floor, &all(), Select::Every).await;
    let size = log.size().unwrap();
    assert_eq!(size.events, kept.len() as u64);
    assert!(size.bytes > two.bytes, "{size:?}");
}
