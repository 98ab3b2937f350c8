//! The long poll: what came after a position, as one JSON answer.

use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use headwater_hub::{Block, BlockKind, Gap};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::Hub;
use crate::stream::EventStream;

/// The most events of one answer.
pub(crate) const EVENTS_MAX: u32 = 1_000;
/// Who waits for nothing still gets what is there already, which takes the hub a moment to look up.
const WAIT_MIN: Duration = Duration::from_millis(100);

/// Waits for the first event, at most `wait`, and gives it with all that is there after it: at most
/// `bytes_max` and one block more.
pub(crate) async fn collect(
    hub: &Hub,
    mut stream: EventStream,
    wait: Duration,
    bytes_max: usize,
) -> String {
    let mut found = Found::default();
    let mut over = pin!(tokio::time::sleep(wait.max(WAIT_MIN)));
    while !found.is_complete(bytes_max) {
        tokio::select! {
            biased;
            block = stream.next() => match block {
                Some(block) => found.take(block),
                None => break,
            },
            () = &mut over => break,
        }
    }
    found.to_json(&hub.id(stream.position()))
}

/// What the answer will hold.
#[derive(Debug, Default)]
struct Found {
    /// JSON objects, with commas between them.
    events: Vec<u8>,
    gap: Option<Gap>,
    caught_up: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    events: &'a RawValue,
    last_event_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    gap: Option<&'a Gap>,
}

impl Found {
    fn take(&mut self, block: Block) {
        match block.kind {
            // Line ends stand between the objects and nowhere in them.
            BlockKind::Events => {
                let objects = block.bytes.split(|&byte| byte == b'\n').filter(|o| !o.is_empty());
                for object in objects {
                    if !self.events.is_empty() {
                        self.events.push(b',');
                    }
                    self.events.extend_from_slice(object);
                }
            }
            BlockKind::Gap(gap) => self.gap = Some(gap),
            BlockKind::Open | BlockKind::Heartbeat | BlockKind::Checkpoint | BlockKind::End => {
                return;
            }
        }
        self.caught_up = block.caught_up;
    }

    fn is_complete(&self, bytes_max: usize) -> bool {
        let some = !self.events.is_empty() || self.gap.is_some();
        some && (self.caught_up || self.events.len() >= bytes_max)
    }

    fn to_json(&self, last_event_id: &str) -> String {
        let events = format!("[{}]", String::from_utf8_lossy(&self.events));
        let events = RawValue::from_string(events).unwrap_or_else(|_| RawValue::NULL.to_owned());
        let answer = Answer { events: &events, last_event_id, gap: self.gap.as_ref() };
        let mut text = serde_json::to_string(&answer).unwrap_or_default();
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use headwater_log::Position;

    use super::*;

    fn block(kind: BlockKind, bytes: &'static [u8], caught_up: bool) -> Block {
        let bytes = Bytes::from_static(bytes);
        Block { bytes, kind, events: 0, position: Position::FOREIGN, caught_up }
    }

    #[test]
    fn an_answer_holds_the_events_the_gap_and_where_to_go_on() {
        let mut found = Found::default();
        assert_eq!(found.to_json("#p"), "{\"events\":[],\"last_event_id\":\"#p\"}\n");
        found.take(block(BlockKind::Heartbeat, b"\n", true));
        assert!(!found.is_complete(100));
        let gap = Gap { requested: Some("#old".into()), resumed: None };
        found.take(block(BlockKind::Gap(gap), b"{}\n", false));
        assert!(!found.is_complete(100));
        found.take(block(BlockKind::Events, b"{\"id\":\"1\"}\n{\"id\":\"2\"}\n", false));
        assert!(!found.is_complete(100) && found.is_complete(20));
        found.take(block(BlockKind::Events, b"{\"id\":\"3\"}\n", true));
        assert!(found.is_complete(100));
        assert_eq!(
            found.to_json("#p"),
            "{\"events\":[{\"id\":\"1\"},{\"id\":\"2\"},{\"id\":\"3\"}],\"last_event_id\":\"#p\",\
             \"gap\":{\"requested\":\"#old\",\"resumed\":null}}\n"
        );
    }
}
