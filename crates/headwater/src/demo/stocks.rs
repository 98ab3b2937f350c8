//! Prices of shares in companies that do not exist: a random walk, the same with every start.

use serde_json::json;

use super::play::{Said, Script};

/// What a page's topic begins with; the symbol follows.
pub(super) const TOPIC: &str = "stocks/";

/// Symbol, and the price at the opening in cents.
const COMPANIES: [(&str, u64); 6] = [
    ("KFSH", 12_840),
    ("MILL", 4_215),
    ("REED", 8_970),
    ("DELT", 23_160),
    ("SPRG", 1_784),
    ("OTTR", 6_055),
];
/// Below this no price falls, in cents.
const FLOOR: u64 = 100;

/// The market.
#[derive(Debug)]
pub(super) struct Market {
    random: fastrand::Rng,
    tick: u64,
    shares: Vec<Share>,
}

#[derive(Debug)]
struct Share {
    symbol: &'static str,
    open: u64,
    cents: u64,
    /// Where it tends to, in cents per hundred ticks.
    drift: i64,
    volume: u64,
}

impl Market {
    pub(super) fn new() -> Self {
        let share = |(symbol, open)| Share { symbol, open, cents: open, drift: 0, volume: 0 };
        Self {
            random: fastrand::Rng::with_seed(1),
            tick: 0,
            shares: COMPANIES.into_iter().map(share).collect(),
        }
    }
}

impl Script for Market {
    /// Some shares are traded, at least one.
    fn next(&mut self) -> Vec<Said> {
        self.tick += 1;
        let chosen = self.random.usize(..self.shares.len());
        let mut said = Vec::new();
        for (index, share) in self.shares.iter_mut().enumerate() {
            if index == chosen || self.random.u8(..) < 96 {
                share.trade(&mut self.random);
                let data = json!({
                    "symbol": share.symbol, "cents": share.cents, "open": share.open,
                    "volume": share.volume, "tick": self.tick,
                });
                said.push(Said::new(format!("{TOPIC}{}", share.symbol), data));
            }
        }
        said
    }
}

impl Share {
    fn trade(&mut self, random: &mut fastrand::Rng) {
        let reach = i64::try_from(self.open / 100).unwrap_or(i64::MAX);
        if random.u8(..) < 10 {
            self.drift = random.i64(-reach..=reach);
        }
        // A step of at most a fifth of a percent, and back towards the opening when far from it.
        let step = random.i64(-reach / 5..=reach / 5) + self.drift / 20;
        let away = self.open.cast_signed() - self.cents.cast_signed();
        let moved = self.cents.saturating_add_signed(step + away / 200);
        self.cents = moved.max(FLOOR);
        self.volume += random.u64(1..40) * 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_start_has_the_same_day() {
        let (mut one, mut other) = (Market::new(), Market::new());
        for _ in 0..1000 {
            let said = one.next();
            assert!(!said.is_empty() && said.len() <= COMPANIES.len());
            assert_eq!(said, other.next());
        }
    }

    #[test]
    fn prices_stay_near_where_they_began() {
        let mut market = Market::new();
        for _ in 0..50_000 {
            market.next();
        }
        for share in &market.shares {
            assert!((share.open / 2..share.open * 2).contains(&share.cents), "{share:?}");
        }
    }
}
