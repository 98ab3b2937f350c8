//! Subscribers who want the same, and the index that finds them by topic.

use std::collections::HashMap;
use std::sync::Arc;

use headwater_log::{Filter, Pattern, Position, Topic};
use slab::Slab;

use super::run::Run;
use crate::encoding::Encoding;
use crate::interest::Interests;
use crate::matching::{PatternId, PatternSet};
use crate::window::Entry;

/// A group's place in [`Groups`].
pub(super) type GroupId = usize;

/// The subscribers with one filter and one encoding.
pub(super) struct Group {
    pub(super) filter: Arc<Filter>,
    pub(super) encoding: Encoding,
    /// The slots of those who are at the shard's applied offset.
    pub(super) live: Vec<usize>,
    /// What this turn brings them.
    pub(super) turn: Vec<Arc<Entry>>,
    /// The last run gathered in this turn for one who lags, and from where: many come back at once.
    pub(super) gathered: Option<(Position, Run)>,
    /// live.len() <= subscribers
    subscribers: usize,
    /// Sorted.
    patterns: Vec<PatternId>,
}

/// All groups of a shard, by filter and by topic.
#[derive(Default)]
pub(super) struct Groups {
    groups: Slab<Group>,
    by_filter: HashMap<(Arc<Filter>, Encoding), GroupId>,
    by_topic: HashMap<Topic, Vec<GroupId>>,
    of_all: Vec<GroupId>,
    pub(super) interests: Interests,
    /// Each with the groups that have it.
    patterns: PatternSet<Vec<GroupId>>,
    /// Which patterns match a topic; forgotten when the set of patterns changes.
    hits: HashMap<Topic, Arc<[PatternId]>>,
}

/// At most this many topics' patterns are remembered: about 150 bytes each, and the topic's own.
const HITS_MAX: usize = 16_384;

impl Groups {
    pub(super) fn get(&self, id: GroupId) -> Option<&Group> {
        self.groups.get(id)
    }

    pub(super) fn get_mut(&mut self, id: GroupId) -> Option<&mut Group> {
        self.groups.get_mut(id)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Group> {
        self.groups.iter_mut().map(|(_, group)| group)
    }

    /// The group of a filter and an encoding, with one subscriber more.
    pub(super) fn join(&mut self, filter: &Arc<Filter>, encoding: Encoding) -> GroupId {
        let key = (filter.clone(), encoding);
        if let Some(&id) = self.by_filter.get(&key) {
            if let Some(group) = self.groups.get_mut(id) {
                group.subscribers += 1;
            }
            return id;
        }
        let id = self.groups.vacant_key();
        for topic in filter.topics() {
            self.by_topic.entry(topic.clone()).or_default().push(id);
            self.interests.add(topic);
        }
        if filter.is_all() {
            self.of_all.push(id);
        }
        if filter.exact().is_none() {
            self.interests.add_any();
        }
        let mut patterns: Vec<PatternId> =
            filter.patterns().iter().map(|pattern| self.add_pattern(pattern, id)).collect();
        patterns.sort_unstable();
        self.groups.insert(Group {
            filter: filter.clone(),
            encoding,
            live: Vec::new(),
            turn: Vec::new(),
            gathered: None,
            subscribers: 1,
            patterns,
        });
        self.by_filter.insert(key, id);
        id
    }

    /// One subscriber less. A group without any is gone, and its number may come to mean another: then
    /// the answer is `true`.
    pub(super) fn leave(&mut self, id: GroupId) -> bool {
        let Some(group) = self.groups.get_mut(id) else { return false };
        group.subscribers = group.subscribers.saturating_sub(1);
        if group.subscribers > 0 {
            return false;
        }
        let group = self.groups.remove(id);
        if group.filter.exact().is_none() {
            self.interests.remove_any();
        }
        for topic in group.filter.topics() {
            self.interests.remove(topic);
            if let Some(groups) = self.by_topic.get_mut(topic) {
                groups.retain(|&other| other != id);
                if groups.is_empty() {
                    self.by_topic.remove(topic);
                }
            }
        }
        if group.filter.is_all() {
            self.of_all.retain(|&other| other != id);
        }
        for pattern in group.patterns {
            self.remove_pattern(pattern, id);
        }
        self.by_filter.remove(&(group.filter, group.encoding));
        true
    }

    fn add_pattern(&mut self, pattern: &Pattern, group: GroupId) -> PatternId {
        let (id, new) = self.patterns.add(pattern);
        if new {
            self.hits.clear();
        }
        if let Some(groups) = self.patterns.get_mut(id) {
            groups.push(group);
        }
        id
    }

    fn remove_pattern(&mut self, id: PatternId, group: GroupId) {
        let Some(groups) = self.patterns.get_mut(id) else { return };
        groups.retain(|&other| other != group);
        if groups.is_empty() {
            self.patterns.remove(id);
            // A number that is given out again must not be found under the old pattern's topics.
            self.hits.clear();
        }
    }

    fn hits(&mut self, topic: &Topic) -> Arc<[PatternId]> {
        if let Some(hits) = self.hits.get(topic) {
            return hits.clone();
        }
        let hits: Arc<[PatternId]> = self.patterns.matching(topic).into();
        if self.hits.len() >= HITS_MAX {
            self.hits.clear();
        }
        self.hits.insert(topic.clone(), hits.clone());
        hits
    }

    /// Whether a group wants an event with these topics.
    pub(super) fn matches(&mut self, id: GroupId, topics: &[Topic]) -> bool {
        let Some(group) = self.groups.get(id) else { return false };
        if group.filter.is_all() {
            return true;
        }
        if topics.iter().any(|topic| group.filter.topics().binary_search(topic).is_ok()) {
            return true;
        }
        if group.patterns.is_empty() {
            return false;
        }
        topics.iter().any(|topic| {
            let hits = self.hits(topic);
            self.groups.get(id).is_some_and(|group| {
                hits.iter().any(|pattern| group.patterns.binary_search(pattern).is_ok())
            })
        })
    }

    /// Puts an entry into the turn of every group that wants it and has somebody live, and notes those
    /// groups that had nothing yet. Costs what matches, and a pattern's worth for a topic not seen before.
    pub(super) fn put(&mut self, entry: &Arc<Entry>, touched: &mut Vec<GroupId>) {
        let topics = &entry.record().event.topics;
        for topic in topics {
            if !self.patterns.is_empty() {
                for pattern in self.hits(topic).iter() {
                    let Some(groups) = self.patterns.get(*pattern) else { continue };
                    put_into(&mut self.groups, groups, entry, touched);
                }
            }
            if let Some(groups) = self.by_topic.get(topic) {
                put_into(&mut self.groups, groups, entry, touched);
            }
        }
        put_into(&mut self.groups, &self.of_all, entry, touched);
    }
}

fn put_into(
    groups: &mut Slab<Group>,
    ids: &[GroupId],
    entry: &Arc<Entry>,
    touched: &mut Vec<GroupId>,
) {
    for &id in ids {
        let Some(group) = groups.get_mut(id).filter(|group| !group.live.is_empty()) else {
            continue;
        };
        // "each once however many of its matchers match"
        if group.turn.last().is_some_and(|last| Arc::ptr_eq(last, entry)) {
            continue;
        }
        if group.turn.is_empty() {
            touched.push(id);
        }
        group.turn.push(entry.clone());
    }
}
