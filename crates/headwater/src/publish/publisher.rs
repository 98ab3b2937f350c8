//! Batches, sent to the hub.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use serde::Deserialize;

use crate::endpoint::{Endpoint, Problem};
use crate::failure::Failure;

/// A hub that events are published to, over one connection that is kept.
pub(crate) struct Publisher<'a> {
    endpoint: &'a Endpoint,
    client: Client,
    url: Url,
}

/// Why a batch was not published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// One of the events is not as it should be. Nothing of the batch was published.
    #[error("{0}")]
    Events(String),
    /// There is something about the hub, or the way there.
    #[error("{0}")]
    Hub(String),
}

/// What the hub says of an event: its id, or why it has none.
pub(crate) type Answer = Result<String, String>;

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Published { id: String },
    Refused(Problem),
}

impl<'a> Publisher<'a> {
    pub(crate) fn new(endpoint: &'a Endpoint) -> Result<Self, Failure> {
        // A redirected POST would arrive as a GET, or repeat the events elsewhere.
        let client = endpoint.client(|client| client.timeout(TIMEOUT).redirect(Policy::none()))?;
        Ok(Self { endpoint, client, url: endpoint.events() })
    }

    /// Publishes lines of NDJSON, so many events. An answer for each, in their order.
    pub(crate) async fn publish(
        &self,
        lines: Bytes,
        count: usize,
    ) -> Result<Vec<Answer>, SendError> {
        let request = self.client.post(self.url.clone());
        let sent = request.header(CONTENT_TYPE, "application/x-ndjson").body(lines).send().await;
        let mut response = sent.map_err(|error| self.unanswered(&error, count))?;
        let body = read(&mut response).await.map_err(|error| self.unanswered(&error, count))?;
        if !response.status().is_success() {
            return Err(self.refused(&response, &body, count));
        }
        let answers: Result<Vec<_>, _> =
            serde_json::Deserializer::from_slice(&body).into_iter::<Line>().collect();
        match answers {
            Ok(answers) if answers.len() == count => Ok(answers.into_iter().map(answer).collect()),
            _ => Err(SendError::Hub(format!(
                "{} did not answer as a hub does: is the address right?",
                self.url
            ))),
        }
    }

    fn unanswered(&self, error: &reqwest::Error, count: usize) -> SendError {
        let mut text = self.endpoint.unreachable(error);
        if !error.is_connect() {
            let events = if count == 1 { "the event was" } else { "the last events were" };
            text.push_str("; it is not known whether ");
            text.push_str(events);
            text.push_str(" published");
        }
        SendError::Hub(text)
    }

    fn refused(&self, response: &Response, body: &[u8], count: usize) -> SendError {
        let status = response.status();
        if let (true, Some(place)) = (status.is_redirection(), response.headers().get(LOCATION)) {
            let place = String::from_utf8_lossy(place.as_bytes());
            let url = &self.url;
            return SendError::Hub(format!("{url} has moved to {place}: use --url accordingly"));
        }
        let detail = self.endpoint.explain(status.as_u16(), body);
        match status.as_u16() {
            400 | 413 | 422 | 501 if count == 1 => {
                SendError::Events(detail.strip_prefix("line 1: ").unwrap_or(&detail).to_owned())
            }
            400 | 413 | 422 | 501 => SendError::Events(detail),
            _ => SendError::Hub(detail),
        }
    }
}

/// How long a batch may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The most that is read of an answer: a batch's ids are about 150 KB.
const ANSWER_BYTES_MAX: usize = 1 << 20;

async fn read(response: &mut Response) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while body.len() < ANSWER_BYTES_MAX
        && let Some(chunk) = response.chunk().await?
    {
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn answer(line: Line) -> Answer {
    match line {
        Line::Published { id } => Ok(id),
        Line::Refused(problem) => Err(problem.detail),
    }
}
