//! What whoever asks may do: the publish key, what the hub was told of tokens or of an application to ask,
//! or nothing presented at all.

mod publisher;
mod tickets;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use headwater_hub::{Access, Action, Actions, Identity};
use headwater_log::{Filter, Resolved};
use http::Method;
use http::header::{AUTHORIZATION, COOKIE};
use http::request::Parts;

pub(crate) use self::publisher::Publisher;
pub(crate) use self::tickets::answer as answer_tickets;
use crate::Hub;
use crate::front::Front;
use crate::plain::start::LAST_EVENT_ID;
use crate::problem::Problem;
use crate::token::{
    Asked, Authorization, Backend, Binding, Credential, Judge, Presented, Refusal, TicketError,
    TicketKey, Tickets, Tokens, Verdict, Via, credential, same_site,
};

/// Tickets that are remembered, of some 200 bytes each.
const TICKETS_MAX: usize = 100_000;
/// What the key of the tickets is derived for.
const TICKET_KEY: [u8; 8] = *b"tickets\0";

/// The tickets of a hub. Their key outlives a restart if the log does, and is that of all who share it.
pub(crate) fn tickets(hub: &Hub) -> Option<Mutex<Tickets>> {
    let key = hub.log().id_key().derive(TICKET_KEY);
    TicketKey::new(&key).map(|key| Mutex::new(Tickets::new(key, TICKETS_MAX)))
}

impl Front {
    /// Who publishes, if it may publish anything. Verifies a token.
    pub(crate) async fn publisher(&self, request: &Parts) -> Result<Publisher, Problem> {
        self.guard.check_origin(request)?;
        let Some(Authorization { judge, .. }) = &self.config.authorization else {
            self.guard.check_key(request)?;
            return Ok(Publisher::anybody());
        };
        if self.guard.has_key(request) {
            return Ok(Publisher::with_key());
        }
        let tokens = match judge {
            Judge::Tokens(tokens) => tokens,
            Judge::Application(backend) => {
                let headers = &request.headers;
                // No other site's page can have a browser send `Authorization`.
                if headers.contains_key(COOKIE) && !headers.contains_key(AUTHORIZATION) {
                    self.check_page(request)?;
                }
                return Ok(Publisher::asking(backend.clone(), request));
            }
        };
        let (access, via) = match self.presented(request)? {
            Credential::None => return Err(Refusal::missing().into()),
            Credential::Ticket(_) => {
                let detail = "a ticket is for subscribing: publish with `Authorization: Bearer`";
                return Err(Refusal::invalid_token(detail).into());
            }
            Credential::Token { token, via } => (self.verify(tokens, &token).await?, via),
        };
        if via != Via::Header {
            self.check_page(request)?;
        }
        if access.grant(Action::Publish).is_none() {
            let detail = "the token grants no publishing";
            return Err(Refusal::insufficient_scope(detail).into());
        }
        Ok(Publisher::granted(access))
    }

    /// What who subscribes may see. Who presents nothing sees what is public.
    pub(crate) async fn subscriber(
        &self,
        request: &Parts,
        filter: &Filter,
    ) -> Result<Arc<Access>, Problem> {
        let Some(Authorization { judge, .. }) = &self.config.authorization else {
            // What is presented is the publish key, or means nothing here.
            return Ok(Access::anonymous().into());
        };
        if self.guard.has_key(request) {
            return Ok(Access::to_everything(Actions::ALL, Identity::default()).into());
        }
        match judge {
            Judge::Application(backend) => {
                let asked = Asked::subscription(request.method.as_str(), filter, &request.headers);
                Ok(self.ask(backend, asked).await?)
            }
            Judge::Tokens(tokens) => match self.presented(request)? {
                Credential::None => Ok(Access::anonymous().into()),
                Credential::Token { token, .. } => self.verify(tokens, &token).await,
                Credential::Ticket(sealed) => {
                    let token = self.admit(request, &sealed).await?;
                    self.verify(tokens, &token).await
                }
            },
        }
    }

    /// How long what somebody presented still lasts.
    pub(crate) fn lifetime(&self, access: &Access) -> Option<Duration> {
        let expires = access.identity().expires?;
        Some(Duration::from_millis(expires.0.saturating_sub(self.hub.now().0)))
    }

    fn presented(&self, request: &Parts) -> Result<Credential, Problem> {
        let Some(Authorization { credentials, .. }) = &self.config.authorization else {
            return Ok(Credential::None);
        };
        let presented = credential(&request.headers, request.uri.query(), credentials);
        presented.map_err(|error| Refusal::from(&error).into())
    }

    async fn verify(&self, tokens: &Tokens, token: &str) -> Result<Arc<Access>, Problem> {
        let now = self.hub.now();
        let access = tokens.verify(token, now).await.map_err(|error| {
            tracing::info!(check = error.check(), %error, "a token was refused");
            error.refusal()
        })?;
        if access.has_expired(now) {
            return Err(Refusal::invalid_token("the token has expired: get a new one").into());
        }
        if self.hub.is_revoked(access.identity()) {
            tracing::info!("a token was refused that was revoked");
            return Err(Refusal::invalid_token("the token was revoked: get a new one").into());
        }
        Ok(access)
    }

    /// The token that a ticket stands for.
    async fn admit(&self, request: &Parts, sealed: &str) -> Result<String, Problem> {
        let Some(tickets) = self.tickets.as_ref().filter(|_| request.method == Method::GET) else {
            let detail = "a ticket is for the GET of an EventSource: send the token as \
                          `Authorization: Bearer`";
            return Err(Refusal::invalid_token(detail).into());
        };
        let presented = match request.headers.get(LAST_EVENT_ID) {
            Some(id) => match self.hub.log().resolve(&String::from_utf8_lossy(id.as_bytes())).await
            {
                Ok(Resolved::Foreign) => Presented::First,
                Ok(_) => Presented::Position,
                Err(error) => return Err(Problem::unavailable(error.to_string())),
            },
            None => Presented::First,
        };
        let binding = Binding::of(request.uri.path(), request.uri.query());
        let mut tickets = tickets.lock().unwrap_or_else(PoisonError::into_inner);
        let admitted = tickets.admit(sealed, binding, presented, self.hub.now());
        let ticket = admitted.map_err(|error| {
            tracing::info!(%error, "a ticket was refused");
            match error {
                TicketError::TooMany => Refusal::unavailable(error.to_string()),
                _ => Refusal::invalid_token(error.to_string()),
            }
        })?;
        Ok(ticket.token)
    }

    async fn ask(&self, backend: &Backend, asked: Asked<'_>) -> Result<Arc<Access>, Refusal> {
        let verdict = backend.ask(asked, self.hub.now()).await.map_err(|error| {
            tracing::error!(%error, "the application could not be asked");
            error.refusal()
        })?;
        match verdict {
            Verdict::Allowed(access) if access.has_expired(self.hub.now()) => {
                Err(Refusal::invalid_token("what allowed this has ended: log in again"))
            }
            Verdict::Allowed(access) if self.hub.is_revoked(access.identity()) => {
                Err(Refusal::invalid_token("what allowed this was revoked: log in again"))
            }
            Verdict::Allowed(access) => Ok(access),
            denied @ Verdict::Denied { .. } => {
                tracing::info!("the application said no");
                Err(denied.refusal().unwrap_or_else(Refusal::missing))
            }
        }
    }

    /// Whether a request that has only what a browser sends whoever made it ask, such as a cookie, comes
    /// from a page that may publish.
    fn check_page(&self, request: &Parts) -> Result<(), Problem> {
        let may = |origin: &[u8]| self.guard.may_publish(request, origin);
        same_site(&request.headers, may).map_err(|error| Refusal::from(&error).into())
    }
}
