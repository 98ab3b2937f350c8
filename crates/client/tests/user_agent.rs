//! The sentences that WHATWG HTML 9.2 has on the user agent, one by one.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use headwater_client::http::Method;
use headwater_client::{
    Attempt, Failure, Gap, Incoming, Limits, Lost, Policy, ReadTimeout, ReadyState, Reconnecting,
    Refusal, Response, Statuses, Step, Url, UserAgent,
};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn agent(policy: Policy) -> UserAgent {
    UserAgent::new(Url::parse("http://a.test/x").unwrap(), Method::POST, policy, 1)
}

fn policy(change: impl FnOnce(&mut Policy)) -> Policy {
    let mut policy = Policy::default();
    change(&mut policy);
    policy
}

fn status(status: u16) -> Response<'static> {
    Response { status, content_type: Some("text/event-stream"), ..Response::default() }
}

fn connect_as(id: &str) -> Step {
    Step::Connect(attempt(id))
}

fn attempt(id: &str) -> Attempt {
    Attempt {
        url: Url::parse("http://a.test/x").unwrap(),
        method: Method::POST,
        has_body: true,
        is_foreign: false,
        redirects: 0,
        last_event_id: id.to_owned(),
    }
}

fn lost(delay: Duration, cause: Lost) -> Step {
    Step::Reconnecting(Reconnecting { delay, cause })
}

/// An agent with an open connection.
fn open(policy: Policy) -> UserAgent {
    let mut agent = agent(policy);
    assert_eq!(agent.poll(s(0)), connect_as(""));
    agent.handle_response(s(0), status(200));
    assert_eq!(agent.poll(s(0)), Step::Opened);
    agent
}

/// Feeds a whole piece; what came of it, as `type:data:id`, `gap` and `retry`.
fn feed(agent: &mut UserAgent, now: Duration, mut bytes: &[u8]) -> Vec<String> {
    let mut seen = Vec::new();
    while let Some(incoming) = agent.handle_bytes(now, &mut bytes) {
        match incoming {
            Incoming::Event(event) => {
                seen.push(format!("{}:{}:{}", event.event_type, event.data, event.id));
            }
            Incoming::Gap(Gap { requested, resumed, id }) => {
                seen.push(format!("gap:{requested:?}:{resumed:?}:{id}"));
            }
            Incoming::Retry(time) => seen.push(format!("retry:{time:?}")),
            Incoming::Comment(text) => seen.push(format!("comment:{text}")),
            Incoming::Position => {}
        }
    }
    seen
}

fn delay(step: Step) -> Duration {
    match step {
        Step::Reconnecting(Reconnecting { delay, .. }) => delay,
        step => unreachable!("{step:?}"),
    }
}

/// The id that the next connection carries, after this one has ended.
fn id_after_end(agent: &mut UserAgent, now: Duration) -> String {
    agent.handle_end(now);
    let delay = delay(agent.poll(now));
    match agent.poll(now + delay) {
        Step::Connect(attempt) => attempt.last_event_id,
        step => unreachable!("{step:?}"),
    }
}

/// WHATWG HTML 9.2.2: "When the object is created, its readyState must be set to CONNECTING (0)."
#[test]
fn connects_at_once_and_announces_the_connection() {
    let mut agent = agent(Policy::default());
    assert_eq!(agent.ready_state(), ReadyState::Connecting);
    assert_eq!(agent.poll(s(9)), connect_as(""));
    assert_eq!(agent.poll(s(9)), Step::Wait(None));
    // "Otherwise, announce the connection and interpret res's body line by line."
    agent.handle_response(s(9), status(200));
    assert_eq!(agent.poll(s(9)), Step::Opened);
    assert_eq!(agent.ready_state(), ReadyState::Open);
    assert_eq!(feed(&mut agent, s(9), b"data: x\n\n"), ["message:x:"]);
}

/// WHATWG HTML 9.2.2: "if res's status is not 200 […] then fail the connection."
#[test]
fn every_status_but_200_is_final() {
    for code in (201..=599).filter(|code| *code != 204) {
        let mut agent = agent(Policy::default());
        agent.poll(s(0));
        agent.handle_response(s(0), status(code));
        assert!(feed(&mut agent, s(0), b"data: no event\n\n").is_empty());
        agent.handle_end(s(0));
        let refusal = Refusal {
            status: code,
            content_type: Some("text/event-stream".into()),
            body: b"data: no event\n\n".into(),
        };
        assert_eq!(agent.poll(s(0)), Step::Failed(Failure::Refused(refusal)));
        // WHATWG HTML 9.2.3: "Once the user agent has failed the connection, it does not attempt to
        // reconnect."
        assert_eq!(agent.poll(s(1_000_000)), Step::Closed);
        assert_eq!(agent.ready_state(), ReadyState::Closed);
    }
}

/// WHATWG HTML 9.2.2: "or if res's `Content-Type` is not `text/event-stream`, then fail the connection."
#[test]
fn every_other_content_type_is_final() {
    for content_type in [
        None,
        Some(""),
        Some("text/html"),
        Some("text/event-streams"),
        Some("x; text/event-stream"),
    ] {
        let mut agent = agent(Policy::default());
        agent.poll(s(0));
        agent.handle_response(s(0), Response { status: 200, content_type, ..Response::default() });
        agent.handle_error(s(0), "reset".into());
        let content_type = content_type.map(str::to_owned);
        let refusal = Refusal { status: 200, content_type, body: Vec::new() };
        assert_eq!(agent.poll(s(0)), Step::Failed(Failure::Refused(refusal)));
    }
    for content_type in
        ["Text/Event-Stream", "text/event-stream;charset=utf-8", " text/event-stream ;x"]
    {
        let mut agent = agent(Policy::default());
        agent.poll(s(0));
        let content_type = Some(content_type);
        agent.handle_response(s(0), Response { status: 200, content_type, ..Response::default() });
        assert_eq!(agent.poll(s(0)), Step::Opened);
    }
}

#[test]
fn a_refusal_is_kept_short_and_waited_for_briefly() {
    let refused = || {
        let mut agent = agent(Policy::default());
        agent.poll(s(0));
        agent.handle_response(s(0), status(404));
        agent
    };
    let mut long = refused();
    feed(&mut long, s(0), &[b'x'; 3000]);
    assert_eq!(long.poll(s(0)), Step::Wait(Some(s(5))));
    feed(&mut long, s(0), &[b'x'; 3000]);
    let Step::Failed(Failure::Refused(refusal)) = long.poll(s(0)) else { panic!() };
    assert_eq!(refusal.body.len(), Refusal::BODY_BYTES_MAX);
    let mut slow = refused();
    assert_eq!(slow.poll(s(4)), Step::Wait(Some(s(5))));
    assert!(matches!(slow.poll(s(5)), Step::Failed(_)));
}

/// WHATWG HTML 9.2.1: "a client can be told to stop reconnecting using the HTTP 204 No Content response
/// code."
#[test]
fn no_content_is_stop() {
    let mut agent = agent(policy(|policy| policy.retry_statuses = Statuses::temporary()));
    agent.poll(s(0));
    agent.handle_response(s(0), status(204));
    assert_eq!(agent.poll(s(0)), Step::Closed);
    assert_eq!(agent.poll(s(1_000_000)), Step::Closed);
}

/// WHATWG HTML 9.2.2: "if res is a network error, then reestablish the connection".
#[test]
fn a_network_error_is_tried_again_before_and_after_the_answer() {
    let mut agent = agent(Policy::default());
    agent.poll(s(0));
    agent.handle_error(s(0), "refused".into());
    let Step::Reconnecting(Reconnecting { delay, cause }) = agent.poll(s(0)) else { panic!() };
    assert_eq!(cause, Lost::Network("refused".into()));
    assert!((s(3)..=s(6)).contains(&delay), "{delay:?}");
    assert_eq!(agent.poll(s(0)), Step::Wait(Some(delay)));
    assert_eq!(agent.poll(delay), connect_as(""));

    agent.handle_response(s(10), status(200));
    agent.poll(s(10));
    feed(&mut agent, s(10), b"data: x\n\ndata: half");
    agent.handle_error(s(10), "reset".into());
    // WHATWG HTML 9.2.3: "Set the readyState attribute to CONNECTING." and "Wait a delay equal to the
    // reconnection time of the event source."
    assert_eq!(agent.ready_state(), ReadyState::Connecting);
    assert_eq!(agent.poll(s(10)), lost(s(3), Lost::Network("reset".into())));
    assert_eq!(agent.poll(s(13)), connect_as(""));
    // WHATWG HTML 9.2.6: "Once the end of the file is reached, any pending data must be discarded."
    agent.handle_response(s(13), status(200));
    agent.poll(s(13));
    assert_eq!(feed(&mut agent, s(13), b"data: whole\n\n"), ["message:whole:"]);
}

/// WHATWG HTML 9.2.6: "set the event stream's reconnection time to that integer."
#[test]
fn the_server_sets_the_reconnection_time() {
    let mut agent = open(Policy::default());
    assert_eq!(feed(&mut agent, s(0), b"retry: 70000\n\n"), ["retry:70s"]);
    assert_eq!(feed(&mut agent, s(1), b"data:\n\n"), ["message::"]);
    agent.handle_end(s(1));
    assert_eq!(agent.poll(s(1)), lost(s(70), Lost::Ended));
    assert_eq!(agent.poll(s(70)), Step::Wait(Some(s(71))));
    assert_eq!(agent.poll(s(71)), connect_as(""));
    // It stays over connections that say nothing of it.
    agent.handle_response(s(71), status(200));
    agent.poll(s(71));
    feed(&mut agent, s(71), b"data:\n\n");
    agent.handle_end(s(71));
    assert_eq!(agent.poll(s(71)), lost(s(70), Lost::Ended));
}

#[test]
fn the_longest_reconnection_time_does_not_overflow() {
    let mut agent = open(Policy::default());
    feed(&mut agent, s(0), b"retry: 18446744073709551615\ndata:\n\n");
    agent.handle_end(Duration::MAX);
    assert!(matches!(agent.poll(Duration::MAX), Step::Reconnecting(_)));
}

/// WHATWG HTML 9.2.3: "If the EventSource object's last event ID string is not the empty string, then: […]
/// Set (`Last-Event-ID`, lastEventIDValue) in request's header list."
#[test]
fn the_last_event_id_outlives_events_and_connections_without_one() {
    let mut agent = open(Policy::default());
    feed(&mut agent, s(0), b"id: 7\ndata: x\n\n");
    assert_eq!(feed(&mut agent, s(0), b"data: y\n\n"), ["message:y:7"]);
    assert_eq!(id_after_end(&mut agent, s(1)), "7");
    agent.handle_response(s(10), status(200));
    agent.poll(s(10));
    assert_eq!(feed(&mut agent, s(10), b"data: z\n\n"), ["message:z:7"]);
    assert_eq!(id_after_end(&mut agent, s(11)), "7");
    // A block that was cut off gives none; one without data does.
    agent.handle_response(s(20), status(200));
    agent.poll(s(20));
    feed(&mut agent, s(20), b"id: 8\n\nid: 9\ndata: z\n");
    assert_eq!(id_after_end(&mut agent, s(21)), "8");
    // An empty id takes it away, and the header with it.
    agent.handle_response(s(30), status(200));
    agent.poll(s(30));
    feed(&mut agent, s(30), b"id\n\n");
    assert_eq!(id_after_end(&mut agent, s(31)), "");
}

#[test]
fn the_hubs_own_blocks_move_the_position_and_gaps_are_told() {
    let mut agent = open(Policy::default());
    let opening = b":\nevent: hub.open\nretry: 2500\ndata: {\"resume\":\"gap\"}\nid: #p0\n\n";
    assert_eq!(feed(&mut agent, s(0), opening), ["retry:2.5s"]);
    assert_eq!(agent.last_event_id(), "#p0");
    let gap = b"event: hub.gap\ndata: {\"requested\":\"a\\\"b\",\"resumed\":null}\nid: #p1\n\n";
    assert_eq!(feed(&mut agent, s(0), gap), ["gap:Some(\"a\\\"b\"):None:#p1"]);
    assert!(feed(&mut agent, s(0), b"event: hub.checkpoint\ndata\nid: #p2\n\n").is_empty());
    assert_eq!(id_after_end(&mut agent, s(1)), "#p2");
    // Some other server's event of that name is an event.
    agent.handle_response(s(10), status(200));
    agent.poll(s(10));
    assert_eq!(feed(&mut agent, s(10), b"event: hub.gap\ndata: road\n\n"), ["hub.gap:road:#p2"]);
}

#[test]
fn a_silent_server_is_left_and_a_comment_is_no_silence() {
    let watched = policy(|policy| policy.read_timeout = ReadTimeout::After(s(45)));
    let mut silent = agent(watched);
    silent.poll(s(0));
    assert_eq!(silent.poll(s(0)), Step::Wait(Some(s(45))));
    silent.handle_response(s(40), status(200));
    assert_eq!(silent.poll(s(45)), Step::Opened);
    feed(&mut silent, s(80), b":\n");
    assert_eq!(silent.poll(s(124)), Step::Wait(Some(s(125))));
    // So long a life was of use: there is no backoff.
    assert_eq!(silent.poll(s(125)), lost(s(3), Lost::Silent(s(45))));

    let mut deaf = agent(watched);
    deaf.poll(s(0));
    assert!(matches!(
        deaf.poll(s(45)),
        Step::Reconnecting(Reconnecting { cause: Lost::Silent(_), .. })
    ));
    // What comes from the connection that was left says nothing any more.
    deaf.handle_response(s(45), status(404));
    assert!(feed(&mut deaf, s(45), b"data: x\n\n").is_empty());
    deaf.handle_end(s(45));
    assert!(matches!(deaf.poll(s(45)), Step::Wait(Some(_))));
}

#[test]
fn refusals_that_will_pass_are_tried_again_if_the_policy_says_so() {
    let patient = policy(|policy| policy.retry_statuses = Statuses::temporary());
    for code in [429, 500, 502, 503, 504] {
        let mut agent = agent(patient);
        agent.poll(s(0));
        agent.handle_response(s(0), Response { retry_after: Some(s(90)), ..status(code) });
        assert_eq!(agent.poll(s(0)), lost(s(90), Lost::Status(code)));
        assert_eq!(agent.poll(s(90)), connect_as(""));
        agent.handle_response(s(90), Response { retry_after: Some(s(0)), ..status(code) });
        let Step::Reconnecting(Reconnecting { delay, .. }) = agent.poll(s(90)) else { panic!() };
        assert!(delay >= s(3), "{delay:?}");
    }
    for code in [400, 401, 403, 404, 406] {
        let mut agent = agent(patient);
        agent.poll(s(0));
        agent.handle_response(s(0), status(code));
        agent.handle_end(s(0));
        assert!(matches!(agent.poll(s(0)), Step::Failed(_)));
    }
}

#[test]
fn an_event_that_is_too_large_is_final_because_it_would_come_again() {
    let small = Limits { line_bytes_max: 20, event_bytes_max: 30 };
    let mut agent = open(policy(|policy| policy.limits = small));
    assert_eq!(feed(&mut agent, s(0), b"data: x\n\ndata: 0123456789012345"), ["message:x:"]);
    assert!(matches!(agent.poll(s(0)), Step::Failed(Failure::Decode(_))));
    assert_eq!(agent.poll(s(1_000_000)), Step::Closed);
}

/// WHATWG HTML 9.2.2: "The close() method must abort any instances of the fetch algorithm started for this
/// EventSource object, and must set the readyState attribute to CLOSED."
#[test]
fn nothing_happens_after_close() {
    let mut agent = open(Policy::default());
    agent.close();
    assert!(feed(&mut agent, s(0), b"data: x\n\n").is_empty());
    agent.handle_error(s(0), "reset".into());
    agent.handle_end(s(0));
    agent.handle_response(s(0), status(200));
    assert_eq!(agent.poll(s(1_000_000)), Step::Closed);
    assert_eq!(agent.ready_state(), ReadyState::Closed);
}

#[test]
fn a_stored_id_is_sent_with_the_first_connection() {
    let mut agent = agent(Policy::default());
    agent.set_last_event_id("é 1");
    assert_eq!(agent.poll(s(0)), connect_as("é 1"));
}

/// WHATWG HTML 9.2.1: "Event stream requests can be redirected using HTTP 301 and 307 redirects as with normal
/// HTTP requests."
#[test]
fn a_redirect_is_followed_and_the_next_connection_begins_at_the_start() {
    let mut agent = agent(Policy::default());
    agent.poll(s(0));
    let moved = Response { status: 301, location: Some("/y"), ..Response::default() };
    agent.handle_response(s(1), moved);
    assert_eq!(agent.ready_state(), ReadyState::Connecting);
    let Step::Connect(there) = agent.poll(s(1)) else { panic!() };
    assert_eq!(
        (there.url.as_str(), there.method, there.redirects),
        ("http://a.test/y", Method::GET, 1)
    );
    assert_eq!(agent.url(), &there.url);
    assert_eq!(agent.poll(s(1)), Step::Wait(None));
    agent.handle_response(s(2), status(200));
    assert_eq!(agent.poll(s(2)), Step::Opened);
    feed(&mut agent, s(2), b"id: 1\ndata\n\n");
    agent.handle_end(s(2));
    agent.poll(s(2));
    assert_eq!(agent.poll(s(5)), connect_as("1"));
}

#[test]
fn a_redirect_that_cannot_be_followed_is_a_network_error() {
    let mut agent = agent(Policy::default());
    agent.poll(s(0));
    let nowhere = Response { status: 307, location: Some("http://"), ..Response::default() };
    agent.handle_response(s(0), nowhere);
    let Step::Reconnecting(Reconnecting { cause, .. }) = agent.poll(s(0)) else { panic!() };
    assert!(matches!(cause, Lost::Redirect(_)), "{cause}");
}

#[test]
fn the_read_timeout_is_learnt_from_the_heartbeat() {
    let learning = policy(|policy| policy.read_timeout = ReadTimeout::Heartbeat);
    let mut agent = open(learning);
    // Nothing is known: it could be silent for ever.
    feed(&mut agent, s(0), b": welcome\n\ndata: x\n\n");
    assert_eq!(agent.poll(s(100)), Step::Wait(None));
    assert!(feed(&mut agent, s(20), b":\n").is_empty(), "not reported unless asked for");
    assert_eq!(agent.poll(s(20)), Step::Wait(Some(s(80))));
    assert_eq!(delay(agent.poll(s(80))), s(3));
    // It stays known, also while there is no answer.
    agent.poll(s(83));
    assert_eq!(agent.poll(s(83)), Step::Wait(Some(s(143))));

    // A hub's is known from its first block.
    let mut agent = open(learning);
    feed(&mut agent, s(0), b":\nevent: hub.open\ndata: {}\nid: #0\n\n");
    assert_eq!(agent.poll(s(0)), Step::Wait(Some(s(45))));
}

#[test]
fn comments_are_reported_if_asked_for() {
    let mut agent = open(policy(|policy| policy.report_comments = true));
    assert_eq!(feed(&mut agent, s(0), b": a\n:b\n"), ["comment:a", "comment:b"]);
}

#[test]
fn without_reconnecting_nothing_is_tried_again() {
    let once = policy(|policy| policy.reconnect = false);
    let mut ended = open(once);
    ended.handle_end(s(0));
    assert_eq!(ended.poll(s(0)), Step::Closed);
    let mut lost = agent(once);
    lost.poll(s(0));
    lost.handle_error(s(0), "refused".into());
    let failure = Failure::Lost(Lost::Network("refused".into()));
    assert_eq!(lost.poll(s(0)), Step::Failed(failure));
    assert_eq!(lost.poll(s(1_000_000)), Step::Closed);
}

#[test]
fn reconnect_connects_at_once_and_drops_what_was_half_there() {
    let mut agent = open(Policy::default());
    feed(&mut agent, s(0), b"id: 1\ndata: x\n\nid: 2\ndata: half\n");
    agent.reconnect();
    assert_eq!(agent.poll(s(0)), connect_as("1"));
    agent.handle_response(s(0), status(200));
    agent.poll(s(0));
    assert_eq!(feed(&mut agent, s(0), b"\ndata: y\n\n"), ["message:y:1"]);
    agent.close();
    agent.reconnect();
    assert_eq!(agent.poll(s(9)), Step::Closed);
}
