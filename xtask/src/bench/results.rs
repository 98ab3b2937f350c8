//! What has been measured, and what it says.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::arguments::Arguments;
use super::machine;
use super::measure::Measurement;
use super::peers::{Peer, Ready};
use super::rows::{Budget, Reference, Row};

/// All measurements of a comparison.
pub(crate) struct Results {
    pub(crate) rows: Vec<Row>,
    pub(crate) peers: Vec<(Peer, String)>,
    pub(crate) facts: Vec<(&'static str, String)>,
    pub(crate) rounds: usize,
    pub(crate) seconds: u32,
    /// How busy the machine was with other things before it began.
    pub(crate) load_before: Option<f64>,
    /// By row and server; in each, by round.
    measured: BTreeMap<(String, Peer), BTreeMap<usize, Measurement>>,
}

/// A middle value and its spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Results {
    /// Nothing is measured yet.
    pub(crate) fn new(arguments: &Arguments, rows: &[Row], ready: &[(Peer, Ready)]) -> Self {
        let version = |(peer, ready): &(Peer, Ready)| (*peer, ready.version.clone());
        Self {
            rows: rows.to_vec(),
            peers: ready.iter().map(version).collect(),
            facts: machine::facts(),
            rounds: arguments.rounds,
            seconds: arguments.seconds,
            load_before: machine::load(),
            measured: BTreeMap::new(),
        }
    }

    /// One more measurement.
    pub(crate) fn add(&mut self, row: &Row, peer: Peer, round: usize, measurement: Measurement) {
        let rounds = self.measured.entry((row.id.clone(), peer)).or_default();
        rounds.insert(round, measurement);
    }

    /// A server's values in a row.
    pub(crate) fn value(&self, row: &Row, peer: Peer) -> Option<Spread> {
        Spread::of(self.rounds_of(&row.id, peer)?.values().map(|measured| measured.value))
    }

    /// A server's values as multiples of the reference, round by round.
    pub(crate) fn ratio(&self, row: &Row, peer: Peer) -> Option<Spread> {
        let reference = match &row.reference {
            Reference::Bare(other) => self.rounds_of(other, Peer::Bare)?,
            Reference::Itself(other) => self.rounds_of(other, peer)?,
            Reference::Peer(other) => self.rounds_of(&row.id, *other)?,
        };
        let own = self.rounds_of(&row.id, peer)?.iter();
        let ratios = own.filter_map(|(round, measured)| {
            let reference = reference.get(round)?.value;
            (reference > 0.0).then_some(measured.value / reference)
        });
        Spread::of(ratios)
    }

    /// What went wrong with a server in a row: the worst round's faults.
    pub(crate) fn remarks(&self, row: &Row, peer: Peer) -> String {
        let rounds = self.rounds_of(&row.id, peer).into_iter().flat_map(BTreeMap::values);
        let mut remarks = String::new();
        let mut limited = false;
        for measured in rounds {
            limited |= measured.limited;
            if measured.faults.len() > remarks.len() {
                remarks.clone_from(&measured.faults);
            }
        }
        if limited {
            remarks.push_str(if remarks.is_empty() { "" } else { ", " });
            remarks.push_str("the generator may have been the limit");
        }
        remarks
    }

    /// Whether a server keeps a row's budget; `None` if there is none, or nothing to say.
    pub(crate) fn keeps(&self, row: &Row, peer: Peer) -> Option<bool> {
        match row.budget? {
            Budget::Ratio(most) => Some(self.ratio(row, peer)?.median <= most),
            Budget::Value(most) => Some(self.value(row, peer)?.median <= most),
        }
    }

    /// Everything, with every report of the generator.
    pub(crate) fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let peers = self.peers.iter().filter_map(|(peer, _)| {
                let spread = |spread: Option<Spread>| spread.map(Spread::json);
                let rounds = self.rounds_of(&row.id, *peer)?;
                let reports: Vec<_> = rounds.values().map(|measured| &measured.report).collect();
                Some(json!({
                    "server": peer.name(),
                    "value": spread(self.value(row, *peer)),
                    "ratio": spread(self.ratio(row, *peer)),
                    "remarks": self.remarks(row, *peer),
                    "reports": reports,
                }))
            });
            json!({
                "id": row.id,
                "title": row.title,
                "unit": row.unit,
                "load": row.load,
                "servers": peers.collect::<Vec<_>>(),
            })
        });
        let versions: BTreeMap<_, _> =
            self.peers.iter().map(|(peer, version)| (peer.name(), version)).collect();
        json!({
            "machine": self.facts.iter().cloned().collect::<BTreeMap<_, _>>(),
            "load_before": self.load_before,
            "rounds": self.rounds,
            "seconds": self.seconds,
            "versions": versions,
            "rows": rows.collect::<Vec<_>>(),
        })
    }

    fn rounds_of(&self, row: &str, peer: Peer) -> Option<&BTreeMap<usize, Measurement>> {
        self.measured.get(&(row.to_owned(), peer))
    }
}

impl Spread {
    /// Of the values; `None` if there are none.
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let (low, high) = (*values.first()?, *values.last()?);
        let (below, above) = (values.get((values.len() - 1) / 2)?, values.get(values.len() / 2)?);
        Some(Self { median: f64::midpoint(*below, *above), low, high })
    }

    fn json(self) -> Value {
        json!({ "median": self.median, "low": self.low, "high": self.high })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let spread = |values: &[f64]| Spread::of(values.iter().copied());
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[3.0]), Some(Spread { median: 3.0, low: 3.0, high: 3.0 }));
        assert_eq!(spread(&[9.0, 1.0, 2.0]), Some(Spread { median: 2.0, low: 1.0, high: 9.0 }));
        assert_eq!(spread(&[4.0, 1.0]), Some(Spread { median: 2.5, low: 1.0, high: 4.0 }));
    }
}
