//! How what is received is printed.

use headwater_client::{Event, Gap};
use headwater_event_stream::{EventFields, encode};
use serde::Serialize;

use super::Format;

/// A gap's JSON form, as a hub writes it.
#[derive(Serialize)]
struct GapLine<'a> {
    id: &'a str,
    r#type: &'a str,
    data: &'a str,
}

pub(super) fn event(format: Format, event: &Event, out: &mut Vec<u8>) {
    match format {
        Format::Data => line(&event.data, out),
        // The data is the event's JSON form, because the envelope was asked for. A line break in it is
        // white space between its tokens.
        Format::Json => line(&event.data.replace('\n', " "), out),
        Format::Sse => {
            let retry = event.retry.and_then(|retry| u64::try_from(retry.as_millis()).ok());
            let fields = EventFields {
                event_type: Some(&event.event),
                retry,
                data: Some(&event.data),
                id: Some(&event.id),
            };
            frame(&fields, out);
        }
    }
}

/// Printed where the reader of the format can tell it from an event.
pub(super) fn gap(format: Format, gap: &Gap, out: &mut Vec<u8>) {
    let data = serde_json::to_string(gap).unwrap_or_default();
    match format {
        Format::Data => {}
        Format::Json => {
            let gap = GapLine { id: &gap.id, r#type: "hub.gap", data: &data };
            line(&serde_json::to_string(&gap).unwrap_or_default(), out);
        }
        Format::Sse => {
            let fields = EventFields {
                event_type: Some("hub.gap"),
                retry: None,
                data: Some(&data),
                id: Some(&gap.id),
            };
            frame(&fields, out);
        }
    }
}

fn line(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(text.as_bytes());
    out.push(b'\n');
}

/// What was decoded can be encoded: types and ids hold no line break, ids no NUL.
fn frame(fields: &EventFields<'_>, out: &mut Vec<u8>) {
    let encoded = encode(fields, out);
    debug_assert!(encoded.is_ok(), "{fields:?}: {encoded:?}");
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn printed(format: Format) -> String {
        let mut out = Vec::new();
        let one = Event {
            event: "price".into(),
            data: "{\"a\":\n1}".into(),
            id: "7".into(),
            retry: Some(Duration::from_millis(1500)),
        };
        event(format, &one, &mut out);
        let told = Gap { requested: Some("x\"y".into()), resumed: None, id: "#p".into() };
        gap(format, &told, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn data_json_and_event_stream() {
        assert_eq!(printed(Format::Data), "{\"a\":\n1}\n");
        assert_eq!(
            printed(Format::Json),
            "{\"a\": 1}\n\
             {\"id\":\"#p\",\"type\":\"hub.gap\",\"data\":\"{\\\"requested\\\":\\\"x\\\\\\\"y\\\",\\\"resumed\\\":null}\"}\n"
        );
        assert_eq!(
            printed(Format::Sse),
            "event: price\nretry: 1500\ndata: {\"a\":\ndata: 1}\nid: 7\n\n\
             event: hub.gap\ndata: {\"requested\":\"x\\\"y\",\"resumed\":null}\nid: #p\n\n"
        );
    }
}
