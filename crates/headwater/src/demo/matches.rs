//! Three matches at once, played by dice: a minute a second, the same with every start.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::play::{Said, Script};

/// What a page's topic begins with; the number of the match follows.
pub(super) const TOPIC: &str = "match/";

const HALF_MINUTES: u32 = 45;
/// How long the teams rest at half time, and the stadium after the match, in ticks.
const BREAK_TICKS: u32 = 6;
const OVER_TICKS: u32 = 15;
/// Goals, cards and changes that an event tells of.
const INCIDENTS_MAX: usize = 12;

/// A name in English and in Chinese.
type Name = (&'static str, &'static str);

const MATCHES: [(Name, Name); 3] = [
    (("Kingfishers", "翠鸟队"), ("Millers", "磨坊队")),
    (("Herons", "苍鹭队"), ("Otters", "水獭队")),
    (("Springhead", "源头队"), ("Delta", "三角洲队")),
];
const PLAYERS: [Name; 14] = [
    ("Abel", "阿贝尔"),
    ("Brook", "布鲁克"),
    ("Cano", "卡诺"),
    ("Dunn", "邓恩"),
    ("Eide", "艾德"),
    ("Ferro", "费罗"),
    ("Grau", "格劳"),
    ("Hale", "黑尔"),
    ("Ito", "伊藤"),
    ("Jansen", "扬森"),
    ("Kowal", "科瓦尔"),
    ("Lund", "伦德"),
    ("Mora", "莫拉"),
    ("Novak", "诺瓦克"),
];

/// The matches of a day that never ends.
#[derive(Debug)]
pub(super) struct MatchDay {
    matches: Vec<Match>,
}

impl MatchDay {
    pub(super) fn new() -> Self {
        let begin = |(index, teams)| {
            let number = u32::try_from(index).unwrap_or_default() + 1;
            let mut begun = Match::new(number, teams);
            // They did not all kick off at once.
            for _ in 0..(index * 17) {
                begun.advance();
            }
            begun
        };
        Self { matches: MATCHES.into_iter().enumerate().map(begin).collect() }
    }
}

impl Script for MatchDay {
    fn next(&mut self) -> Vec<Said> {
        let told = self.matches.iter_mut().map(|played| {
            let news = played.advance();
            Said::new(format!("{TOPIC}{}", played.number), played.told(news))
        });
        told.collect()
    }
}

#[derive(Debug)]
struct Match {
    number: u32,
    teams: [Name; 2],
    random: fastrand::Rng,
    phase: Phase,
    minute: u32,
    /// How long the break has lasted.
    rested: u32,
    score: [u32; 2],
    shots: [u32; 2],
    /// Of the home team, in percent.
    possession: i32,
    incidents: VecDeque<Incident>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    First,
    Break,
    Second,
    Over,
}

#[derive(Debug)]
struct Incident {
    minute: u32,
    side: usize,
    kind: &'static str,
    player: Name,
}

impl Match {
    fn new(number: u32, (home, away): (Name, Name)) -> Self {
        Self {
            number,
            teams: [home, away],
            random: fastrand::Rng::with_seed(number.into()),
            phase: Phase::First,
            minute: 0,
            rested: 0,
            score: [0; 2],
            shots: [0; 2],
            possession: 50,
            incidents: VecDeque::new(),
        }
    }

    /// One tick; tells what kind of thing happened.
    fn advance(&mut self) -> Option<&'static str> {
        match self.phase {
            Phase::First | Phase::Second => self.play(),
            Phase::Break => self.rest(BREAK_TICKS, Phase::Second),
            Phase::Over => self.rest(OVER_TICKS, Phase::First),
        }
    }

    fn play(&mut self) -> Option<&'static str> {
        self.minute += 1;
        self.possession = (self.possession + self.random.i32(-2..=2)).clamp(32, 68);
        let happened = self.happen();
        if self.minute == HALF_MINUTES {
            self.phase = Phase::Break;
            return happened.or(Some("break"));
        }
        if self.minute == 2 * HALF_MINUTES {
            self.phase = Phase::Over;
            return happened.or(Some("over"));
        }
        happened
    }

    fn happen(&mut self) -> Option<&'static str> {
        let side = usize::from(self.random.i32(0..100) >= self.possession);
        let kind = match self.random.u32(0..100) {
            0..3 => "goal",
            3..20 => "shot",
            20..23 => "yellow",
            23..25 if self.minute > HALF_MINUTES => "change",
            _ => return None,
        };
        if let ("goal" | "shot", Some(shots)) = (kind, self.shots.get_mut(side)) {
            *shots += 1;
        }
        if kind == "shot" {
            return Some(kind);
        }
        if let ("goal", Some(score)) = (kind, self.score.get_mut(side)) {
            *score += 1;
        }
        let player = self.random.choice(PLAYERS).unwrap_or_default();
        self.incidents.push_back(Incident { minute: self.minute, side, kind, player });
        if self.incidents.len() > INCIDENTS_MAX {
            self.incidents.pop_front();
        }
        Some(kind)
    }

    fn rest(&mut self, ticks: u32, then: Phase) -> Option<&'static str> {
        self.rested += 1;
        if self.rested < ticks {
            return None;
        }
        self.rested = 0;
        self.phase = then;
        if then == Phase::First {
            let random = self.random.clone();
            *self = Self { random, ..Self::new(self.number, self.teams.into()) };
        }
        Some("kickoff")
    }

    /// All that a page needs to show it: whoever comes late reads only the newest event.
    fn told(&self, news: Option<&str>) -> Value {
        let name = |(en, zh): Name| json!({ "en": en, "zh": zh });
        let incidents = self.incidents.iter().map(|incident| {
            json!({
                "minute": incident.minute, "side": incident.side, "kind": incident.kind,
                "player": name(incident.player),
            })
        });
        json!({
            "match": self.number, "teams": self.teams.map(name), "score": self.score,
            "minute": self.minute, "phase": self.phase.name(), "news": news,
            "shots": self.shots, "possession": self.possession,
            "incidents": incidents.collect::<Vec<_>>(),
        })
    }
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Break => "break",
            Self::Second => "second",
            Self::Over => "over",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_match_has_two_halves_and_begins_anew() {
        let [(home, away), ..] = MATCHES;
        let mut played = Match::new(1, (home, away));
        let mut phases = vec![played.phase];
        for _ in 0..2 * HALF_MINUTES + BREAK_TICKS + OVER_TICKS {
            played.advance();
            assert!(played.incidents.len() <= INCIDENTS_MAX);
            if phases.last() != Some(&played.phase) {
                phases.push(played.phase);
            }
        }
        assert_eq!(phases, [Phase::First, Phase::Break, Phase::Second, Phase::Over, Phase::First]);
        assert_eq!((played.minute, played.score), (0, [0, 0]));
    }

    #[test]
    fn the_score_is_the_goals_that_were_told() {
        let mut day = MatchDay::new();
        let mut goals = 0;
        for _ in 0..90 {
            for said in day.next() {
                if said.topic == "match/1" && said.data["news"] == "goal" {
                    goals += 1;
                }
                if said.topic == "match/1" && said.data["phase"] == "over" {
                    let score = said.data["score"].as_array().unwrap();
                    assert_eq!(score.iter().filter_map(Value::as_u64).sum::<u64>(), goals);
                }
            }
        }
        assert!(goals > 0, "the first match that a visitor sees has goals");
    }
}
