//! What WHATWG HTML 9.2.2 and 9.2.3 ask of a user agent, as a state machine without I/O or clock.

use std::mem;
use std::time::Duration;

use headwater_event_stream::{Decoder, Event, Item};
use http::Method;
use url::Url;

use crate::backoff::Backoff;
use crate::failure::{Failure, Lost, Refusal};
use crate::gap::Gap;
use crate::heartbeat::Heartbeat;
use crate::policy::{Policy, ReadTimeout};
use crate::redirect::{self, Attempt};

/// One event source: tells when to connect and with which last event ID, takes what comes of it, and gives
/// the events.
///
/// Whoever drives it calls [`poll`](Self::poll), does what the [`Step`] says, reports what happens through
/// the `handle_*` methods, and polls again after each. `now` is the time since any fixed moment; it never
/// goes back. Holds no more than its decoder does ([`Policy::limits`]).
#[derive(Clone, Debug)]
pub struct UserAgent {
    policy: Policy,
    /// What every connection begins with.
    first: Attempt,
    /// What was, or is to be, sent for this one: the same until a redirect.
    attempt: Attempt,
    decoder: Decoder,
    reconnection_time: Duration,
    backoff: Backoff,
    heartbeat: Heartbeat,
    state: State,
    /// What has happened and was not told yet.
    untold: Option<Step>,
}

/// What to do next, or what has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Drop the connection, if there is one, and send this request.
    Connect(Attempt),
    /// Nothing until something comes, or until this time.
    Wait(Option<Duration>),
    /// The connection is open: a browser fires `open`.
    Opened,
    /// Drop the connection, if there is one: a browser fires `error` with `readyState` CONNECTING.
    Reconnecting(Reconnecting),
    /// Drop the connection: a browser fires `error` with `readyState` CLOSED. Then always [`Step::Closed`].
    Failed(Failure),
    /// It is over: the server said stop (204), or the connection has failed, or was closed.
    Closed,
}

/// The connection is lost, or was not made, and is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconnecting {
    /// How long is waited first.
    pub delay: Duration,
    /// Why.
    pub cause: Lost,
}

/// The head of an HTTP answer. Redirects are the agent's to follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Response<'a> {
    /// The status.
    pub status: u16,
    /// The `Content-Type` header.
    pub content_type: Option<&'a str>,
    /// The `Location` header.
    pub location: Option<&'a str>,
    /// How long `Retry-After` asks to wait.
    pub retry_after: Option<Duration>,
}

/// Something that came with the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// An event.
    Event(Event<'a>),
    /// Events may be missing before the next one.
    Gap(Gap),
    /// The server sets the reconnection time.
    Retry(Duration),
    /// Only the last event ID may have moved on: a hub's `hub.open` or `hub.checkpoint`. Nothing to show.
    Position,
    /// A comment, without its colon and without one space after it. Only if the policy says so.
    Comment(&'a str),
}

/// The `readyState` of an `EventSource`, with its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadyState {
    /// "The connection has not yet been established, or it was closed and the user agent is reconnecting."
    Connecting = 0,
    /// "The user agent has an open connection and is dispatching events as it receives them."
    Open = 1,
    /// "The connection is not open, and the user agent is not trying to reconnect."
    Closed = 2,
}

#[derive(Clone, Debug)]
enum State {
    Waiting {
        until: Duration,
    },
    /// A request is on its way, or will be with the next step.
    Connecting {
        since: Duration,
        is_sent: bool,
    },
    Open {
        since: Duration,
        /// When the last bytes came.
        heard: Duration,
        /// Whether an event came, or a position.
        of_use: bool,
    },
    /// The answer is final; the first bytes of its body are collected.
    Refused {
        refusal: Refusal,
        since: Duration,
    },
    Closed,
}

impl UserAgent {
    /// One that wants to connect at once. `url` is HTTP's or HTTPS's; what it holds of a user and a password
    /// is left out. `seed` spreads the delays of clients that lose their server together; it should be
    /// random.
    #[must_use]
    pub fn new(mut url: Url, method: Method, policy: Policy, seed: u64) -> Self {
        redirect::strip(&mut url);
        let first = Attempt::new(url, method);
        let comments = policy.report_comments || policy.read_timeout == ReadTimeout::Heartbeat;
        Self {
            policy,
            attempt: first.clone(),
            first,
            decoder: Decoder::with_limits(policy.limits).report_comments(comments),
            reconnection_time: policy.reconnection_time,
            backoff: Backoff::new(seed),
            heartbeat: Heartbeat::default(),
            state: State::Waiting { until: Duration::ZERO },
            untold: None,
        }
    }

    /// Sets the last event ID string, to go on from where an earlier run ended. It must not hold NUL, CR or
    /// LF.
    pub fn set_last_event_id(&mut self, id: &str) {
        self.decoder.set_last_event_id(id);
    }

    /// The last event ID string. WHATWG HTML 9.2.2: "This must initially be the empty string."
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        self.decoder.last_event_id()
    }

    /// The reconnection time, as the server has last set it.
    #[must_use]
    pub fn reconnection_time(&self) -> Duration {
        self.reconnection_time
    }

    /// The URL of the last request: what was asked for, or where redirects have led.
    ///
    /// WHATWG HTML 9.2.6: "Initialize event's […] origin attribute to the serialization of the origin of the
    /// event stream's final URL (i.e., the URL after redirects)".
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.attempt.url
    }

    /// The state, as a browser would show it.
    #[must_use]
    pub fn ready_state(&self) -> ReadyState {
        match self.state {
            State::Open { .. } => ReadyState::Open,
            State::Closed => ReadyState::Closed,
            State::Waiting { .. } | State::Connecting { .. } | State::Refused { .. } => {
                ReadyState::Connecting
            }
        }
    }

    /// What to do next. Call it until it says [`Step::Wait`] or [`Step::Closed`].
    pub fn poll(&mut self, now: Duration) -> Step {
        self.expire(now);
        if let Some(step) = self.untold.take() {
            return step;
        }
        match &self.state {
            State::Waiting { until } if now < *until => Step::Wait(Some(*until)),
            State::Waiting { .. } => {
                self.state = State::Connecting { since: now, is_sent: true };
                // Where redirects led the last time says nothing of this time.
                self.attempt.clone_from(&self.first);
                // WHATWG HTML 9.2.3: "If the EventSource object's last event ID string is not the empty
                // string, then: Let lastEventIDValue be the EventSource object's last event ID string,
                // encoded as UTF-8. Set (`Last-Event-ID`, lastEventIDValue) in request's header list."
                self.attempt.last_event_id.push_str(self.decoder.last_event_id());
                Step::Connect(self.attempt.clone())
            }
            &State::Connecting { since, is_sent: false } => {
                self.state = State::Connecting { since, is_sent: true };
                Step::Connect(self.attempt.clone())
            }
            State::Closed => Step::Closed,
            State::Connecting { .. } | State::Open { .. } | State::Refused { .. } => {
                Step::Wait(self.deadline())
            }
        }
    }

    /// The head of the answer has come.
    pub fn handle_response(&mut self, now: Duration, response: Response<'_>) {
        let State::Connecting { since, .. } = self.state else { return };
        // WHATWG HTML 9.2.2: "if res's status is not 200, or if res's `Content-Type` is not
        // `text/event-stream`, then fail the connection."
        if response.status == 200 && response.content_type.is_some_and(is_event_stream) {
            // WHATWG HTML 9.2.2: "Otherwise, announce the connection and interpret res's body line by line."
            self.state = State::Open { since: now, heard: now, of_use: false };
            self.untold = Some(Step::Opened);
            return;
        }
        // WHATWG HTML 9.2.1: "a client can be told to stop reconnecting using the HTTP 204 No Content
        // response code."
        if response.status == 204 {
            return self.close();
        }
        // WHATWG HTML 9.2.1: "Event stream requests can be redirected using HTTP 301 and 307 redirects as
        // with normal HTTP requests." Fetch 4.4: "If locationURL is null, then return response."
        if let Some(location) = response.location.filter(|_| redirect::is_redirect(response.status))
        {
            return match self.attempt.follow(response.status, location) {
                Ok(()) => self.state = State::Connecting { since, is_sent: false },
                Err(reason) => self.lose(now, Lost::Redirect(reason), None),
            };
        }
        if self.policy.retry_statuses.contains(response.status) {
            return self.lose(now, Lost::Status(response.status), response.retry_after);
        }
        let content_type = response.content_type.map(str::to_owned);
        let refusal = Refusal { status: response.status, content_type, body: Vec::new() };
        self.state = State::Refused { refusal, since: now };
    }

    /// Bytes of the body have come. Takes from the front of `input` until there is something to tell; call
    /// it again with the same `input` until it returns `None`.
    pub fn handle_bytes<'a, 'i: 'a>(
        &'a mut self,
        now: Duration,
        input: &mut &'i [u8],
    ) -> Option<Incoming<'a>> {
        let (heard, of_use) = match &mut self.state {
            State::Open { heard, of_use, .. } => (heard, of_use),
            State::Refused { refusal, .. } => {
                let room = Refusal::BODY_BYTES_MAX.saturating_sub(refusal.body.len());
                refusal.body.extend(mem::take(input).iter().take(room));
                if refusal.body.len() >= Refusal::BODY_BYTES_MAX {
                    self.refuse();
                }
                return None;
            }
            State::Waiting { .. } | State::Connecting { .. } | State::Closed => {
                *input = &[];
                return None;
            }
        };
        let silence = now.saturating_sub(mem::replace(heard, now));
        let item = match self.decoder.decode(input) {
            Ok(item) => item?,
            Err(error) => {
                *input = &[];
                self.state = State::Closed;
                self.untold = Some(Step::Failed(Failure::Decode(error)));
                return None;
            }
        };
        match item {
            Item::Event(event) => {
                *of_use = true;
                Some(match event.event_type {
                    "hub.open" | "hub.checkpoint" => {
                        self.heartbeat.handle_hub();
                        Incoming::Position
                    }
                    Gap::EVENT_TYPE => match Gap::parse(event.data, event.id) {
                        Some(gap) => Incoming::Gap(gap),
                        None => Incoming::Event(event),
                    },
                    _ => Incoming::Event(event),
                })
            }
            Item::Retry(ms) => {
                self.reconnection_time = Duration::from_millis(ms);
                Some(Incoming::Retry(self.reconnection_time))
            }
            Item::Comment(text) => {
                self.heartbeat.handle_comment(silence);
                Some(match self.policy.report_comments {
                    true => Incoming::Comment(text),
                    false => Incoming::Position,
                })
            }
        }
    }

    /// The body has ended.
    ///
    /// WHATWG HTML 9.2.2: "if res is not a network error, then reestablish the connection."
    pub fn handle_end(&mut self, now: Duration) {
        self.stop(now, Lost::Ended);
    }

    /// The connection could not be made, or broke.
    ///
    /// WHATWG HTML 9.2.2: "if res is a network error, then reestablish the connection, unless the user agent
    /// knows that to be futile".
    pub fn handle_error(&mut self, now: Duration, what: String) {
        self.stop(now, Lost::Network(what));
    }

    /// The headers to send could not be had.
    pub fn handle_headers_error(&mut self, now: Duration, what: String) {
        self.stop(now, Lost::Headers(what));
    }

    /// Leaves the connection and connects again at once, as after a change of networks.
    pub fn reconnect(&mut self) {
        if !matches!(self.state, State::Closed) {
            self.decoder.reset();
            self.state = State::Waiting { until: Duration::ZERO };
            self.untold = None;
        }
    }

    /// WHATWG HTML 9.2.2: "The close() method must abort any instances of the fetch algorithm started for
    /// this EventSource object, and must set the readyState attribute to CLOSED."
    pub fn close(&mut self) {
        self.state = State::Closed;
        self.untold = None;
    }

    /// When the silence has lasted too long, if that is watched.
    fn deadline(&self) -> Option<Duration> {
        match &self.state {
            State::Connecting { since, .. } => Some(since.saturating_add(self.silence_max()?)),
            State::Open { heard, .. } => Some(heard.saturating_add(self.silence_max()?)),
            State::Refused { since, .. } => Some(since.saturating_add(REFUSAL_WAIT_MAX)),
            State::Waiting { .. } | State::Closed => None,
        }
    }

    fn silence_max(&self) -> Option<Duration> {
        match self.policy.read_timeout {
            ReadTimeout::Never => None,
            ReadTimeout::After(silence) => Some(silence),
            ReadTimeout::Heartbeat => self.heartbeat.timeout(),
        }
    }

    fn expire(&mut self, now: Duration) {
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            let silence_max = self.silence_max().unwrap_or_default();
            self.stop(now, Lost::Silent(silence_max));
        }
    }

    /// Nothing more comes over this connection.
    fn stop(&mut self, now: Duration, cause: Lost) {
        match self.state {
            State::Connecting { .. } | State::Open { .. } => self.lose(now, cause, None),
            State::Refused { .. } => self.refuse(),
            State::Waiting { .. } | State::Closed => {}
        }
    }

    /// WHATWG HTML 9.2.3, "reestablish the connection".
    fn lose(&mut self, now: Duration, cause: Lost, at_least: Option<Duration>) {
        // Events that came, or a long life, show that the server is well.
        let was_of_use = match self.state {
            State::Open { since, of_use, .. } => {
                of_use || now.saturating_sub(since) >= self.policy.backoff_reset
            }
            _ => false,
        };
        if !self.policy.reconnect {
            self.untold = match cause {
                Lost::Ended if matches!(self.state, State::Open { .. }) => None,
                cause => Some(Step::Failed(Failure::Lost(cause))),
            };
            self.state = State::Closed;
            return;
        }
        if was_of_use {
            self.backoff.reset()
        } else {
            self.backoff.fail()
        }
        let delay = self.backoff.delay(self.reconnection_time, self.policy.backoff_max);
        let delay = delay.max(at_least.unwrap_or_default());
        self.decoder.reset();
        self.state = State::Waiting { until: now.saturating_add(delay) };
        self.untold = Some(Step::Reconnecting(Reconnecting { delay, cause }));
    }

    /// WHATWG HTML 9.2.3: "Once the user agent has failed the connection, it does not attempt to reconnect."
    fn refuse(&mut self) {
        if let State::Refused { refusal, .. } = mem::replace(&mut self.state, State::Closed) {
            self.untold = Some(Step::Failed(Failure::Refused(refusal)));
        }
    }
}

/// How long the body of a refusal is waited for; it only explains.
const REFUSAL_WAIT_MAX: Duration = Duration::from_secs(5);

/// Whether a `Content-Type` is that of an event stream, whatever its parameters and its case.
fn is_event_stream(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim_matches([' ', '\t', '\r', '\n']).eq_ignore_ascii_case("text/event-stream")
}
