//! The same as the binary, with criterion's statistics and its comparison with the run before.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use headwater_bench_decoder::{decoders, encoders, workloads};

fn decode(criterion: &mut Criterion) {
    for workload in workloads::all() {
        let mut group = criterion.benchmark_group(format!("decode {}", workload.name));
        group.throughput(Throughput::ElementsAndBytes {
            elements: workload.events as u64,
            bytes: workload.bytes as u64,
        });
        for subject in decoders::ALL {
            // It is quadratic: a hundred samples of the 4 MiB event would take a quarter of an hour.
            if subject.name == "eventsource-stream" && workload.events == 1 {
                continue;
            }
            group.bench_function(BenchmarkId::from_parameter(subject.name), |bencher| {
                bencher.iter(|| (subject.decode)(&workload.chunks));
            });
        }
        group.finish();
    }
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode 76 B events");
    group.throughput(Throughput::Elements(1000));
    for subject in encoders::ALL {
        group.bench_function(BenchmarkId::from_parameter(subject.name), |bencher| {
            bencher.iter(|| (subject.encode)(1000));
        });
    }
    group.finish();
}

criterion_group!(benches, decode, encode);
criterion_main!(benches);
