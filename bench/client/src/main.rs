//! Prints the tables of the client's documentation: each client in turn, round after round, so that a machine
//! that slows down does so for all; medians. `cargo run --release -- 5` takes five rounds.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::time::Instant;

use allocation_counter::measure;
use headwater_bench_client::{clients, server, workloads};
use tokio::runtime::{Builder, Runtime};

fn main() -> std::io::Result<()> {
    let rounds = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(21);
    println!("events/s end to end (and ns per event), median of {rounds} interleaved rounds;");
    println!("allocations per event on the client's thread\n");
    for workload in workloads::ALL {
        let url = server::serve(workload.body(workload.events))?;
        let mut times_ns = vec![Vec::new(); clients::ALL.len()];
        for _ in 0..rounds {
            for (subject, times_ns) in clients::ALL.iter().zip(&mut times_ns) {
                let runtime = runtime()?;
                let begin = Instant::now();
                runtime.block_on((subject.receive)(&url, workload.events));
                times_ns.push(begin.elapsed().as_nanos());
            }
        }
        println!("{}", workload.name);
        for (subject, times_ns) in clients::ALL.iter().zip(&mut times_ns) {
            times_ns.sort_unstable();
            let ns = times_ns[times_ns.len() / 2] as f64 / workload.events as f64;
            let allocations = allocations(subject, &url, workload.events)?;
            println!("  {:<26}{:>12.0}/s{ns:>9.0} ns{allocations:>9.2}", subject.name, 1e9 / ns);
        }
    }
    Ok(())
}

/// What the second half of a stream costs: not what connecting does.
fn allocations(subject: &clients::Subject, url: &str, events: usize) -> std::io::Result<f64> {
    let count = |events| -> std::io::Result<f64> {
        let runtime = runtime()?;
        let used = measure(|| runtime.block_on((subject.receive)(url, events)));
        Ok(used.count_total as f64)
    };
    Ok((count(events)? - count(events / 2)?) / (events - events / 2) as f64)
}

/// All of a client on one thread.
fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}
