//! What comes out of a decoder.

/// Something that the stream said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// An event was dispatched.
    Event(Event<'a>),
    /// The stream sets the reconnection time, in milliseconds: at once, before the event of the same block
    /// if there is one.
    Retry(u64),
    /// A comment line, without its colon and without one space after it. Only if asked for by
    /// [`Decoder::report_comments`](crate::Decoder::report_comments).
    Comment(&'a str),
}

/// A dispatched event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The event's type; `message` if the stream names none.
    pub event_type: &'a str,
    /// The values of the `data` lines, joined by LF. May be empty.
    pub data: &'a str,
    /// The last event ID string (`lastEventId` in browsers), also if an earlier event set it. May be empty.
    pub id: &'a str,
    /// The same if this event's own block has an `id` line, else `None`.
    pub block_id: Option<&'a str>,
    /// The reconnection time that this event's own block has set, in milliseconds. It was reported as
    /// [`Item::Retry`] before.
    pub block_retry: Option<u64>,
}
