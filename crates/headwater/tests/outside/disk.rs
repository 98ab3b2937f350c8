//! A disk that is full or cannot be written: publishers are told, subscribers keep their streams, and the
//! hub recovers by itself. And a hub that is stopped, which closes its log before it goes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Hub, PATIENCE, Place};

/// A small file system of its own; unmounted when it is dropped.
struct Small {
    place: Place,
    path: PathBuf,
}

impl Small {
    /// `None` if this process may not mount, and then says so.
    fn mount() -> Option<Self> {
        let place = Place::new();
        let path = place.path().join("small");
        fs::create_dir(&path).unwrap();
        match mount(&["-t", "tmpfs", "-o", "size=6m", "tmpfs"], &path) {
            Ok(()) => Some(Self { place, path }),
            Err(why) => {
                #[expect(clippy::print_stderr, reason = "whoever runs the tests should know")]
                {
                    eprintln!("skipped, because mounting a file system needs to be root: {why}");
                }
                None
            }
        }
    }

    /// A hub with its log there, in segments of 1 MiB.
    fn hub(&self) -> Hub {
        let variables = [("HEADWATER_DISK__SEGMENT_BYTES", "1048576")];
        self.place.start(&["serve", "--data", "small/data"], &variables)
    }

    /// From now on nothing can be opened for writing in the log's directory.
    fn make_read_only(&self) {
        let data = self.path.join("data");
        // A second mount of it on top of it: the first cannot change while files are open in it.
        mount(&["--bind", data.to_str().unwrap()], &data).unwrap();
        mount(&["-o", "remount,bind,ro"], &data).unwrap();
    }

    fn make_writable(&self) {
        let status = Command::new("umount").arg(self.path.join("data")).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily, if the hub is not gone yet.
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

fn mount(arguments: &[&str], path: &Path) -> Result<(), String> {
    let output = Command::new("mount").args(arguments).arg(path).output();
    let output = output.map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into())
    }
}

/// Publishes until it is refused, and gives that answer.
fn until_refused(hub: &Hub, data: &str) -> (String, String) {
    for _ in 0..1_000 {
        let (head, body) = hub.ask("POST", "/events/t", "", data);
        if !head.starts_with("HTTP/1.1 200 ") {
            return (head, body);
        }
    }
    panic!("the disk is never full")
}

/// Publishes until it is taken.
fn until_taken(hub: &Hub, data: &str) {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if hub.publish("/events/t", "", data) == 200 {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("publishing does not work again")
}

fn assert_refusal((head, body): &(String, String), reason: &str) {
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert!(head.to_lowercase().contains("\r\nretry-after: "), "{head}");
    assert!(body.contains(reason), "{body}");
}

#[test]
fn a_full_disk_refuses_publishers_and_nothing_else() {
    let Some(small) = Small::mount() else { return };
    let other = small.path.join("other");
    fs::write(&other, vec![1; 3 << 20]).unwrap();
    let hub = small.hub();
    let mut subscriber = hub.subscribe("/events/t");
    let refusal = until_refused(&hub, &"x".repeat(50_000));
    assert_refusal(&refusal, "No space left on device");
    let (health, reason) = hub.get("/healthz");
    assert!(
        health.starts_with("HTTP/1.1 503 ") && reason.contains("No space left"),
        "{health}{reason}"
    );
    // Who comes is served, with all that was taken.
    let (_, answer) = hub.ask("GET", "/events/t?since=all", "Accept: application/json\r\n", "");
    let kept = answer.matches("\"id\":").count();
    assert!(kept > 0);
    fs::remove_file(other).unwrap();
    until_taken(&hub, "there is room again");
    subscriber.sees("data: there is room again");
    assert!(hub.get("/healthz").0.starts_with("HTTP/1.1 200 "));
    hub.stop();
    let (code, out, error) = small.place.run(&["log", "verify", "small/data"], &[]);
    assert_eq!(code, 0, "{out}{error}");
}

#[test]
fn a_disk_that_is_read_only_for_a_while_refuses_publishers_and_nothing_else() {
    let Some(small) = Small::mount() else { return };
    // What is open stays open: the log has not begun a segment yet.
    let hub = small.hub();
    let mut subscriber = hub.subscribe("/events/t");
    small.make_read_only();
    let refusal = hub.ask("POST", "/events/t", "", "x");
    assert_refusal(&refusal, "Read-only file system");
    small.make_writable();
    until_taken(&hub, "it can be written again");
    subscriber.sees("data: it can be written again");
    hub.stop();
}

#[test]
fn a_hub_that_is_stopped_has_closed_its_log() {
    let place = Place::new();
    for round in 0..3 {
        let hub = place.start(&["serve"], &[]);
        let page = hub.subscribe("/events/a");
        assert_eq!(hub.publish("/events/a", "", "hello"), 200);
        hub.stop();
        page.until_the_end();
        let files = fs::read_dir(place.path().join("headwater-data")).unwrap();
        let names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
        let count = |ending: &str| {
            names.iter().filter(|name| name.to_string_lossy().ends_with(ending)).count()
        };
        // Each was sealed when it was closed, and has an index.
        assert_eq!(count(".idx"), round + 1, "{names:?}");
        assert_eq!(count(".new"), 0, "{names:?}");
    }
}
