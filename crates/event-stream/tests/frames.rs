//! Frames, byte by byte.

use headwater_event_stream::{EncodeError, EventFields, encode, encode_comment};

const NONE: EventFields<'static> =
    EventFields { event_type: None, retry: None, data: None, id: None };

fn frame(fields: EventFields<'_>) -> String {
    let mut out = Vec::new();
    encode(&fields, &mut out).expect("it can be represented");
    // A `Vec` of bytes begins with 8.
    assert_eq!(out.capacity(), out.len().max(8), "a new buffer takes no more than the frame");
    String::from_utf8(out).expect("frames are text")
}

#[test]
fn the_id_is_last() {
    let fields = EventFields {
        event_type: Some("update"),
        retry: Some(3000),
        data: Some("a\nb"),
        id: Some("42"),
    };
    assert_eq!(frame(fields), "event: update\nretry: 3000\ndata: a\ndata: b\nid: 42\n\n");
}

#[test]
fn what_is_absent_or_needless_writes_no_line() {
    assert_eq!(frame(NONE), "\n");
    for event_type in [None, Some(""), Some("message")] {
        assert_eq!(frame(EventFields { event_type, data: Some("a"), ..NONE }), "data: a\n\n");
    }
    assert_eq!(frame(EventFields { event_type: Some("x"), ..NONE }), "event: x\n\n");
    assert_eq!(frame(EventFields { retry: Some(0), ..NONE }), "retry: 0\n\n");
    assert_eq!(
        frame(EventFields { retry: Some(u64::MAX), ..NONE }),
        format!("retry: {}\n\n", u64::MAX)
    );
    assert_eq!(frame(EventFields { id: Some("1"), ..NONE }), "id: 1\n\n");
}

#[test]
fn empty_values_write_their_line() {
    assert_eq!(frame(EventFields { data: Some(""), ..NONE }), "data:\n\n");
    assert_eq!(frame(EventFields { data: Some("\n"), ..NONE }), "data:\ndata:\n\n");
    assert_eq!(frame(EventFields { id: Some(""), ..NONE }), "id:\n\n");
}

/// WHATWG HTML 9.2.5: "Lines must be separated by either a U+000D CARRIAGE RETURN U+000A LINE FEED (CRLF)
/// character pair, a single U+000A LINE FEED (LF) character, or a single U+000D CARRIAGE RETURN (CR)
/// character."
#[test]
fn every_line_break_in_data_begins_a_line() {
    let data = Some("a\nb\rc\r\nd\n\re");
    let lines = "data: a\ndata: b\ndata: c\ndata: d\ndata:\ndata: e\n\n";
    assert_eq!(frame(EventFields { data, ..NONE }), lines);
}

#[test]
fn spaces_survive() {
    let fields = EventFields { event_type: Some(" x"), data: Some("  a "), id: Some(" "), ..NONE };
    assert_eq!(frame(fields), "event:  x\ndata:   a \nid:  \n\n");
}

#[test]
fn what_cannot_be_represented_is_refused() {
    for (fields, expected) in [
        (EventFields { event_type: Some("a\nb"), ..NONE }, EncodeError::LineBreakInEventType),
        (EventFields { event_type: Some("a\r"), ..NONE }, EncodeError::LineBreakInEventType),
        (EventFields { id: Some("\n"), ..NONE }, EncodeError::LineBreakInId),
        (EventFields { id: Some("1\rdata: x"), ..NONE }, EncodeError::LineBreakInId),
        (EventFields { id: Some("1\0"), ..NONE }, EncodeError::NulInId),
    ] {
        let mut out = b"kept".to_vec();
        assert_eq!(encode(&fields, &mut out), Err(expected));
        assert_eq!(out, b"kept");
    }
}

#[test]
fn comments() {
    for (text, lines) in
        [("", ":\n"), ("a", ": a\n"), (" a", ":  a\n"), ("a\r\n\rb", ": a\n:\n: b\n")]
    {
        let mut out = Vec::new();
        encode_comment(text, &mut out);
        assert_eq!(out, lines.as_bytes());
    }
}
