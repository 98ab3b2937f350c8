//! What is as large as the limits passes; one byte more is the typed error.

mod checks;

use checks::{Owned, decode_chunks};
use headwater_event_stream::{DecodeError, Decoder, Limits};

const LIMITS: Limits = Limits { line_bytes_max: 10, event_bytes_max: 7 };
const LINE_TOO_LONG: DecodeError = DecodeError::LineTooLong { line_bytes_max: 10 };
const EVENT_TOO_LARGE: DecodeError = DecodeError::EventTooLarge { event_bytes_max: 7 };

/// The stream in one piece and byte by byte: the data of its events, and the error.
fn decode(stream: &[u8]) -> (Vec<String>, Option<DecodeError>) {
    let whole = decode_chunks(&mut Decoder::with_limits(LIMITS), [stream]);
    let bytes = decode_chunks(&mut Decoder::with_limits(LIMITS), stream.chunks(1));
    assert_eq!(whole, bytes);
    let data = whole.0.into_iter().filter_map(|item| match item {
        Owned::Event(event) => Some(event.data),
        Owned::Retry(_) | Owned::Comment(_) => None,
    });
    (data.collect(), whole.1)
}

#[test]
fn lines() {
    assert_eq!(decode(b"data:12345\r\n\r\n"), (vec!["12345".to_owned()], None));
    assert_eq!(decode(b"\xEF\xBB\xBFdata:12345\n\n"), (vec!["12345".to_owned()], None));
    for line in
        ["data:123456", "event:12345", "id: 1234567", "retry:12345", ":1234567890", "unknown:123"]
    {
        let ended = format!("data: a\n\n{line}\n\ndata: b\n\n");
        assert_eq!(decode(ended.as_bytes()), (vec!["a".to_owned()], Some(LINE_TOO_LONG)));
        let unended = format!("data: a\n\n{line}");
        assert_eq!(decode(unended.as_bytes()), (vec!["a".to_owned()], Some(LINE_TOO_LONG)));
    }
}

#[test]
fn events() {
    assert_eq!(decode(b"data:123\ndata:456\n\n"), (vec!["123\n456".to_owned()], None));
    assert_eq!(
        decode(b"data:1\n\ndata:123\ndata:4567\n\n"),
        (vec!["1".to_owned()], Some(EVENT_TOO_LARGE))
    );
    let seven_line_feeds = "data\n".repeat(8) + "\n";
    assert_eq!(decode(seven_line_feeds.as_bytes()), (vec!["\n".repeat(7)], None));
    assert_eq!(decode(&b"data\n".repeat(9)), (vec![], Some(EVENT_TOO_LARGE)));
    // Comments and other lines are not kept, so that a quiet stream of them goes on for ever.
    assert_eq!(decode(&b":\nfoo: bar\n".repeat(1000)), (vec![], None));
}

#[test]
fn an_event_of_one_line() {
    let limits = Limits { line_bytes_max: 100, event_bytes_max: 7 };
    for (stream, failure) in
        [("data:1234567\n\n", None), ("data: 12345678\n\n", Some(EVENT_TOO_LARGE))]
    {
        for size in [1, 100] {
            let chunks = stream.as_bytes().chunks(size);
            assert_eq!(decode_chunks(&mut Decoder::with_limits(limits), chunks).1, failure);
        }
    }
}

#[test]
fn reset_begins_anew() {
    let mut decoder = Decoder::with_limits(LIMITS);
    let (_, failure, _) = decode_chunks(&mut decoder, [&b"id: 1\ndata: a\n\ndata: 1234567890"[..]]);
    assert_eq!(failure, Some(LINE_TOO_LONG));
    decoder.reset();
    let (items, failure, last_event_id) = decode_chunks(&mut decoder, [&b"data: b\n\n"[..]]);
    assert_eq!((items.len(), failure, last_event_id.as_str()), (1, None, "1"));
    let (_, failure, _) = decode_chunks(&mut decoder, [&b"data: 1234567890"[..]]);
    assert_eq!(failure, Some(LINE_TOO_LONG), "the limits stay");
}
