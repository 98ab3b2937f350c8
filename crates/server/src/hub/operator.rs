//! What the operator asks of a hub: who listens, and that somebody does so no longer.

use headwater_hub::Identity;
use headwater_log::{Appended, Draft, LogError, Millis};

use super::{Hub, now};
use crate::revocations::{Revocation, Revocations, Revoked};
use crate::shard::{Meant, Present};

/// Why tokens were not revoked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RevokeError {
    #[error(
        "{max} revocations are kept until their tokens expire: change the issuer's key instead",
        max = Revocations::MAX
    )]
    TooMany,
    #[error("the log did not take it, so that it might be forgotten: try again ({reason})")]
    Log { reason: String },
}

/// Where a list goes on: a shard, and a slot of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) shard: usize,
    pub(crate) slot: usize,
}

impl Hub {
    /// At most `max` listeners that are meant, from a place on, each with its shard; where the list goes
    /// on, if it does; and how many are meant in all.
    pub(crate) async fn listeners(
        &self,
        meant: &Meant,
        from: Place,
        max: usize,
    ) -> (Vec<(usize, Present)>, Option<Place>, usize) {
        let (mut listed, mut next, mut total) = (Vec::new(), None, 0);
        for (number, shard) in self.0.shards.iter().enumerate() {
            let from = match number {
                number if number < from.shard => usize::MAX,
                number if number == from.shard => from.slot,
                _ => 0,
            };
            // One more than is wanted, to know whether there is more.
            let (page, of_shard) =
                shard.list(meant.clone(), from, max + 1 - listed.len().min(max)).await;
            total += of_shard;
            for present in page {
                if listed.len() < max {
                    listed.push((number, present));
                } else {
                    next.get_or_insert(Place { shard: number, slot: present.key.slot() });
                }
            }
        }
        (listed, next, total)
    }

    /// Closes the streams of those that are meant, of one shard or of all; how many they were.
    pub(crate) async fn close(&self, meant: &Meant, shard: Option<usize>) -> usize {
        let mut closed = 0;
        for (number, own) in self.0.shards.iter().enumerate() {
            if shard.is_none_or(|shard| shard == number) {
                closed += own.close(meant.clone()).await;
            }
        }
        closed
    }

    /// Revokes tokens: from now on they are refused, here and wherever the log is read, and their streams
    /// are closed; how many those were here.
    pub(crate) async fn revoke(
        &self,
        revoked: Revoked,
        until: Millis,
    ) -> Result<usize, RevokeError> {
        let at = now();
        if !self.0.revocations.has_room(at) {
            return Err(RevokeError::TooMany);
        }
        let note = revoked.note(Revocation { at, until });
        // First here, so that nobody comes back while the log is being written; whether or not that works.
        self.0.revocations.note(&note, at);
        let meant = Meant { revoked: Some((revoked, at)), ..Meant::default() };
        let closed = self.close(&meant, None).await;
        let appended = self.0.log.append(vec![Draft { event: note, idempotency: None }]).await;
        match appended.into_iter().next() {
            Some(Appended::Committed(_)) => Ok(closed),
            Some(Appended::Rejected(rejection)) => {
                Err(RevokeError::Log { reason: rejection.to_string() })
            }
            Some(Appended::Unknown { reason }) => {
                Err(RevokeError::Log { reason: reason.to_string() })
            }
            Some(Appended::Duplicate { .. }) | None => {
                Err(RevokeError::Log { reason: "it gave no answer".to_owned() })
            }
        }
    }

    /// Whether a token was revoked.
    pub(crate) fn is_revoked(&self, identity: &Identity) -> bool {
        self.0.revocations.cover(identity, now())
    }

    /// Finds out which tokens the log says were revoked.
    ///
    /// # Errors
    /// If the log cannot be read: nobody can be let in then.
    pub(crate) async fn load_revocations(&self) -> Result<(), LogError> {
        self.0.revocations.load(&*self.0.log, now()).await
    }
}
