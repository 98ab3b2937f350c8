//! The hub's word that events may be missing.

use serde::{Deserialize, Serialize};

/// What was asked for is not all there any more: events before the next one may be missing.
///
/// A Headwater hub tells it as an event of type `hub.gap`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The event id that was asked for, if it was one.
    pub requested: Option<String>,
    /// The id of the first event that follows, if there already is one.
    pub resumed: Option<String>,
    /// The position just before that event; the last event ID from now on.
    #[serde(skip)]
    pub id: String,
}

impl Gap {
    pub(crate) const EVENT_TYPE: &str = "hub.gap";

    /// `None` if the data are not a hub's: then it is some other server's event.
    pub(crate) fn parse(data: &str, id: &str) -> Option<Self> {
        let gap: Self = serde_json::from_str(data).ok()?;
        Some(Self { id: id.to_owned(), ..gap })
    }
}
