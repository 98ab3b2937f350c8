//! Letting the oldest segments go.

use std::io;
use std::sync::Arc;

use super::Shared;
use super::files::{Files, read, remove, replace};
use super::options::DiskOptions;
use super::segment::{index_name, segment_name};
use super::state::Sealed;
use crate::event::Millis;
use crate::position::Offset;
use crate::removed::Removed;

const REMOVED: &str = "removed";

/// What an earlier opening remembered: up to where everything was removed, and of which topics. If it
/// cannot be read, nothing is remembered of what lies before `floor`.
pub(super) fn remembered(files: &dyn Files, floor: Offset) -> io::Result<(Offset, Removed)> {
    let bytes = read(files, REMOVED)?.unwrap_or_default();
    let known = bytes.split_first_chunk().and_then(|(removed_to, removed)| {
        Some((Offset::new(u64::from_le_bytes(*removed_to)), Removed::decode(removed)?))
    });
    Ok(known.unwrap_or_else(|| (floor, Removed::forgotten(floor))))
}

/// Removes whole segments from the front until the rest is small and young enough. What cannot be removed
/// now is tried again after the next write, before anything else: there is never a hole between segments.
pub(super) fn apply(shared: &Shared, files: &dyn Files, options: &DiskOptions, now: Millis) {
    loop {
        let doomed = shared.state().doomed;
        if let Some(base) = doomed {
            // Remembered first: what is forgotten only makes a gap be told too often, but a segment that
            // is gone without a word would make one be told too seldom.
            let remembered = {
                let state = shared.state();
                let mut bytes = state.floor.get().to_le_bytes().to_vec();
                bytes.extend(state.removed.encode());
                bytes
            };
            let gone = replace(files, REMOVED, &remembered)
                .and_then(|_| remove(files, &segment_name(base)))
                .and_then(|()| remove(files, &index_name(base)));
            if gone.is_err() {
                return;
            }
            shared.state().doomed = None;
        }
        let Some(oldest) = too_much(shared, options, now) else { return };
        let Ok(topics) = oldest.index.topics() else { return };
        let (base, last) = (oldest.base(), oldest.last());
        let mut state = shared.state();
        for (topic, ordinal) in topics {
            let newest = Offset::new(base.get().saturating_add(u64::from(ordinal)));
            state.removed.note(&topic, newest, options.removed_topics_max);
        }
        state.floor = last;
        state.sealed.retain(|segment| segment.base() != base);
        state.doomed = Some(base);
    }
}

fn too_much(shared: &Shared, options: &DiskOptions, now: Millis) -> Option<Arc<Sealed>> {
    let state = shared.state();
    let oldest = state.sealed.first()?;
    let open = state.open.as_ref().map_or(0, |_| u64::from(options.segment_bytes));
    let bytes = state.sealed.iter().map(|segment| segment.bytes).sum::<u64>() + open;
    let too_large = options.bytes_max.is_some_and(|bytes_max| bytes > bytes_max);
    let too_old = options.age_max.is_some_and(|age_max| {
        let age_ms = now.0.saturating_sub(oldest.index.last_time.0);
        u128::from(age_ms) > age_max.as_millis()
    });
    (too_large || too_old).then(|| oldest.clone())
}
