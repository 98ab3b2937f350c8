//! Tokens that are good no more although they have not expired, kept as notes in the log.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use headwater_hub::Identity;
use headwater_log::{Event, Filter, Log, LogError, Millis, Read, Select, Topic};
use serde::{Deserialize, Serialize};

/// The tokens that were revoked and have not expired. As many as [`Revocations::MAX`].
#[derive(Debug, Default)]
pub(crate) struct Revocations(Mutex<HashMap<Revoked, Revocation>>);

/// Which tokens: that of a name, or all of a subject that were issued before they were revoked. An issuer
/// that is not named is any.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Revoked {
    #[serde(flatten)]
    pub(crate) by: By,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) iss: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum By {
    Jti(String),
    Sub(String),
}

/// When they were revoked, and until when that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Revocation {
    pub(crate) at: Millis,
    pub(crate) until: Millis,
}

impl Revoked {
    /// Whether a token is one of them, if they were revoked at this time. One of a subject that does not
    /// say when it was issued is.
    pub(crate) fn covers(&self, identity: &Identity, at: Millis) -> bool {
        let issuer = self.iss.is_none() || self.iss.as_deref() == identity.issuer.as_deref();
        issuer
            && match &self.by {
                By::Jti(name) => identity.token_id.as_deref() == Some(name),
                By::Sub(subject) => {
                    identity.subject.as_deref() == Some(subject)
                        && identity.issued.is_none_or(|issued| issued <= at)
                }
            }
    }

    /// The note that the log keeps of it.
    pub(crate) fn note(&self, revocation: Revocation) -> Event {
        // Names and texts always serialise; what is no JSON would be passed over.
        let data = serde_json::to_string(&Note { revoked: self.clone() }).unwrap_or_default();
        Event::control(revocation.at, revocation.until, data.into())
    }
}

/// What the note's data are.
#[derive(Serialize, Deserialize)]
struct Note {
    revoked: Revoked,
}

impl Revocations {
    /// At most so many, of some 200 bytes each.
    pub(crate) const MAX: usize = 100_000;

    /// Whether a token is revoked. Costs a look-up for each of its names.
    pub(crate) fn cover(&self, identity: &Identity, now: Millis) -> bool {
        if identity.subject.is_none() && identity.token_id.is_none() {
            return false;
        }
        let all = self.all();
        if all.is_empty() {
            return false;
        }
        let names = [
            identity.token_id.as_deref().map(|name| By::Jti(name.to_owned())),
            identity.subject.as_deref().map(|name| By::Sub(name.to_owned())),
        ];
        let issuers = [None, identity.issuer.as_deref().map(str::to_owned)];
        names.into_iter().flatten().any(|by| {
            issuers.iter().any(|iss| {
                let revoked = Revoked { by: by.clone(), iss: iss.clone() };
                all.get(&revoked)
                    .is_some_and(|own| own.until > now && revoked.covers(identity, own.at))
            })
        })
    }

    /// Whether there is room for one more.
    pub(crate) fn has_room(&self, now: Millis) -> bool {
        let mut all = self.all();
        if all.len() >= Self::MAX {
            all.retain(|_, own| own.until > now);
        }
        all.len() < Self::MAX
    }

    /// Takes in what the log says, if it is a revocation that still matters.
    pub(crate) fn note(&self, event: &Event, now: Millis) -> Option<(Revoked, Millis)> {
        let until = event.control_until().filter(|&until| until > now)?;
        let Note { revoked } = serde_json::from_str(&event.data).ok()?;
        let own = Revocation { at: event.time, until };
        // They were let in one by one, wherever that was.
        let mut all = self.all();
        let known = all.entry(revoked.clone()).or_insert(own);
        *known = Revocation { at: known.at.max(own.at), until: known.until.max(own.until) };
        Some((revoked, event.time))
    }

    /// Takes in all that a log has. Reads its notes.
    pub(crate) async fn load(&self, log: &dyn Log, now: Millis) -> Result<(), LogError> {
        let filter = std::sync::Arc::new(Filter::topic(Topic::control()));
        let bounds = log.bounds();
        let mut after = bounds.floor;
        while after < bounds.tail.offset {
            let (filter, select) = (filter.clone(), Select::Every);
            let page = log.read(Read { after, filter, select, bytes_max: 64 << 10 }).await?;
            for record in &page.records {
                self.note(&record.event, now);
            }
            if page.scanned_to.offset <= after {
                break;
            }
            after = page.scanned_to.offset;
        }
        Ok(())
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Revoked, Revocation>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(sub: Option<&str>, jti: Option<&str>, iss: &str, issued: Option<u64>) -> Identity {
        Identity {
            subject: sub.map(Into::into),
            token_id: jti.map(Into::into),
            issuer: Some(iss.into()),
            issued: issued.map(Millis),
            ..Identity::default()
        }
    }

    fn revoke(revocations: &Revocations, by: By, iss: Option<&str>, at: u64, until: u64) {
        let revoked = Revoked { by, iss: iss.map(str::to_owned) };
        let note = revoked.note(Revocation { at: Millis(at), until: Millis(until) });
        assert_eq!(revocations.note(&note, Millis(0)), Some((revoked, Millis(at))));
    }

    #[test]
    fn a_token_goes_by_its_name_and_all_of_a_subject_that_are_older() {
        let revocations = Revocations::default();
        let cover = |identity: &Identity, now| revocations.cover(identity, Millis(now));
        let ann = |jti: &str, issued| identity(Some("ann"), Some(jti), "here", issued);
        assert!(!cover(&ann("1", None), 5));
        revoke(&revocations, By::Jti("1".into()), None, 10, 100);
        assert!(cover(&ann("1", None), 20) && !cover(&ann("2", None), 20));
        assert!(!cover(&ann("1", None), 100), "it has expired");
        revoke(&revocations, By::Sub("ann".into()), Some("here"), 30, 200);
        assert!(cover(&ann("2", Some(30)), 40) && cover(&ann("2", None), 40));
        assert!(!cover(&ann("2", Some(31)), 40), "it was issued afterwards");
        let elsewhere = identity(Some("ann"), None, "there", None);
        assert!(!cover(&elsewhere, 40));
        assert!(!cover(&identity(Some("bob"), Some("3"), "here", None), 40));
        assert!(!cover(&Identity::default(), 40));
    }

    #[test]
    fn a_second_revocation_shortens_no_first() {
        let revocations = Revocations::default();
        for (at, until) in [(10, 100), (20, 50)] {
            revoke(&revocations, By::Sub("ann".into()), None, at, until);
        }
        let token = |issued| identity(Some("ann"), None, "here", Some(issued));
        assert!(revocations.cover(&token(15), Millis(99)));
        assert!(!revocations.cover(&token(21), Millis(60)));
    }

    #[test]
    fn what_is_no_revocation_is_passed_over() {
        let revocations = Revocations::default();
        let note = |data: &str| Event::control(Millis(1), Millis(100), data.into());
        for data in ["", "{}", "{\"revoked\":{}}", "{\"later\":1}"] {
            assert_eq!(revocations.note(&note(data), Millis(2)), None, "{data}");
        }
        let old = note("{\"revoked\":{\"jti\":\"1\"}}");
        assert_eq!(revocations.note(&old, Millis(100)), None);
        assert!(revocations.note(&old, Millis(99)).is_some());
    }
}
