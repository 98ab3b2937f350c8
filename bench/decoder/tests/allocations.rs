//! Counts allocations per event. Ours must be none once the buffers have grown; the peers' are printed
//! (`cargo test --release -- --nocapture`).

use allocation_counter::measure;
use headwater_bench_decoder::{decoders, encoders, workloads};
use headwater_event_stream::Decoder;

#[test]
fn the_decoder_allocates_nothing_per_event() {
    for workload in workloads::all() {
        println!("{}", workload.name);
        let mut decoder = Decoder::new();
        decoders::headwater_with(&mut decoder, &workload.chunks);
        let used = measure(|| {
            decoders::headwater_with(&mut decoder, &workload.chunks);
        });
        println!(
            "  {:<24}{:>10.3}",
            "headwater, in use",
            per_event(used.count_total, workload.events)
        );
        assert_eq!(used.count_total, 0, "{}", workload.name);
        for subject in decoders::ALL {
            if subject.name == "eventsource-stream" && workload.events == 1 {
                continue;
            }
            let counted = measure(|| {
                (subject.decode)(&workload.chunks);
            });
            let count = per_event(counted.count_total, workload.events);
            println!("  {:<24}{count:>10.3}", subject.name);
        }
    }
}

#[test]
fn the_encoder_allocates_at_most_its_buffer() {
    const EVENTS: usize = 1000;
    for (subject, most) in encoders::ALL.iter().zip([Some(1), Some(EVENTS as u64), None]) {
        let counted = measure(|| {
            (subject.encode)(EVENTS);
        });
        println!("{:<26}{:>10.3}", subject.name, per_event(counted.count_total, EVENTS));
        assert!(most.is_none_or(|most| counted.count_total <= most), "{}", subject.name);
    }
}

fn per_event(count: u64, events: usize) -> f64 {
    count as f64 / events as f64
}
