//! The blocks that the hub itself puts into a stream.

use bytes::Bytes;
use headwater_event_stream::EventFields;
use headwater_log::{IdKey, Position};
use serde::Serialize;

use crate::encoding::{Encoding, write_fields};
use crate::subscription::{Gap, Resume};

/// The first bytes of every SSE response; nothing in other encodings.
///
/// WebKit glues what was left of an event that a reset cut off onto the first bytes of the next
/// response. The colon line spoils such a rest, the `data` line makes Firefox take the id, and the id
/// lets a page that has received nothing yet come back to where it began.
pub(crate) fn open(encoding: Encoding, resume: Resume, retry_ms: u64, id: &str) -> Bytes {
    match encoding {
        Encoding::Ndjson => return Bytes::new(),
        // As Mercure hubs begin, so that proxies and clients see that something has.
        Encoding::Mercure => return Bytes::from(format!(":\nretry: {retry_ms}\nid: {id}\n")),
        Encoding::Sse | Encoding::SseEnvelope => {}
    }
    let resume = resume.as_str();
    Bytes::from(format!(
        ":\nevent: hub.open\nretry: {retry_ms}\ndata: {{\"resume\":\"{resume}\"}}\nid: {id}\n\n"
    ))
}

/// Tells that events may have been missed. `id` is the position just before what follows.
pub(crate) fn gap(encoding: Encoding, gap: &Gap, id: &str) -> Bytes {
    let data = serde_json::to_string(gap).unwrap_or_default();
    block(encoding, "hub.gap", &data, id)
}

/// Tells a quiet stream how far the log has moved on, so that its place does not grow old.
pub(crate) fn checkpoint(encoding: Encoding, position: Position, key: &IdKey) -> Bytes {
    if !encoding.is_sse() {
        return Bytes::new();
    }
    block(encoding, "hub.checkpoint", "", &key.seal(position))
}

/// WHATWG HTML 9.2.7: "authors can include a comment line (one starting with a ':' character) every 15
/// seconds or so."
pub(crate) fn heartbeat(encoding: Encoding) -> Bytes {
    Bytes::from_static(if encoding.is_sse() { b":\n" } else { b"\n" })
}

/// The last bytes of a stream that ends because the hub stops: when to come back.
pub(crate) fn end(encoding: Encoding, retry_ms: u64) -> Bytes {
    match encoding {
        Encoding::Ndjson => return Bytes::new(),
        Encoding::Mercure => return Bytes::from(format!("retry: {retry_ms}\n")),
        Encoding::Sse | Encoding::SseEnvelope => {}
    }
    write_fields(&EventFields { retry: Some(retry_ms), ..EventFields::default() })
}

#[derive(Serialize)]
struct Json<'a> {
    id: &'a str,
    r#type: &'a str,
    data: &'a str,
}

/// In the Mercure dialect a block is its id alone, without the blank line that would end it: to the
/// standard it is then the beginning of the next event, which has an id of its own; clients that look at
/// each line know the new place at once; and those that take any block for an event, data or not, see none.
fn block(encoding: Encoding, event_type: &str, data: &str, id: &str) -> Bytes {
    if encoding == Encoding::Mercure {
        return Bytes::from(format!("id: {id}\n"));
    }
    if encoding.is_sse() {
        return write_fields(&EventFields {
            event_type: Some(event_type),
            data: Some(data),
            id: Some(id),
            retry: None,
        });
    }
    let mut line =
        serde_json::to_string(&Json { id, r#type: event_type, data }).unwrap_or_default();
    line.push('\n');
    line.into()
}

#[cfg(test)]
mod tests {
    use headwater_event_stream::{Decoder, Item};

    use super::*;

    #[test]
    fn in_the_mercure_dialect_no_block_is_an_event_and_the_next_one_is_whole() {
        let key = IdKey::new([7; 16]);
        let gap_of = Gap { requested: None, resumed: None };
        let mercure = Encoding::Mercure;
        let blocks = [
            open(mercure, Resume::Exact, 1234, "#open"),
            heartbeat(mercure),
            checkpoint(mercure, Position::FOREIGN, &key),
            gap(mercure, &gap_of, "#gap"),
            end(mercure, 99),
        ];
        let mut stream: Vec<u8> = blocks.concat();
        assert!(stream.starts_with(b":\n") && !stream.windows(2).any(|pair| pair == b"\n\n"));
        stream.extend_from_slice(b"data: x\nid: 1\n\n");
        let (mut decoder, mut input) = (Decoder::new(), &stream[..]);
        let mut events = Vec::new();
        while let Some(item) = decoder.decode(&mut input).unwrap() {
            if let Item::Event(event) = item {
                events.push([event.event_type, event.data, event.id].map(str::to_owned));
            }
        }
        assert_eq!(events, [["message", "x", "1"].map(str::to_owned)]);
    }
}
