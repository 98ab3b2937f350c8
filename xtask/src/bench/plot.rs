//! A row as a plot: a bar for each server.

use std::fmt::Write;

use super::peers::Peer;
use super::results::{Results, Spread};
use super::rows::{Budget, Row};
use super::write::reference;

const WIDTH: f64 = 760.0;
const LEFT: f64 = 150.0;
const RIGHT: f64 = 180.0;
const TOP: f64 = 84.0;
const STEP: f64 = 30.0;
const BAR: f64 = 18.0;

const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#1c2430}.t{font-size:16px;font-weight:600}.q{fill:#5b6675}\
.b{fill:#9fb0c3}.h{fill:#0f6fc5}.s{stroke:#1c2430;stroke-width:1.5;fill:none}\
.m{stroke:#c2540a;stroke-width:1.5;stroke-dasharray:4 3}.n{fill:#c2540a}.l{fill:#fff}\
@media(prefers-color-scheme:dark){text{fill:#e4e9f0}.q{fill:#98a4b3}.b{fill:#4d5d70}.h{fill:#58aef5}\
.s{stroke:#e4e9f0}.m{stroke:#f09a4e}.n{fill:#f09a4e}.l{fill:#11161c}}";

/// The row's ratios, or its values where the budget is one; `None` if nothing was measured.
pub(crate) fn bars(results: &Results, row: &Row) -> Option<String> {
    let by_value = matches!(row.budget, Some(Budget::Value(_)));
    let spread = |peer: Peer| match by_value {
        true => results.value(row, peer),
        false => results.ratio(row, peer),
    };
    let peers = results.peers.iter().filter_map(|(peer, _)| Some((*peer, spread(*peer)?)));
    let bars: Vec<(Peer, Spread)> = peers.collect();
    let (budget, of) = match row.budget {
        Some(Budget::Ratio(most)) => (Some(most), reference(row)),
        Some(Budget::Value(most)) => (Some(most), row.unit.to_owned()),
        None => (None, reference(row)),
    };
    let highs = bars.iter().map(|(_, spread)| spread.high).chain(budget);
    let most = highs.fold(f64::NEG_INFINITY, f64::max);
    if bars.is_empty() || most <= 0.0 {
        return None;
    }
    let x = |value: f64| LEFT + value.max(0.0) / most * (WIDTH - LEFT - RIGHT);
    // The length of a list this short is exact.
    #[expect(clippy::cast_precision_loss, reason = "a few servers")]
    let height = TOP + bars.len() as f64 * STEP + 10.0;
    let title = &row.title;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n<rect class=\"l\" width=\"{WIDTH}\" \
         height=\"{height}\" rx=\"8\"/>\n<text class=\"t\" x=\"16\" y=\"26\">{title}</text>\n\
         <text class=\"q\" x=\"16\" y=\"46\">{of}; less is better; the line is the spread</text>\n"
    );
    // Behind the bars, so that they stay readable.
    if let Some(budget) = budget {
        let (at, top) = (x(budget), TOP - 6.0);
        let _ = writeln!(
            svg,
            "<path class=\"m\" d=\"M{at:.1} {top}V{:.1}\"/><text class=\"n\" x=\"{at:.1}\" y=\"{:.1}\" \
             text-anchor=\"middle\">budget {budget}</text>",
            height - 10.0,
            top - 5.0
        );
    }
    let mut y = TOP;
    for (peer, spread) in &bars {
        draw(&mut svg, *peer, *spread, y, x, by_value);
        y += STEP;
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

// Writing to a String cannot fail.
fn draw(
    svg: &mut String,
    peer: Peer,
    spread: Spread,
    y: f64,
    x: impl Fn(f64) -> f64,
    by_value: bool,
) {
    let Spread { median, low, high } = spread;
    let class = if peer.is_headwater() { "h" } else { "b" };
    let (end, name, text_y, middle) = (x(median), peer.name(), y + 14.0, y + BAR / 2.0);
    let digits = if by_value && median >= 100.0 { 0 } else { 2 };
    let (from, to) = (x(low), x(high));
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{text_y}\" text-anchor=\"end\">{name}</text>\
         <rect class=\"{class}\" x=\"{LEFT}\" y=\"{y}\" width=\"{:.1}\" height=\"{BAR}\" rx=\"2\"/>\
         <path class=\"s\" d=\"M{from:.1} {middle}H{to:.1}\"/>\
         <text x=\"{:.1}\" y=\"{text_y}\">{median:.digits$}</text>\
         <text class=\"q\" x=\"{:.1}\" y=\"{text_y}\" text-anchor=\"end\">{low:.digits$} – {high:.digits$}</text>",
        LEFT - 10.0,
        (end - LEFT).max(1.0),
        WIDTH - RIGHT + 14.0,
        WIDTH - 16.0
    );
}
