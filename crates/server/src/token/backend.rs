//! Authorization by the user's own application: the hub asks it, and believes the answer for as long as
//! the answer says.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest;
use headwater_hub::{Access, Action, Actions, Identity, MatcherCache, Rule, TopicMatcher};
use headwater_log::{Filter, Millis, Pattern, Topic};
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderName};
use reqwest::Client;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::Semaphore;
use url::Url;

use super::error::Refusal;
use super::fetch::{FetchError, body, client, failed, max_age};
use super::verifier::Tokens;

/// How the application is asked.
#[derive(Debug, Clone)]
pub struct BackendConfig {
    /// Where: `POST`, with the question as JSON.
    pub url: Url,
    /// The headers of the request that are passed on; `Authorization` and `Cookie` by default. Answers are
    /// remembered for requests that have the same of these.
    pub headers: Vec<HeaderName>,
    /// Questions at the same time, 64 by default. Beyond it requests are turned away until some are
    /// answered.
    pub questions_max: usize,
    /// Answers that are remembered, 16,384 by default, of some hundred bytes and their topics each.
    pub answers_max: usize,
    /// How long an answer is believed at most, whatever it says; an hour by default.
    pub age_max: Duration,
}

impl BackendConfig {
    /// The default of `questions_max`.
    pub const QUESTIONS_MAX: usize = 64;
    /// The default of `answers_max`.
    pub const ANSWERS_MAX: usize = 16_384;
    /// The default of `age_max`.
    pub const AGE_MAX: Duration = Duration::from_secs(3600);

    /// The defaults, for an application there.
    #[must_use]
    pub fn new(url: Url) -> Self {
        Self {
            url,
            headers: vec![AUTHORIZATION, COOKIE],
            questions_max: Self::QUESTIONS_MAX,
            answers_max: Self::ANSWERS_MAX,
            age_max: Self::AGE_MAX,
        }
    }
}

/// What is asked: whether this request may do this.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// What it wants to do.
    pub action: Action,
    /// Its HTTP method.
    pub method: &'a str,
    /// The topics, of an event or of a subscription.
    pub topics: &'a [Topic],
    /// The patterns of a subscription.
    pub patterns: &'a [Pattern],
    /// Whether it is a subscription to everything.
    pub all: bool,
    /// Its headers.
    pub headers: &'a HeaderMap,
}

impl<'a> Asked<'a> {
    /// A question about a subscription.
    #[must_use]
    pub fn subscription(method: &'a str, filter: &'a Filter, headers: &'a HeaderMap) -> Self {
        Self {
            action: Action::Subscribe,
            method,
            topics: filter.topics(),
            patterns: filter.patterns(),
            all: filter.is_all(),
            headers,
        }
    }
}

/// What the application said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may, and this is what it may.
    Allowed(Arc<Access>),
    /// It may not: 401 or 403.
    Denied {
        /// Which.
        status: u16,
    },
}

/// Why there is no verdict. Nothing is allowed then. The operator has to act.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    /// As many questions as may be are open.
    #[error("{max} questions to authorize_url are open: is the application slow?")]
    Busy {
        /// The limit.
        max: usize,
    },
    /// No answer.
    #[error("authorize_url: {0}")]
    Fetch(#[from] FetchError),
    /// An answer that says neither yes nor no.
    #[error("authorize_url answered {status}: 2xx allows, 401 and 403 deny")]
    Status {
        /// Its status.
        status: u16,
    },
    /// A yes that cannot be understood.
    #[error("authorize_url answered what is no grant: {what}")]
    Answer {
        /// Why.
        what: String,
    },
}

impl BackendError {
    /// What may be answered.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        Refusal::unavailable("it cannot be found out now whether you may do this: come back soon")
    }
}

impl Verdict {
    /// How a request that was denied is refused.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Allowed(_) => None,
            Self::Denied { status: 401 } => Some(Refusal::missing()),
            Self::Denied { .. } => Some(Refusal::insufficient_scope("you may not do this")),
        }
    }
}

/// Asks the application.
pub struct Backend {
    config: BackendConfig,
    client: Client,
    questions: Semaphore,
    /// Held for a look-up.
    answers: Mutex<HashMap<[u8; 32], (Verdict, Millis)>>,
    /// For the rules that answers give.
    tokens: Tokens,
}

/// The question as it is sent.
#[derive(Serialize)]
struct Question<'a> {
    action: &'static str,
    method: &'a str,
    topics: Vec<&'a str>,
    patterns: Vec<&'a str>,
}

/// The answer, if it says more than yes.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Answer<'a> {
    sub: Option<String>,
    jti: Option<String>,
    exp: Option<u64>,
    #[serde(borrow)]
    authorization_details: Option<&'a RawValue>,
}

/// The largest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 10;

impl Backend {
    /// An asker. Rules in answers are read as `tokens` reads those of a token.
    ///
    /// # Errors
    /// If the machine is not prepared for HTTPS.
    pub fn new(config: BackendConfig, tokens: Tokens) -> Result<Self, FetchError> {
        let questions = Semaphore::new(config.questions_max);
        let answers = Mutex::default();
        Ok(Self { config, client: client()?, questions, answers, tokens })
    }

    /// Whether a request may do something. Waits for the application, at most
    /// [`Fetched::TIME_MAX`](super::Fetched::TIME_MAX), unless its answer to the same is remembered.
    ///
    /// # Errors
    /// If it cannot be found out: then it may not.
    pub async fn ask(&self, asked: Asked<'_>, now: Millis) -> Result<Verdict, BackendError> {
        let key = self.key(&asked);
        if let Some(verdict) = self.remembered(&key, now) {
            return Ok(verdict);
        }
        let max = self.config.questions_max;
        let _open = self.questions.try_acquire().map_err(|_| BackendError::Busy { max })?;
        let (verdict, age) = self.question(&asked).await?;
        self.remember(key, &verdict, age, now);
        Ok(verdict)
    }

    async fn question(&self, asked: &Asked<'_>) -> Result<(Verdict, Duration), BackendError> {
        let star = asked.all.then_some("*");
        let question = Question {
            action: asked.action.as_str(),
            method: asked.method,
            topics: asked.topics.iter().map(Topic::as_str).collect(),
            patterns: asked.patterns.iter().map(Pattern::as_str).chain(star).collect(),
        };
        let json = serde_json::to_string(&question)
            .map_err(|error| BackendError::Answer { what: error.to_string() })?;
        let request = self.client.post(self.config.url.clone());
        let mut request = request.header("content-type", "application/json").body(json);
        for name in &self.config.headers {
            for value in asked.headers.get_all(name) {
                request = request.header(name, value);
            }
        }
        let answer = request.send().await.map_err(|error| failed(&error))?;
        let age = max_age(answer.headers()).unwrap_or_default().min(self.config.age_max);
        match answer.status().as_u16() {
            200..=299 => {
                let body = body(answer, ANSWER_BYTES_MAX).await?;
                let access = self.access(asked, &body)?;
                Ok((Verdict::Allowed(Arc::new(access)), age))
            }
            status @ (401 | 403) => Ok((Verdict::Denied { status }, age)),
            status => Err(BackendError::Status { status }),
        }
    }

    /// What a yes allows: what was asked for, or the rules that it gives.
    fn access(&self, asked: &Asked<'_>, body: &[u8]) -> Result<Access, BackendError> {
        let answer = if body.trim_ascii().is_empty() {
            Answer::default()
        } else {
            serde_json::from_slice(body).map_err(|error| {
                let what =
                    format!("{:?} error in its JSON, column {}", error.classify(), error.column());
                BackendError::Answer { what }
            })?
        };
        let rules = match answer.authorization_details {
            Some(details) => self
                .tokens
                .rules(details)
                .map_err(|error| BackendError::Answer { what: error.to_string() })?,
            None => vec![asked_for(asked)],
        };
        let identity = Identity {
            subject: answer.sub.map(Into::into),
            token_id: answer.jti.map(Into::into),
            expires: answer.exp.map(|seconds| Millis(seconds.saturating_mul(1000))),
            ..Identity::default()
        };
        Ok(Access::new(identity, rules, &mut MatcherCache::default()))
    }

    /// What makes two questions the same.
    fn key(&self, asked: &Asked<'_>) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        let mut add = |kind: u8, bytes: &[u8]| {
            context.update(&[kind]);
            context.update(&bytes.len().to_le_bytes());
            context.update(bytes);
        };
        add(0, asked.action.as_str().as_bytes());
        add(1, asked.method.as_bytes());
        add(2, &[u8::from(asked.all)]);
        asked.topics.iter().for_each(|topic| add(3, topic.as_str().as_bytes()));
        asked.patterns.iter().for_each(|pattern| add(4, pattern.as_str().as_bytes()));
        for name in &self.config.headers {
            add(5, name.as_str().as_bytes());
            asked.headers.get_all(name).iter().for_each(|value| add(6, value.as_bytes()));
        }
        let mut key = [0; 32];
        key.copy_from_slice(context.finish().as_ref());
        key
    }

    fn remembered(&self, key: &[u8; 32], now: Millis) -> Option<Verdict> {
        self.answers(|answers| {
            let (verdict, _) = answers.get(key).filter(|(_, until)| *until > now)?;
            Some(verdict.clone())
        })
    }

    fn remember(&self, key: [u8; 32], verdict: &Verdict, age: Duration, now: Millis) {
        let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        if age == 0 {
            return;
        }
        self.answers(|answers| {
            if answers.len() >= self.config.answers_max {
                answers.retain(|_, (_, until)| *until > now);
            }
            if answers.len() < self.config.answers_max {
                answers.insert(key, (verdict.clone(), Millis(now.0.saturating_add(age))));
            }
        });
    }

    fn answers<T>(&self, act: impl FnOnce(&mut HashMap<[u8; 32], (Verdict, Millis)>) -> T) -> T {
        act(&mut self.answers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend").field("config", &self.config).finish_non_exhaustive()
    }
}

fn asked_for(asked: &Asked<'_>) -> Rule {
    let all = asked.all.then_some(TopicMatcher::All);
    let topics = asked.topics.iter().map(|topic| TopicMatcher::Exact(topic.as_str().into()));
    let patterns = asked.patterns.iter().cloned().map(TopicMatcher::Pattern);
    Rule {
        actions: Actions::only(asked.action),
        matchers: all.into_iter().chain(topics).chain(patterns).collect(),
        payload: None,
    }
}
