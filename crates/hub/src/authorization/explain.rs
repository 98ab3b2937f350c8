//! Why an access allows something, or does not.

use headwater_log::Topic;
use serde::Serialize;

use super::access::{Access, Action};

/// What came of a question to an access, rule by rule. Shown to the operator, not to who is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// What was asked for.
    pub action: &'static str,
    /// On which topics.
    pub topics: Vec<String>,
    /// Whether it is granted: `publish` on every topic, `subscribe` on at least one.
    pub allowed: bool,
    /// The topics that no rule grants.
    pub not_granted: Vec<String>,
    /// The rules, as the token has them.
    pub rules: Vec<RuleExplained>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleExplained {
    /// Whether it is about the action at all.
    pub grants_action: bool,
    /// Its matchers.
    pub matchers: Vec<MatcherExplained>,
}

/// One matcher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MatcherExplained {
    /// Its text.
    pub r#match: String,
    /// Its type: `exact`, `urlpattern` or, in Mercure 0.x, `template`.
    pub match_type: &'static str,
    /// For each of the topics, whether it matches.
    pub matches: Vec<bool>,
}

impl Explanation {
    pub(super) fn new(access: &Access, action: Action, topics: &[Topic]) -> Self {
        let rules = access.rules().iter().map(|rule| RuleExplained {
            grants_action: rule.actions.contain(action),
            matchers: rule
                .matchers
                .iter()
                .map(|matcher| MatcherExplained {
                    r#match: matcher.as_str().to_owned(),
                    match_type: matcher.kind(),
                    matches: topics.iter().map(|topic| matcher.matches(topic)).collect(),
                })
                .collect(),
        });
        let grant = access.grant(action);
        let missing = topics.iter().filter(|topic| !grant.covers(topic));
        Self {
            action: action.as_str(),
            topics: topics.iter().map(Topic::to_string).collect(),
            allowed: access.allows(action, topics),
            not_granted: missing.map(Topic::to_string).collect(),
            rules: rules.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Actions, Identity, MatcherCache, Rule, TopicMatcher};
    use super::*;

    #[test]
    fn tells_each_rule_and_each_topic() {
        let rule = |action, texts: &[&str]| Rule {
            actions: Actions::only(action),
            matchers: texts.iter().map(|text| TopicMatcher::selector(text).unwrap()).collect(),
            payload: None,
        };
        let rules = vec![rule(Action::Publish, &["a", "b/{id}"]), rule(Action::Subscribe, &["*"])];
        let access = Access::new(Identity::default(), rules, &mut MatcherCache::default());
        let topics = ["a", "b/1", "c"].map(|text| Topic::parse(text).unwrap());
        let explained = serde_json::to_value(access.explain(Action::Publish, &topics)).unwrap();
        assert_eq!(
            explained,
            serde_json::json!({
                "action": "publish",
                "topics": ["a", "b/1", "c"],
                "allowed": false,
                "not_granted": ["c"],
                "rules": [
                    {"grants_action": true, "matchers": [
                        {"match": "a", "match_type": "exact", "matches": [true, false, false]},
                        {"match": "b/{id}", "match_type": "template", "matches": [false, true, false]},
                    ]},
                    {"grants_action": false, "matchers": [
                        {"match": "*", "match_type": "exact", "matches": [true, true, true]},
                    ]},
                ],
            })
        );
        assert!(access.explain(Action::Subscribe, &topics).allowed);
    }
}
