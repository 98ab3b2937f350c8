//! Who may publish and who may see what: the one decision that all dialects share.
//!
//! A verified token becomes an [`Access`]: whose it is, until when, and which topics it grants for which
//! action. What a subscriber sees of private events is its [`Visibility`], found once when it subscribes;
//! most are all or nothing and cost nothing afterwards. For the others a shard asks its [`Decisions`],
//! which remember the answer for each set of topics.

mod access;
mod decisions;
mod explain;
mod grant;
mod matcher;
mod visibility;

pub use access::{Access, Action, Actions, Identity, Rule};
pub use decisions::{Decisions, TopicSet, Viewer};
pub use explain::{Explanation, MatcherExplained, RuleExplained};
pub use grant::Grant;
pub use matcher::{MatcherCache, MatcherError, TopicMatcher};
pub use visibility::Visibility;
