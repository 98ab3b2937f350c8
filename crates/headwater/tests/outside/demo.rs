//! `headwater demo` from outside.

use crate::support::Place;

#[test]
fn it_serves_its_pages_and_their_sources() {
    let place = Place::new();
    let hub = place.start(&["demo"], &[]);
    let html = include_str!("../../assets/index.html");
    let css = include_str!("../../assets/style.css");
    let js = include_str!("../../assets/demo.js");
    for (path, content_type, text) in [
        ("/", "text/html", html),
        ("/style.css", "text/css", css),
        ("/demo.js", "text/javascript", js),
        ("/favicon.svg", "image/svg+xml", include_str!("../../assets/favicon.svg")),
        ("/source/index.html", "text/plain", html),
        ("/source/style.css", "text/plain", css),
        ("/source/demo.js", "text/plain", js),
    ] {
        let (head, body) = hub.get(path);
        let head = head.to_lowercase();
        assert!(head.starts_with("http/1.1 200 "), "{path}: {head}");
        assert!(head.contains(&format!("\r\ncontent-type: {content_type}")), "{path}: {head}");
        assert!(head.contains("\r\ncontent-security-policy: default-src 'self'\r\n"), "{head}");
        assert!(body == text, "{path} is another text");
    }
    assert!(hub.get("/source/").0.starts_with("HTTP/1.1 404 "));
    hub.stop();
}

#[test]
fn its_clock_ticks_for_those_who_listen() {
    let place = Place::new();
    let hub = place.start(&["demo"], &[]);
    let mut subscriber = hub.subscribe("/events/time");
    let time = subscriber.sees("data: 2");
    assert!(time.len() == 19 && time.ends_with('Z'), "{time:?}");
    hub.stop();
}

#[test]
fn it_reads_no_settings_file_and_leaves_nothing_behind() {
    let place = Place::new().with("headwater.toml", "this is no setting");
    let hub = place.start(&["demo"], &[]);
    assert_eq!(hub.publish("/events/news", "", "hello"), 200);
    hub.stop();
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
}
