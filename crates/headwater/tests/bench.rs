//! `headwater bench` from outside: against the hub, and against servers that do it wrong.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failure here is a failed test")]
#![allow(clippy::disallowed_methods, reason = "a test waits for a real process")]
#![allow(clippy::disallowed_types, reason = "the servers of these tests have threads")]

#[allow(dead_code, reason = "each test crate uses its own part of it")]
#[path = "outside/support.rs"]
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;
use support::Place;

/// Runs it and reads its report: the exit code, the report, what it said on stderr.
fn bench(arguments: &[&str]) -> (i32, Value, String) {
    let brief = ["bench", "--json", "-", "--duration", "400ms", "--warmup", "50ms"];
    let (code, stdout, stderr) = Place::new().run(&[&brief, arguments].concat(), &[]);
    (code, serde_json::from_str(&stdout).unwrap_or(Value::Null), stderr)
}

fn count(report: &Value, pointer: &str) -> u64 {
    report.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("{pointer}: {report}"))
}

/// Runs it against a hub and checks that nothing went wrong.
fn bench_hub(arguments: &[&str]) -> Value {
    let place = Place::new();
    let hub = place.start(&["serve", "--log", "memory"], &[]);
    let url = format!("http://{}", hub.address);
    let (code, report, stderr) = bench(&[&["--url", &url], arguments].concat());
    assert_eq!((code, stderr.as_str()), (0, ""), "{report}");
    for fault in ["lost", "duplicates", "reordered", "misdelivered", "closed", "failed", "refused"]
    {
        assert_eq!(count(&report, &format!("/faults/{fault}")), 0, "{fault}: {report}");
    }
    report
}

#[test]
fn every_event_reaches_every_subscriber_of_its_topic() {
    for pace in [["--rate", "200"], ["--in-flight", "1"], ["--in-flight", "16"]] {
        let report = bench_hub(&[&["-n", "30", "--topics", "3"][..], &pace].concat());
        let published = count(&report, "/published");
        assert!(published > 0, "{report}");
        assert_eq!(count(&report, "/deliveries"), published * 10, "{report}");
        assert!(report["latency"]["p50_us"].as_f64().unwrap() > 0.0);
        assert_eq!(report["connect"]["connections"], 30);
    }
}

#[test]
fn a_topic_for_each_subscriber() {
    let report = bench_hub(&["-n", "20", "--mode", "topics", "--in-flight", "4"]);
    assert_eq!(count(&report, "/load/topics"), 20);
    assert_eq!(count(&report, "/deliveries"), count(&report, "/published"));
}

#[test]
fn after_a_storm_everybody_has_what_was_missed() {
    let report = bench_hub(&["-n", "40", "--mode", "storm", "--missed", "7"]);
    assert_eq!(count(&report, "/storm/caught_up_subscribers"), 40);
    assert!(report["storm"]["caught_up"]["p99_us"].as_f64().unwrap() > 0.0);
}

#[test]
fn subscribers_that_do_not_read_take_nothing_from_others() {
    let report = bench_hub(&["-n", "5", "--mode", "stalled", "--stalled", "3", "--size", "20000"]);
    assert_eq!(count(&report, "/stalled/connections"), 3);
    assert_eq!(count(&report, "/deliveries"), count(&report, "/published") * 5);
}

#[test]
fn subscribers_come_and_go() {
    bench_hub(&["-n", "20", "--rate", "300", "--churn", "100"]);
}

#[test]
#[cfg(target_os = "linux")]
fn the_servers_processor_time_and_memory_are_told() {
    let place = Place::new();
    let hub = place.start(&["serve", "--log", "memory"], &[]);
    let (url, pid) = (format!("http://{}", hub.address), std::process::id().to_string());
    // Ours, whose child the hub is.
    let page = place.path().join("report.html");
    let page = page.to_str().unwrap();
    let (code, report, _) =
        bench(&["--url", &url, "-n", "10", "--rate", "50", "--server-pid", &pid, "--html", page]);
    assert_eq!(code, 0);
    let server = &report["server"];
    assert!(count(&report, "/server/processes") >= 2, "{server}");
    assert!(server["cpu_us_per_delivery"].as_f64().unwrap() > 0.0, "{server}");
    assert!(count(&report, "/server/rss_bytes_end") > 1 << 20, "{server}");
    let html = std::fs::read_to_string(page).unwrap();
    assert!(html.contains("</svg>") && !html.contains("src="), "{html}");
    let (code, _, stderr) = bench(&["--url", &url, "--server-pid", "4294967295"]);
    assert!(code == 1 && stderr.contains("4294967295"), "{stderr}");
}

/// A server with one topic that sends each event as often as `times` says, in the order it says.
struct Wrong {
    url: String,
    events: Arc<AtomicU64>,
}

/// The frames to send for the next event, which is the so manieth.
type Frames = fn(number: u64, event: &str) -> Vec<String>;

fn frame(data: &str) -> String {
    format!("data: {data}\n\n")
}

impl Wrong {
    fn start(head: &'static str, frames: Frames) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/x", listener.local_addr().unwrap());
        let (events, subscribers) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(Vec::new())));
        let counted = Arc::clone(&events);
        thread::spawn(move || {
            for socket in listener.incoming() {
                let (socket, events) = (socket.unwrap(), Arc::clone(&counted));
                let subscribers = Arc::clone(&subscribers);
                thread::spawn(move || serve(socket, head, frames, &events, &subscribers));
            }
        });
        Self { url, events }
    }

    fn bench(&self) -> (i32, Value, String) {
        bench(&["--url", &self.url, "-n", "4", "--rate", "100", "--publishers", "1"])
    }
}

fn serve(
    mut socket: TcpStream,
    head: &str,
    frames: Frames,
    events: &AtomicU64,
    subscribers: &Mutex<Vec<TcpStream>>,
) {
    let mut reader = BufReader::new(socket.try_clone().unwrap());
    loop {
        let mut request = String::new();
        while !request.ends_with("\r\n\r\n") {
            if reader.read_line(&mut request).unwrap_or(0) == 0 {
                return;
            }
        }
        if request.starts_with("GET") {
            socket.write_all(head.as_bytes()).unwrap();
            subscribers.lock().unwrap().push(socket.try_clone().unwrap());
            continue;
        }
        let (_, length) = request.split_once("Content-Length: ").unwrap();
        let mut body = vec![0; length.split("\r\n").next().unwrap().parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        let number = events.fetch_add(1, Ordering::Relaxed);
        for text in frames(number, std::str::from_utf8(&body).unwrap()) {
            for subscriber in subscribers.lock().unwrap().iter_mut() {
                // Those that have left are none of this test's.
                let _ = subscriber.write_all(text.as_bytes());
            }
        }
        socket.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
    }
}

const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";

#[test]
fn what_is_lost_is_counted() {
    let server = Wrong::start(STREAM, |number, event| match number % 3 {
        2 => vec![],
        _ => vec![frame(event)],
    });
    let (code, report, stderr) = server.bench();
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("lost"), "{stderr}");
    let lost = server.events.load(Ordering::Relaxed) / 3;
    assert_eq!(count(&report, "/faults/lost"), lost * 4, "{report}");
    assert_eq!(count(&report, "/faults/reordered"), 0);
}

#[test]
fn what_comes_twice_is_counted() {
    let server = Wrong::start(STREAM, |number, event| match number % 5 {
        4 => vec![frame(event), frame(event)],
        _ => vec![frame(event)],
    });
    let (code, report, _) = server.bench();
    assert_eq!(code, 1);
    let twice = server.events.load(Ordering::Relaxed) / 5;
    assert_eq!(count(&report, "/faults/duplicates"), twice * 4, "{report}");
    assert_eq!(count(&report, "/faults/lost"), 0);
}

#[test]
fn what_comes_out_of_order_is_counted() {
    static HELD: Mutex<Option<String>> = Mutex::new(None);
    let server = Wrong::start(STREAM, |number, event| match number {
        3 => {
            *HELD.lock().unwrap() = Some(frame(event));
            vec![]
        }
        4 => vec![frame(event), HELD.lock().unwrap().take().unwrap()],
        _ => vec![frame(event)],
    });
    let (code, report, _) = server.bench();
    assert_eq!(code, 1);
    assert_eq!(count(&report, "/faults/reordered"), 4, "{report}");
    assert_eq!(count(&report, "/faults/lost"), 0);
}

#[test]
fn two_events_in_one_are_two() {
    static HELD: Mutex<Option<String>> = Mutex::new(None);
    let server = Wrong::start(STREAM, |number, event| {
        let mut held = HELD.lock().unwrap();
        match held.take() {
            Some(first) => vec![frame(&format!("{first}{event}"))],
            // The last one may be an odd one.
            None if number < 2 => {
                *held = Some(event.to_owned());
                vec![]
            }
            None => vec![frame(event)],
        }
    });
    let (code, report, stderr) = server.bench();
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(count(&report, "/deliveries"), count(&report, "/published") * 4);
}

#[test]
fn a_server_that_refuses_is_quoted() {
    for (head, advice) in [
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nno such", "404: no such"),
        ("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", "path of --url"),
        ("SSH-2.0-OpenSSH\r\n\r\n", "right port"),
    ] {
        let server = Wrong::start(head, |_, _| vec![]);
        let (code, _, stderr) = server.bench();
        assert!(code == 1 && stderr.contains(advice), "{stderr}");
    }
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let (code, _, stderr) = bench(&["--url", &url]);
    assert!(code == 1 && stderr.contains("cannot subscribe at"), "{stderr}");
}

#[test]
fn arguments_that_make_no_sense_are_explained() {
    for (arguments, advice) in [
        (&["--url", "https://127.0.0.1"][..], "without TLS"),
        (&["--url", "http://127.0.0.1/x", "--topics", "2"], "{topic}"),
        (&["--publish-body", "x"], "{payload}"),
        (&["--size", "10"], "--size is at least"),
        (&["-n", "0"], "--subscribers"),
        (&["--rate", "0"], "--rate"),
        (&["--rate", "1", "--in-flight", "1"], "cannot be used with"),
        (&["--timeout", "soon"], "500ms"),
    ] {
        let (code, _, stderr) = bench(arguments);
        assert!(code == 64 && stderr.contains(advice), "{arguments:?}: {stderr}");
    }
}
