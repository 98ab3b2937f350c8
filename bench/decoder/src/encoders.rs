//! One function per encoder: an event of 76 bytes, many times.

use std::hint::black_box;

use headwater_event_stream::{EventFields, encode};

/// An encoder under test.
pub struct Subject {
    pub name: &'static str,
    /// Encodes this many events and returns how many bytes that made.
    pub encode: fn(usize) -> usize,
}

/// All encoders, ours first.
pub const ALL: [Subject; 3] = [
    Subject { name: "headwater, one buffer", encode: headwater_reused },
    Subject { name: "headwater, a buffer each", encode: headwater_each },
    Subject { name: "sse-stream", encode: sse_stream },
];

const FIELDS: EventFields<'static> = EventFields {
    event_type: Some("update"),
    retry: None,
    data: Some("{\"symbol\":\"HWTR\",\"price\":0123.25,\"v\":100}"),
    id: Some("00000042"),
};

fn headwater_reused(count: usize) -> usize {
    let mut frame = Vec::new();
    let mut bytes = 0;
    for _ in 0..count {
        frame.clear();
        encode(black_box(&FIELDS), &mut frame).expect("it can be represented");
        bytes += black_box(&frame).len();
    }
    bytes
}

fn headwater_each(count: usize) -> usize {
    let mut bytes = 0;
    for _ in 0..count {
        let mut frame = Vec::new();
        encode(black_box(&FIELDS), &mut frame).expect("it can be represented");
        bytes += black_box(frame).len();
    }
    bytes
}

/// It takes an event that owns its fields, so making that belongs to it: three of its allocations.
fn sse_stream(count: usize) -> usize {
    let mut bytes = 0;
    let event = sse_stream::Sse {
        event: FIELDS.event_type.map(str::to_owned),
        data: FIELDS.data.map(str::to_owned),
        id: FIELDS.id.map(str::to_owned),
        retry: None,
    };
    for _ in 0..count {
        let frame = black_box(event.clone()).encode().expect("it can be represented");
        bytes += black_box(frame).len();
    }
    bytes
}
