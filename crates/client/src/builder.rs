//! What a browser's `EventSource` cannot be told.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_event_stream::Limits;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Serialize;
use url::Url;

use crate::connection::{Connection, FreshHeaders};
use crate::event_source::EventSource;
use crate::item::Error;
use crate::policy::{Policy, ReadTimeout};
use crate::redirect;
use crate::request::{self, Template};
use crate::statuses::Statuses;
use crate::transport::{Transport, TransportError};
use crate::user_agent::UserAgent;

/// Builds an [`EventSource`]. What is wrong is told by [`build`](Self::build).
#[must_use]
pub struct Builder {
    url: String,
    method: Option<Method>,
    template: Template,
    make_headers: Option<FreshHeaders>,
    last_event_id: String,
    policy: Policy,
    transport: Option<Arc<dyn Transport>>,
    mistake: Option<TransportError>,
}

impl Builder {
    /// Begins with what a browser does: `GET`, no headers of its own, [`Policy::default`].
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            method: None,
            template: Template::default(),
            make_headers: None,
            last_event_id: String::new(),
            policy: Policy::default(),
            transport: None,
            mistake: None,
        }
    }

    /// Sends another method than `GET`.
    pub fn method(mut self, method: Method) -> Self {
        self.method = Some(method);
        self
    }

    /// Sends this body with every connection, by `POST` unless a [`method`](Self::method) is set.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.template.body = body.into();
        self.method.get_or_insert(Method::POST);
        self
    }

    /// Sends this as JSON, as [`body`](Self::body) does, with its `Content-Type`.
    pub fn json(mut self, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => self.body(body).header(CONTENT_TYPE, "application/json"),
            Err(error) => {
                self.mistake = Some(error.into());
                self
            }
        }
    }

    /// Sends a header with every connection. Replaces one of the same name; `Last-Event-ID` is sent as the
    /// standard says, whatever is set here. When a redirect leads to another origin, only `Accept`,
    /// `Accept-Language`, `Cache-Control`, `Content-Language`, `Content-Type` and `User-Agent` go along.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        HeaderName: TryFrom<N>,
        HeaderValue: TryFrom<V>,
        <HeaderName as TryFrom<N>>::Error: Into<http::Error>,
        <HeaderValue as TryFrom<V>>::Error: Into<http::Error>,
    {
        let name = HeaderName::try_from(name).map_err(Into::into);
        let value = HeaderValue::try_from(value).map_err(Into::into);
        match name.and_then(|name| Ok((name, value?))) {
            Ok((name, value)) => {
                self.template.headers.insert(name, value);
            }
            Err(error) => self.mistake = Some(error.into()),
        }
        self
    }

    /// Asks for headers before each connection, such as a token that does not last; they replace others of
    /// the same name. While they cannot be had, the connection counts as one that cannot be made.
    ///
    /// ```no_run
    /// # use headwater_client::EventSource;
    /// # async fn token() -> Result<String, std::io::Error> { Ok(String::new()) }
    /// use headwater_client::http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
    ///
    /// let source = EventSource::builder("https://hub.example/events/news")
    ///     .fresh_headers(async || {
    ///         let bearer = format!("Bearer {}", token().await?);
    ///         Ok(HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::try_from(bearer)?)]))
    ///     })
    ///     // A token that is not good any more is a reason to come back with another.
    ///     .retry_statuses([401, 429, 503])
    ///     .build()?;
    /// # Ok::<(), headwater_client::Error>(())
    /// ```
    pub fn fresh_headers<F, R>(mut self, mut make: F) -> Self
    where
        F: FnMut() -> R + Send + 'static,
        R: Future<Output = Result<HeaderMap, TransportError>> + Send + 'static,
    {
        self.make_headers = Some(Box::new(move || Box::pin(make())));
        self
    }

    /// Goes on after this event, as after a reconnection. Nothing if empty.
    pub fn last_event_id(mut self, id: impl Into<String>) -> Self {
        self.last_event_id = id.into();
        self
    }

    /// [`Policy::reconnection_time`]: how long to wait before connecting again, until the server says.
    pub fn reconnection_time(mut self, time: Duration) -> Self {
        self.policy.reconnection_time = time;
        self
    }

    /// [`Policy::backoff_max`] and [`Policy::backoff_reset`]: the most that is waited on top of it after
    /// attempts that came to nothing, and how long a connection must last not to count as one.
    pub fn backoff(mut self, max: Duration, reset: Duration) -> Self {
        self.policy.backoff_max = max;
        self.policy.backoff_reset = reset;
        self
    }

    /// [`Policy::read_timeout`]: after how long a silence the connection is taken for dead.
    pub fn read_timeout(mut self, timeout: ReadTimeout) -> Self {
        self.policy.read_timeout = timeout;
        self
    }

    /// [`Policy::retry_statuses`]: which statuses mean "later"; see [`Statuses::temporary`].
    pub fn retry_statuses(mut self, statuses: impl Into<Statuses>) -> Self {
        self.policy.retry_statuses = statuses.into();
        self
    }

    /// [`Policy::reconnect`]: whether a connection that ends is made again.
    pub fn reconnect(mut self, reconnect: bool) -> Self {
        self.policy.reconnect = reconnect;
        self
    }

    /// [`Policy::report_comments`]: whether there are [`Item::Comment`](crate::Item::Comment)s.
    pub fn report_comments(mut self, report: bool) -> Self {
        self.policy.report_comments = report;
        self
    }

    /// [`Policy::limits`]: how large lines and events may get.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.policy.limits = limits;
        self
    }

    /// All of the above from `reconnection_time` on at once.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Connects through this instead of a `Reqwest` of its own.
    pub fn transport(mut self, transport: impl Transport + 'static) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// The source, which connects when it is first polled.
    ///
    /// # Errors
    ///
    /// If the URL is none of HTTP, a header or the last event id cannot be sent, or no client can be made, as
    /// on a system without certificates.
    pub fn build(mut self) -> Result<EventSource, Error> {
        if let Some(mistake) = self.mistake {
            return Err(Error::Request(mistake));
        }
        let no_url = |reason| Error::Url { url: self.url.clone(), reason };
        // WHATWG HTML 9.2.2: "If urlRecord is failure, then throw a "SyntaxError" DOMException."
        let url = Url::parse(&self.url).map_err(|error| no_url(error.to_string()))?;
        // WHATWG HTML 9.2.2: "if res is a network error, then reestablish the connection, unless the user
        // agent knows that to be futile, in which case the user agent may fail the connection."
        if !redirect::is_http(&url) {
            return Err(no_url(format!("its scheme is {}, not http or https", url.scheme())));
        }
        self.template.authorize(&url)?;
        request::check_last_event_id(&self.last_event_id)?;
        let method = self.method.unwrap_or(Method::GET);
        let mut agent = UserAgent::new(url, method, self.policy, seed());
        agent.set_last_event_id(&self.last_event_id);
        let transport = self.transport.map_or_else(default_transport, Ok)?;
        let connection = Connection::new(transport, self.template, self.make_headers);
        Ok(EventSource::start(agent, connection))
    }
}

#[cfg(feature = "reqwest")]
fn default_transport() -> Result<Arc<dyn Transport>, Error> {
    Ok(Arc::new(crate::Reqwest::new(reqwest::Client::builder())?))
}

#[cfg(not(feature = "reqwest"))]
fn default_transport() -> Result<Arc<dyn Transport>, Error> {
    Err(Error::NoTransport)
}

/// The standard library's hash keys are random; clients only have to differ from each other.
fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}
