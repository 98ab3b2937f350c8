//! The user agent against a server that refuses, stalls and drops, in simulated time, from printed seeds:
//! every event arrives once, in order, whatever happens.
//!
//! `HEADWATER_SEED=7 cargo test -p headwater-client --test simulation` repeats one run.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use headwater_client::http::Method;
use headwater_client::{
    Incoming, Lost, Policy, ReadTimeout, Reconnecting, Response, Statuses, Step, Url, UserAgent,
};

const SILENCE_MAX: Duration = Duration::from_secs(45);
const RETRY_AFTER: Duration = Duration::from_secs(100);

#[test]
fn every_event_arrives_once_and_in_order_from_any_seed() {
    let seeds = match std::env::var("HEADWATER_SEED") {
        Ok(seed) => vec![seed.parse().expect("HEADWATER_SEED is a number")],
        Err(_) => (0..2000).collect::<Vec<u64>>(),
    };
    let mut connections = 0;
    for seed in seeds {
        println!("HEADWATER_SEED={seed}");
        connections += Simulation::new(seed).run();
    }
    println!("{connections} connections");
}

/// The stream is cut after every single byte, by its end and by an error, and given in pieces of every size.
#[test]
fn a_drop_at_any_byte_loses_nothing_and_repeats_nothing() {
    for is_hub in [false, true] {
        let server = Server { is_hub, events: 4, retry_ms: 2000 };
        let whole = server.stream("").len();
        for cut in 0..=whole {
            for by_error in [false, true] {
                for piece in [1, 2, 3, whole] {
                    println!("hub: {is_hub}, cut at {cut}, pieces of {piece}");
                    drop_once(&server, cut, by_error, piece);
                }
            }
        }
    }
}

fn drop_once(server: &Server, cut: usize, by_error: bool, piece: usize) {
    let mut client = Client::new(9);
    client.connect();
    client.open();
    client.receive(&server.stream("")[..cut], piece);
    client.drop_connection(by_error);
    client.wait();
    let id = client.connect();
    client.open();
    client.receive(&server.stream(&id), piece);
    assert_eq!(client.seen, [0, 1, 2, 3]);
}

/// A log of numbered events that are all there from the start.
struct Server {
    /// Whether it sends an open block and checkpoints, as a hub does.
    is_hub: bool,
    events: usize,
    retry_ms: u64,
}

impl Server {
    /// What a subscriber with this last event id is sent: the open block, then all that follows.
    fn stream(&self, last_event_id: &str) -> Vec<u8> {
        let from = last_event_id.strip_prefix('#').map_or(0, |n| n.parse().expect("one of ours"));
        let mut stream = format!("retry: {}\n", self.retry_ms);
        if self.is_hub {
            stream = format!(":\nevent: hub.open\n{stream}data: {{}}\nid: #{from}\n\n");
        }
        for n in from..self.events {
            let end = ["\n", "\r", "\r\n"][n % 3];
            stream += &format!("data: {n}{end}:{end}data: é{end}id: #{}{end}{end}", n + 1);
            if self.is_hub && n % 4 == 3 {
                stream += &format!("event: hub.checkpoint\ndata\nid: #{}\n\n:\n", n + 1);
            }
        }
        stream.into_bytes()
    }
}

/// An agent, its clock, and what it must do.
struct Client {
    agent: UserAgent,
    now: Duration,
    seen: Vec<usize>,
    reconnection_time: Duration,
    /// When the next connection may be made at the earliest.
    not_before: Duration,
    policy: Policy,
}

impl Client {
    fn new(seed: u64) -> Self {
        let mut policy = Policy::default();
        policy.read_timeout = ReadTimeout::After(SILENCE_MAX);
        policy.retry_statuses = Statuses::temporary();
        let url = Url::parse("http://a.test/").unwrap();
        Self {
            agent: UserAgent::new(url, Method::GET, policy, seed),
            now: Duration::ZERO,
            seen: Vec::new(),
            reconnection_time: policy.reconnection_time,
            not_before: Duration::ZERO,
            policy,
        }
    }

    /// The agent wants to connect now, and resumes where it is.
    fn connect(&mut self) -> String {
        assert!(self.now >= self.not_before);
        let Step::Connect(attempt) = self.agent.poll(self.now) else {
            panic!("it does not connect");
        };
        assert_eq!(attempt.url.as_str(), "http://a.test/");
        assert_eq!(attempt.last_event_id, self.agent.last_event_id());
        assert_eq!(self.agent.poll(self.now), Step::Wait(Some(self.now + SILENCE_MAX)));
        attempt.last_event_id
    }

    fn answer(&mut self, status: u16, location: &str) {
        let response = Response { status, location: Some(location), ..Response::default() };
        self.agent.handle_response(self.now, response);
    }

    /// So many redirects, to another origin and on from there.
    fn redirect(&mut self, times: usize) {
        for n in 1..=times {
            self.answer([301, 302, 303, 307, 308][n % 5], &format!("http://b.test/{n}"));
            let Step::Connect(attempt) = self.agent.poll(self.now) else {
                panic!("it does not follow");
            };
            assert_eq!(usize::from(attempt.redirects), n);
            assert!(attempt.is_foreign);
            assert_eq!(attempt.last_event_id, self.agent.last_event_id());
        }
    }

    fn open(&mut self) {
        let content_type = Some("text/event-stream");
        let response = Response { status: 200, content_type, ..Response::default() };
        self.agent.handle_response(self.now, response);
        assert_eq!(self.agent.poll(self.now), Step::Opened);
    }

    fn receive(&mut self, bytes: &[u8], piece: usize) {
        for mut piece in bytes.chunks(piece.max(1)) {
            while let Some(incoming) = self.agent.handle_bytes(self.now, &mut piece) {
                match incoming {
                    Incoming::Event(event) => {
                        let (n, rest) = event.data.split_once('\n').expect("two lines");
                        assert_eq!(rest, "é");
                        self.seen.push(n.parse().expect("a number"));
                    }
                    Incoming::Retry(time) => self.reconnection_time = time,
                    Incoming::Position => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    fn drop_connection(&mut self, by_error: bool) -> Lost {
        if by_error {
            self.agent.handle_error(self.now, "reset".into());
            return Lost::Network("reset".into());
        }
        self.agent.handle_end(self.now);
        Lost::Ended
    }

    /// The connection is lost: the agent waits as long as it must, and not longer than it may.
    fn wait(&mut self) -> Lost {
        let Step::Reconnecting(Reconnecting { delay, cause }) = self.agent.poll(self.now) else {
            panic!("it does not reconnect");
        };
        let longest = self.reconnection_time + self.policy.backoff_max;
        assert!(delay >= self.reconnection_time, "{delay:?}");
        assert!(delay <= longest.max(RETRY_AFTER), "{delay:?}");
        let until = self.now + delay;
        assert_eq!(self.agent.poll(self.now), Step::Wait(Some(until)));
        let just_before = until.saturating_sub(Duration::from_nanos(1));
        if just_before > self.now {
            assert_eq!(self.agent.poll(just_before), Step::Wait(Some(until)));
        }
        self.now = until;
        self.not_before = until;
        match cause {
            // What is wrong with it is for people.
            Lost::Redirect(_) => Lost::Redirect(String::new()),
            cause => cause,
        }
    }

    /// The server says nothing: the agent leaves it, not a moment too early.
    fn bear_silence(&mut self) -> Lost {
        let Step::Wait(Some(deadline)) = self.agent.poll(self.now) else {
            panic!("it would wait for ever");
        };
        let just_before = deadline - Duration::from_nanos(1);
        assert_eq!(self.agent.poll(just_before), Step::Wait(Some(deadline)));
        self.now = deadline;
        Lost::Silent(SILENCE_MAX)
    }
}

struct Simulation {
    random: Random,
    client: Client,
    server: Server,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x2545_F491_4F6C_DD1D) | 1);
        let server = Server {
            is_hub: random.below(2) == 0,
            events: random.below(30),
            retry_ms: random.below(20_000) as u64,
        };
        Self { client: Client::new(seed), server, random }
    }

    /// A server in every kind of trouble, and in the end in none. Returns the number of connections.
    fn run(mut self) -> usize {
        let troubles = self.random.below(40);
        for _ in 0..troubles {
            let id = self.client.connect();
            let expected = self.trouble(&id);
            assert_eq!(self.client.wait(), expected);
        }
        let id = self.client.connect();
        self.client.open();
        self.client.receive(&self.server.stream(&id), 1 + self.random.below(100));
        assert_eq!(self.client.seen, (0..self.server.events).collect::<Vec<_>>());
        self.client.drop_connection(false);
        self.client.wait();
        self.client.connect();
        let stop = Response { status: 204, ..Response::default() };
        self.client.agent.handle_response(self.client.now, stop);
        assert_eq!(self.client.agent.poll(Duration::MAX), Step::Closed);
        troubles + 2
    }

    /// One connection that goes wrong. Returns what the agent must say of it.
    fn trouble(&mut self, id: &str) -> Lost {
        if self.random.below(4) == 0 {
            self.client.redirect(self.random.below(20));
        }
        match self.random.below(7) {
            0 => self.client.drop_connection(true),
            1 => self.client.bear_silence(),
            2 => {
                let status = [429, 500, 502, 503][self.random.below(4)];
                let retry_after = (self.random.below(2) == 0).then_some(RETRY_AFTER);
                let content_type = Some("text/html");
                let response =
                    Response { status, content_type, retry_after, ..Response::default() };
                self.client.agent.handle_response(self.client.now, response);
                self.client.not_before = self.client.now + retry_after.unwrap_or_default();
                Lost::Status(status)
            }
            3 => {
                let location = ["http://", "ftp://a.test/"][self.random.below(2)];
                self.client.answer(302, location);
                Lost::Redirect(String::new())
            }
            _ => {
                self.client.open();
                let stream = self.server.stream(id);
                let mut rest = &stream[..self.random.below(stream.len() + 1)];
                while !rest.is_empty() {
                    let (slice, tail) = rest.split_at(1 + self.random.below(rest.len()));
                    rest = tail;
                    self.client.receive(slice, 1 + self.random.below(20));
                    // A slow server, but not a silent one.
                    let ms = self.random.below(44_999) as u64;
                    self.client.now += Duration::from_millis(ms);
                    assert!(matches!(self.client.agent.poll(self.client.now), Step::Wait(_)));
                }
                match self.random.below(3) {
                    0 => self.client.bear_silence(),
                    1 => self.client.drop_connection(false),
                    _ => self.client.drop_connection(true),
                }
            }
        }
    }
}

/// Xorshift, seeded: the same seed makes the same run.
struct Random(u64);

impl Random {
    /// Below `n`; 0 if `n` is.
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % n.max(1)
    }
}
