//! `POST /admin/explain`: why a token allows what it does, and nothing else.

use headwater_hub::{Action, Explanation};
use headwater_log::Topic;
use http::Response;
use serde::{Deserialize, Serialize};

use super::{AdminConfig, json, parsed};
use crate::Hub;
use crate::body::Body;
use crate::problem::Problem;
use crate::token::{Authorization, Judge, Outcome};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    token: String,
    action: Asked,
    topics: Vec<String>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Asked {
    Publish,
    Subscribe,
}

#[derive(Serialize)]
struct Answer {
    /// Whether the hub would do it now.
    allowed: bool,
    /// In the order in which they are made.
    checks: Vec<Made>,
    revoked: bool,
    /// What the token's rules say, if it is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    rules: Option<Explanation>,
}

#[derive(Serialize)]
struct Made {
    name: &'static str,
    /// `ok`, `failed` or `not reached`.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

const SUCH_AS: &str = r#"{"token":"eyJ…","action":"subscribe","topics":["news"]}"#;

/// Says for each check of a token, and for each of its rules, what comes of it.
pub(super) async fn answer(
    hub: &Hub,
    config: &AdminConfig,
    text: &str,
) -> Result<Response<Body>, Problem> {
    let Question { token, action, topics } = parsed(text, SUCH_AS)?;
    let Some(Authorization { judge: Judge::Tokens(tokens), .. }) = &config.authorization else {
        let detail = "this hub knows no issuer of tokens: have the operator set up an [[issuer]]";
        return Err(Problem::bad_request(detail));
    };
    let topics: Result<Vec<Topic>, _> = topics.iter().map(|text| Topic::parse(text)).collect();
    let topics = topics.map_err(|error| Problem::bad_request(error.to_string()))?;
    if topics.is_empty() {
        return Err(Problem::bad_request("name at least one topic"));
    }
    let action = match action {
        Asked::Publish => Action::Publish,
        Asked::Subscribe => Action::Subscribe,
    };
    let now = hub.now();
    let checks = tokens.examine(&token, now).await.into_iter().map(|check| {
        let (outcome, detail) = match check.outcome {
            Outcome::Passed => ("ok", None),
            Outcome::Failed(error) => ("failed", Some(error.to_string())),
            Outcome::NotReached => ("not reached", None),
        };
        Made { name: check.name, outcome, detail }
    });
    let checks = checks.collect();
    let access = tokens.verify(&token, now).await.ok();
    let revoked = access.as_ref().is_some_and(|access| hub.is_revoked(access.identity()));
    let rules = access.map(|access| access.explain(action, &topics));
    let allowed = !revoked && rules.as_ref().is_some_and(|rules| rules.allowed);
    Ok(json(&Answer { allowed, checks, revoked, rules }))
}
