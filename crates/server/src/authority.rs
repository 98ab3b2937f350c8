//! What whoever asks may do: the publish key, tokens, or nothing presented at all.

use std::sync::Arc;
use std::time::Duration;

use headwater_hub::{Access, Action, Actions, Identity};
use headwater_log::Topic;
use http::request::Parts;

use crate::front::Front;
use crate::plain::draft::DraftError;
use crate::problem::Problem;
use crate::token::{Credential, CredentialSettings, Refusal, Tokens, credential};

/// A publisher, and what it may publish.
pub(crate) struct Publisher {
    access: Arc<Access>,
    /// Whether there can be subscribers who see private events.
    private: bool,
}

impl Publisher {
    /// One who may publish everything, where no token can let anybody see what is private.
    pub(crate) fn anybody() -> Self {
        let everything = Access::to_everything(Actions::only(Action::Publish), Identity::default());
        Self { access: everything.into(), private: false }
    }

    /// Whether it may publish an event about these topics.
    pub(crate) fn check(&self, topics: &[Topic], private: bool) -> Result<(), DraftError> {
        if private && !self.private {
            return Err(DraftError::Private);
        }
        if !self.access.allows(Action::Publish, topics) {
            return Err(DraftError::NotGranted);
        }
        Ok(())
    }
}

impl Front {
    /// Who publishes, if it may publish anything. Verifies a token.
    pub(crate) async fn publisher(&self, request: &Parts) -> Result<Publisher, Problem> {
        self.guard.check_origin(request)?;
        let Some(tokens) = &self.config.tokens else {
            self.guard.check_key(request)?;
            return Ok(Publisher::anybody());
        };
        if self.guard.has_key(request) {
            return Ok(Publisher { private: true, ..Publisher::anybody() });
        }
        let access = self.access(tokens, request).await?;
        if access.grant(Action::Publish).is_none() {
            let refusal = match access.identity().expires {
                // Nothing was presented.
                None if access.rules().is_empty() => Refusal::missing(),
                _ => Refusal::insufficient_scope("the token grants no publishing"),
            };
            return Err(refusal.into());
        }
        Ok(Publisher { access, private: true })
    }

    /// Who subscribes. Who presents nothing sees what is public.
    pub(crate) async fn subscriber(&self, request: &Parts) -> Result<Arc<Access>, Problem> {
        match &self.config.tokens {
            // What is presented is the publish key, or means nothing here.
            None => Ok(Access::anonymous().into()),
            Some(_) if self.guard.has_key(request) => {
                Ok(Access::to_everything(Actions::ALL, Identity::default()).into())
            }
            Some(tokens) => self.access(tokens, request).await,
        }
    }

    async fn access(&self, tokens: &Tokens, request: &Parts) -> Result<Arc<Access>, Problem> {
        let settings = CredentialSettings::default();
        let presented = credential(&request.headers, request.uri.query(), &settings)
            .map_err(|error| Problem::from(Refusal::invalid_request(error.to_string())))?;
        let token = match presented {
            Credential::None => return Ok(Access::anonymous().into()),
            Credential::Token { token, .. } => token,
            Credential::Ticket(_) => {
                let detail = "this hub gives no tickets: send the token as `Authorization: Bearer`";
                return Err(Refusal::invalid_token(detail).into());
            }
        };
        let now = self.hub.now();
        let access = tokens.verify(&token, now).await.map_err(|error| {
            tracing::info!(check = error.check(), %error, "a token was refused");
            error.refusal()
        })?;
        if access.has_expired(now) {
            return Err(Refusal::invalid_token("the token has expired: get a new one").into());
        }
        Ok(access)
    }

    /// How long what somebody presented still lasts.
    pub(crate) fn lifetime(&self, access: &Access) -> Option<Duration> {
        let expires = access.identity().expires?;
        Some(Duration::from_millis(expires.0.saturating_sub(self.hub.now().0)))
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let challenge = refusal.challenge(None);
        let problem = if refusal.status.is_server_error() {
            Self::passing(refusal.status, refusal.detail)
        } else {
            Self::new(refusal.status, refusal.detail)
        };
        match challenge {
            Some(challenge) => problem.challenging(challenge),
            None => problem,
        }
    }
}
