//! What a browser's `EventSource` cannot be told.

use bytes::Bytes;
use reqwest::header::{ACCEPT, CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Url};

use crate::event_source::{Error, EventSource, Request};
use crate::policy::Policy;
use crate::user_agent::UserAgent;

/// Builds an [`EventSource`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    url: String,
    method: Method,
    headers: HeaderMap,
    body: Option<Bytes>,
    last_event_id: String,
    policy: Policy,
    client: Option<Client>,
}

impl Builder {
    /// Begins with what a browser does: `GET`, no headers of its own, [`Policy::default`].
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            method: Method::GET,
            headers: HeaderMap::new(),
            body: None,
            last_event_id: String::new(),
            policy: Policy::default(),
            client: None,
        }
    }

    /// Sends a header with every connection. Replaces one of the same name; `Last-Event-ID` is sent as the
    /// standard says, whatever is set here.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sends another method than `GET`, with a body: the same with every connection.
    pub fn method(mut self, method: Method, body: impl Into<Bytes>) -> Self {
        self.method = method;
        self.body = Some(body.into());
        self
    }

    /// Goes on after this event, as after a reconnection. Nothing if empty.
    pub fn last_event_id(mut self, id: impl Into<String>) -> Self {
        self.last_event_id = id.into();
        self
    }

    /// Waits, retries and limits as this says.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Connects through this client: its redirects, proxies, certificates and pools. It should have no
    /// time-out for a whole answer.
    pub fn client(mut self, client: Client) -> Self {
        self.client = Some(client);
        self
    }

    /// The source, which connects when it is first polled.
    ///
    /// # Errors
    ///
    /// If the URL is none, the last event id cannot be sent, or no client can be made, as on a system
    /// without certificates.
    pub fn build(mut self) -> Result<EventSource, Error> {
        // WHATWG HTML 9.2.2: "If urlRecord is failure, then throw a "SyntaxError" DOMException."
        let url = Url::parse(&self.url)
            .map_err(|error| Error::Url { url: self.url, reason: error.to_string() })?;
        let client = match self.client {
            Some(client) => client,
            None => Client::builder().build().map_err(Error::Client)?,
        };
        // WHATWG HTML 9.2.2: "User agents may set (`Accept`, `text/event-stream`) in request's header list."
        let accept = HeaderValue::from_static("text/event-stream");
        self.headers.entry(ACCEPT).or_insert(accept);
        // WHATWG HTML 9.2.2: "Set request's cache mode to "no-store"", which Fetch sends as `no-cache`.
        let cache_control = HeaderValue::from_static("no-cache");
        self.headers.entry(CACHE_CONTROL).or_insert(cache_control);
        let mut agent = UserAgent::new(self.policy, seed());
        if !self.last_event_id.is_empty() {
            Request::last_event_id(&self.last_event_id)?;
            agent.set_last_event_id(&self.last_event_id);
        }
        let request =
            Request { client, url, method: self.method, headers: self.headers, body: self.body };
        Ok(EventSource::start(agent, request))
    }
}

/// The standard library's hash keys are random; clients only have to differ from each other.
fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}
