//! `headwater explain`: asks a running hub why a token allows something, or does not.

use std::fmt::Write as _;
use std::io::{self, Write};

use anyhow::{Context, anyhow};
use clap::ValueEnum;
use reqwest::Url;
use serde::Deserialize;
use serde_json::json;

use crate::endpoint::{Endpoint, parse_url};
use crate::failure::Failure;
use crate::token::Given;

/// Ask a hub what it makes of a token; ends with 1 if it would not let it do that
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What the token is to do
    #[arg(value_name = "ACTION")]
    action: Action,
    #[command(flatten)]
    token: Given,
    /// The topics of an event or of a subscription
    #[arg(value_name = "TOPIC", required = true)]
    topics: Vec<String>,
    /// Where the hub's admin listener is
    #[arg(
        long,
        value_name = "URL",
        env = "HEADWATER_ADMIN_URL",
        default_value = "http://127.0.0.1:8081",
        value_parser = parse_url
    )]
    admin: Url,
    /// The hub's admin key; better given as HEADWATER_ADMIN_KEY, which other users of this machine do not see
    #[arg(long, value_name = "KEY", env = "HEADWATER_ADMIN_KEY", hide_env_values = true)]
    admin_key: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Action {
    Publish,
    Subscribe,
}

const EXAMPLES: &str = "\
Examples:
  headwater explain subscribe - news < token
  headwater explain publish eyJ0eXAi... orders/17 orders/all";

/// What the hub answers.
#[derive(Deserialize)]
struct Answer {
    allowed: bool,
    checks: Vec<Check>,
    revoked: bool,
    rules: Option<Explanation>,
}

#[derive(Deserialize)]
struct Check {
    name: String,
    outcome: String,
    detail: Option<String>,
}

#[derive(Deserialize)]
struct Explanation {
    topics: Vec<String>,
    not_granted: Vec<String>,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    grants_action: bool,
    matchers: Vec<Matcher>,
}

#[derive(Deserialize)]
struct Matcher {
    r#match: String,
    match_type: String,
    matches: Vec<bool>,
}

/// Asks, and prints the checks and the rules.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let action = match args.action {
        Action::Publish => "publish",
        Action::Subscribe => "subscribe",
    };
    let token = args.token.read()?;
    let question = json!({"token": token, "action": action, "topics": args.topics});
    let mut url = args.admin.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["admin", "explain"]);
    }
    let hub = Endpoint::new(args.admin, args.admin_key);
    let client = hub.client(|client| client)?;
    let sent = client.post(url).body(question.to_string()).send().await;
    let response = sent.map_err(|error| anyhow!(hub.unreachable(&error)))?;
    let status = response.status().as_u16();
    let body = response.bytes().await.context("the answer broke off")?;
    if status != 200 {
        return Err(anyhow!(hub.explain(status, &body)).into());
    }
    let answer: Answer = serde_json::from_slice(&body).context("this is no answer of a hub")?;
    let text = shown(&answer, action).context("cannot print the answer")?;
    io::stdout().write_all(text.as_bytes()).context("cannot print the answer")?;
    if answer.allowed { Ok(()) } else { Err(anyhow!("the hub would refuse this").into()) }
}

fn shown(answer: &Answer, action: &str) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for Check { name, outcome, detail } in &answer.checks {
        let outcome = if outcome == "failed" { "FAILED" } else { outcome };
        let detail = detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
        writeln!(text, "{outcome:<11} {name}{detail}")?;
    }
    if answer.revoked {
        writeln!(text, "FAILED      revoked: the operator has revoked it")?;
    }
    let Some(explanation) = &answer.rules else { return Ok(text) };
    for (rule, number) in explanation.rules.iter().zip(1..) {
        if !rule.grants_action {
            writeln!(text, "rule {number} is not about {action}")?;
            continue;
        }
        for Matcher { r#match, match_type, matches } in &rule.matchers {
            let matched = explanation.topics.iter().zip(matches).filter(|(_, matches)| **matches);
            let matched: Vec<&str> = matched.map(|(topic, _)| topic.as_str()).collect();
            let found = match &matched[..] {
                [] => "matches none of them".to_owned(),
                matched => format!("matches {}", matched.join(", ")),
            };
            writeln!(text, "rule {number} {match_type} {match} {found}", match = r#match)?;
        }
    }
    if !explanation.not_granted.is_empty() {
        writeln!(text, "no rule grants {action} on {}", explanation.not_granted.join(", "))?;
    }
    Ok(text)
}
