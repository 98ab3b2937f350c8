//! Who publishes, and what it may publish.

use std::sync::{Arc, LazyLock};

use headwater_hub::{Access, Action, Actions, Identity};
use headwater_log::{Draft, Millis, Topic};
use http::HeaderMap;
use http::request::Parts;

use crate::front::Front;
use crate::plain::draft::DraftError;
use crate::token::{Asked, Backend, Refusal};

/// A publisher.
pub(crate) struct Publisher {
    judge: Judge,
    /// Whether there can be subscribers who see private events.
    private: bool,
}

enum Judge {
    /// What it was granted.
    Granted(Arc<Access>),
    /// The application is asked about each event's topics.
    Asked { backend: Arc<Backend>, method: String, headers: HeaderMap },
}

static EVERYTHING: LazyLock<Arc<Access>> = LazyLock::new(|| {
    Access::to_everything(Actions::only(Action::Publish), Identity::default()).into()
});

impl Publisher {
    /// One who may publish everything, where no token can let anybody see what is private.
    pub(crate) fn anybody() -> Self {
        Self { private: false, ..Self::with_key() }
    }

    /// One who may publish everything.
    pub(super) fn with_key() -> Self {
        Self::granted(EVERYTHING.clone())
    }

    pub(super) fn granted(access: Arc<Access>) -> Self {
        Self { judge: Judge::Granted(access), private: true }
    }

    pub(super) fn asking(backend: Arc<Backend>, request: &Parts) -> Self {
        let (method, headers) = (request.method.to_string(), request.headers.clone());
        Self { judge: Judge::Asked { backend, method, headers }, private: true }
    }

    /// Whether what was presented has ended.
    pub(crate) fn has_expired(&self, now: Millis) -> bool {
        match &self.judge {
            Judge::Granted(access) => access.has_expired(now),
            Judge::Asked { .. } => false,
        }
    }

    /// Whether it may publish an event about these topics.
    pub(crate) async fn check(
        &self,
        front: &Front,
        topics: &[Topic],
        private: bool,
    ) -> Result<(), DraftError> {
        front.mercure.check_topics(topics)?;
        if private && !self.private {
            return Err(DraftError::Private);
        }
        let access = match &self.judge {
            Judge::Granted(access) => access.clone(),
            Judge::Asked { backend, method, headers } => {
                let (action, patterns, all) = (Action::Publish, &[][..], false);
                let asked = Asked { action, method, topics, patterns, all, headers };
                front.ask(backend, asked).await.map_err(DraftError::Refused)?
            }
        };
        if !access.allows(Action::Publish, topics) {
            let detail = "publishing to every topic of the event is not granted";
            return Err(DraftError::Refused(Refusal::insufficient_scope(detail)));
        }
        Ok(())
    }

    /// The same of many events; with the number of the first that it may not publish. An application is
    /// asked once about the same topics.
    pub(crate) async fn check_all(
        &self,
        front: &Front,
        drafts: &[Draft],
    ) -> Result<(), (usize, DraftError)> {
        let mut checked: Option<(&[Topic], bool)> = None;
        for (number, Draft { event, .. }) in drafts.iter().enumerate() {
            let asked_for = (&*event.topics, event.private);
            if checked != Some(asked_for) {
                let allowed = self.check(front, &event.topics, event.private).await;
                allowed.map_err(|error| (number, error))?;
                checked = Some(asked_for);
            }
        }
        Ok(())
    }
}
