//! An event that its reader owns.

use std::time::Duration;

use headwater_event_stream::Event as Borrowed;
use serde::de::DeserializeOwned;
use smol_str::SmolStr;

/// An event.
///
/// Up to 23 bytes of its type and of its id lie in the event itself; so do all ids of a Headwater hub.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its type, which the stream's `event` field sets; `message` if the stream names none.
    pub event: SmolStr,
    /// Its data. May be empty.
    pub data: String,
    /// The last event ID string, also if an earlier event set it. May be empty.
    pub id: SmolStr,
    /// The reconnection time that came with it.
    pub retry: Option<Duration>,
}

impl Event {
    /// What its data, as JSON, are.
    ///
    /// # Errors
    ///
    /// If they are not JSON, or not of this type.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.data)
    }
}

impl From<Borrowed<'_>> for Event {
    fn from(event: Borrowed<'_>) -> Self {
        Self {
            event: SmolStr::new(event.event_type),
            data: event.data.to_owned(),
            id: SmolStr::new(event.id),
            retry: event.block_retry.map(Duration::from_millis),
        }
    }
}
