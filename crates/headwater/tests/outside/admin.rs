//! The operator's listener of the binary.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use crate::support::{Hub, PATIENCE, Place};

const KEY: &str = "correct-horse-battery-staple";

/// Where the hub says that its metrics are.
pub(crate) fn admin(hub: &Hub) -> SocketAddr {
    let line = hub.logs("metrics are at http://");
    let (_, rest) = line.split_once("http://").unwrap();
    rest.split_once("/metrics").unwrap().0.parse().unwrap()
}

fn get(address: SocketAddr, path: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn metrics_and_health_are_apart_from_the_public() {
    let place = Place::new();
    for arguments in [&["serve"][..], &["demo"]] {
        let hub = place.start(arguments, &[]);
        let admin = admin(&hub);
        assert!(admin.ip().is_loopback() && admin != hub.address);
        assert_eq!(hub.publish("/events/news", "", "hello"), 200);
        let page = get(admin, "/metrics", "");
        assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
        let version =
            concat!("headwater_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1");
        for line in [version, "headwater_ready 1", "headwater_log_events "] {
            assert!(page.contains(&format!("\n{line}")), "{line} is not in\n{page}");
        }
        assert!(get(admin, "/healthz", "").contains("{\"status\":\"ready\"}"));
        assert!(hub.get("/metrics").0.starts_with("HTTP/1.1 404 "));
        hub.stop();
    }
}

#[test]
fn a_key_is_wanted_where_one_is_set() {
    let hub = Place::new().start(&["serve", "--log", "memory"], &[("HEADWATER_ADMIN_KEY", KEY)]);
    let admin = admin(&hub);
    assert!(get(admin, "/metrics", "").starts_with("HTTP/1.1 401 "));
    let key = format!("Authorization: Bearer {KEY}\r\n");
    assert!(get(admin, "/metrics", &key).starts_with("HTTP/1.1 200 "));
    hub.stop();
}

#[test]
fn a_port_that_is_taken_is_a_reason_to_fail_only_if_it_was_asked_for() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let arguments = ["serve", "--log", "memory", "--admin-listen", &address];
    let (code, out, error) =
        Place::new().run(&[&arguments[..], &["--listen", "127.0.0.1:0"]].concat(), &[]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(error.contains("is in use") && error.contains("`--admin-listen 127.0.0.1:"), "{error}");
    let off = [("HEADWATER_ADMIN_LISTEN", "off")];
    let hub = Place::new().start(&["serve", "--log", "memory"], &off);
    assert_eq!(hub.publish("/events/news", "", "hello"), 200);
    hub.stop();
}
