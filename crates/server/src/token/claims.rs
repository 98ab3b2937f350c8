//! A token's claims: who, for whom, until when, and which rules.

use std::sync::Arc;

use headwater_hub::{Action, Actions, Identity, MatcherCache, MatcherError, Rule, TopicMatcher};
use headwater_log::Millis;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};
use url::Url;

use super::config::TokenLimits;
use super::error::TokenError;

/// The claims that mean something here. Whatever else a token has is ignored.
#[derive(Deserialize)]
pub(super) struct Claims<'a> {
    pub(super) iss: Option<String>,
    sub: Option<String>,
    jti: Option<String>,
    pub(super) aud: Option<Audience>,
    exp: Option<Number>,
    nbf: Option<Number>,
    /// Only who revokes a subject's tokens asks for it, so that a strange one is as good as none.
    iat: Option<Number>,
    #[serde(borrow)]
    authorization_details: Option<&'a RawValue>,
    #[serde(borrow)]
    mercure: Option<&'a RawValue>,
    /// What some issuers, which allow only URLs as names of claims, have in place of `mercure`.
    #[serde(borrow, rename = "https://mercure.rocks/")]
    mercure_url: Option<&'a RawValue>,
}

/// RFC 7519, 4.1.3: "In the general case, the "aud" value is an array of case-sensitive strings ... In the
/// special case when the JWT has one audience, the "aud" value MAY be a single case-sensitive string".
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    pub(super) fn names_one_of(&self, own: &[String]) -> bool {
        match self {
            Self::One(name) => own.contains(name),
            Self::Many(names) => names.iter().any(|name| own.contains(name)),
        }
    }
}

impl<'a> Claims<'a> {
    pub(super) fn parse(json: &'a [u8]) -> Result<Self, TokenError> {
        // What serde says may quote a claim.
        serde_json::from_slice(json).map_err(|error| TokenError::Claims {
            what: format!("{:?} error in column {}", error.classify(), error.column()),
        })
    }

    /// When it ends.
    pub(super) fn expires(&self) -> Result<Option<Millis>, TokenError> {
        self.exp.as_ref().map(|date| millis("exp", date)).transpose()
    }

    /// When it begins.
    pub(super) fn not_before(&self) -> Result<Option<Millis>, TokenError> {
        self.nbf.as_ref().map(|date| millis("nbf", date)).transpose()
    }

    /// Whose it is.
    pub(super) fn identity(&self) -> Result<Identity, TokenError> {
        let boxed = |text: &Option<String>| text.as_deref().map(Box::from);
        Ok(Identity {
            subject: boxed(&self.sub),
            issuer: boxed(&self.iss),
            token_id: boxed(&self.jti),
            issued: self.iat.as_ref().and_then(|date| millis("iat", date).ok()),
            expires: self.expires()?,
            payload: None,
        })
    }
}

/// RFC 7519, 2: "A JSON numeric value representing the number of seconds from 1970-01-01T00:00:00Z UTC".
fn millis(claim: &'static str, date: &Number) -> Result<Millis, TokenError> {
    let seconds = date.as_f64().filter(|seconds| (0.0..MILLIS_MAX).contains(&(seconds * 1000.0)));
    match seconds {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it was checked"
        )]
        Some(seconds) => Ok(Millis((seconds * 1000.0) as u64)),
        None => Err(TokenError::Date { claim }),
    }
}

/// Beyond it doubles are not exact: the year 287,396.
const MILLIS_MAX: f64 = 9_007_199_254_740_992.0;

/// Reads the rules of a token that is verified.
pub(super) struct RuleReader<'a> {
    pub(super) limits: &'a TokenLimits,
    pub(super) base: &'a Url,
    pub(super) cache: &'a mut MatcherCache,
    matchers: usize,
    compiled: usize,
}

/// Mercure 1.0: "`authorization_details[]`: objects with `type` = …".
const DETAIL_TYPE: &str = "https://mercure.rocks/authorization-detail";

impl<'a> RuleReader<'a> {
    pub(super) fn new(limits: &'a TokenLimits, base: &'a Url, cache: &'a mut MatcherCache) -> Self {
        Self { limits, base, cache, matchers: 0, compiled: 0 }
    }

    /// The rules in the form of Mercure 1.0; without any the token grants nothing.
    pub(super) fn details(&mut self, claims: &Claims<'_>) -> Result<Vec<Rule>, TokenError> {
        let Some(raw) = claims.authorization_details else { return Ok(Vec::new()) };
        self.details_of(raw)
    }

    /// The same of a claim that stands alone.
    pub(super) fn details_of(&mut self, raw: &RawValue) -> Result<Vec<Rule>, TokenError> {
        let place = "authorization_details";
        let Ok(details) = serde_json::from_str::<Vec<Map<String, Value>>>(raw.get()) else {
            return Err(wrong(place, "it has to be a list of objects"));
        };
        let mut rules = Vec::new();
        for (index, detail) in details.iter().enumerate() {
            // "(others ignored)": of another type, a detail is another API's business.
            if detail.get("type").and_then(Value::as_str) != Some(DETAIL_TYPE) {
                continue;
            }
            if rules.len() >= self.limits.rules_max {
                let what = format!("a token has at most {} rules", self.limits.rules_max);
                return Err(wrong(place, what));
            }
            rules.push(self.detail(&format!("{place}[{index}]"), detail)?);
        }
        Ok(rules)
    }

    fn detail(&mut self, place: &str, detail: &Map<String, Value>) -> Result<Rule, TokenError> {
        // "`actions` non-empty strings (unknown ignored, non-string = invalid)".
        let at = format!("{place}.actions");
        let named = non_empty(detail.get("actions")).ok_or_else(|| {
            wrong(&at, "it has to be a list with `publish`, `subscribe`, or both")
        })?;
        let mut actions = Actions::default();
        for action in named {
            match action.as_str() {
                Some("publish") => actions.publish = true,
                Some("subscribe") => actions.subscribe = true,
                Some(_) => {}
                None => return Err(wrong(&at, "an action has to be a text")),
            }
        }
        // "`topics` non-empty array of `{match, match_type?}`".
        let topics = non_empty(detail.get("topics"))
            .ok_or_else(|| wrong(&format!("{place}.topics"), "it has to be a list of matchers"))?;
        let matchers = topics
            .iter()
            .enumerate()
            .map(|(index, topic)| self.matcher(&format!("{place}.topics[{index}]"), topic));
        let matchers = matchers.collect::<Result<_, _>>()?;
        // "optional `payload` object".
        let payload = match detail.get("payload") {
            None => None,
            Some(payload @ Value::Object(_)) => Some(self.payload(place, payload)?),
            Some(_) => return Err(wrong(&format!("{place}.payload"), "it has to be an object")),
        };
        Ok(Rule { actions, matchers, payload })
    }

    fn matcher(&mut self, place: &str, topic: &Value) -> Result<TopicMatcher, TokenError> {
        // "(default exact; unsupported type = invalid; bare strings invalid)".
        let Some(topic) = topic.as_object() else {
            return Err(wrong(
                place,
                "a matcher has to be an object such as {\"match\": \"news\"}",
            ));
        };
        let Some(text) = topic.get("match").and_then(Value::as_str) else {
            return Err(wrong(place, "`match` has to be a text"));
        };
        let kind = match topic.get("match_type") {
            None => "exact",
            Some(kind) => {
                kind.as_str().ok_or_else(|| wrong(place, "`match_type` has to be a text"))?
            }
        };
        self.count(place)?;
        let matcher = match (text, kind) {
            // "Value `*` (any type) matches every topic."
            ("*", _) => Ok(TopicMatcher::All),
            (_, "exact") => TopicMatcher::exact(text),
            (_, "urlpattern") => self.cache.pattern(text, self.base),
            _ => return Err(wrong(place, "`match_type` has to be `exact` or `urlpattern`")),
        };
        self.counted(place, matcher)
    }

    /// The rules in the form of Mercure 0.x, and what subscriptions show.
    pub(super) fn compat(
        &mut self,
        claims: &Claims<'_>,
    ) -> Result<(Vec<Rule>, Option<Arc<str>>), TokenError> {
        let (place, raw) = match (claims.mercure, claims.mercure_url) {
            (Some(raw), _) => ("mercure", raw),
            (None, Some(raw)) => ("https://mercure.rocks/", raw),
            (None, None) => return Ok((Vec::new(), None)),
        };
        let Ok(claim) = serde_json::from_str::<Map<String, Value>>(raw.get()) else {
            return Err(wrong(place, "it has to be an object"));
        };
        let mut rules = Vec::new();
        for action in [Action::Publish, Action::Subscribe] {
            let place = format!("{place}.{}", action.as_str());
            let Some(selectors) = claim.get(action.as_str()).filter(|list| !list.is_null()) else {
                continue;
            };
            let Some(selectors) = selectors.as_array() else {
                return Err(wrong(&place, "it has to be a list of topic selectors"));
            };
            let matchers = selectors.iter().enumerate().map(|(index, selector)| {
                let place = format!("{place}[{index}]");
                let selector = selector.as_str();
                let text = selector.ok_or_else(|| wrong(&place, "a selector has to be a text"))?;
                self.count(&place)?;
                self.counted(&place, TopicMatcher::selector(text))
            });
            let matchers = matchers.collect::<Result<_, _>>()?;
            rules.push(Rule { actions: Actions::only(action), matchers, payload: None });
        }
        let payload = claim.get("payload").filter(|payload| !payload.is_null());
        let payload = payload.map(|payload| self.payload(place, payload)).transpose()?;
        Ok((rules, payload))
    }

    fn payload(&self, place: &str, payload: &Value) -> Result<Arc<str>, TokenError> {
        let json = payload.to_string();
        let max = self.limits.payload_bytes_max;
        if json.len() > max {
            let what = format!("it has {} bytes; at most {max} are allowed", json.len());
            return Err(wrong(&format!("{place}.payload"), what));
        }
        Ok(json.into())
    }

    /// Counts a matcher before it costs anything.
    fn count(&mut self, place: &str) -> Result<(), TokenError> {
        self.matchers += 1;
        let max = self.limits.matchers_max;
        if self.matchers > max {
            return Err(wrong(place, format!("a token has at most {max} matchers")));
        }
        Ok(())
    }

    fn counted(
        &mut self,
        place: &str,
        matcher: Result<TopicMatcher, MatcherError>,
    ) -> Result<TopicMatcher, TokenError> {
        let matcher = matcher.map_err(|error| wrong(place, error.to_string()))?;
        if let TopicMatcher::Pattern(_) = matcher {
            self.compiled += 1;
            let max = self.limits.compiled_max;
            if self.compiled > max {
                let what = format!(
                    "a token has at most {max} URL Patterns with more than `:name` and `*`"
                );
                return Err(wrong(place, what));
            }
        }
        Ok(matcher)
    }
}

fn non_empty(list: Option<&Value>) -> Option<&Vec<Value>> {
    list.and_then(Value::as_array).filter(|list| !list.is_empty())
}

fn wrong(place: &str, what: impl Into<String>) -> TokenError {
    TokenError::Rule { place: place.to_owned(), what: what.into() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn base() -> Url {
        Url::parse("https://hub.example/.well-known/mercure").unwrap()
    }

    fn details(details: &Value) -> Result<Vec<Rule>, TokenError> {
        let json = json!({ "authorization_details": details }).to_string();
        let claims = Claims::parse(json.as_bytes())?;
        let mut cache = MatcherCache::default();
        RuleReader::new(&TokenLimits::default(), &base(), &mut cache).details(&claims)
    }

    fn detail(change: impl FnOnce(&mut Map<String, Value>)) -> Value {
        let mut detail = json!({
            "type": DETAIL_TYPE, "actions": ["subscribe"], "topics": [{"match": "a"}],
        });
        change(detail.as_object_mut().unwrap());
        detail
    }

    #[test]
    fn a_detail_is_actions_topics_and_a_payload() {
        let rules = details(&json!([
            {"type": DETAIL_TYPE, "actions": ["subscribe", "publish", "dance"], "topics": [
                {"match": "a"},
                {"match": "/b/:id", "match_type": "urlpattern"},
                {"match": "c", "match_type": "exact", "comment": "ignored"},
                {"match": "*", "match_type": "urlpattern"},
            ], "payload": {"name": "Ann"}},
            {"type": "https://bank.example/payment", "actions": "whatever"},
            {"no": "type"},
        ]))
        .unwrap();
        assert_eq!(rules.len(), 1);
        assert_eq!(rules[0].actions, Actions::ALL);
        let shown: Vec<_> = rules[0].matchers.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["exact a", "urlpattern /b/:id", "exact c", "exact *"]);
        assert_eq!(rules[0].payload.as_deref(), Some("{\"name\":\"Ann\"}"));
        assert_eq!(details(&json!([])), Ok(Vec::new()));
    }

    #[test]
    fn one_bad_detail_among_good_ones_spoils_the_token() {
        // "Any invalid Mercure detail, or limits exceeded → whole token 401 `invalid_token`".
        let many = |count: usize| vec![json!({"match": "a"}); count];
        let complex = |count: usize| -> Vec<_> {
            let pattern = |n| json!({"match": format!("/{n}/([0-9])"), "match_type": "urlpattern"});
            (0..count).map(pattern).collect()
        };
        for (bad, place) in [
            (json!("not an object"), "authorization_details"),
            (detail(|d| drop(d.remove("actions"))), "authorization_details[1].actions"),
            (detail(|d| d["actions"] = json!([])), "authorization_details[1].actions"),
            (detail(|d| d["actions"] = json!("subscribe")), "authorization_details[1].actions"),
            (
                detail(|d| d["actions"] = json!(["subscribe", 1])),
                "authorization_details[1].actions",
            ),
            (detail(|d| drop(d.remove("topics"))), "authorization_details[1].topics"),
            (detail(|d| d["topics"] = json!([])), "authorization_details[1].topics"),
            (detail(|d| d["topics"] = json!(["a"])), "authorization_details[1].topics[0]"),
            (detail(|d| d["topics"] = json!([{"match": 1}])), "authorization_details[1].topics[0]"),
            (detail(|d| d["topics"] = json!([{}])), "authorization_details[1].topics[0]"),
            (
                detail(|d| {
                    d["topics"] = json!([{"match": "a"}, {"match": "a", "match_type": "regex"}])
                }),
                "authorization_details[1].topics[1]",
            ),
            (
                detail(|d| d["topics"] = json!([{"match": "a", "match_type": null}])),
                "authorization_details[1].topics[0]",
            ),
            (
                detail(|d| d["topics"] = json!([{"match": "/(", "match_type": "urlpattern"}])),
                "authorization_details[1].topics[0]",
            ),
            (
                detail(|d| d["topics"] = json!([{"match": "a\nb"}])),
                "authorization_details[1].topics[0]",
            ),
            (
                detail(|d| d["topics"] = json!([{"match": "x".repeat(1025)}])),
                "authorization_details[1].topics[0]",
            ),
            (detail(|d| d["topics"] = json!(many(256))), "authorization_details[1].topics[255]"),
            (detail(|d| d["topics"] = json!(complex(17))), "authorization_details[1].topics[16]"),
            (
                detail(|d| d.extend([("payload".into(), json!([]))])),
                "authorization_details[1].payload",
            ),
            (
                detail(|d| d.extend([("payload".into(), json!({"a": "x".repeat(2050)}))])),
                "authorization_details[1].payload",
            ),
        ] {
            let error = details(&json!([detail(|_| {}), bad])).unwrap_err();
            assert!(matches!(&error, TokenError::Rule { place: at, .. } if at == place), "{error}");
        }
        let error = details(&json!(vec![detail(|_| {}); 65])).unwrap_err();
        assert!(error.to_string().contains("at most 64 rules"), "{error}");
        assert!(details(&json!({})).is_err() && details(&json!("x")).is_err());
        assert!(details(&json!([detail(|d| d["topics"] = json!(complex(16)))])).is_ok());
    }

    fn compat(claims: &Value) -> Result<(Vec<Rule>, Option<Arc<str>>), TokenError> {
        let json = claims.to_string();
        let claims = Claims::parse(json.as_bytes())?;
        let mut cache = MatcherCache::default();
        RuleReader::new(&TokenLimits::default(), &base(), &mut cache).compat(&claims)
    }

    #[test]
    fn a_claim_of_0_x_has_selectors() {
        // "`mercure.publish[]`, `mercure.subscribe[]`, `mercure.payload` (selectors; code also
        // `https://mercure.rocks/` claim)".
        let claim = json!({"publish": ["*"], "subscribe": ["a", "b/{id}"], "payload": {"n": 1}});
        for name in ["mercure", "https://mercure.rocks/"] {
            let (rules, payload) = compat(&json!({ name: claim })).unwrap();
            let shown: Vec<Vec<_>> = rules
                .iter()
                .map(|rule| rule.matchers.iter().map(ToString::to_string).collect())
                .collect();
            assert_eq!(shown, [vec!["exact *"], vec!["exact a", "template b/{id}"]]);
            assert_eq!(rules[1].actions, Actions::only(Action::Subscribe));
            assert_eq!(payload.as_deref(), Some("{\"n\":1}"));
        }
        assert_eq!(compat(&json!({})), Ok((Vec::new(), None)));
        assert_eq!(compat(&json!({"mercure": {"publish": null}})), Ok((Vec::new(), None)));
        for bad in [
            json!({"mercure": []}),
            json!({"mercure": {"publish": "a"}}),
            json!({"mercure": {"publish": [1]}}),
            json!({"mercure": {"subscribe": ["x".repeat(1025)]}}),
        ] {
            assert!(matches!(compat(&bad), Err(TokenError::Rule { .. })), "{bad}");
        }
    }

    #[test]
    fn malformed_claims_are_refused_without_being_quoted() {
        for bad in [
            "",
            "[]",
            "1",
            "{",
            r#"{"exp":"1234567"}"#,
            r#"{"iss":1234567}"#,
            r#"{"aud":1234567}"#,
            r#"{"aud":[1234567]}"#,
            r#"{"iss":"1234567","iss":"1234567"}"#,
        ] {
            let Err(error) = Claims::parse(bad.as_bytes()) else { panic!("{bad} is taken") };
            assert!(matches!(error, TokenError::Claims { .. }), "{bad}");
            assert!(!error.to_string().contains("1234567"), "{error}");
        }
        for date in ["-1", "1e300", "-0.5"] {
            let json = format!(r#"{{"exp":{date}}}"#);
            assert!(Claims::parse(json.as_bytes()).unwrap().expires().is_err(), "{date}");
        }
        let json = br#"{"exp":1.5,"nbf":3}"#;
        let claims = Claims::parse(json).unwrap();
        assert_eq!(claims.expires(), Ok(Some(Millis(1500))));
        assert_eq!(claims.not_before(), Ok(Some(Millis(3000))));
    }
}
