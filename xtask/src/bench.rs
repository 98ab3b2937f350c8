//! The comparison: the hub beside its peers, in interleaved rounds, as ratios to a bare send loop.

mod arguments;
mod install;
mod machine;
mod measure;
mod peers;
mod plot;
mod results;
mod rows;
mod server;
mod write;

use std::time::Instant;

use anyhow::{Result, ensure};

use arguments::Arguments;
use measure::Measurement;
use peers::{Peer, Ready};
use results::Results;
use rows::Row;

pub(crate) const HELP: &str = arguments::HELP;

/// Runs the comparison that the arguments describe, and writes its results.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let Some(arguments) = Arguments::parse(arguments)? else {
        print!("{HELP}");
        return Ok(());
    };
    let rows = rows::chosen(&arguments)?;
    if arguments.list {
        list(&rows);
        return Ok(());
    }
    let headwater = peers::headwater(&arguments)?;
    let mut ready: Vec<(Peer, Ready)> = Vec::new();
    for peer in peers::chosen(&arguments)? {
        match peer.prepare(&arguments, &headwater) {
            Ok(prepared) => ready.push((peer, prepared)),
            // One that is not to be had here must not stop the others.
            Err(error) => println!("without {}: {error:#}", peer.name()),
        }
    }
    ensure!(!ready.is_empty(), "no server is left to measure");
    let mut results = Results::new(&arguments, &rows, &ready);
    let measured_of = |row: &Row| ready.iter().filter(|(peer, _)| row.applies_to(*peer)).count();
    let all = rows.iter().map(measured_of).sum::<usize>() * arguments.rounds;
    let (begin, mut number) = (Instant::now(), 0);
    for round in 1..=arguments.rounds {
        for row in &rows {
            // The order changes, so that none always comes after the same other.
            let mut order: Vec<_> =
                ready.iter().filter(|(peer, _)| row.applies_to(*peer)).collect();
            let shift = round % order.len().max(1);
            order.rotate_left(shift);
            for (peer, prepared) in order {
                number += 1;
                let left = remaining(begin, number, all);
                let at =
                    format!("[{number}/{all}{left}] round {round}, {}, {}", row.id, peer.name());
                match measure::one(row, *peer, prepared, &headwater, &arguments) {
                    Ok(measurement) => {
                        println!("{at}: {}", shown(row, &measurement));
                        results.add(row, *peer, round, measurement);
                    }
                    // It may do better in the next round; what it managed is shown.
                    Err(error) => println!("{at}: {error:#}"),
                }
            }
        }
        // What there is by now is not lost if a later round is.
        write::all(&results, &arguments.out)?;
    }
    println!("\n{}", write::markdown(&results));
    println!("written to {}", arguments.out.display());
    Ok(())
}

fn remaining(begin: Instant, number: usize, all: usize) -> String {
    let done = u32::try_from(number - 1).unwrap_or(u32::MAX);
    let rest = u32::try_from(all - number + 1).unwrap_or(u32::MAX);
    match done {
        0 => String::new(),
        done => format!(", {} min left", (begin.elapsed() / done * rest).as_secs().div_ceil(60)),
    }
}

fn shown(row: &Row, measurement: &Measurement) -> String {
    let faults = match measurement.faults.as_str() {
        "" => String::new(),
        faults => format!(" ({faults})"),
    };
    let limited = if measurement.limited { " (the generator was the limit)" } else { "" };
    format!("{:.2} {}{faults}{limited}", measurement.value, row.unit)
}

fn list(rows: &[Row]) {
    for row in rows {
        println!("{:<16} {}", row.id, row.title);
    }
    println!();
    for peer in peers::ALL {
        println!("{:<16} {}", peer.name(), peer.what());
    }
}
