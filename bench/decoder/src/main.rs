//! Prints the tables of the crate's README: each decoder and encoder in turn, round after round, so that a
//! machine that slows down does so for all; medians.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::time::Instant;

use headwater_bench_decoder::{decoders, encoders, workloads};

const ROUNDS: usize = 101;

fn main() {
    println!("ns per event (and MB/s), median of {ROUNDS} interleaved rounds\n");
    for workload in workloads::all() {
        let mut times_ns = vec![Vec::new(); decoders::ALL.len()];
        for round in 0..ROUNDS {
            for (subject, times_ns) in decoders::ALL.iter().zip(&mut times_ns) {
                // It is quadratic: each round of the 4 MiB event takes it many seconds.
                let slow = subject.name == "eventsource-stream" && workload.events == 1;
                if slow && round > 0 {
                    continue;
                }
                let begin = Instant::now();
                let events = (subject.decode)(&workload.chunks);
                times_ns.push(begin.elapsed().as_nanos());
                assert_eq!(events, workload.events, "{} with {}", workload.name, subject.name);
            }
        }
        println!("{}", workload.name);
        for (subject, times_ns) in decoders::ALL.iter().zip(&mut times_ns) {
            let ns = median(times_ns);
            println!(
                "  {:<24}{:>14.1} ns/event{:>10.0} MB/s",
                subject.name,
                ns / workload.events as f64,
                workload.bytes as f64 * 1000.0 / ns,
            );
        }
    }
    const EVENTS: usize = 10_000;
    let mut times_ns = vec![Vec::new(); encoders::ALL.len()];
    for _ in 0..ROUNDS {
        for (subject, times_ns) in encoders::ALL.iter().zip(&mut times_ns) {
            let begin = Instant::now();
            assert_eq!((subject.encode)(EVENTS), 76 * EVENTS);
            times_ns.push(begin.elapsed().as_nanos());
        }
    }
    println!("encoding 76 B events");
    for (subject, times_ns) in encoders::ALL.iter().zip(&mut times_ns) {
        println!("  {:<24}{:>14.1} ns/event", subject.name, median(times_ns) / EVENTS as f64);
    }
}

fn median(values: &mut [u128]) -> f64 {
    values.sort_unstable();
    values[values.len() / 2] as f64
}
