//! Questions of the operator to a shard: who listens, and that some listen no longer.

use std::net::SocketAddr;
use std::sync::Arc;

use headwater_hub::{Access, Encoding, Key, Listener};
use headwater_log::{Filter, Millis, Topic};
use tokio::sync::oneshot;

use super::worker::Worker;
use crate::revocations::Revoked;

/// What a shard is asked.
pub(crate) enum Visit {
    /// For those that are meant, from a slot on and at most so many; and how many are meant in all.
    List { meant: Meant, from: usize, max: usize, answer: oneshot::Sender<(Vec<Present>, usize)> },
    /// To close the streams of those that are meant; how many they were.
    Close { meant: Meant, answer: oneshot::Sender<usize> },
}

/// Who is meant: those for whom all holds that is said. It says nothing of a listener who showed no token
/// but what it listens to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Meant {
    /// The listener's name in its shard.
    pub(crate) key: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) token_id: Option<String>,
    /// It would receive an event of this topic.
    pub(crate) topic: Option<Topic>,
    /// Its token is one of these, which were revoked at this time.
    pub(crate) revoked: Option<(Revoked, Millis)>,
}

/// A listener as the operator sees it.
#[derive(Debug)]
pub(crate) struct Present {
    pub(crate) key: Key,
    /// What it showed, if that has a name.
    pub(crate) owner: Option<Arc<Access>>,
    /// The other end of its connection, if the connection is nothing but this stream.
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) filter: Arc<Filter>,
    pub(crate) encoding: Encoding,
    pub(crate) live: bool,
}

impl Meant {
    fn covers(&self, listener: &Listener, owner: Option<&Access>) -> bool {
        let identity = owner.map(Access::identity);
        let subject = identity.and_then(|identity| identity.subject.as_deref());
        let token_id = identity.and_then(|identity| identity.token_id.as_deref());
        let is = |said: &Option<String>, found: Option<&str>| {
            said.as_deref().is_none_or(|said| found == Some(said))
        };
        is(&self.subject, subject)
            && is(&self.token_id, token_id)
            && self.topic.as_ref().is_none_or(|topic| listener.filter.matches_topic(topic))
            && self.key.as_deref().is_none_or(|key| listener.key.to_string() == key)
            && self.revoked.as_ref().is_none_or(|(revoked, at)| {
                identity.is_some_and(|identity| revoked.covers(identity, *at))
            })
    }
}

impl Worker {
    /// Answers a question. Costs a look at each subscriber.
    pub(super) fn visit(&mut self, visit: Visit) {
        // Who asked may have gone meanwhile.
        match visit {
            Visit::List { meant, from, max, answer } => {
                let all = self.meant(&meant);
                let total = all.len();
                let page = all.into_iter().filter(|listener| listener.key.slot() >= from).take(max);
                let page = page.map(|listener| self.present(listener)).collect();
                drop(answer.send((page, total)));
            }
            Visit::Close { meant, answer } => {
                let all = self.meant(&meant);
                all.iter().for_each(|listener| self.shard.disconnect(listener.key));
                self.carry_out();
                let _ = answer.send(all.len());
            }
        }
    }

    fn meant(&self, meant: &Meant) -> Vec<Listener> {
        let covers = |listener: &Listener| {
            meant.covers(listener, self.owners.get(&listener.key).map(|owner| &**owner))
        };
        self.shard.listeners().filter(covers).collect()
    }

    fn present(&self, listener: Listener) -> Present {
        let Listener { key, filter, encoding, live } = listener;
        let owner = self.owners.get(&key).cloned();
        Present { key, owner, peer: self.outlets.peer(key), filter, encoding, live }
    }
}
