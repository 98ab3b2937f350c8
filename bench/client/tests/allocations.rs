//! Counts allocations per event: ours must be the event's data and no more. The peers' are printed
//! (`cargo test --release -- --nocapture`).

use allocation_counter::measure;
use headwater_bench_client::{clients, server, workloads};
use tokio::runtime::Builder;

#[test]
fn an_event_costs_one_allocation() {
    for workload in workloads::ALL {
        println!("{}", workload.name);
        let events = 2_000;
        let url = server::serve(workload.body(events)).expect("a server");
        for subject in clients::ALL {
            let count = |events| {
                let runtime = Builder::new_current_thread().enable_all().build().expect("one");
                measure(|| runtime.block_on((subject.receive)(&url, events))).count_total as f64
            };
            // What connecting allocates is in both. How the bytes come differs a little from run to run.
            let per_event = (count(events) - count(events / 2)) / (events / 2) as f64;
            println!("  {:<26}{per_event:>9.2}", subject.name);
            if subject.name.starts_with("headwater") {
                assert!(per_event < 1.5, "{per_event}");
            }
        }
    }
}
