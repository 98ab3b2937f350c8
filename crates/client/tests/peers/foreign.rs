//! Servers that others wrote: better-sse on Node, and Python's `http.server`.

use std::fs;
use std::path::{Path, PathBuf};

use futures_util::StreamExt;
use headwater_client::{EventSource, Item, Lost};
use headwater_tests::Program;
use serde::Deserialize;
use tokio::process::Command;
use tokio::time::timeout;

use crate::DEADLINE;

#[derive(Debug, Deserialize, PartialEq)]
struct Numbered {
    n: u32,
    text: String,
}

/// The server's numbered events, each once and in order, however often it ends or breaks the connection.
async fn receives_all(mut command: Command) {
    let mut server = Program::start(&mut command).unwrap();
    let url = server.says(DEADLINE, |said| said.split_once('\n').map(|(url, _)| url.to_owned()));
    let mut source = EventSource::new(url.await.unwrap()).unwrap();
    let (mut seen, mut connections) = (0, 0);
    while let Some(item) = timeout(DEADLINE, source.next()).await.unwrap() {
        match item.unwrap() {
            Item::Open => connections += 1,
            Item::Message(event) => {
                seen += 1;
                let numbered = Numbered { n: seen, text: "é\n\u{1F4A9}".into() };
                assert_eq!(event.json::<Numbered>().unwrap(), numbered);
                assert_eq!(event.event, if seen % 2 == 1 { "odd" } else { "even" });
                assert_eq!(event.id, seen.to_string());
            }
            Item::Error(error) => {
                assert!(matches!(error.cause, Lost::Ended | Lost::Network(_)), "{error:?}");
                assert!(error.delay.as_millis() >= 1, "{error:?}");
            }
            item => panic!("{item:?}"),
        }
    }
    // It has ended because of a 204.
    assert_eq!((seen, connections), (30, 5));
    server.kill().await.unwrap();
}

#[tokio::test]
async fn better_sse() {
    let folder = better_sse_folder().await;
    let mut command = Command::new("node");
    command.arg("server.mjs").current_dir(folder);
    receives_all(command).await;
}

#[tokio::test]
async fn pythons_http_server() {
    let mut command = Command::new("python3");
    command.arg(here().join("server.py"));
    receives_all(command).await;
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers")
}

/// The server beside what it needs, outside the checkout; installed once as its lock file says.
async fn better_sse_folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("better-sse");
    fs::create_dir_all(&folder).unwrap();
    let lock = fs::read(here().join("better-sse/package-lock.json")).unwrap();
    let is_installed = fs::read(folder.join("package-lock.json")).is_ok_and(|old| old == lock)
        && folder.join("node_modules/better-sse/package.json").is_file();
    for file in ["package.json", "package-lock.json", "server.mjs"] {
        fs::copy(here().join("better-sse").join(file), folder.join(file)).unwrap();
    }
    if !is_installed {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&folder);
        assert!(npm.status().await.unwrap().success(), "`npm ci` failed");
    }
    folder
}
