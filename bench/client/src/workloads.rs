//! The streams that every client gets.

/// A stream, cut as a server writes it.
pub struct Workload {
    pub name: &'static str,
    /// The text of one event.
    pub event: fn(usize) -> String,
    /// How many events the server hands to the socket at once, as one HTTP chunk each time.
    pub burst: usize,
    /// How many events there are.
    pub events: usize,
}

/// All workloads.
pub const ALL: [Workload; 4] = [
    Workload { name: "76 B events, 200 in a chunk", event: small, burst: 200, events: 200_000 },
    Workload { name: "76 B events, 10 in a chunk", event: small, burst: 10, events: 100_000 },
    Workload { name: "76 B events, each in a chunk", event: small, burst: 1, events: 50_000 },
    Workload { name: "530 B AI tokens, 30 in a chunk", event: token, burst: 30, events: 60_000 },
];

impl Workload {
    /// The whole stream in HTTP's chunked coding, without its end.
    pub fn body(&self, events: usize) -> Vec<u8> {
        let mut body = Vec::new();
        for begin in (0..events).step_by(self.burst) {
            let text: String = (begin..events.min(begin + self.burst)).map(self.event).collect();
            body.extend(format!("{:x}\r\n{text}\r\n", text.len()).into_bytes());
        }
        body
    }
}

/// Type, id and a small JSON object: 76 bytes.
fn small(number: usize) -> String {
    format!(
        "event: update\nid: {number:08}\ndata: {{\"symbol\":\"HWTR\",\"price\":{:07.2},\"v\":100}}\n\n",
        100.0 + (number % 1000) as f64 / 4.0,
    )
}

/// A piece of an answer of a language model: data alone, 530 bytes.
fn token(number: usize) -> String {
    let head = format!(
        "data: {{\"id\":\"chatcmpl-{number:08}\",\"choices\":[{{\"delta\":{{\"content\":\""
    );
    let tail = "\"}}]}\n\n";
    format!("{head}{}{tail}", "x".repeat(530 - head.len() - tail.len()))
}
