//! A hub that is killed while publishers are at work and pages follow, again and again: what it acknowledged
//! is there, and every page that comes back gets exactly what it missed.
//!
//! The page cache outlives a killed process, so this does not test syncing; the log's own simulation does.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use futures_util::StreamExt as _;
use headwater_client::{EventSource, Item};
use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Hub, PATIENCE, Place};

const PUBLISHERS: usize = 4;
const PAGES: usize = 3;
/// Each start reads the one that was open, to its end.
const SMALL_SEGMENTS: [(&str, &str); 1] = [("HEADWATER_DISK__SEGMENT_BYTES", "1048576")];

#[test]
fn a_killed_hub_keeps_what_it_acknowledged() {
    let kills: usize =
        std::env::var("HUB_KILLS").ok().and_then(|count| count.parse().ok()).unwrap_or(200);
    let place = Place::new();
    let mut acknowledged: HashMap<String, String> = HashMap::new();
    let mut pages: Vec<Page> = (0..PAGES).map(|_| Page::default()).collect();
    for round in 0..kills {
        let mut hub = place.start(&["serve"], &SMALL_SEGMENTS);
        let (answers, heard) = channel();
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|publisher| {
                let (address, answers) = (hub.address, answers.clone());
                thread::spawn(move || publish(address, &format!("{round}.{publisher}"), &answers))
            })
            .collect();
        drop(answers);
        let address = hub.address;
        let following: Vec<_> = pages
            .into_iter()
            .map(|page| thread::spawn(move || page.follow(address, usize::MAX)))
            .collect();
        // In the middle of the work, wherever that is.
        let before = fastrand::usize(1..60);
        for _ in 0..before {
            let (data, id) = heard.recv_timeout(PATIENCE).expect("publishers are answered");
            acknowledged.insert(data, id);
        }
        hub.signal(Signal::KILL);
        hub.ended();
        publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
        acknowledged.extend(heard.try_iter());
        pages = following.into_iter().map(|page| page.join().unwrap()).collect();
    }
    let hub = place.start(&["serve"], &SMALL_SEGMENTS);
    let kept = everything(&hub);
    let mut seen = HashMap::new();
    let mut last: HashMap<&str, usize> = HashMap::new();
    for (data, id) in &kept {
        assert!(seen.insert(data, id).is_none(), "{data} is there twice");
        let (publisher, nth) = data.rsplit_once('.').unwrap();
        let nth: usize = nth.parse().unwrap();
        assert!(last.insert(publisher, nth).is_none_or(|before| before < nth), "{data}: order");
    }
    for (data, id) in &acknowledged {
        assert_eq!(seen.get(data), Some(&id), "{data} was acknowledged");
    }
    for page in pages {
        let seen = page.follow(hub.address, kept.len()).seen;
        assert!(
            seen.iter().eq(kept.iter().map(|(data, _)| data)),
            "a page that saw {}",
            seen.len()
        );
    }
    // The place of any of them is still known: exactly what followed it follows.
    for at in (0..kept.len()).step_by(kept.len() / 10 + 1) {
        let (rest, gap) = after(&hub, &format!("Last-Event-ID: {}\r\n", kept[at].1));
        assert!(!gap);
        assert_eq!(rest.first(), kept.get(at + 1));
    }
    hub.stop();
}

/// A page that follows the topic from its first event on, and comes back where it was.
#[derive(Default)]
struct Page {
    last_id: String,
    seen: Vec<String>,
}

impl Page {
    /// Follows until the connection ends, or it has seen so many events.
    fn follow(mut self, address: SocketAddr, count: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut source = EventSource::builder(format!("http://{address}/events/t?since=all"))
                .last_event_id(std::mem::take(&mut self.last_id))
                .build()
                .unwrap();
            while self.seen.len() < count {
                let next = tokio::time::timeout(PATIENCE, source.next()).await;
                match next.unwrap_or_else(|_| panic!("{} of {count} came", self.seen.len())) {
                    Some(Ok(Item::Message(event))) => self.seen.push(event.data),
                    Some(Ok(Item::Gap(gap))) => panic!("{gap:?}"),
                    // The next round's hub has another port.
                    Some(Ok(Item::Error(_)) | Err(_)) | None => break,
                    Some(Ok(_)) => {}
                }
            }
            source.last_event_id().clone_into(&mut self.last_id);
        });
        self
    }
}

/// Publishes one event after the other until the hub is gone.
fn publish(address: SocketAddr, name: &str, answers: &Sender<(String, String)>) {
    for nth in 0..100_000 {
        let data = format!("{name}.{nth}");
        let Some(id) = publish_one(address, &data) else { return };
        if answers.send((data, id)).is_err() {
            return;
        }
    }
}

/// The id, if it was acknowledged.
fn publish_one(address: SocketAddr, data: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let length = data.len();
    let request = format!(
        "POST /events/t HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{data}"
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    // A connection that was reset after the whole answer is an answer.
    let _ = stream.read_to_string(&mut answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let body: Value = serde_json::from_str(body).ok()?;
    head.starts_with("HTTP/1.1 200 ").then(|| body["id"].as_str().unwrap().to_owned())
}

/// Data and id of every event, by long polls.
fn everything(hub: &Hub) -> Vec<(String, String)> {
    let mut kept = after(hub, "").0;
    while let Some((_, last)) = kept.last() {
        let (more, gap) = after(hub, &format!("Last-Event-ID: {last}\r\n"));
        assert!(!gap);
        if more.is_empty() {
            break;
        }
        kept.extend(more);
    }
    kept
}

fn after(hub: &Hub, position: &str) -> (Vec<(String, String)>, bool) {
    let headers = format!("Accept: application/json\r\n{position}");
    let (_, body) = hub.ask("GET", "/events/t?since=all&wait=1", &headers, "");
    let answer: Value = serde_json::from_str(&body).unwrap();
    let text = |event: &Value, name: &str| event[name].as_str().unwrap().to_owned();
    let events = answer["events"].as_array().unwrap();
    let events = events.iter().map(|event| (text(event, "data"), text(event, "id"))).collect();
    (events, answer.get("gap").is_some())
}
