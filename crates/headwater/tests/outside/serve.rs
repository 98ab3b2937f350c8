//! `headwater serve` from outside.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::support::Place;
use rustix::process::Signal;

const KEY: &str = "correct-horse-battery-staple";

#[test]
fn what_is_published_arrives_at_once() {
    let place = Place::new();
    let hub = place.start(&["serve", "--log", "memory"], &[]);
    let mut subscriber = hub.subscribe("/events/news");
    assert_eq!(hub.publish("/events/news", "", "hello"), 200);
    assert_eq!(subscriber.sees("data: hello"), "");
    hub.stop();
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn what_was_published_is_there_after_a_kill() {
    let place = Place::new();
    let mut subscribers = Vec::new();
    for round in 0..3 {
        let mut hub = place.start(&["serve"], &[]);
        let mut subscriber = hub.subscribe("/events/news?since=all");
        for earlier in 0..round {
            subscriber.sees(&format!("data: {earlier}"));
        }
        assert_eq!(hub.publish("/events/news", "", &round.to_string()), 200);
        subscriber.sees(&format!("data: {round}"));
        hub.signal(Signal::KILL);
        hub.ended();
        subscribers.push(subscriber);
    }
    let mut hub = place.start(&["serve"], &[]);
    hub.logs("the log in ./headwater-data has 3 events in 3 segments");
    let (code, _, error) = place.run(&["serve", "--listen", "127.0.0.1:0"], &[]);
    assert!(code == 1 && error.contains("is used by another process"), "{error}");
    hub.signal(Signal::TERM);
    assert_eq!(hub.ended().code(), Some(0));
}

#[test]
fn a_directory_that_cannot_be_written_is_told() {
    let place = Place::new().with("file", "");
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--data", "file"];
    let (code, out, error) = place.run(&arguments, &[]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(error.contains("the log in file cannot be opened: "), "{error}");
}

#[test]
fn an_address_in_use_is_told_with_a_remedy() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for command in ["serve", "demo"] {
        let (code, out, error) = Place::new().run(&[command, "--listen", &address], &[]);
        assert_eq!((code, out.as_str()), (1, ""));
        let says = format!("{address} is in use by another program");
        assert!(error.contains(&says) && error.contains("`--listen 127.0.0.1:"), "{error}");
    }
}

#[test]
fn stopping_ends_streams_cleanly_and_in_time() {
    for signal in [Signal::TERM, Signal::INT] {
        let place = Place::new();
        let mut hub = place.start(&["serve"], &[]);
        let mut subscriber = hub.subscribe("/events/news");
        hub.publish("/events/news", "", "hello");
        subscriber.sees("data: hello");
        let asked = Instant::now();
        hub.signal(signal);
        let all = subscriber.until_the_end();
        // The response has no length: it ends where the connection does.
        let (_, last) = all.rsplit_once("data: hello").unwrap();
        let (_, retry) = last.rsplit_once("\nretry: ").expect("when to come back");
        assert!(retry.ends_with("\n\n"), "the last block is cut: {all:?}");
        assert_eq!(hub.ended().code(), Some(0));
        assert!(asked.elapsed() < Duration::from_secs(5), "it is promised to take less than that");
    }
}

#[test]
fn a_second_signal_ends_everything_at_once() {
    let place = Place::new();
    let source = "exec:t=sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1; done'";
    let mut hub = place.start(&["serve", "--source", source], &[]);
    let mut subscriber = hub.subscribe("/events/t?since=all");
    let program: i32 = subscriber.sees("data: ").parse().unwrap();
    hub.signal(Signal::TERM);
    hub.logs("once more to stop at once");
    hub.signal(Signal::TERM);
    assert_eq!(hub.ended().code(), Some(1));
    let stat = std::fs::read_to_string(format!("/proc/{program}/stat")).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "the program goes on: {stat}");
}

#[test]
fn the_publish_key_is_asked_for_and_told_to_nobody() {
    let source = "exec,format=lines:t=sh -c 'env; env >&2; echo end >&2; echo end'";
    let place = Place::new();
    let variables = [("HEADWATER_PUBLISH_KEY", KEY), ("HEADWATER_LOG_LEVEL", "trace")];
    let hub = place.start(&["serve", "--source", source], &variables);
    assert_eq!(hub.publish("/events/news", "", "x"), 401);
    assert_eq!(hub.publish("/events/news", &format!("Authorization: Bearer {KEY}\r\n"), "x"), 200);
    let mut subscriber = hub.subscribe("/events/t?since=all");
    subscriber.sees("data: end");
    assert!(subscriber.seen.contains("data: PATH=") && !subscriber.seen.contains(KEY));
    // Two runs of `env` are shorter than that.
    let shown = (0..10_000).map(|_| hub.logs("")).take_while(|line| !line.contains("`: end "));
    shown.for_each(|line| assert!(!line.contains(KEY), "{line}"));
    hub.stop();
}

#[test]
fn a_classic_php_script_is_a_source_without_a_change() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/php-clock/clock.php");
    let place = Place::new();
    let hub = place.start(&["serve", "--source", &format!("exec:time=php '{script}'")], &[]);
    let mut subscriber = hub.subscribe("/events/time?since=all");
    let data = subscriber.sees("data: ");
    assert!(data.contains(':'), "a time of day: {data:?}");
    hub.stop();
}

#[test]
fn a_program_that_fails_is_reported_and_what_it_complains_of_is_logged() {
    let place = Place::new();
    let hub = place.start(&["serve", "--source", "exec:t=sh -c 'echo alas >&2; exit 3'"], &[]);
    assert!(hub.logs("alas").contains("topic=t"));
    let line = hub.logs("exit status: 3");
    assert!(line.contains("it runs again in") && line.contains("topic=t"), "{line}");
    hub.stop();
}

#[test]
fn a_source_may_run_only_while_somebody_listens() {
    let place = Place::new();
    let quiet = "exec,only_while_listened:quiet=sh -c 'echo ran >> ran; echo here'";
    let hub = place.start(&["serve", "--source", quiet, "--source", "exec:loud=echo x"], &[]);
    // By the time that the other has run, it would have too.
    hub.subscribe("/events/loud?since=all").sees("data: x");
    assert!(!place.path().join("ran").exists());
    assert_eq!(hub.subscribe("/events/quiet").sees("data: "), "here");
    hub.stop();
}
