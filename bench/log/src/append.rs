//! Durable appends a second: all stores in turn, so that what else the machine does meets all of them.

use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Result, anyhow, ensure};
use headwater_log::{Appended, DiskLog, Durability, Log, Topic};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::stores::{Fjall, Raw, Sqlite, Store, draft, open_log};

const PUBLISHERS: [usize; 3] = [1, 16, 256];
const EVENT_BYTES: usize = 256;
/// A group is no larger, as in the log.
const GROUP_BYTES_MAX: usize = 8 << 20;
const STORES: [&str; 4] = ["raw", "headwater", "fjall", "sqlite"];

pub fn run(dir: &Path, rounds: usize, turn_ms: u64) -> Result<()> {
    ensure!(!dir.exists(), "{} is there already: give a new directory", dir.display());
    let turn = Duration::from_millis(turn_ms);
    let runtime = Runtime::new()?;
    let mut costs = PUBLISHERS.map(|_| STORES.map(|_| Vec::new()));
    let mut rates = PUBLISHERS.map(|_| STORES.map(|_| Vec::new()));
    for round in 0..rounds {
        let of_round = rates.iter_mut().zip(&mut costs);
        for (publishers, (rates, costs)) in PUBLISHERS.into_iter().zip(of_round) {
            for nth in 0..STORES.len() {
                // Each round begins with another, so that none is always behind the same.
                let store = (nth + round) % STORES.len();
                let place = dir.join(format!("{round}-{publishers}-{}", STORES[store]));
                fs::create_dir_all(&place)?;
                let before = cpu();
                let (count, seconds) = one(STORES[store], &place, publishers, turn, &runtime)?;
                #[expect(clippy::cast_precision_loss, reason = "a rate")]
                let (rate, cost) = (count as f64 / seconds, (cpu() - before) / count as f64 * 1e6);
                eprintln!(
                    "round {round}: {publishers:>3} publishers, {:<9} {rate:>9.0}/s, {cost:>6.1} us",
                    STORES[store]
                );
                rates[store].push(rate);
                costs[store].push(cost);
                fs::remove_dir_all(&place)?;
            }
        }
    }
    fs::remove_dir_all(dir)?;
    println!("| publishers | raw | headwater | fjall | SQLite | headwater / raw (min to max) |");
    println!("|---|---|---|---|---|---|");
    for (publishers, (rates, costs)) in PUBLISHERS.into_iter().zip(rates.iter_mut().zip(&mut costs))
    {
        let pairs = rates[0].iter().zip(&rates[1]);
        let mut shares: Vec<f64> = pairs.map(|(raw, own)| own / raw).collect();
        let cells = rates.iter_mut().zip(costs);
        let cells: Vec<String> = cells
            .map(|(rates, costs)| format!("{:.0}/s, {:.1} us", median(rates), median(costs)))
            .collect();
        let share = median(&mut shares);
        let (least, most) = (shares[0], shares[shares.len() - 1]);
        println!("| {publishers} | {} | {share:.2} ({least:.2} to {most:.2}) |", cells.join(" | "));
    }
    Ok(())
}

/// Seconds of all threads, in the program and in the kernel.
fn cpu() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    #[expect(clippy::cast_precision_loss, reason = "a part of a second")]
    let part = time.tv_nsec as f64 / 1e9;
    #[expect(clippy::cast_precision_loss, reason = "seconds")]
    let seconds = time.tv_sec as f64;
    seconds + part
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// How many were on disk after how many seconds.
fn one(
    store: &str,
    dir: &Path,
    publishers: usize,
    turn: Duration,
    runtime: &Runtime,
) -> Result<(u64, f64)> {
    match store {
        "headwater" => headwater(dir, publishers, turn, runtime),
        "raw" => grouped(Raw::open(dir)?, publishers, turn, runtime),
        "fjall" => grouped(Fjall::open(&dir.join("db"))?, publishers, turn, runtime),
        _ => grouped(Sqlite::open(dir)?, publishers, turn, runtime),
    }
}

fn headwater(
    dir: &Path,
    publishers: usize,
    turn: Duration,
    runtime: &Runtime,
) -> Result<(u64, f64)> {
    let log = open_log(dir, Durability::Always)?;
    let topic = Topic::parse("prices/gold")?;
    published(publishers, turn, runtime, &Publisher::Log(log, topic))
}

/// An event, and where to say that it is on disk.
type Request = (Vec<u8>, oneshot::Sender<bool>);

/// A writer's thread before a store: it takes what is waiting, and answers when that is on disk.
fn grouped(
    mut store: impl Store + 'static,
    publishers: usize,
    turn: Duration,
    runtime: &Runtime,
) -> Result<(u64, f64)> {
    let (requests, waiting) = mpsc::channel::<Request>();
    let writer = thread::spawn(move || -> Result<()> {
        while let Ok(first) = waiting.recv() {
            let mut bytes = first.0.len();
            let (mut group, mut replies) = (vec![first.0], vec![first.1]);
            while bytes < GROUP_BYTES_MAX
                && let Ok((event, reply)) = waiting.try_recv()
            {
                bytes += event.len();
                group.push(event);
                replies.push(reply);
            }
            let done = store.commit(&group);
            for reply in replies {
                let _ = reply.send(done.is_ok());
            }
            done?;
        }
        Ok(())
    });
    let publisher = Publisher::Writer(requests);
    let rate = published(publishers, turn, runtime, &publisher);
    // Without anybody who could send, it ends.
    drop(publisher);
    writer.join().map_err(|_| anyhow!("the writer panicked"))??;
    rate
}

/// Whom events are given to.
#[derive(Clone)]
enum Publisher {
    Log(DiskLog, Topic),
    Writer(mpsc::Sender<Request>),
}

impl Publisher {
    /// Returns when the event is on disk.
    async fn publish(&self) -> Result<()> {
        match self {
            Self::Log(log, topic) => {
                let data = "x".repeat(EVENT_BYTES);
                let appended = log.append(vec![draft(topic.clone(), data.into())]).await;
                ensure!(matches!(appended[..], [Appended::Committed(_)]), "{appended:?}");
            }
            Self::Writer(requests) => {
                let (reply, answer) = oneshot::channel();
                requests.send((vec![b'x'; EVENT_BYTES], reply))?;
                ensure!(answer.await?, "the store failed");
            }
        }
        Ok(())
    }
}

/// So many publishers, each of which waits for an answer before its next event: how many answers, and in how many
/// seconds.
fn published(
    publishers: usize,
    turn: Duration,
    runtime: &Runtime,
    publisher: &Publisher,
) -> Result<(u64, f64)> {
    let begin = Instant::now();
    let end = begin + turn;
    let tasks: Vec<_> = (0..publishers)
        .map(|_| {
            let publisher = publisher.clone();
            runtime.spawn(async move {
                let mut done = 0_u64;
                while Instant::now() < end {
                    publisher.publish().await?;
                    done += 1;
                }
                anyhow::Ok(done)
            })
        })
        .collect();
    let mut all = 0;
    for task in tasks {
        all += runtime.block_on(task)??;
    }
    Ok((all, begin.elapsed().as_secs_f64()))
}
