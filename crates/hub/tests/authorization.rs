//! Decisions against a straightforward restatement of the rules, for random tokens, filters and events.
#![allow(clippy::unwrap_used, reason = "a test: what cannot be is a failure")]

use headwater_hub::{
    Access, Action, Actions, Decisions, Identity, MatcherCache, Rule, TopicMatcher, Visibility,
};
use headwater_log::{Filter, Pattern, Topic};
use proptest::prelude::*;
use url::Url;

fn base() -> Url {
    Url::parse("https://hub.example/.well-known/mercure").unwrap()
}

/// A matcher as one would say it: what it is written as, and which topics it means.
#[derive(Debug, Clone)]
enum Said {
    Everything,
    Exactly(String),
    /// `/{first}/:x`
    ChildrenOf(String),
    /// `/{first}/*`
    Below(String),
    /// `/{first}/([0-9]+)`
    NumbersIn(String),
    /// `/{first}/{id}`
    ExpansionsIn(String),
    /// `/{first}{/path*}`
    ExpansionsBelow(String),
}

impl Said {
    fn means(&self, topic: &str) -> bool {
        let rest = |first: &str| topic.strip_prefix(&format!("/{first}/"));
        match self {
            Self::Everything => true,
            Self::Exactly(text) => text == topic,
            Self::ChildrenOf(first) => {
                rest(first).is_some_and(|rest| !rest.is_empty() && !rest.contains('/'))
            }
            Self::Below(first) => rest(first).is_some(),
            Self::NumbersIn(first) => rest(first).is_some_and(|rest| {
                !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit())
            }),
            Self::ExpansionsIn(first) => rest(first).is_some_and(|rest| !rest.contains('/')),
            Self::ExpansionsBelow(first) => topic == format!("/{first}") || rest(first).is_some(),
        }
    }

    fn written(&self) -> TopicMatcher {
        let base = base();
        match self {
            Self::Everything => TopicMatcher::pattern("*", &base),
            Self::Exactly(text) => TopicMatcher::exact(text),
            Self::ChildrenOf(first) => TopicMatcher::pattern(&format!("/{first}/:x"), &base),
            Self::Below(first) => TopicMatcher::pattern(&format!("/{first}/*"), &base),
            Self::NumbersIn(first) => TopicMatcher::pattern(&format!("/{first}/([0-9]+)"), &base),
            Self::ExpansionsIn(first) => TopicMatcher::selector(&format!("/{first}/{{id}}")),
            Self::ExpansionsBelow(first) => TopicMatcher::selector(&format!("/{first}{{/path*}}")),
        }
        .unwrap()
    }
}

fn segment() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "1", "22"]).prop_map(str::to_owned)
}

fn topic() -> impl Strategy<Value = String> {
    prop::collection::vec(segment(), 1..4).prop_map(|segments| format!("/{}", segments.join("/")))
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        1 => Just(Said::Everything),
        6 => topic().prop_map(Said::Exactly),
        2 => segment().prop_map(Said::ChildrenOf),
        2 => segment().prop_map(Said::Below),
        1 => segment().prop_map(Said::NumbersIn),
        2 => segment().prop_map(Said::ExpansionsIn),
        2 => segment().prop_map(Said::ExpansionsBelow),
    ]
}

type SaidRule = (bool, bool, Vec<Said>);

fn rules() -> impl Strategy<Value = Vec<SaidRule>> {
    let rule = (any::<bool>(), any::<bool>(), prop::collection::vec(said(), 0..4));
    prop::collection::vec(rule, 0..4)
}

fn access(rules: &[SaidRule], cache: &mut MatcherCache) -> Access {
    let written = rules.iter().map(|(publish, subscribe, matchers)| Rule {
        actions: Actions { publish: *publish, subscribe: *subscribe },
        matchers: matchers.iter().map(Said::written).collect(),
        payload: None,
    });
    Access::new(Identity::default(), written.collect(), cache)
}

fn may_publish(rules: &[SaidRule], topics: &[String]) -> bool {
    topics.iter().all(|topic| {
        rules.iter().any(|(publish, _, said)| *publish && said.iter().any(|said| said.means(topic)))
    })
}

fn may_see(rules: &[SaidRule], topics: &[String]) -> bool {
    topics.iter().any(|topic| {
        rules
            .iter()
            .any(|(_, subscribe, said)| *subscribe && said.iter().any(|said| said.means(topic)))
    })
}

fn parse(topics: &[String]) -> Vec<Topic> {
    topics.iter().map(|topic| Topic::parse(topic).unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn everybody_may_do_what_the_rules_say_and_nothing_else(
        tokens in prop::collection::vec(rules(), 1..4),
        events in prop::collection::vec(prop::collection::vec(topic(), 1..4), 1..6),
        wanted in prop::collection::vec(topic(), 0..3),
        patterns in prop::collection::vec(segment(), 0..2),
    ) {
        let mut cache = MatcherCache::default();
        let filter = match wanted.is_empty() && patterns.is_empty() {
            true => Filter::all(),
            false => {
                let pattern = |first: &String| Pattern::parse(&format!("/{first}/*"), &base()).unwrap();
                Filter::new(parse(&wanted), patterns.iter().map(pattern).collect())
            }
        };
        let mut decisions = Decisions::default();
        let accesses: Vec<_> = tokens.iter().map(|rules| access(rules, &mut cache)).collect();
        let seen: Vec<_> = accesses.iter().map(|access| access.visibility(&filter)).collect();
        // Twice, so that what was remembered is asked too.
        for texts in events.iter().chain(&events) {
            let topics = parse(texts);
            for ((rules, access), seen) in tokens.iter().zip(&accesses).zip(&seen) {
                let expected = may_see(rules, texts);
                prop_assert_eq!(access.allows(Action::Publish, &topics), may_publish(rules, texts));
                prop_assert_eq!(access.allows(Action::Subscribe, &topics), expected);
                prop_assert_eq!(access.explain(Action::Subscribe, &topics).allowed, expected);
                let shown = match seen {
                    Visibility::Public => false,
                    Visibility::Everything => true,
                    Visibility::Granted(grant) => {
                        let viewer = decisions.join(grant);
                        let set = decisions.topic_set(&topics);
                        decisions.may_see(viewer, set, &topics)
                    }
                };
                if filter.matches(&topics) {
                    prop_assert_eq!(shown, expected, "{:?} through {:?}", rules, filter);
                }
            }
        }
    }
}
