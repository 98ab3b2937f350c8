//! A bit that the disk flips in what it has kept: one event may be lost by it, and whoever's replay crosses
//! it is told so; nobody is ever given another event for it.

use super::*;

/// Flips a bit of one segment's file.
fn flip(disk: &Disk, rng: &mut Rng) {
    let mut content = disk.content();
    let segments: Vec<usize> = content
        .names
        .iter()
        .filter(|(name, _)| name.ends_with(".log"))
        .map(|(_, &inode)| inode)
        .filter(|&inode| !content.inodes[inode].bytes.is_empty())
        .collect();
    if segments.is_empty() {
        return;
    }
    let inode = &mut content.inodes[segments[rng.usize(..segments.len())]];
    let at = rng.usize(..inode.bytes.len());
    inode.bytes[at] ^= 1 << rng.u32(..8);
    inode.synced = inode.bytes.clone();
}

async fn open(seed: u64, disk: &Disk) -> DiskLog {
    let retention = Retention { rules: vec![(of(STATE), Keep::LATEST)], ..Retention::default() };
    let options = DiskOptions { segment_bytes: 2048, retention, ..DiskOptions::default() };
    let opened = DiskLog::open_files(Arc::new(disk.clone()), options, outside(seed), None);
    opened.unwrap_or_else(|error| panic!("seed {seed}: {error}")).0
}

/// What is read, and the stretches of which something is said to be lost, as cursors.
async fn read(log: &DiskLog) -> (Vec<Arc<Record>>, Vec<(Offset, Offset)>) {
    let (mut after, mut records, mut damaged) = (log.bounds().floor, Vec::new(), Vec::new());
    while after < log.bounds().tail.offset {
        let filter = Arc::new(Filter::all());
        let page = log.read(Read { after, filter, select: Select::Every, bytes_max: 1 }).await;
        let page = page.unwrap();
        assert!(page.scanned_to.offset > after);
        if page.damaged {
            damaged.push((after, page.scanned_to.offset));
        }
        after = page.scanned_to.offset;
        records.extend(page.records);
    }
    (records, damaged)
}

async fn simulate(seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let disk = Disk::new(seed);
    let mut told = Told::default();
    for opening in 0..rng.u64(1..4) {
        let log = open(seed ^ (opening << 32), &disk).await;
        for _ in 0..rng.u64(1..40) {
            publish(&mut rng, &log, &disk, &mut told).await;
        }
        if rng.bool() {
            log.compact().await.unwrap();
        }
    }
    let before = {
        let log = open(seed ^ 100, &disk).await;
        read(&log).await.0
    };
    flip(&disk, &mut rng);
    for again in 0..3 {
        let log = open(seed ^ (200 + again), &disk).await;
        let (records, damaged) = read(&log).await;
        let mut missing = 0;
        for record in &before {
            let position = record.position;
            match records.iter().find(|own| own.position == position) {
                Some(own) => assert_eq!(own.event, record.event, "seed {seed}: {position:?}"),
                None => {
                    missing += 1;
                    let crossed = |&(after, through): &(Offset, Offset)| {
                        after < position.offset && position.offset <= through
                    };
                    // What a newer state replaced is not promised, though that one may be the damaged.
                    let newer = record.event.topics[0].as_str() == STATE
                        && before.iter().any(|own| {
                            own.position.offset > position.offset
                                && own.event.topics == record.event.topics
                        });
                    let told = damaged.iter().any(crossed) || newer;
                    assert!(told, "seed {seed}: {position:?} went without a word");
                }
            }
        }
        assert!(missing <= 1 || again > 0, "seed {seed}: {missing} events for one bit");
        assert!(records.len() + missing == before.len(), "seed {seed}: an event nobody published");
        if again == 1 {
            log.compact().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_is_told_and_costs_no_other_event() {
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
