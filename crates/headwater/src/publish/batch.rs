//! Events on their way to the hub, as `POST /events` takes them.

use std::mem;

use bytes::Bytes;
use serde::Serialize;

/// Lines of NDJSON, an event each.
#[derive(Default)]
pub(crate) struct Batch {
    lines: Vec<u8>,
    events: usize,
}

/// An event as a hub takes it.
#[derive(Serialize)]
pub(crate) struct Draft<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) topic: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) r#type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry: Option<u64>,
    pub(crate) data: &'a str,
}

impl Batch {
    /// A batch is as large as pays; a hub takes 10,000 lines and 8 MiB unless its operator says otherwise.
    const EVENTS_MAX: usize = 1_000;
    const BYTES_MAX: usize = 256 * 1024;

    pub(crate) fn push(&mut self, draft: &Draft<'_>) {
        let begin = self.lines.len();
        // Strings and numbers always serialise; if not, the line is not there.
        match serde_json::to_writer(&mut self.lines, draft) {
            Ok(()) => self.end_line(),
            Err(_) => self.lines.truncate(begin),
        }
    }

    /// Adds a line that is JSON already, without a line break.
    pub(crate) fn push_json(&mut self, line: &[u8]) {
        self.lines.extend_from_slice(line);
        self.end_line();
    }

    fn end_line(&mut self) {
        self.lines.push(b'\n');
        self.events += 1;
    }

    /// Whether it shall be sent before more is added.
    pub(crate) fn is_full(&self) -> bool {
        self.events >= Self::EVENTS_MAX || self.lines.len() >= Self::BYTES_MAX
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.events == 0
    }

    pub(crate) fn events(&self) -> usize {
        self.events
    }

    /// Empties it.
    pub(crate) fn take(&mut self) -> Bytes {
        self.events = 0;
        mem::take(&mut self.lines).into()
    }
}
