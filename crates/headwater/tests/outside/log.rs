//! `headwater log` over logs that a hub has written.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::Place;

const DATA: &str = "headwater-data";

/// A place with a log of a few events of every kind.
fn written() -> Place {
    let place = Place::new();
    let hub = place.start(&["serve"], &[]);
    for nth in 0..40 {
        assert_eq!(hub.publish(&format!("/events/prices/{}", nth % 4), "", &format!("{nth}")), 200);
    }
    assert_eq!(hub.publish("/events/news?id=mine&type=t&retry=5", "", "\u{e9}\r\n\"x\""), 200);
    hub.stop();
    place
}

/// The events of a log, as `export` writes them.
fn exported(place: &Place, arguments: &[&str]) -> Vec<Value> {
    let (code, out, error) = place.run(&[&["log", "export"], arguments].concat(), &[]);
    assert_eq!((code, error.as_str()), (0, ""));
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Without the ids that a hub has made, which are another's in another log.
fn without_ids(mut events: Vec<Value>) -> Vec<Value> {
    for event in &mut events {
        if event["id"].as_str().unwrap().starts_with('#') {
            event["id"].take();
        }
    }
    events
}

fn segment(place: &Place) -> PathBuf {
    let files = fs::read_dir(place.path().join(DATA)).unwrap();
    let mut names = files.map(|file| file.unwrap().path());
    names.find(|path| path.extension().is_some_and(|end| end == "log")).unwrap()
}

fn import(place: &Place, arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut command = place.command(&[&["log", "import"], arguments].concat(), &[]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It ends without reading all if it has seen enough.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn info_counts_beside_a_running_hub() {
    let place = written();
    let hub = place.start(&["serve"], &[]);
    assert_eq!(hub.publish("/events/other", "", "one"), 200);
    let (code, out, error) = place.run(&["log", "info", DATA, "--json"], &[]);
    assert_eq!((code, error.as_str()), (0, ""));
    let info: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(info["version"], 2);
    assert_eq!((&info["events"], &info["topics"]), (&json!(42), &json!(6)));
    assert_eq!((&info["segments"], &info["floor"]), (&json!(2), &json!(0)));
    assert_eq!(info["epochs"].as_array().unwrap().len(), 2);
    assert_eq!(info["compacted"], json!({"segments": 0, "events": 0}));
    assert!(info["first_time"].as_str().unwrap() <= info["last_time"].as_str().unwrap());
    // The id is one of this hub, of the newest event.
    let id = info["last_event_id"].as_str().unwrap();
    let position = format!("Last-Event-ID: {id}\r\n");
    let (head, _) =
        hub.ask("GET", "/events/other?wait=0", &(position + "Accept: application/json\r\n"), "");
    assert!(head.contains("200 OK"), "{head}");
    let (code, out, _) = place.run(&["log", "info", DATA], &[]);
    assert_eq!(code, 0);
    assert!(out.contains("events      42\n"), "{out}");
    // So do the others that only look.
    assert_eq!(exported(&place, &[DATA, "--topic", "other"])[0]["data"], "one");
    let (code, out, _) = place.run(&["log", "verify", DATA], &[]);
    assert_eq!((code, out.as_str()), (0, "42 events in 2 segments were read\n"));
    hub.stop();
}

#[test]
fn what_is_exported_and_imported_is_the_same() {
    let place = written();
    let events = exported(&place, &[DATA]);
    assert_eq!(events.len(), 41);
    let last = &events[40];
    assert_eq!(last["id"], "mine");
    assert_eq!((&last["type"], &last["retry"]), (&json!("t"), &json!(5)));
    assert_eq!(last["data"], "\u{e9}\r\n\"x\"");
    let (code, out, error) = place.run(&["log", "export", DATA, "--output", "events.ndjson"], &[]);
    assert_eq!((code, out.as_str(), error.as_str()), (0, "", "41 events are in events.ndjson\n"));
    let (code, out, _) = place.run(&["log", "import", "copy", "events.ndjson"], &[]);
    assert_eq!((code, out.as_str()), (0, "41 events are imported into copy\n"));
    assert_eq!(without_ids(exported(&place, &["copy"])), without_ids(events.clone()));
    // Out of a pipe, into the same again: the times are older than what is there now.
    let text = fs::read_to_string(place.path().join("events.ndjson")).unwrap();
    let (code, out, _) = import(&place, &["copy"], &text);
    assert_eq!(code, 0);
    assert!(out.starts_with("41 events are imported into copy\n"), "{out}");
    assert!(out.contains("got its time"), "{out}");
    assert_eq!(exported(&place, &["copy"]).len(), 82);
    assert_eq!(place.run(&["log", "verify", "copy"], &[]).0, 0);
    // A hub serves it.
    let hub = place.start(&["serve", "--data", "copy"], &[]);
    let poll = "/events/news?since=all&wait=0";
    let (_, body) = hub.ask("GET", poll, "Accept: application/json\r\nLast-Event-ID: mine\r\n", "");
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answer["events"].as_array().unwrap().len(), 1, "the first with the id is meant");
    hub.stop();
}

#[test]
fn an_export_is_of_some_topics_or_times_only() {
    let place = written();
    let count = |arguments: &[&str]| exported(&place, &[&[DATA], arguments].concat()).len();
    assert_eq!(count(&["--topic", "prices/1"]), 10);
    assert_eq!(count(&["--topic", "prices/1", "--topic", "news"]), 11);
    assert_eq!(count(&["--pattern", "/prices/:number"]), 40);
    assert_eq!(count(&["--pattern", "*"]), 41);
    assert_eq!(count(&["--since", "1h"]), 41);
    assert_eq!(count(&["--since", "7d", "--topic", "news"]), 1);
    assert_eq!(count(&["--since", "2999-01-01T00:00:00Z"]), 0);
    let (code, _, error) = place.run(&["log", "export", DATA, "--since", "yesterday"], &[]);
    assert_eq!(code, 64);
    assert!(error.contains("2026-01-31T12:00:00Z, or a duration"), "{error}");
}

#[test]
fn a_flipped_bit_is_found_and_named() {
    let place = written();
    let segment = segment(&place);
    let name = segment.file_name().unwrap().to_string_lossy().into_owned();
    let whole = fs::read(&segment).unwrap();
    let at = whole.windows(4).position(|bytes| bytes == b"es/0").unwrap();
    let mut damaged = whole.clone();
    damaged[at] ^= 1;
    fs::write(&segment, &damaged).unwrap();
    let (code, out, error) = place.run(&["log", "verify", DATA], &[]);
    assert_eq!(code, 1);
    assert!(out.starts_with(&format!("{name}: bytes 64 to ")), "{out}");
    assert!(out.contains("40 events in 1 segments were read"), "{out}");
    assert_eq!(error, "headwater: the log is damaged in 1 place\n");
    // The others are exported all the same, and it is said that one is missing.
    let (code, out, error) = place.run(&["log", "export", DATA], &[]);
    assert_eq!((code, out.lines().count()), (1, 40));
    assert!(error.starts_with(&format!("headwater: {name}: bytes 64 to ")), "{error}");
    fs::write(&segment, whole).unwrap();
    assert_eq!(place.run(&["log", "verify", DATA], &[]).0, 0);
    // An index that does not say what is in its segment.
    let index = segment.with_extension("idx");
    let mut damaged = fs::read(&index).unwrap();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    fs::write(&index, &damaged).unwrap();
    let (code, out, _) = place.run(&["log", "verify", DATA], &[]);
    assert_eq!(code, 1);
    let name = index.file_name().unwrap().to_string_lossy().into_owned();
    assert!(out.starts_with(&format!("{name}: byte {last}: the index does not")), "{out}");
    // None at all is made again.
    fs::remove_file(&index).unwrap();
    place.start(&["serve"], &[]).stop();
    assert_eq!(place.run(&["log", "verify", DATA], &[]).0, 0);
}

#[test]
fn a_bad_line_is_named_and_a_file_with_one_is_left_alone() {
    let place = Place::new();
    let good = "{\"topic\":\"a\",\"data\":\"x\"}\n";
    let text = good.repeat(1_500) + "\n{\"topic\":\"a\"}\n" + good;
    fs::write(place.path().join("bad.ndjson"), &text).unwrap();
    let (code, _, error) = place.run(&["log", "import", "data", "bad.ndjson"], &[]);
    assert_eq!(code, 1);
    assert!(error.contains("line 1502: it is not such a JSON object"), "{error}");
    assert!(error.contains("nothing was imported"), "{error}");
    assert!(!place.path().join("data").exists());
    // A pipe cannot be read twice.
    let (code, _, error) = import(&place, &["data"], &text);
    assert_eq!(code, 1);
    assert!(error.contains("line 1502: it is not"), "{error}");
    assert!(error.contains("1,000 events from before line 1001 are in the log"), "{error}");
    assert_eq!(exported(&place, &["data"]).len(), 1_000);
}

#[test]
fn compaction_lets_go_what_the_settings_do_not_keep() {
    let place = written().with(
        "headwater.toml",
        "[[retention]]\npattern = \"/prices/:number\"\nkeep = \"latest\"\n",
    );
    let (code, out, error) = place.run(&["log", "compact", DATA], &[]);
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(out.starts_with("36 events and 0 segments are gone"), "{out}");
    let events = exported(&place, &[DATA]);
    let data: Vec<_> = events.iter().map(|event| event["data"].as_str().unwrap()).collect();
    assert_eq!(data, ["36", "37", "38", "39", "\u{e9}\r\n\"x\""]);
    let (_, out, _) = place.run(&["log", "info", DATA], &[]);
    assert!(out.contains("compacted   1 segments, out of which 36 events went"), "{out}");
    assert_eq!(place.run(&["log", "verify", DATA], &[]).0, 0);
    let (_, out, _) = place.run(&["log", "compact", DATA], &[]);
    assert_eq!(out, "nothing is to go\n");
}

#[test]
fn what_cannot_be_done_is_said() {
    let place = written();
    let hub = place.start(&["serve"], &[]);
    for arguments in [&["log", "compact", DATA][..], &["log", "import", DATA]] {
        let (code, _, error) = place.run(arguments, &[]);
        assert_eq!(code, 1);
        assert!(error.contains("is used by another process: stop that one"), "{error}");
    }
    hub.stop();
    for command in ["info", "verify", "export", "compact"] {
        let (code, _, error) = place.run(&["log", command, "nowhere"], &[]);
        assert_eq!(code, 64);
        assert!(error.contains("there is no log in nowhere: give the directory"), "{error}");
        assert!(!place.path().join("nowhere").exists());
    }
    fs::write(place.path().join(DATA).join("format"), "headwater log, version 9\n").unwrap();
    let (code, _, error) = place.run(&["log", "info", DATA], &[]);
    assert_eq!(code, 64);
    assert!(error.contains("version 9"), "{error}");
}
