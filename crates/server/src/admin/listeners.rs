//! `/admin/connections`: who listens, and that some do so no longer.

use headwater_hub::Encoding;
use headwater_log::Topic;
use http::Response;
use http::request::Parts;
use serde::Serialize;

use super::json;
use crate::Hub;
use crate::body::Body;
use crate::hub::Place;
use crate::plain::query::Query;
use crate::plain::start::number;
use crate::problem::Problem;
use crate::shard::{Meant, Present};

#[derive(Serialize)]
struct List<'a> {
    connections: Vec<Connection<'a>>,
    /// How many are meant, on this page or not.
    total: usize,
    /// What to ask for as `after` to see the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
struct Connection<'a> {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<&'a str>,
    /// Seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    topics: Vec<&'a str>,
    patterns: Vec<&'a str>,
    form: &'static str,
    /// Whether it has had everything that there is.
    live: bool,
}

#[derive(Serialize)]
struct Closed {
    closed: usize,
}

const LISTED: usize = 100;
const LISTED_MAX: u64 = 1000;

/// `GET`: those who listen, or those of them that the query means.
pub(super) async fn list(hub: &Hub, request: &Parts) -> Result<Response<Body>, Problem> {
    let query = Query::new(request.uri.query().unwrap_or_default());
    let (meant, shard) = meant(&query)?;
    let max = match text(&query, "limit")? {
        None => LISTED,
        Some(text) => number(&text)
            .filter(|limit| (1..=LISTED_MAX).contains(limit))
            .and_then(|limit| usize::try_from(limit).ok())
            .ok_or_else(|| bad("`limit` is a number from 1 to 1000"))?,
    };
    let from = match (text(&query, "after")?, shard) {
        (None, None) => Place::default(),
        (None, Some(shard)) => Place { shard, slot: 0 },
        (Some(text), _) => place(&text).ok_or_else(|| bad("`after` is what `next` was"))?,
    };
    let (listed, next, total) = hub.listeners(&meant, from, max).await;
    let connections = listed.iter().map(|(shard, present)| connection(*shard, present)).collect();
    let next = next.map(|place| format!("{}-{}", place.shard, place.slot));
    Ok(json(&List { connections, total, next }))
}

/// `DELETE`: closes the streams of those that the query means. Their pages come back, if what they show is
/// still good.
pub(super) async fn close(hub: &Hub, request: &Parts) -> Result<Response<Body>, Problem> {
    let query = Query::new(request.uri.query().unwrap_or_default());
    let (meant, shard) = meant(&query)?;
    if meant == Meant::default() {
        let detail = "say whose streams are to be closed: `id`, `subject`, `token_id` or `topic`";
        return Err(bad(detail));
    }
    let closed = hub.close(&meant, shard).await;
    tracing::info!(closed, "the operator closed streams");
    Ok(json(&Closed { closed }))
}

/// Who is meant, and in which shard if that is known.
fn meant(query: &Query<'_>) -> Result<(Meant, Option<usize>), Problem> {
    let topic = text(query, "topic")?.map(|text| Topic::parse(&text)).transpose();
    let id = text(query, "id")?;
    let parsed = id.as_deref().map(|id| {
        let (shard, key) = id.split_once('-')?;
        Some((shard.parse().ok()?, key.to_owned()))
    });
    let (shard, key) = match parsed {
        None => (None, None),
        Some(Some((shard, key))) => (Some(shard), Some(key)),
        Some(None) => return Err(bad("`id` is that of a connection in the list")),
    };
    let meant = Meant {
        key,
        subject: text(query, "subject")?,
        token_id: text(query, "token_id")?,
        topic: topic.map_err(|error| bad(&error.to_string()))?,
        revoked: None,
    };
    Ok((meant, shard))
}

fn text(query: &Query<'_>, name: &'static str) -> Result<Option<String>, Problem> {
    let text = query.one(name).map_err(|error| bad(&error.to_string()))?;
    Ok(text.map(std::borrow::Cow::into_owned))
}

fn bad(detail: &str) -> Problem {
    Problem::bad_request(detail)
}

fn place(text: &str) -> Option<Place> {
    let (shard, slot) = text.split_once('-')?;
    Some(Place { shard: shard.parse().ok()?, slot: slot.parse().ok()? })
}

fn connection(shard: usize, present: &Present) -> Connection<'_> {
    let identity = present.owner.as_ref().map(|owner| owner.identity());
    let all = present.filter.is_all().then_some("*");
    Connection {
        id: format!("{shard}-{}", present.key),
        subject: identity.and_then(|identity| identity.subject.as_deref()),
        token_id: identity.and_then(|identity| identity.token_id.as_deref()),
        issuer: identity.and_then(|identity| identity.issuer.as_deref()),
        expires: identity.and_then(|identity| identity.expires).map(|expires| expires.0 / 1000),
        address: present.peer.map(|peer| peer.to_string()),
        topics: present.filter.topics().iter().map(Topic::as_str).collect(),
        patterns: present.filter.patterns().iter().map(|own| own.as_str()).chain(all).collect(),
        form: match present.encoding {
            Encoding::Sse => "event-stream",
            Encoding::SseEnvelope => "event-stream, envelope",
            Encoding::Mercure => "mercure",
            Encoding::Ndjson => "ndjson",
        },
        live: present.live,
    }
}
