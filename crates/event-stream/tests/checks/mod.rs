//! What must hold for any input. The property tests, the replay of the corpus and the fuzz targets all
//! call these; each panics if it does not hold.

// Each of those uses its own part.
#![allow(dead_code, reason = "shared by several test binaries")]

pub(crate) mod reference;

use headwater_event_stream::{
    DecodeError, Decoder, EncodeError, Event, EventFields, Item, Limits, encode, encode_comment,
    encoded_len, validate_event_type, validate_id,
};

/// An [`Item`] that owns its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owned {
    Event(OwnedEvent),
    Retry(u64),
    Comment(String),
}

/// An [`Event`] that owns its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnedEvent {
    pub(crate) event_type: String,
    pub(crate) data: String,
    pub(crate) id: String,
    pub(crate) block_id: Option<String>,
    pub(crate) block_retry: Option<u64>,
}

impl From<Item<'_>> for Owned {
    fn from(item: Item<'_>) -> Self {
        match item {
            Item::Event(Event { event_type, data, id, block_id, block_retry }) => {
                Self::Event(OwnedEvent {
                    event_type: event_type.to_owned(),
                    data: data.to_owned(),
                    id: id.to_owned(),
                    block_id: block_id.map(str::to_owned),
                    block_retry,
                })
            }
            Item::Retry(retry) => Self::Retry(retry),
            Item::Comment(text) => Self::Comment(text.to_owned()),
        }
    }
}

/// What a stream gave: items, the error that ended it if any, the last event ID string after it.
pub(crate) type Outcome = (Vec<Owned>, Option<DecodeError>, String);

/// Decodes the chunks as they are, up to an error.
pub(crate) fn decode_chunks<'c>(
    decoder: &mut Decoder,
    chunks: impl IntoIterator<Item = &'c [u8]>,
) -> Outcome {
    let mut items = Vec::new();
    let mut failure = None;
    for chunk in chunks {
        let mut input = chunk;
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(item)) => items.push(item.into()),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.decode(&mut input), Err(error), "an error stays");
                    failure = Some(error);
                    break;
                }
            }
        }
        if failure.is_some() {
            break;
        }
        assert!(input.is_empty(), "None means that the input is used up");
    }
    (items, failure, decoder.last_event_id().to_owned())
}

/// A stream gives what the standard says, in one piece and cut in any way.
pub(crate) fn check_decode(stream: &[u8]) {
    check_cuts(stream, || {
        let mut decoder = Decoder::new().report_comments(true);
        decoder.set_last_event_id("before");
        decoder
    });
    let mut decoder = Decoder::new().report_comments(true);
    decoder.set_last_event_id("before");
    let (items, failure, last_event_id) = decode_chunks(&mut decoder, [stream]);
    let (expected, expected_last_event_id) = reference::decode(stream, "before");
    assert_eq!((&items, failure, &last_event_id), (&expected, None, &expected_last_event_id));

    // Comments only come if asked for, and nothing else depends on them.
    let mut silent = Decoder::new();
    silent.set_last_event_id("before");
    let mut without_comments = expected;
    without_comments.retain(|item| !matches!(item, Owned::Comment(_)));
    assert_eq!(
        decode_chunks(&mut silent, [stream]),
        (without_comments, None, last_event_id.clone())
    );

    // A new connection starts clean, but for the last event ID string.
    decoder.reset();
    let (expected, expected_last_event_id) = reference::decode(stream, &last_event_id);
    let again = decode_chunks(&mut decoder, [stream]);
    assert_eq!(again, (expected, None, expected_last_event_id));

    for (line_bytes_max, event_bytes_max) in [(0, 0), (1, 1), (6, 1), (7, 4), (12, 6), (9, 40)] {
        let limits = Limits { line_bytes_max, event_bytes_max };
        check_cuts(stream, || Decoder::with_limits(limits).report_comments(true));
        check_limits(stream, limits);
    }
}

/// Whole, byte by byte, in pieces of other sizes, and cut at any one place: the same.
fn check_cuts(stream: &[u8], decoder: impl Fn() -> Decoder) {
    let whole = decode_chunks(&mut decoder(), [stream]);
    for size in [1, 2, 3, 5, 7, 16, 64] {
        let pieces = decode_chunks(&mut decoder(), stream.chunks(size));
        assert_eq!(pieces, whole, "in pieces of {size}");
    }
    // All cuts of a long stream would take quadratic time.
    let step = stream.len() / 100 + 1;
    for cut in (0..=stream.len()).step_by(step) {
        let (head, tail) = stream.split_at(cut);
        assert_eq!(decode_chunks(&mut decoder(), [head, tail]), whole, "cut at {cut}");
        assert_eq!(decode_chunks(&mut decoder(), [head, b"", tail]), whole, "cut at {cut}, twice");
    }
}

/// Within the limits nothing changes; beyond them the items before stay the same, and nothing larger than
/// the limits is handed out.
fn check_limits(stream: &[u8], limits: Limits) {
    let unlimited = decode_chunks(
        &mut Decoder::new().report_comments(true),
        stream.chunks(stream.len().max(1)),
    );
    let limited = decode_chunks(&mut Decoder::with_limits(limits).report_comments(true), [stream]);
    if limited.1.is_none() {
        assert_eq!(limited, unlimited);
    }
    assert_eq!(Some(limited.0.as_slice()), unlimited.0.get(..limited.0.len()));
    for item in &limited.0 {
        if let Owned::Event(event) = item {
            // A byte that is not UTF-8 becomes U+FFFD, which has three.
            assert!(event.data.len() <= 3 * limits.event_bytes_max);
            assert!(event.event_type.len() <= (3 * limits.line_bytes_max).max("message".len()));
        }
    }
}

/// What can be represented arrives as it was; what cannot is an error, and nothing is written.
pub(crate) fn check_encode(fields: &EventFields<'_>) {
    let before = b"data: of another\n\n";
    let mut out = before.to_vec();
    let result = encode(fields, &mut out);
    let broken = |text: &str| text.contains(['\r', '\n']);
    let event_type = fields.event_type.unwrap_or_default();
    let expected = if broken(event_type) {
        Err(EncodeError::LineBreakInEventType)
    } else if fields.id.is_some_and(broken) {
        Err(EncodeError::LineBreakInId)
    } else if fields.id.is_some_and(|id| id.contains('\0')) {
        Err(EncodeError::NulInId)
    } else {
        Ok(())
    };
    assert_eq!(result, expected);
    assert_eq!(
        validate_event_type(event_type).and_then(|()| fields.id.map_or(Ok(()), validate_id)),
        expected,
    );
    let frame = out.strip_prefix(before).expect("what was in `out` stays");
    if expected.is_err() {
        assert!(frame.is_empty());
        return;
    }
    assert_eq!(frame.len(), encoded_len(fields));
    let last_event_id = fields.id.unwrap_or("before");
    let mut items = Vec::new();
    items.extend(fields.retry.map(Owned::Retry));
    items.extend(fields.data.map(|data| {
        Owned::Event(OwnedEvent {
            event_type: if event_type.is_empty() { "message" } else { event_type }.to_owned(),
            data: data.replace("\r\n", "\n").replace('\r', "\n"),
            id: last_event_id.to_owned(),
            block_id: fields.id.map(str::to_owned),
            block_retry: fields.retry,
        })
    }));
    let mut decoder = Decoder::new().report_comments(true);
    decoder.set_last_event_id("before");
    let outcome = decode_chunks(&mut decoder, [frame]);
    assert_eq!(outcome, (items, None, last_event_id.to_owned()));
    check_decode(frame);
}

/// A comment arrives line by line, and does not disturb the block that it stands in.
pub(crate) fn check_comment(text: &str) {
    let mut out = b"data: a\n".to_vec();
    encode_comment(text, &mut out);
    out.extend_from_slice(b"data: b\n\n");
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut items: Vec<_> = text.split('\n').map(|line| Owned::Comment(line.to_owned())).collect();
    items.push(Owned::Event(OwnedEvent {
        event_type: "message".to_owned(),
        data: "a\nb".to_owned(),
        id: String::new(),
        block_id: None,
        block_retry: None,
    }));
    let outcome = decode_chunks(&mut Decoder::new().report_comments(true), [out.as_slice()]);
    assert_eq!(outcome, (items, None, String::new()));
}

/// Reads fields out of any bytes, for the fuzzer: `type ␞ id ␞ retry ␞ data`, parted by U+001E. A field is
/// absent if it is `-`; `retry` also if it is no number.
pub(crate) fn check_encode_bytes(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.splitn(4, '\u{1E}').map(|part| (part != "-").then_some(part));
    let [event_type, id, retry, data] = std::array::from_fn(|_| parts.next().flatten());
    let retry = retry.and_then(|text| text.parse().ok());
    check_encode(&EventFields { event_type, retry, data, id });
    check_comment(&text);
}
