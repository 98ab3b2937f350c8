//! The results as files: a page of Markdown, JSON, and a plot for each row.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::plot;
use super::results::{Results, Spread};
use super::rows::{Budget, Reference, Row};

/// Writes all of them into a folder.
pub(crate) fn all(results: &Results, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let write = |name: &str, text: String| {
        let file = folder.join(name);
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
    };
    let json = serde_json::to_string_pretty(&results.json())?;
    write("comparison.json", json + "\n")?;
    write("comparison.md", markdown(results))?;
    for row in &results.rows {
        if let Some(svg) = plot::bars(results, row) {
            write(&format!("{}.svg", row.id), svg)?;
        }
    }
    Ok(())
}

/// The page.
// Writing to a String cannot fail.
pub(crate) fn markdown(results: &Results) -> String {
    let mut text = String::from("# Comparison\n\n");
    let (rounds, seconds) = (results.rounds, results.seconds);
    let _ = writeln!(
        text,
        "Medians of {rounds} interleaved rounds, in brackets the lowest and the highest; {seconds} s of \
         publishing each, 100 bytes an event. Server and generator have a core each; every measurement has \
         a fresh server. CPU is the processor time of the server's processes as the kernel counts it, the \
         work of TCP included. Written by `cargo xtask bench`; [benchmarks](../../docs/benchmarks.md) says \
         how to read and repeat it.\n"
    );
    for row in &results.rows {
        table(&mut text, results, row);
    }
    text.push_str("## Versions\n\n| server | what | version |\n|---|---|---|\n");
    for (peer, version) in &results.peers {
        let _ = writeln!(text, "| {} | {} | {version} |", peer.name(), peer.what());
    }
    text.push_str("\n## Machine\n\n| | |\n|---|---|\n");
    for (name, fact) in &results.facts {
        let _ = writeln!(text, "| {name} | {fact} |");
    }
    if let Some(load) = results.load_before {
        let _ = writeln!(text, "| load before | {load} |");
    }
    text
}

fn table(text: &mut String, results: &Results, row: &Row) {
    let _ = writeln!(text, "## {}\n", row.title);
    if plot::bars(results, row).is_some() {
        let _ = writeln!(text, "![{}]({}.svg)\n", row.title, row.id);
    }
    let (unit, reference) = (row.unit, reference(row));
    let _ = writeln!(text, "| server | {unit} | {reference} | remarks |\n|---|---|---|---|");
    for (peer, _) in &results.peers {
        let Some(value) = results.value(row, *peer) else { continue };
        let ratio = results.ratio(row, *peer).map(|ratio| shown(ratio, 2)).unwrap_or_default();
        let digits = if value.median < 100.0 { 2 } else { 0 };
        let remarks = results.remarks(row, *peer);
        let _ =
            writeln!(text, "| {} | {} | {ratio} | {remarks} |", peer.name(), shown(value, digits));
    }
    if let Some(budget) = row.budget {
        let most = match budget {
            Budget::Ratio(most) => format!("{most} × the reference"),
            Budget::Value(most) => format!("{most} {unit}"),
        };
        let kept = results.peers.iter().filter(|(peer, _)| peer.is_headwater());
        let kept = kept.filter_map(|(peer, _)| {
            let verdict = if results.keeps(row, *peer)? { "keeps it" } else { "does not keep it" };
            Some(format!("{} {verdict}", peer.name()))
        });
        let kept = kept.collect::<Vec<_>>().join(", ");
        let _ = writeln!(text, "\nHeadwater's budget: at most {most}. {kept}");
    }
    text.push('\n');
}

/// What a row's ratio is to.
pub(crate) fn reference(row: &Row) -> String {
    match &row.reference {
        Reference::Bare(other) if *other == row.id => "× the bare loop".to_owned(),
        Reference::Bare(other) => format!("× the bare loop in {other}"),
        Reference::Itself(other) => format!("× itself in {other}"),
        Reference::Peer(peer) => format!("× {}", peer.name()),
    }
}

fn shown(spread: Spread, digits: usize) -> String {
    let Spread { median, low, high } = spread;
    format!("{median:.digits$} ({low:.digits$} – {high:.digits$})")
}
