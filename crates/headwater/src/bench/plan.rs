//! What a run does: the arguments, checked once and put together.

use std::time::Duration;

use anyhow::{Result, anyhow, ensure};

use super::arguments::{Args, Mode};
use super::pace::Pace;
use super::payload::Marker;
use super::target::{Target, Template};
use crate::failure::Failure;

/// Everything that stays the same during a run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) mode: Mode,
    pub(crate) url: String,
    pub(crate) subscribe: Target,
    pub(crate) publish: Target,
    publish_method: String,
    publish_body: Template,
    publish_headers: String,
    subscribe_headers: String,
    topic_prefix: String,
    /// Subscribers that read.
    pub(crate) subscribers: usize,
    /// Subscribers that do not, numbered after those that do.
    pub(crate) stalled: usize,
    pub(crate) topics: usize,
    pub(crate) pace: Pace,
    pub(crate) publishers: usize,
    pub(crate) size: usize,
    pub(crate) duration: Duration,
    pub(crate) warmup: Duration,
    /// Subscribers a second that are replaced.
    pub(crate) churn: f64,
    pub(crate) missed: usize,
    pub(crate) connecting: usize,
    pub(crate) timeout: Duration,
    pub(crate) server_pid: Option<u32>,
    /// What this run's markers carry.
    pub(crate) run: u16,
}

/// Fits the numbers that a marker has room for.
const TOPICS_MAX: usize = 1 << 24;
const SUBSCRIBERS_MAX: usize = 1 << 24;
const PUBLISHERS_MAX: usize = 4096;
const RATE_MAX: f64 = 1e6;
const IN_FLIGHT_DEFAULT: usize = 16;

impl Plan {
    /// Checks the arguments against each other.
    pub(crate) fn of(args: &Args) -> Result<Self, Failure> {
        Self::parse(args).map_err(Failure::Usage)
    }

    fn parse(args: &Args) -> Result<Self> {
        let subscribe = Target::parse(&args.url)?;
        let publish = match &args.publish_url {
            Some(url) => Target::parse(url)?,
            None => subscribe.clone(),
        };
        let body = Template::new(&args.publish_body);
        let stalled = match args.mode {
            Mode::Stalled => args.stalled.unwrap_or(100),
            _ => args.stalled.unwrap_or(0),
        };
        let topics = match args.mode {
            Mode::Topics => args.topics.unwrap_or(args.subscribers),
            _ => args.topics.unwrap_or(1),
        };
        let subscribers = args.subscribers;
        ensure!(
            (1..=SUBSCRIBERS_MAX).contains(&(subscribers.saturating_add(stalled))),
            "--subscribers is at least 1 and at most {SUBSCRIBERS_MAX}"
        );
        ensure!(
            (1..=TOPICS_MAX.min(subscribers)).contains(&topics),
            "--topics is at least 1 and at most the number of subscribers, {subscribers}"
        );
        ensure!(
            topics == 1 || (subscribe.path.names_topic() && names_topic(&publish, &body)),
            "with more than one topic both --url and --publish-url (or --publish-body) need {{topic}}"
        );
        ensure!(
            body.has_payload() || publish.path.has_payload(),
            "--publish-body (or --publish-url) needs {{payload}}, where the event's data belongs"
        );
        ensure!((0.0..=RATE_MAX).contains(&args.churn), "--churn is from 0 to {RATE_MAX}");
        ensure!(args.connecting > 0, "--connecting is at least 1");
        ensure!(args.missed <= 1 << 20, "--missed is at most a million");
        let method = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_uppercase());
        ensure!(method(&args.publish_method), "--publish-method is a method such as POST or PUT");
        let pace = pace(args)?;
        Ok(Self {
            mode: args.mode,
            url: args.url.clone(),
            subscribe_headers: headers(args, false)?,
            publish_headers: headers(args, true)?,
            subscribe,
            publish,
            publish_method: args.publish_method.clone(),
            publish_body: body,
            topic_prefix: prefix(&args.topic_prefix)?,
            subscribers,
            stalled,
            topics,
            publishers: publishers(args)?,
            pace,
            size: args.size_checked().map_err(|error| anyhow!(error))?,
            duration: args.duration,
            warmup: args.warmup,
            churn: args.churn,
            missed: args.missed,
            connecting: args.connecting,
            timeout: args.timeout,
            server_pid: args.server_pid,
            run: fastrand::u16(..),
        })
    }

    /// All that connect.
    pub(crate) fn connections(&self) -> usize {
        self.subscribers + self.stalled
    }

    /// The topic's number of a subscriber.
    pub(crate) fn topic_of(&self, subscriber: usize) -> usize {
        subscriber % self.topics
    }

    fn topic_name(&self, topic: usize) -> String {
        format!("{}{topic}", self.topic_prefix)
    }

    /// The bytes of a subscription's request.
    pub(crate) fn subscribe_request(&self, subscriber: usize, last_event_id: &str) -> Vec<u8> {
        let path = self.subscribe.path.fill(&self.topic_name(self.topic_of(subscriber)), "");
        let Target { host, .. } = &self.subscribe;
        let resume = match last_event_id {
            "" => String::new(),
            id => format!("Last-Event-ID: {id}\r\n"),
        };
        let headers = &self.subscribe_headers;
        format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n{resume}{headers}\r\n"
        )
        .into_bytes()
    }

    /// The bytes of a publish.
    pub(crate) fn publish_request(&self, marker: &Marker) -> Vec<u8> {
        let topic = self.topic_name(marker.topic as usize);
        let payload = marker.payload(self.size);
        let (path, body) =
            (self.publish.path.fill(&topic, &payload), self.publish_body.fill(&topic, &payload));
        let (method, host, headers) =
            (&self.publish_method, &self.publish.host, &self.publish_headers);
        let length = body.len();
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        )
        .into_bytes()
    }
}

fn names_topic(publish: &Target, body: &Template) -> bool {
    publish.path.names_topic() || body.names_topic()
}

fn pace(args: &Args) -> Result<Pace> {
    match args.in_flight {
        Some(in_flight) => {
            ensure!(
                (1..=PUBLISHERS_MAX).contains(&in_flight),
                "--in-flight is from 1 to {PUBLISHERS_MAX}"
            );
            Ok(Pace::Window(in_flight))
        }
        None => {
            ensure!(
                args.rate > 0.0 && args.rate <= RATE_MAX,
                "--rate is more than 0 and at most {RATE_MAX}; --mode idle publishes nothing"
            );
            Ok(Pace::Rate(args.rate))
        }
    }
}

fn publishers(args: &Args) -> Result<usize> {
    let publishers = args.publishers.or(args.in_flight).unwrap_or(IN_FLIGHT_DEFAULT);
    ensure!(
        (1..=PUBLISHERS_MAX).contains(&publishers),
        "--publishers is from 1 to {PUBLISHERS_MAX}"
    );
    Ok(publishers)
}

fn prefix(text: &str) -> Result<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./~".contains(c);
    ensure!(
        text.len() <= 512 && text.chars().all(plain),
        "--topic-prefix has only letters, digits and - _ . / ~, because it stands in URLs and JSON"
    );
    Ok(text.to_owned())
}

/// The header lines of a request, each with its line end.
fn headers(args: &Args, publish: bool) -> Result<String> {
    let mut lines = args.header.clone();
    if publish {
        lines.extend(args.publish_header.iter().cloned());
        let typed = |line: &String| line.to_ascii_lowercase().starts_with("content-type:");
        if !lines.iter().any(typed) {
            lines.push("Content-Type: text/plain".to_owned());
        }
    }
    if let Some(token) = args.token.as_deref().filter(|token| !token.is_empty()) {
        let visible = token.chars().all(|c| c.is_ascii_graphic());
        ensure!(visible, "the token has characters that no header can hold");
        lines.push(format!("Authorization: Bearer {token}"));
    }
    Ok(lines.into_iter().map(|line| line + "\r\n").collect())
}
