//! One event source of the harness's.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use headwater_client::http::Method;
use headwater_client::{Error, Event, EventSource, Item, ReadTimeout};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::callback::Callbacks;

/// What the harness asks for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Settings {
    stream_url: String,
    pub(crate) callback_url: String,
    initial_delay_ms: Option<u64>,
    read_timeout_ms: Option<u64>,
    last_event_id: Option<String>,
    headers: Option<HashMap<String, String>>,
    method: Option<String>,
    body: Option<String>,
}

/// What the harness wants of one that there is.
#[derive(Deserialize)]
#[serde(tag = "command", rename_all = "lowercase")]
pub(crate) enum Command {
    Listen { listen: Listen },
    Restart,
}

#[derive(Deserialize)]
pub(crate) struct Listen {
    #[serde(rename = "type")]
    event_type: String,
}

/// An event source at work, until it is dropped.
pub(crate) struct Stream {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    /// The types of events that are listened for, beside `message`.
    types: Mutex<HashSet<String>>,
    restart: Notify,
}

impl Stream {
    /// # Errors
    ///
    /// If what is asked for cannot be sent.
    pub(crate) fn start(settings: Settings, callbacks: Callbacks) -> Result<Self, Error> {
        let source = settings.source()?;
        let shared = Arc::<Shared>::default();
        let task = tokio::spawn(report(source, Arc::clone(&shared), callbacks));
        Ok(Self { shared, task })
    }

    pub(crate) fn command(&self, command: Command) {
        match command {
            // Before the harness has its answer: it may send the event right after.
            Command::Listen { listen } => drop(self.shared.types().insert(listen.event_type)),
            Command::Restart => self.shared.restart.notify_one(),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn types(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.types.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listens_for(&self, event_type: &str) -> bool {
        event_type == "message" || self.types().contains(event_type)
    }
}

impl Settings {
    fn source(self) -> Result<EventSource, Error> {
        let mut builder = EventSource::builder(self.stream_url).report_comments(true);
        if let Some(method) = self.method.filter(|method| !method.is_empty()) {
            let method = Method::from_bytes(method.as_bytes());
            builder = builder.method(method.map_err(|error| Error::Request(error.into()))?);
        }
        if let Some(body) = self.body.filter(|body| !body.is_empty()) {
            builder = builder.body(body);
        }
        for (name, value) in self.headers.unwrap_or_default() {
            builder = builder.header(name, value);
        }
        if let Some(id) = self.last_event_id {
            builder = builder.last_event_id(id);
        }
        if let Some(ms) = self.initial_delay_ms {
            builder = builder.reconnection_time(Duration::from_millis(ms));
        }
        if let Some(ms) = self.read_timeout_ms {
            builder = builder.read_timeout(ReadTimeout::After(Duration::from_millis(ms)));
        }
        builder.build()
    }
}

/// Tells the harness what comes, until the source ends.
async fn report(mut source: EventSource, shared: Arc<Shared>, mut callbacks: Callbacks) {
    loop {
        let item = tokio::select! {
            item = source.next() => item,
            () = shared.restart.notified() => {
                source.reconnect();
                continue;
            }
        };
        let message = match item {
            Some(Ok(Item::Message(event))) if shared.listens_for(&event.event) => told(&event),
            Some(Ok(Item::Comment(text))) => json!({ "kind": "comment", "comment": text }),
            Some(Ok(Item::Error(lost))) => error(&lost.cause),
            Some(Err(failed)) => error(&failed),
            Some(Ok(_)) => continue,
            None => return,
        };
        callbacks.send(&message).await;
    }
}

fn told(event: &Event) -> Value {
    let (kind, data, id) = (event.event.as_str(), event.data.as_str(), event.id.as_str());
    json!({ "kind": "event", "event": { "type": kind, "data": data, "id": id } })
}

/// The harness's specification names the text `comment`, its code `error`.
fn error(error: &impl ToString) -> Value {
    let text = error.to_string();
    json!({ "kind": "error", "error": text, "comment": text })
}
