//! The streams that every decoder gets.

use bytes::Bytes;

/// A stream, cut as a reader would get it.
pub struct Workload {
    pub name: &'static str,
    pub chunks: Vec<Bytes>,
    pub events: usize,
    pub bytes: usize,
}

impl Workload {
    fn new(name: &'static str, stream: Vec<u8>, events: usize, chunk_bytes: usize) -> Self {
        let bytes = stream.len();
        let stream = Bytes::from(stream);
        let chunks = (0..bytes)
            .step_by(chunk_bytes)
            .map(|begin| stream.slice(begin..bytes.min(begin + chunk_bytes)))
            .collect();
        Self { name, chunks, events, bytes }
    }
}

/// All workloads.
pub fn all() -> Vec<Workload> {
    const SMALL: usize = 14_000;
    const TOKENS: usize = 2_000;
    vec![
        Workload::new("76 B events, 16 KiB chunks", small_events(SMALL), SMALL, 16 << 10),
        Workload::new("76 B events, 100 B chunks", small_events(SMALL), SMALL, 100),
        Workload::new("530 B AI tokens, 16 KiB chunks", ai_tokens(TOKENS), TOKENS, 16 << 10),
        Workload::new("one 4 MiB event, 1 KiB chunks", large_event(), 1, 1 << 10),
    ]
}

/// Type, id and a small JSON object: 76 bytes.
fn small_events(count: usize) -> Vec<u8> {
    let mut stream = String::new();
    for number in 0..count {
        let begin = stream.len();
        stream.push_str(&format!(
            "event: update\nid: {number:08}\ndata: {{\"symbol\":\"HWTR\",\"price\":{:07.2},\"v\":100}}\n\n",
            100.0 + (number % 1000) as f64 / 4.0,
        ));
        assert_eq!(stream.len() - begin, 76);
    }
    stream.into_bytes()
}

/// What a language model's API sends per token: one `data` line of JSON, 530 bytes in all.
fn ai_tokens(count: usize) -> Vec<u8> {
    let mut stream = String::new();
    for number in 0..count {
        let begin = stream.len();
        stream.push_str(&format!(
            "data: {{\"id\":\"chatcmpl-{number:08}\",\"object\":\"chat.completion.chunk\",\"choices\":[{{\
             \"index\":0,\"delta\":{{\"role\":\"assistant\",\"content\":\" water\"}},\"finish_reason\":null}}],\
             \"obfuscation\":\"{}\"}}\n\n",
            "x".repeat(353),
        ));
        assert_eq!(stream.len() - begin, 530);
    }
    stream.into_bytes()
}

fn large_event() -> Vec<u8> {
    format!("data: {}\n\n", "0123456789abcdef".repeat((4 << 20) / 16)).into_bytes()
}
