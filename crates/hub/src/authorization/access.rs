//! What a verified token grants.

use std::sync::Arc;

use headwater_log::{Filter, Millis, Topic};

use super::explain::Explanation;
use super::grant::Grant;
use super::matcher::{MatcherCache, TopicMatcher};
use super::visibility::Visibility;

/// What somebody may do here, and until when. Made once for each token, then only read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    identity: Identity,
    rules: Box<[Rule]>,
    publish: Grant,
    subscribe: Grant,
}

/// Whose access it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The token's `sub`.
    pub subject: Option<Box<str>>,
    /// The token's `iss`.
    pub issuer: Option<Box<str>>,
    /// The token's `jti`.
    pub token_id: Option<Box<str>>,
    /// The token's `iat`.
    pub issued: Option<Millis>,
    /// The token's `exp`: from then on it grants nothing, and no stream under it goes on.
    pub expires: Option<Millis>,
    /// What each of its subscriptions shows to those who watch subscriptions, as JSON, if no rule says it.
    pub payload: Option<Arc<str>>,
}

/// One rule of a token: these actions on these topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What it allows.
    pub actions: Actions,
    /// On which topics.
    pub matchers: Vec<TopicMatcher>,
    /// What a subscription that it covers shows to those who watch subscriptions, as JSON.
    pub payload: Option<Arc<str>>,
}

/// What may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Send an event.
    Publish,
    /// See private events.
    Subscribe,
}

impl Action {
    /// The word that tokens and messages use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Subscribe => "subscribe",
        }
    }
}

/// A set of actions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Actions {
    /// [`Action::Publish`] is among them.
    pub publish: bool,
    /// [`Action::Subscribe`] is among them.
    pub subscribe: bool,
}

impl Actions {
    /// All.
    pub const ALL: Self = Self { publish: true, subscribe: true };

    /// Only this one.
    #[must_use]
    pub fn only(action: Action) -> Self {
        Self { publish: action == Action::Publish, subscribe: action == Action::Subscribe }
    }

    /// Whether it is one of them.
    #[must_use]
    pub fn contain(self, action: Action) -> bool {
        match action {
            Action::Publish => self.publish,
            Action::Subscribe => self.subscribe,
        }
    }

    /// Those that are in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            publish: self.publish && other.publish,
            subscribe: self.subscribe && other.subscribe,
        }
    }
}

impl Access {
    /// The access that rules give. Costs a pass over them; equal grants of the cache are shared.
    #[must_use]
    pub fn new(identity: Identity, rules: Vec<Rule>, cache: &mut MatcherCache) -> Self {
        let mut grant = |action| {
            let granting = rules.iter().filter(|rule| rule.actions.contain(action));
            let matchers = granting.flat_map(|rule| rule.matchers.iter().cloned()).collect();
            cache.share(Grant::new(matchers))
        };
        let (publish, subscribe) = (grant(Action::Publish), grant(Action::Subscribe));
        Self { identity, rules: rules.into(), publish, subscribe }
    }

    /// The access of who presents nothing: public events, and publishing nothing.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::new(Identity::default(), Vec::new(), &mut MatcherCache::default())
    }

    /// Access to one action on every topic, as a shared key has it.
    #[must_use]
    pub fn to_everything(actions: Actions, identity: Identity) -> Self {
        let rule = Rule { actions, matchers: vec![TopicMatcher::All], payload: None };
        Self::new(identity, vec![rule], &mut MatcherCache::default())
    }

    /// Whether an event with these topics may be published, or be seen although it is private.
    ///
    /// Publishing takes a grant on every topic, seeing on at least one. Costs a comparison for each
    /// matcher and topic, and about a microsecond for each pattern; shards ask [`Decisions`] instead.
    ///
    /// [`Decisions`]: super::Decisions
    #[must_use]
    pub fn allows(&self, action: Action, topics: &[Topic]) -> bool {
        match action {
            Action::Publish => self.publish.covers_all(topics),
            Action::Subscribe => self.subscribe.covers_any(topics),
        }
    }

    /// Each rule, and whether it matches each topic.
    #[must_use]
    pub fn explain(&self, action: Action, topics: &[Topic]) -> Explanation {
        Explanation::new(self, action, topics)
    }

    /// What a subscription with this filter sees.
    #[must_use]
    pub fn visibility(&self, filter: &Filter) -> Visibility {
        Visibility::new(&self.subscribe, filter)
    }

    /// Whose it is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Whether it is that of who presents nothing, or nothing more.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.rules.is_empty() && self.identity == Identity::default()
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_expired(&self, now: Millis) -> bool {
        self.identity.expires.is_some_and(|expires| expires <= now)
    }

    /// The topics that an action is granted on.
    #[must_use]
    pub fn grant(&self, action: Action) -> &Grant {
        match action {
            Action::Publish => &self.publish,
            Action::Subscribe => &self.subscribe,
        }
    }

    /// The rules, as the token has them.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What a subscription with this matcher shows of its subscriber, as JSON.
    ///
    /// Mercure 1.0: "payload of the first subscribe detail whose topics match the subscription's own
    /// matcher string treated as topic".
    #[must_use]
    pub fn payload(&self, matcher: &str) -> Option<&Arc<str>> {
        let mut granting = self.rules.iter().filter(|rule| rule.actions.subscribe);
        let matching =
            granting.find(|rule| rule.matchers.iter().any(|granted| granted.matches_text(matcher)));
        matching.and_then(|rule| rule.payload.as_ref()).or(self.identity.payload.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(actions: Actions, matchers: &[&str], payload: Option<&str>) -> Rule {
        let matchers = matchers.iter().map(|text| TopicMatcher::exact(text).unwrap()).collect();
        Rule { actions, matchers, payload: payload.map(Into::into) }
    }

    fn topics(texts: &[&str]) -> Vec<Topic> {
        texts.iter().map(|text| Topic::parse(text).unwrap()).collect()
    }

    #[test]
    fn each_action_has_the_topics_of_its_own_rules() {
        let rules = vec![
            rule(Actions::only(Action::Publish), &["a", "b"], None),
            rule(Actions::only(Action::Subscribe), &["c"], None),
            rule(Actions::ALL, &["d"], None),
        ];
        let access = Access::new(Identity::default(), rules, &mut MatcherCache::default());
        // "Token must grant `publish` on EVERY topic".
        assert!(access.allows(Action::Publish, &topics(&["a", "b", "d"])));
        assert!(!access.allows(Action::Publish, &topics(&["a", "c"])));
        // "token grants `subscribe` on at least one of the update's topics".
        assert!(access.allows(Action::Subscribe, &topics(&["a", "c"])));
        assert!(!access.allows(Action::Subscribe, &topics(&["a", "b"])));
        assert!(!Access::anonymous().allows(Action::Subscribe, &topics(&["a"])));
        let all = Access::to_everything(Actions::only(Action::Publish), Identity::default());
        assert!(all.allows(Action::Publish, &topics(&["z"])));
        assert!(!all.allows(Action::Subscribe, &topics(&["z"])));
    }

    #[test]
    fn equal_grants_of_different_people_are_one() {
        let mut cache = MatcherCache::default();
        let mut access = |subject: &str| {
            let identity = Identity { subject: Some(subject.into()), ..Identity::default() };
            Access::new(identity, vec![rule(Actions::ALL, &["a"], None)], &mut cache)
        };
        let (ann, bob) = (access("ann"), access("bob"));
        assert!(ann.grant(Action::Subscribe).is(bob.grant(Action::Subscribe)));
        assert_ne!(ann, bob);
    }

    #[test]
    fn an_access_ends_at_its_expiry() {
        let identity = Identity { expires: Some(Millis(10)), ..Identity::default() };
        let access = Access::to_everything(Actions::ALL, identity);
        assert!(!access.has_expired(Millis(9)) && access.has_expired(Millis(10)));
        assert!(!Access::anonymous().has_expired(Millis(u64::MAX)));
    }

    #[test]
    fn the_payload_is_that_of_the_first_rule_that_matches() {
        let rules = vec![
            rule(Actions::only(Action::Publish), &["a"], Some("0")),
            rule(Actions::only(Action::Subscribe), &["a"], Some("1")),
            rule(Actions::only(Action::Subscribe), &["b"], None),
            rule(Actions::only(Action::Subscribe), &["*"], Some("2")),
        ];
        let access = Access::new(Identity::default(), rules, &mut MatcherCache::default());
        let payload = |matcher| access.payload(matcher).map(|json| &**json);
        assert_eq!(payload("a"), Some("1"));
        assert_eq!(payload("b"), None);
        assert_eq!(payload("*"), Some("2"));
        assert_eq!(payload("/x/:y"), Some("2"));
        let identity = Identity { payload: Some("3".into()), ..Identity::default() };
        let of_all = Access::to_everything(Actions::only(Action::Publish), identity);
        assert_eq!(of_all.payload("a").map(|json| &**json), Some("3"));
    }
}
