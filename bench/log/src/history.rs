//! A log of many events: making, opening, resuming from and replaying it.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use headwater_log::{
    Appended, DiskLog, Durability, Filter, Log, Offset, Read, Resolved, Select, Topic,
};
use rustix::fs::{Advice, fadvise};
use tokio::runtime::Runtime;

use crate::stores::{draft, open_log};

const BATCH: u64 = 1000;
const DATA_BYTES: usize = 200;
/// What a subscriber is given at a time.
const PAGE_BYTES: usize = 64 << 10;

pub fn build(dir: &Path, events: u64, topics: u64, killed: bool) -> Result<()> {
    let runtime = Runtime::new()?;
    let log = open_log(dir, Durability::Os)?;
    let begin = Instant::now();
    for batch in 0..events.div_ceil(BATCH) {
        let range = batch * BATCH..((batch + 1) * BATCH).min(events);
        let drafts: Result<Vec<_>> = range
            .map(|_| {
                let topic = Topic::parse(&format!("topics/{}", fastrand::u64(..topics)))?;
                Ok(draft(topic, "x".repeat(DATA_BYTES).into()))
            })
            .collect();
        let appended = runtime.block_on(log.append(drafts?));
        ensure!(appended.iter().all(|answer| matches!(answer, Appended::Committed(_))));
    }
    println!("{events} events in {:.1} s", begin.elapsed().as_secs_f64());
    if killed {
        // Nothing is sealed or closed.
        std::process::abort();
    }
    Ok(())
}

pub fn open_again(dir: &Path, rounds: usize) -> Result<()> {
    for (what, cold) in [("cold", true), ("warm", false)] {
        let mut times: Vec<Duration> = Vec::new();
        for _ in 0..rounds {
            if cold {
                forget(dir)?;
            }
            let begin = Instant::now();
            let log = open_log(dir, Durability::Os)?;
            times.push(begin.elapsed());
            drop(log);
        }
        // The first may have to read again what was not closed.
        println!("{what}: first {}; {}", ms(times[0]), spread(&mut times));
    }
    Ok(())
}

pub fn resume(dir: &Path, tries: u64) -> Result<()> {
    let runtime = Runtime::new()?;
    let log = open_log(dir, Durability::Os)?;
    let tail = log.bounds().tail.offset.get();
    let all = Arc::new(Filter::all());
    // The worst that a resume can ask for: every segment is looked into, and none has it.
    let absent = Arc::new(Filter::topic(Topic::parse("absent")?));
    let mut through: Vec<Duration> = Vec::new();
    for _ in 0..tries {
        let begin = Instant::now();
        let mut after = Offset::START;
        while after.get() < tail {
            let filter = absent.clone();
            let read = Read { after, filter, select: Select::Every, bytes_max: PAGE_BYTES };
            after = runtime.block_on(log.read(read))?.scanned_to.offset;
        }
        through.push(begin.elapsed());
    }
    println!("warm, a topic without events, all of the log: {}", spread(&mut through));
    for cold in [false, true] {
        let tries = if cold { tries.min(30) } else { tries };
        for (what, from) in [("oldest", 0), ("middle", tail / 2), ("newest", tail - 10 * tries)] {
            let (mut every, mut exact) = (Vec::new(), Vec::new());
            for nth in 0..tries {
                let offset = Offset::new(from + nth * 7);
                let id = log.id_key().seal(log.position(offset));
                if cold {
                    forget(dir)?;
                }
                every.push(runtime.block_on(first(&log, &id, &all))?);
                // A topic that some event further on has.
                let page = Read {
                    after: Offset::new(offset.get() + 2),
                    filter: all.clone(),
                    select: Select::Every,
                    bytes_max: 1,
                };
                let page = runtime.block_on(log.read(page))?;
                let record = page.records.first().context("an event")?;
                let topic = record.event.topics.first().context("a topic")?;
                let filter = Arc::new(Filter::topic(topic.clone()));
                if cold {
                    forget(dir)?;
                }
                exact.push(runtime.block_on(first(&log, &id, &filter))?);
            }
            let heat = if cold { "cold" } else { "warm" };
            println!(
                "{heat}, {what} id: all topics {}; one topic {}",
                spread(&mut every),
                spread(&mut exact)
            );
        }
    }
    Ok(())
}

/// How long it takes from an id to the first event behind it.
async fn first(log: &DiskLog, id: &str, filter: &Arc<Filter>) -> Result<Duration> {
    let begin = Instant::now();
    let Resolved::At(mut after) = log.resolve(id).await? else {
        anyhow::bail!("the id is unknown")
    };
    loop {
        let read =
            Read { after, filter: filter.clone(), select: Select::Every, bytes_max: PAGE_BYTES };
        let page = log.read(read).await?;
        ensure!(!page.damaged);
        if !page.records.is_empty() {
            return Ok(begin.elapsed());
        }
        ensure!(page.scanned_to.offset > after, "there is no such event");
        after = page.scanned_to.offset;
    }
}

pub fn replay(dir: &Path) -> Result<()> {
    let runtime = Runtime::new()?;
    let log = open_log(dir, Durability::Os)?;
    let tail = log.bounds().tail.offset;
    let filter = Arc::new(Filter::all());
    println!("before: {}", memory()?);
    let (begin, mut after, mut events, mut shown) = (Instant::now(), Offset::START, 0_u64, 0);
    while after < tail {
        let read =
            Read { after, filter: filter.clone(), select: Select::Every, bytes_max: PAGE_BYTES };
        let page = runtime.block_on(log.read(read))?;
        ensure!(page.scanned_to.offset > after && !page.damaged);
        events += page.records.len() as u64;
        after = page.scanned_to.offset;
        if events / 2_500_000 > shown {
            shown = events / 2_500_000;
            println!("after {events} events: {}", memory()?);
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = events as f64 / seconds;
    println!("{events} events in {seconds:.1} s, {rate:.0}/s; {}", memory()?);
    Ok(())
}

/// Has the system drop the log's pages; what is not on disk is synced first.
fn forget(dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let file = File::open(entry?.path())?;
        file.sync_all()?;
        fadvise(&file, 0, None, Advice::DontNeed)?;
    }
    Ok(())
}

fn memory() -> Result<String> {
    let status = fs::read_to_string("/proc/self/status")?;
    let of = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_whitespace().nth(1).unwrap_or("?").to_owned()
    };
    Ok(format!("resident {} KiB, at most {} KiB", of("VmRSS:"), of("VmHWM:")))
}

fn spread(times: &mut [Duration]) -> String {
    times.sort_unstable();
    format!("p50 {}, max {}", ms(times[times.len() / 2]), ms(times[times.len() - 1]))
}

fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}
