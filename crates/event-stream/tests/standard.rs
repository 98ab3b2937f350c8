//! The standard's sentences, each with streams that would come out otherwise if it were not obeyed. All
//! quotes are of WHATWG HTML 9.2.5 and 9.2.6.

mod checks;

use checks::{Owned, OwnedEvent, check_decode, decode_chunks};
use headwater_event_stream::Decoder;

/// An event as most streams make it: type, data, last event ID string.
fn event(event_type: &str, data: &str, id: &str) -> Owned {
    Owned::Event(OwnedEvent {
        event_type: event_type.to_owned(),
        data: data.to_owned(),
        id: id.to_owned(),
        block_id: None,
        block_retry: None,
    })
}

/// A `message` without an id.
fn message(data: &str) -> Owned {
    event("message", data, "")
}

/// The same with what its own block has set.
fn own(item: Owned, block_id: Option<&str>, block_retry: Option<u64>) -> Owned {
    match item {
        Owned::Event(event) => {
            Owned::Event(OwnedEvent { block_id: block_id.map(str::to_owned), block_retry, ..event })
        }
        other => other,
    }
}

/// Each stream gives its items, in one piece and however it is cut.
fn check(cases: &[(&[u8], &[Owned])]) {
    for (stream, expected) in cases {
        let (items, failure, _) = decode_chunks(&mut Decoder::new(), [*stream]);
        assert_eq!((items.as_slice(), failure), (*expected, None), "{}", stream.escape_ascii());
        check_decode(stream);
    }
}

/// "Streams must be decoded using the UTF-8 decode algorithm."
#[test]
fn invalid_utf_8_becomes_replacement_characters() {
    check(&[
        (b"data: \xFF\n\n", &[message("\u{FFFD}")]),
        (b"data: \xF0\x9F\x8C\x8A\n\n", &[message("🌊")]),
        (b"data: a\xF0\x9F\x8Cb\n\n", &[message("a\u{FFFD}b")]),
        (b"data: \xED\xA0\x80\n\n", &[message("\u{FFFD}\u{FFFD}\u{FFFD}")]),
        (b"data: \xF0\x9F\ndata: \x8C\x8A\n\n", &[message("\u{FFFD}\n\u{FFFD}\u{FFFD}")]),
        (
            b"event: \xC3\nid: \xC3\ndata: \xC3\n\n",
            &[own(event("\u{FFFD}", "\u{FFFD}", "\u{FFFD}"), Some("\u{FFFD}"), None)],
        ),
        (b"x\xFF: 1\ndata: a\n\n", &[message("a")]),
        (b"data\xFF: 1\ndata: a\n\n", &[message("a")]),
        (b"data:\xC3 a\n\n", &[message("\u{FFFD} a")]),
        (b"retry: 1\xFF\ndata: a\n\n", &[message("a")]),
        (b"data: \xC3", &[]),
    ]);
}

/// "The UTF-8 decode algorithm strips one leading UTF-8 Byte Order Mark (BOM), if any."
#[test]
fn one_leading_bom_is_dropped() {
    check(&[
        (b"\xEF\xBB\xBFdata: a\n\n", &[message("a")]),
        (b"\xEF\xBB\xBF\xEF\xBB\xBFdata: a\ndata: b\n\n", &[message("b")]),
        (b"data: a\n\n\xEF\xBB\xBFdata: b\ndata: c\n\n", &[message("a"), message("c")]),
        (b"\n\xEF\xBB\xBFdata: a\ndata: b\n\n", &[message("b")]),
        (b"data:\xEF\xBB\xBFa\n\n", &[message("\u{FEFF}a")]),
        (b"\xEF\xBBdata: a\ndata: b\n\n", &[message("b")]),
        (b"\xEF\n\ndata: b\n\n", &[message("b")]),
        (b"\xEF\xBB\r\rdata: b\n\n", &[message("b")]),
        (b"\xEF\xBB\xBF\ndata: a\n\n", &[message("a")]),
        (b"\xEF\xBB\xBF", &[]),
    ]);
}

/// "a U+000D CARRIAGE RETURN U+000A LINE FEED (CRLF) character pair, a single U+000A LINE FEED (LF)
/// character not preceded by a U+000D CARRIAGE RETURN (CR) character, and a single U+000D CARRIAGE RETURN
/// (CR) character not followed by a U+000A LINE FEED (LF) character being the ways in which a line can end."
#[test]
fn lines_end_in_lf_cr_or_crlf() {
    check(&[
        (b"data: a\n\ndata: b\n\n", &[message("a"), message("b")]),
        (b"data: a\r\rdata: b\r\r", &[message("a"), message("b")]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", &[message("a"), message("b")]),
        (b"data: a\ndata: b\rdata: c\r\ndata: d\n\r\n", &[message("a\nb\nc\nd")]),
        (b"data: a\n\r\ndata: b\r\r\n", &[message("a"), message("b")]),
        (b"data: a\r\ndata: b\n\n", &[message("a\nb")]),
        (b"\r\n\r\n\n\r\rdata: a\r\n\r\n", &[message("a")]),
        // Other Unicode line ends are not.
        ("data: a\u{2028}b\u{85}c\u{B}d\n\n".as_bytes(), &[message("a\u{2028}b\u{85}c\u{B}d")]),
    ]);
}

/// The same: a CR ends its line at once, not when the byte after it has come.
#[test]
fn a_cr_at_the_end_of_a_chunk_fires_at_once() {
    let mut decoder = Decoder::new();
    let (items, _, _) = decode_chunks(&mut decoder, [&b"data: a\r\n\r"[..]]);
    assert_eq!(items, [message("a")]);
    let (items, _, _) = decode_chunks(&mut decoder, [&b"\ndata: b\r"[..], b"\r"]);
    assert_eq!(items, [message("b")]);
    let (items, _, _) = decode_chunks(&mut decoder, [&b"\n"[..], b"", b"\n", b"data: c\n\n"]);
    assert_eq!(items, [message("c")]);
}

/// "If the line starts with a U+003A COLON character (:): Ignore the line."
#[test]
fn comments_are_ignored() {
    check(&[
        (b":\n\n", &[]),
        (b": a\ndata: a\n:data: b\n\n", &[message("a")]),
        (b"data: a\n:\ndata: b\n\n", &[message("a\nb")]),
        (b":id: 1\n:retry: 1\ndata: a\n\n", &[message("a")]),
    ]);
    let mut decoder = Decoder::new().report_comments(true);
    let (items, _, _) = decode_chunks(&mut decoder, [&b": a\n:b\n:  c\n:\n: \n"[..]]);
    assert_eq!(items, ["a", "b", " c", "", ""].map(|text| Owned::Comment(text.to_owned())));
}

/// "Collect the characters on the line before the first U+003A COLON character (:), and let field be that
/// string. […] If value starts with a U+0020 SPACE character, remove it from value."
#[test]
fn one_leading_space_is_removed() {
    check(&[
        (b"data:a\n\n", &[message("a")]),
        (b"data: a\n\n", &[message("a")]),
        (b"data:  a\n\n", &[message(" a")]),
        (b"data:\ta\n\n", &[message("\ta")]),
        (b"data: a: b:c \n\n", &[message("a: b:c ")]),
        (b"data::\n\n", &[message(":")]),
        (b"event: \ndata: a\n\n", &[message("a")]),
        (b"event:  \ndata: a\n\n", &[event(" ", "a", "")]),
        (b"id:  1\ndata: a\n\n", &[own(event("message", "a", " 1"), Some(" 1"), None)]),
    ]);
}

/// "Otherwise, the string is not empty but does not contain a U+003A COLON character (:): Process the field
/// […] using the whole line as the field name, and the empty string as the field value."
#[test]
fn a_line_without_a_colon_is_a_field_without_a_value() {
    check(&[
        (b"data\n\n", &[message("")]),
        (b"data\ndata\n\n", &[message("\n")]),
        (b"event: x\nevent\ndata: a\n\n", &[message("a")]),
        (b"id: 1\nid\ndata: a\n\n", &[own(message("a"), Some(""), None)]),
        (b"retry\ndata: a\n\n", &[message("a")]),
        (b"data a\ndata: b\n\n", &[message("b")]),
    ]);
}

/// "Field names must be compared literally, with no case folding performed." "Otherwise: The field is
/// ignored."
#[test]
fn other_fields_are_ignored() {
    check(&[
        (b"Data: a\nDATA: b\ndata: c\n\n", &[message("c")]),
        (b" data: a\ndata : b\ndata: c\n\n", &[message("c")]),
        (b"datax: a\ndat: b\nd: c\ndata: d\n\n", &[message("d")]),
        (b"data\0: a\n\0data: b\ndata: c\n\n", &[message("c")]),
        (b"justsome: text\n\n", &[]),
        (b"Event: x\nID: 1\nRetry: 1\ndata: a\n\n", &[message("a")]),
    ]);
}

/// "If the field name is "event": Set the event type buffer to the field value."
#[test]
fn event_sets_the_type_of_one_event() {
    check(&[
        (b"event: x\ndata: a\n\ndata: b\n\n", &[event("x", "a", ""), message("b")]),
        (b"data: a\nevent: x\nevent: y\n\n", &[event("y", "a", "")]),
        (b"event: x\n\ndata: a\n\n", &[message("a")]),
        (b"event: x\nevent:\ndata: a\n\n", &[message("a")]),
        (b"event: message\ndata: a\n\n", &[message("a")]),
        (b"event: a\0b\ndata: a\n\n", &[event("a\0b", "a", "")]),
    ]);
}

/// "Append the field value to the data buffer, then append a single U+000A LINE FEED (LF) character to the
/// data buffer." "If the data buffer's last character is a U+000A LINE FEED (LF) character, then remove the
/// last character from the data buffer."
#[test]
fn data_lines_are_joined() {
    check(&[
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", &[message("YHOO\n+2\n10")]),
        (b"data:\n\n", &[message("")]),
        (b"data: \n\n", &[message("")]),
        (b"data:\ndata:\n\n", &[message("\n")]),
        (b"data: a\ndata:\n\n", &[message("a\n")]),
        (b"data:\ndata: a\n\n", &[message("\na")]),
        (b"data: a\0b\n\n", &[message("a\0b")]),
        // The standard's own examples.
        (
            b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
            &[
                own(event("message", "first event", "1"), Some("1"), None),
                own(message("second event"), Some(""), None),
                message(" third event"),
            ],
        ),
        (b"data\n\ndata\ndata\n\ndata:", &[message(""), message("\n")]),
        (b"data:test\n\ndata: test\n\n", &[message("test"), message("test")]),
    ]);
}

/// "If the data buffer is an empty string, set the data buffer and the event type buffer to the empty string
/// and return."
#[test]
fn without_data_nothing_is_dispatched() {
    check(&[
        (b"\n\n\n", &[]),
        (b"event: x\nid: 1\n\n", &[]),
        (b"event: x\n\n\ndata: a\n\n", &[message("a")]),
    ]);
}

/// "If the field value does not contain U+0000 NULL, then set the last event ID buffer to the field value.
/// Otherwise, ignore the field."
#[test]
fn an_id_with_nul_is_ignored() {
    check(&[
        (b"id: 1\0\ndata: a\n\n", &[message("a")]),
        (b"id: 1\nid: \0\ndata: a\n\n", &[own(event("message", "a", "1"), Some("1"), None)]),
        (b"id: 1\n\nid: 2\x00\ndata: a\n\n", &[event("message", "a", "1")]),
    ]);
}

/// "Set the last event ID string of the event source to the value of the last event ID buffer. The buffer
/// does not get reset, so the last event ID string of the event source remains set to this value until the
/// next time it is set by the server."
#[test]
fn the_last_event_id_stays() {
    check(&[
        (
            b"id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\ndata: d\n\n",
            &[
                own(event("message", "a", "1"), Some("1"), None),
                event("message", "b", "1"),
                own(message("c"), Some(""), None),
                message("d"),
            ],
        ),
        // Before the empty data buffer is looked at.
        (b"id: 9\n\ndata: a\n\n", &[event("message", "a", "9")]),
        (b"id: 1\nid: 2\ndata: a\n\n", &[own(event("message", "a", "2"), Some("2"), None)]),
    ]);
    let mut decoder = Decoder::new();
    let (_, _, last_event_id) = decode_chunks(&mut decoder, [&b"id: 1\n\nid: 2\ndata: a\n"[..]]);
    assert_eq!(last_event_id, "1", "set when the block ends");
    decoder.reset();
    let (items, _, last_event_id) = decode_chunks(&mut decoder, [&b"data: b\n\n"[..]]);
    assert_eq!((items, last_event_id.as_str()), (vec![event("message", "b", "1")], "1"));
}

/// "If the field value consists of only ASCII digits, then interpret the field value as an integer in base
/// ten, and set the event stream's reconnection time to that integer. Otherwise, ignore the field."
#[test]
fn retry_is_only_digits() {
    for (value, expected) in [
        (" 1000", Some(1000)),
        ("0", Some(0)),
        ("007", Some(7)),
        ("00000000000000000000000000000001", Some(1)),
        ("18446744073709551615", Some(u64::MAX)),
        ("18446744073709551616", None),
        ("99999999999999999999999999", None),
        ("", None),
        ("+5", None),
        ("-5", None),
        ("5 ", None),
        ("  5", None),
        ("1e3", None),
        ("1.5", None),
        ("0x1", None),
        ("٣", None),
        ("5\0", None),
    ] {
        let stream = format!("retry:{value}\ndata: a\n\n");
        let retry = expected.map(Owned::Retry);
        let items: Vec<_> = retry.into_iter().chain([own(message("a"), None, expected)]).collect();
        check(&[(stream.as_bytes(), &items)]);
    }
}

/// The same: the reconnection time is set by the line, whatever becomes of its block.
#[test]
fn retry_counts_at_once() {
    check(&[
        (b"retry: 5\n", &[Owned::Retry(5)]),
        (b"retry: 5\n\ndata: a\n\n", &[Owned::Retry(5), message("a")]),
        (
            b"data: a\nretry: 5\nretry: x\nretry: 6\n\n",
            &[Owned::Retry(5), Owned::Retry(6), own(message("a"), None, Some(6))],
        ),
        (b"retry: 5", &[]),
    ]);
}

/// "Once the end of the file is reached, any pending data must be discarded. (If the file ends in the middle
/// of an event, before the final empty line, the incomplete event is not dispatched.)"
#[test]
fn what_has_not_ended_is_dropped() {
    check(&[
        (b"data: a\n\ndata: b", &[message("a")]),
        (b"data: a\n\ndata: b\n", &[message("a")]),
        (b"data: a\r\n\r\ndata: b\r\n", &[message("a")]),
    ]);
    let mut decoder = Decoder::new();
    decode_chunks(&mut decoder, [&b"event: x\nid: 1\nretry: 5\ndata: a\ndata: b"[..]]);
    decoder.reset();
    let (items, _, _) = decode_chunks(&mut decoder, [&b"\xEF\xBB\xBFdata: c\n\n"[..]]);
    assert_eq!(items, [message("c")]);
    decode_chunks(&mut decoder, [&b"data: d\r"[..]]);
    decoder.reset();
    let (items, _, _) = decode_chunks(&mut decoder, [&b"\ndata: e\n\n"[..]]);
    assert_eq!(items, [message("e")]);
}
