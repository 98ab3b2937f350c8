//! One function per decoder: takes the chunks, returns how many events came out.

use std::convert::Infallible;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use eventsource_stream::Eventsource;
use futures_util::Stream;
use headwater_event_stream::{Decoder, Item};

/// A decoder under test.
pub struct Subject {
    pub name: &'static str,
    pub decode: fn(&[Bytes]) -> usize,
}

/// All decoders, ours first.
pub const ALL: [Subject; 6] = [
    Subject { name: "headwater", decode: headwater },
    Subject { name: "headwater, copied out", decode: headwater_owned },
    Subject { name: "sse-stream", decode: sse_stream },
    Subject { name: "sse-core", decode: sse_core },
    Subject { name: "sseer", decode: sseer },
    Subject { name: "eventsource-stream", decode: eventsource_stream },
];

fn headwater(chunks: &[Bytes]) -> usize {
    headwater_with(&mut Decoder::new(), chunks)
}

/// With a decoder that has been in use, as in a connection that lasts.
pub fn headwater_with(decoder: &mut Decoder, chunks: &[Bytes]) -> usize {
    let mut events = 0;
    for chunk in chunks {
        let mut input = chunk.as_ref();
        while let Some(item) = decoder.decode(&mut input).expect("within the limits") {
            if let Item::Event(event) = &item {
                black_box(event);
                events += 1;
            }
        }
    }
    events
}

/// For readers who keep the events, as all the peers' readers must: each text in a `String` of its own.
fn headwater_owned(chunks: &[Bytes]) -> usize {
    let mut decoder = Decoder::new();
    let mut events = 0;
    for chunk in chunks {
        let mut input = chunk.as_ref();
        while let Some(item) = decoder.decode(&mut input).expect("within the limits") {
            if let Item::Event(event) = item {
                black_box((
                    event.event_type.to_owned(),
                    event.data.to_owned(),
                    event.id.to_owned(),
                ));
                events += 1;
            }
        }
    }
    events
}

fn sse_stream(chunks: &[Bytes]) -> usize {
    drain(sse_stream::SseByteStream::new(ready(chunks)))
}

fn sse_core(chunks: &[Bytes]) -> usize {
    let mut decoder = sse_core::SseDecoder::with_limit(std::num::NonZeroUsize::MAX);
    let mut events = 0;
    for chunk in chunks {
        let mut input = chunk.as_ref();
        while let Some(event) = decoder.next(&mut input) {
            black_box(&event.expect("a valid stream"));
            events += 1;
        }
        assert!(!input.has_remaining());
    }
    events
}

fn sseer(chunks: &[Bytes]) -> usize {
    drain(sseer::event_stream::EventStream::new(ready(chunks)))
}

fn eventsource_stream(chunks: &[Bytes]) -> usize {
    drain(ready(chunks).eventsource())
}

/// The chunks as a stream that never waits.
fn ready(chunks: &[Bytes]) -> impl Stream<Item = Result<Bytes, Infallible>> + '_ {
    futures_util::stream::iter(chunks.iter().cloned().map(Ok))
}

fn drain<T, E: std::fmt::Debug>(stream: impl Stream<Item = Result<T, E>>) -> usize {
    let mut stream = pin!(stream);
    let mut context = Context::from_waker(Waker::noop());
    let mut events = 0;
    loop {
        match stream.as_mut().poll_next(&mut context) {
            Poll::Ready(Some(event)) => {
                black_box(&event.expect("a valid stream"));
                events += 1;
            }
            Poll::Ready(None) => return events,
            Poll::Pending => {}
        }
    }
}
