//! Subscribers who want the same, and the index that finds them by topic.

use std::collections::HashMap;
use std::sync::Arc;

use headwater_log::{Event, Filter, Pattern, Position, Topic};
use slab::Slab;

use super::run::Run;
use crate::authorization::{Decisions, TopicSet, Viewer, Visibility};
use crate::encoding::Encoding;
use crate::interest::Interests;
use crate::matching::{PatternId, PatternSet};
use crate::window::Entry;

/// A group's place in [`Groups`].
pub(super) type GroupId = usize;

/// The subscribers with one filter and one encoding, who may see the same.
pub(super) struct Group {
    pub(super) filter: Arc<Filter>,
    pub(super) encoding: Encoding,
    visibility: Visibility,
    /// Its number in the decisions, if it is one that something is granted to.
    viewer: Option<Viewer>,
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
    by_filter: HashMap<(Arc<Filter>, Encoding, Visibility), GroupId>,
    decisions: Decisions,
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

    /// The group of a filter, an encoding and what may be seen, with one subscriber more.
    pub(super) fn join(
        &mut self,
        filter: &Arc<Filter>,
        encoding: Encoding,
        visibility: &Visibility,
    ) -> GroupId {
        let key = (filter.clone(), encoding, visibility.clone());
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
        let viewer = match visibility {
            Visibility::Granted(grant) => Some(self.decisions.join(grant)),
            Visibility::Public | Visibility::Everything => None,
        };
        self.groups.insert(Group {
            filter: filter.clone(),
            encoding,
            visibility: visibility.clone(),
            viewer,
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
        if let Some(viewer) = group.viewer {
            self.decisions.leave(viewer);
        }
        self.by_filter.remove(&(group.filter, group.encoding, group.visibility));
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

    /// Whether a group may see an event that its filter lets through.
    pub(super) fn sees(&mut self, id: GroupId, event: &Event) -> bool {
        let Some(group) = self.groups.get(id) else { return false };
        let mut audience = Audience::of(event, &mut self.decisions);
        audience.has(group)
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
        let event = &entry.record().event;
        for topic in &event.topics {
            if !self.patterns.is_empty() {
                for pattern in self.hits(topic).iter() {
                    let Some(groups) = self.patterns.get(*pattern) else { continue };
                    let mut audience = Audience::of(event, &mut self.decisions);
                    put_into(&mut self.groups, groups, entry, &mut audience, touched);
                }
            }
            if let Some(groups) = self.by_topic.get(topic) {
                let mut audience = Audience::of(event, &mut self.decisions);
                put_into(&mut self.groups, groups, entry, &mut audience, touched);
            }
        }
        let mut audience = Audience::of(event, &mut self.decisions);
        put_into(&mut self.groups, &self.of_all, entry, &mut audience, touched);
    }
}

/// Who may see one event.
enum Audience<'a> {
    /// Whoever wants it.
    Everybody,
    /// Who may see private events about its topics.
    Granted { decisions: &'a mut Decisions, set: TopicSet, topics: &'a [Topic] },
}

impl<'a> Audience<'a> {
    /// Of a public event it costs nothing to say, of a private one the hashing of its topics.
    fn of(event: &'a Event, decisions: &'a mut Decisions) -> Self {
        if !event.private {
            return Self::Everybody;
        }
        let topics = &event.topics;
        Self::Granted { set: decisions.topic_set(topics), decisions, topics }
    }

    fn has(&mut self, group: &Group) -> bool {
        match (self, &group.visibility, group.viewer) {
            (Self::Everybody, ..) | (_, Visibility::Everything, _) => true,
            (Self::Granted { decisions, set, topics }, Visibility::Granted(_), Some(viewer)) => {
                decisions.may_see(viewer, *set, topics)
            }
            (Self::Granted { .. }, ..) => false,
        }
    }
}

fn put_into(
    groups: &mut Slab<Group>,
    ids: &[GroupId],
    entry: &Arc<Entry>,
    audience: &mut Audience<'_>,
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
        if !audience.has(group) {
            continue;
        }
        if group.turn.is_empty() {
            touched.push(id);
        }
        group.turn.push(entry.clone());
    }
}
