//! `POST /events` with `application/x-ndjson`: publishing a batch, a JSON object a line.

use std::sync::Arc;

use headwater_log::{Draft, Millis, Topic, TopicError};
use http::request::Parts;
use http::{Response, StatusCode};
use hyper::body::Incoming;
use serde::Deserialize;

use super::draft::{DraftError, Fields, RawFields};
use super::idempotency::RequestKey;
use super::intake::{self, Bounds, Intake};
use super::publish::{answer, answer_line, id_of, publish_one};
use crate::authority::Publisher;
use crate::body::Body;
use crate::front::Front;
use crate::limits::Limits;
use crate::problem::Problem;

/// A line, as it comes. Names that it does not know are ignored, so that what a subscription gives can
/// be published again.
#[derive(Deserialize)]
struct Line {
    topic: Option<String>,
    topics: Option<Vec<String>>,
    data: String,
    r#type: Option<String>,
    id: Option<String>,
    retry: Option<u64>,
    #[serde(default)]
    private: bool,
}

/// Why a batch is refused, as a whole. The publisher has to mend it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum BatchError {
    #[error(
        "line {line} is not such a JSON object as {{\"topic\":\"news\",\"data\":\"hello\"}}: {reason}; nothing of the batch was published"
    )]
    Json { line: usize, reason: String },
    #[error("line {line}: {error}; nothing of the batch was published")]
    Event { line: usize, error: LineError },
    #[error(
        "the batch has more than {max} lines: send several, or have the operator raise batch_lines_max; nothing of it was published"
    )]
    TooManyLines { max: usize },
    #[error(
        "the batch is empty: send one JSON object a line, such as {{\"topic\":\"news\",\"data\":\"hello\"}}"
    )]
    Empty,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum LineError {
    #[error(transparent)]
    Draft(#[from] DraftError),
    #[error(transparent)]
    Topic(#[from] TopicError),
    #[error("give either `topic` or `topics`, with at least one topic")]
    Topics,
    #[error(
        "more than {max} topics: publish under fewer, or have the operator raise topics_per_event_max"
    )]
    TooManyTopics { max: usize },
    #[error(
        "the data have {bytes} bytes and at most {max} are allowed: send less, or have the operator raise body_bytes_max"
    )]
    TooLarge { bytes: usize, max: usize },
}

impl From<BatchError> for Problem {
    fn from(error: BatchError) -> Self {
        let status = match &error {
            BatchError::TooManyLines { .. }
            | BatchError::Event { error: LineError::TooLarge { .. }, .. } => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            BatchError::Event { error: LineError::Draft(error), .. } => error.status(),
            _ => StatusCode::BAD_REQUEST,
        };
        let problem = Self::new(status, error.to_string());
        match &error {
            BatchError::TooManyLines { .. } => problem.over("batch_lines_max"),
            BatchError::Event { error: LineError::TooLarge { .. }, .. } => {
                problem.over("body_bytes_max")
            }
            BatchError::Event { error: LineError::TooManyTopics { .. }, .. } => {
                problem.over("topics_per_event_max")
            }
            _ => problem,
        }
    }
}

/// Publishes a batch: checked whole before anything is appended; an answer line for each event.
pub(crate) async fn publish(
    front: &Arc<Front>,
    request: &Parts,
    publisher: Publisher,
    body: Incoming,
) -> Result<Response<Body>, Problem> {
    let key = RequestKey::from_headers(&request.headers)?;
    let limits = &front.config.limits;
    let bounds = Bounds {
        bytes_max: limits.batch_bytes_max,
        setting: "batch_bytes_max",
        timeout: limits.body_timeout(),
    };
    let intake = intake::read(body, bounds, &front.bodies).await?;
    let large = intake.len() > SMALL_BYTES_MAX;
    let published = publish_all(front.clone(), publisher, key, intake);
    let lines = if large {
        // Its parsing takes milliseconds, for which this thread's subscribers are not to wait.
        let done = front.hub.background().spawn(published).await;
        done.map_err(|_| Problem::unavailable("the hub is stopping: send it again"))??
    } else {
        published.await?
    };
    Ok(answer("application/x-ndjson", lines))
}

/// What is parsed in some hundred microseconds.
const SMALL_BYTES_MAX: usize = 64 << 10;

/// Publishes what was read, and gives the answer lines.
async fn publish_all(
    front: Arc<Front>,
    publisher: Publisher,
    key: Option<RequestKey>,
    intake: Intake,
) -> Result<String, Problem> {
    let text = intake.text()?;
    let limits = &front.config.limits;
    let Lines { mut drafts, numbers } = parse(text, limits, front.hub.now())?;
    if let Err((at, error)) = publisher.check_all(&front, &drafts).await {
        let line = numbers.get(at).copied().unwrap_or_default();
        let place = format!("line {line}: ");
        return Err(Problem::from(error).within(&place, "; nothing of the batch was published"));
    }
    let mut lines = String::new();
    if let Some(key) = key {
        for (draft, number) in drafts.iter_mut().zip(0..) {
            draft.idempotency = Some(key.of_event(number, &[text.as_bytes()]));
        }
        // The first alone tells whether the key was used for another batch, of which this one could
        // otherwise be the continuation.
        let first = drafts.remove(0);
        lines = answer_line(&publish_one(&front.hub, first).await?);
    }
    let publisher_ids: Vec<_> = drafts.iter().map(|d| d.event.publisher_id.clone()).collect();
    let appended = front.hub.publish(drafts).await;
    for (appended, publisher_id) in appended.into_iter().zip(publisher_ids) {
        match id_of(&front.hub, appended, publisher_id) {
            Ok(id) => lines.push_str(&answer_line(&id)),
            Err(problem) => lines.push_str(&problem.to_line()),
        }
    }
    Ok(lines)
}

/// A batch, parsed.
#[derive(Debug)]
struct Lines {
    /// Its events, at least one.
    drafts: Vec<Draft>,
    /// The line of each.
    numbers: Vec<usize>,
}

/// The events of a batch. Blank lines are skipped.
fn parse(text: &str, limits: &Limits, now: Millis) -> Result<Lines, BatchError> {
    let (mut drafts, mut numbers) = (Vec::new(), Vec::new());
    for (text, line) in text.lines().zip(1..).filter(|(text, _)| !text.trim().is_empty()) {
        if drafts.len() == limits.batch_lines_max {
            return Err(BatchError::TooManyLines { max: limits.batch_lines_max });
        }
        let parsed: Line = serde_json::from_str(text)
            .map_err(|error| BatchError::Json { line, reason: error.to_string() })?;
        let draft =
            draft(parsed, limits, now).map_err(|error| BatchError::Event { line, error })?;
        drafts.push(draft);
        numbers.push(line);
    }
    if drafts.is_empty() { Err(BatchError::Empty) } else { Ok(Lines { drafts, numbers }) }
}

fn draft(line: Line, limits: &Limits, now: Millis) -> Result<Draft, LineError> {
    let names = match (line.topic, line.topics) {
        (Some(topic), None) => vec![topic],
        (None, Some(topics)) if !topics.is_empty() => topics,
        _ => return Err(LineError::Topics),
    };
    if names.len() > limits.topics_per_event_max {
        return Err(LineError::TooManyTopics { max: limits.topics_per_event_max });
    }
    if line.data.len() > limits.body_bytes_max {
        return Err(LineError::TooLarge { bytes: line.data.len(), max: limits.body_bytes_max });
    }
    let mut topics: Vec<Topic> = Vec::with_capacity(names.len());
    for name in names {
        let topic = Topic::parse(&name)?;
        if !topics.contains(&topic) {
            topics.push(topic);
        }
    }
    let fields = Fields::parse(&RawFields {
        event_type: line.r#type.as_deref(),
        id: line.id.as_deref(),
        retry: line.retry,
        private: line.private,
    })?;
    Ok(fields.into_draft(now, topics.into(), line.data.into(), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits {
            batch_lines_max: 3,
            topics_per_event_max: 2,
            body_bytes_max: 5,
            ..Limits::default()
        }
    }

    fn problem(text: &str) -> (u16, String) {
        let problem = Problem::from(parse(text, &limits(), Millis(0)).unwrap_err());
        let line = problem.to_line();
        (problem.into_response().status().as_u16(), line)
    }

    #[test]
    fn a_line_is_an_event() {
        let text = [
            "",
            r#"{"topic":"a","data":"1"}"#,
            r#"{"topics":["a","b"],"data":""}"#,
            "",
            r#"{"topic":"c","data":"x","type":"t","id":"i","retry":5,"private":false,"time":"…"}"#,
        ];
        let text = text.join("\r\n");
        let drafts = parse(&text, &limits(), Millis(7)).unwrap().drafts;
        assert_eq!(drafts.len(), 3);
        let topics: Vec<_> = drafts[1].event.topics.iter().map(Topic::as_str).collect();
        assert_eq!(topics, ["a", "b"]);
        let last = &drafts[2].event;
        assert_eq!((last.event_type.as_str(), last.retry, last.time), ("t", Some(5), Millis(7)));
        assert_eq!(last.publisher_id.as_ref().unwrap().as_str(), "i");
    }

    #[test]
    fn a_bad_line_refuses_all_and_is_named() {
        let good = "{\"topic\":\"a\",\"data\":\"1\"}\n";
        for (bad, status, says) in [
            ("{\"topic\":\"a\"}", 400, "line 2 is not such a JSON object"),
            ("[]", 400, "line 2 is not such a JSON object"),
            ("{\"topic\":\"a\",\"data\":5}", 400, "line 2 is not such a JSON object"),
            ("{\"topic\":\"a\",\"data\":\"1\",\"retry\":-1}", 400, "line 2"),
            ("{\"topic\":\"a\",\"topic\":\"b\",\"data\":\"1\"}", 400, "duplicate field"),
            ("{\"data\":\"1\"}", 400, "line 2: give either `topic` or `topics`"),
            ("{\"topics\":[],\"data\":\"1\"}", 400, "line 2: give either"),
            ("{\"topic\":\"a\",\"topics\":[\"b\"],\"data\":\"1\"}", 400, "line 2: give either"),
            ("{\"topics\":[\"a\",\"b\",\"c\"],\"data\":\"1\"}", 400, "line 2: more than 2 topics"),
            ("{\"topic\":\"*\",\"data\":\"1\"}", 400, "line 2: `*` is not a topic"),
            ("{\"topic\":\"a\",\"data\":\"123456\"}", 413, "line 2: the data have 6 bytes"),
            (
                "{\"topic\":\"a\",\"data\":\"1\",\"type\":\"error\"}",
                400,
                "line 2: the type `error`",
            ),
            ("{\"topic\":\"a\",\"data\":\"1\",\"id\":\"#x\"}", 400, "line 2: an id cannot begin"),
        ] {
            let (found, detail) = problem(&format!("{good}{bad}\n{good}"));
            assert_eq!(found, status, "{bad}: {detail}");
            assert!(detail.contains(says), "{bad}: {detail}");
        }
        assert_eq!(problem(&good.repeat(4)).0, 413);
        assert_eq!(problem("\n \n").0, 400);
        assert_eq!(problem("").0, 400);
    }
}
