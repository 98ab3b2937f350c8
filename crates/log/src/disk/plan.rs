//! What is to be kept of each segment: the decision alone, from the indexes.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use super::index::{LiveIndex, Ordinal};
use super::record::Found;
use super::segment::Reader;
use super::state::Sealed;
use crate::event::{IdempotencyKey, Millis};
use crate::retention::{Keep, Retention};
use crate::topic::Topic;

/// What is to become of a segment.
pub(super) struct Verdict {
    pub(super) segment: Arc<Sealed>,
    /// Of each record, whether it stays.
    pub(super) stays: Vec<bool>,
    /// Topics that lose records which they promise to keep, with the newest such record; `None` if every
    /// record goes.
    losses: Option<Vec<(Topic, Ordinal)>>,
    /// Of the records that stay.
    pub(super) bytes: u64,
    /// Whether its place is needed, however little is gained.
    pub(super) wanted: bool,
}

impl Verdict {
    /// All of a segment goes.
    fn nothing_stays(segment: &Arc<Sealed>) -> io::Result<Self> {
        let stays = vec![false; segment.index.count() as usize];
        Ok(Self { segment: segment.clone(), stays, losses: None, bytes: 0, wanted: true })
    }

    /// Topics that lose records which they promise to keep, with the newest such record.
    pub(super) fn losses(&self, retention: &Retention) -> io::Result<Vec<(Topic, Ordinal)>> {
        if let Some(losses) = &self.losses {
            return Ok(losses.clone());
        }
        let promised = self.segment.index.postings()?.into_iter();
        let promised = promised.filter(|(topic, _)| !retention.of(topic).is_state());
        let last = |(topic, list): (Topic, Vec<Ordinal>)| Some((topic, *list.last()?));
        Ok(promised.filter_map(last).collect())
    }

    /// Whether anything would go.
    pub(super) fn is_worn(&self) -> bool {
        self.stays.contains(&false)
    }

    /// Whether everything would go.
    pub(super) fn is_spent(&self) -> bool {
        !self.stays.contains(&true)
    }
}

/// How much there may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Of all segments together.
    pub(super) bytes_max: Option<u64>,
    /// Of the segment that is being written.
    pub(super) open_bytes: u64,
}

/// Decides what stays of each segment, oldest first. Reads the segments' indexes one after the other;
/// holds two bits and a half a record of all of them, and a number for each topic with a count or a size.
pub(super) fn plan(
    sealed: &[Arc<Sealed>],
    open: Option<&LiveIndex>,
    retention: &Retention,
    limits: Limits,
    now: Millis,
) -> io::Result<Vec<Verdict>> {
    let mut newer = Newer::default();
    if let Some(open) = open {
        newer.begin_with(open, retention);
    }
    let mut weighed = Vec::with_capacity(sealed.len());
    for segment in sealed.iter().rev() {
        weighed.push(Weighed::new(segment, &mut newer, retention, now)?);
    }
    weighed.reverse();
    let kept: u64 = weighed.iter().map(|own| own.bytes(true) + own.overhead()).sum();
    let total = kept + limits.open_bytes;
    let mut excess = limits.bytes_max.map_or(0, |bytes_max| total.saturating_sub(bytes_max));
    let mut verdicts = Vec::with_capacity(weighed.len());
    for own in weighed {
        let gained = own.bytes(true) - own.bytes(false);
        let over = excess > 0 && gained > 0;
        if over {
            excess = excess.saturating_sub(gained + own.overhead());
        }
        verdicts.push(own.decide(!over)?);
    }
    Ok(verdicts)
}

/// All of a segment goes but the hub's notes to itself.
pub(super) fn notes_stay(
    segment: &Arc<Sealed>,
    retention: &Retention,
    now: Millis,
) -> io::Result<Verdict> {
    match segment.index.last_of(&Topic::control())? {
        None => Verdict::nothing_stays(segment),
        Some(_) => Weighed::new(segment, &mut Newer::default(), retention, now)?.decide(false),
    }
}

/// What newer segments hold of the topics whose number or size is limited.
#[derive(Default)]
struct Newer(HashMap<Topic, Held>);

#[derive(Default, Clone, Copy)]
struct Held {
    count: u64,
    bytes: u64,
}

impl Newer {
    fn begin_with(&mut self, open: &LiveIndex, retention: &Retention) {
        for (topic, ordinals) in open.postings() {
            let keep = retention.of(topic);
            if is_limited(keep) {
                let bytes = ordinals.iter().map(|&ordinal| u64::from(open.bytes_of(ordinal))).sum();
                self.0.insert(topic.clone(), Held { count: ordinals.len() as u64, bytes });
            }
        }
    }
}

fn is_limited(keep: Keep) -> bool {
    keep.count_max.is_some() || keep.bytes_max.is_some()
}

/// What is read at a time for a note.
const NOTE_BYTES: usize = 4096;

/// A segment's records by what keeps them.
struct Weighed {
    segment: Arc<Sealed>,
    sizes: Vec<u32>,
    /// Kept because of a topic that promises all of its events.
    history: Vec<bool>,
    /// Kept because of a topic that promises its newest state, of an idempotency key, or as a note.
    state: Vec<bool>,
    /// Of each topic that promises all, its records.
    promised: Vec<(Topic, Vec<Ordinal>)>,
}

impl Weighed {
    fn new(
        segment: &Arc<Sealed>,
        newer: &mut Newer,
        retention: &Retention,
        now: Millis,
    ) -> io::Result<Self> {
        let index = &segment.index;
        let count = index.count() as usize;
        let mut weighed = Self {
            segment: segment.clone(),
            sizes: sizes(&index.places(0, count)?, index.end),
            history: vec![false; count],
            state: vec![false; count],
            promised: Vec::new(),
        };
        let times = index.times()?;
        for (topic, ordinals) in index.postings()? {
            if topic.is_control() {
                weighed.keep_notes(&ordinals, now)?;
                continue;
            }
            let keep = retention.of(&topic);
            let mut held = Held::default();
            if is_limited(keep) {
                held = newer.0.get(&topic).copied().unwrap_or_default();
            }
            let kept = if keep.is_state() { &mut weighed.state } else { &mut weighed.history };
            for &ordinal in ordinals.iter().rev() {
                let at = ordinal as usize;
                let size = u64::from(weighed.sizes.get(at).copied().unwrap_or_default());
                let young = keep.is_young(Millis(times.get(at).copied().unwrap_or_default()), now);
                let few = keep.count_max.is_none_or(|max| held.count < max);
                let small = keep.bytes_max.is_none_or(|max| held.bytes + size <= max);
                held = Held { count: held.count + 1, bytes: held.bytes.saturating_add(size) };
                if let Some(kept) = kept.get_mut(at) {
                    *kept |= young && few && small;
                }
            }
            if is_limited(keep) {
                newer.0.insert(topic.clone(), held);
            }
            if !keep.is_state() {
                weighed.promised.push((topic, ordinals));
            }
        }
        if now.0.saturating_sub(index.last_time.0) < IdempotencyKey::LIFETIME_MS {
            // A publisher that repeats a request within 24 hours is answered as at first.
            for ordinal in index.keyed()? {
                let time = times.get(ordinal as usize).copied().unwrap_or_default();
                if let Some(kept) = weighed.state.get_mut(ordinal as usize)
                    && now.0.saturating_sub(time) < IdempotencyKey::LIFETIME_MS
                {
                    *kept = true;
                }
            }
        }
        Ok(weighed)
    }

    /// Keeps the hub's notes for as long as they say, whatever else there is no room for.
    fn keep_notes(&mut self, ordinals: &[Ordinal], now: Millis) -> io::Result<()> {
        let Sealed { file, index, .. } = &*self.segment;
        let mut reader = Reader::new(file, u64::from(index.end), NOTE_BYTES);
        for &ordinal in ordinals {
            let Some(&place) = index.places(ordinal, 1)?.first() else { continue };
            let Found::Record(note) = reader.record(u64::from(place), index.header)? else {
                continue;
            };
            let until = note.record.event.control_until();
            if let Some(kept) = self.state.get_mut(ordinal as usize) {
                *kept |= until.is_some_and(|until| until > now);
            }
        }
        Ok(())
    }

    fn bytes(&self, with_history: bool) -> u64 {
        let kept = self.state.iter().zip(&self.history);
        let kept = kept.map(|(&state, &history)| state || (history && with_history));
        let sizes = kept.zip(&self.sizes).filter(|(kept, _)| *kept);
        sizes.map(|(_, &size)| u64::from(size)).sum()
    }

    /// Headers and indexes.
    fn overhead(&self) -> u64 {
        self.segment.bytes.saturating_sub(self.sizes.iter().map(|&size| u64::from(size)).sum())
    }

    fn decide(self, with_history: bool) -> io::Result<Verdict> {
        let bytes = self.bytes(with_history);
        let Self { segment, history, state, promised, .. } = self;
        let kept = state.iter().zip(&history);
        let stays: Vec<bool> =
            kept.map(|(&state, &history)| state || (history && with_history)).collect();
        let goes = |ordinal: &&Ordinal| stays.get(**ordinal as usize) == Some(&false);
        let losses = promised.into_iter().filter_map(|(topic, ordinals)| {
            let newest = *ordinals.iter().rev().find(goes)?;
            Some((topic, newest))
        });
        let losses = Some(losses.collect());
        Ok(Verdict { segment, stays, losses, bytes, wanted: !with_history })
    }
}

/// What each record takes.
fn sizes(places: &[u32], end: u32) -> Vec<u32> {
    let ends = places.iter().skip(1).copied().chain(std::iter::once(end));
    places.iter().zip(ends).map(|(&place, end)| end.saturating_sub(place)).collect()
}
