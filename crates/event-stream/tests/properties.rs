//! What holds for any input, tried on random ones.

mod checks;

use headwater_event_stream::{Decoder, EventFields};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// Bytes that are mostly lines that mean something, because random bytes hardly ever are.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![&b"\n"[..], b"\r", b"\r\n", b"\n\n", b"\r\r"]),
        4 => prop::sample::select(vec![
            &b"data"[..], b"data:", b"data: ", b"event:", b"event", b"id:", b"id", b"retry:", b":", b": ",
            b"Data:", b" data:", b"dat", b"retry: 10\n", b"id: 7\n", b"event: x\n",
        ]),
        2 => prop::sample::select(vec![
            &b"\xEF\xBB\xBF"[..], b"\xEF\xBB", b"\xEF", b"\xF0\x9F\x8C\x8A", b"\xF0\x9F", b"\xC3\xA9", b"\xFF",
            b"\x00", b"0", b"99999999999999999999", b"+5", b"  ",
        ]),
    ]
    .prop_map(<[u8]>::to_vec);
    let noise = vec(any::<u8>(), 0..12);
    vec(prop_oneof![6 => piece, 1 => noise], 0..30).prop_map(|pieces| pieces.concat())
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ab :\\r\\n\\x00é\u{FEFF}]{0,12}", any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_stream_gives_what_the_standard_says_however_it_is_cut(stream in stream()) {
        checks::check_decode(&stream);
    }

    #[test]
    fn any_bytes_give_what_the_standard_says(stream in vec(any::<u8>(), 0..300)) {
        checks::check_decode(&stream);
    }

    #[test]
    fn random_cuts_change_nothing(stream in stream(), sizes in vec(0_usize..20, 1..50)) {
        let whole = checks::decode_chunks(&mut Decoder::new(), [stream.as_slice()]);
        let mut rest = stream.as_slice();
        let mut chunks = Vec::new();
        for size in sizes {
            let (chunk, tail) = rest.split_at(size.min(rest.len()));
            chunks.push(chunk);
            rest = tail;
        }
        chunks.push(rest);
        prop_assert_eq!(checks::decode_chunks(&mut Decoder::new(), chunks), whole);
    }

    #[test]
    fn what_is_encoded_arrives_or_is_refused(
        event_type in option::of(prop_oneof![text(), Just("message".to_owned())]),
        id in option::of(text()),
        retry in option::of(any::<u64>()),
        data in option::of(text()),
    ) {
        checks::check_encode(&EventFields {
            event_type: event_type.as_deref(),
            retry,
            data: data.as_deref(),
            id: id.as_deref(),
        });
    }

    #[test]
    fn comments_arrive_and_disturb_nothing(text in text()) {
        checks::check_comment(&text);
    }
}
