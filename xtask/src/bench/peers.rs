//! The servers: how each is started, spoken to, and what it can do.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::arguments::Arguments;
use super::install;

/// A server of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Peer {
    Bare,
    HeadwaterMemory,
    HeadwaterDisk,
    Hyper,
    Axum,
    DurableStreams,
    Nchan,
    Node,
    Pushpin,
    Mercure,
    Centrifugo,
}

/// All of them, in the order in which they are shown.
pub(crate) const ALL: [Peer; 11] = [
    Peer::Bare,
    Peer::HeadwaterMemory,
    Peer::HeadwaterDisk,
    Peer::Hyper,
    Peer::Axum,
    Peer::DurableStreams,
    Peer::Nchan,
    Peer::Node,
    Peer::Pushpin,
    Peer::Mercure,
    Peer::Centrifugo,
];

/// What it takes to start a server.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    /// The program, and others that it needs.
    pub(crate) programs: Vec<PathBuf>,
    pub(crate) version: String,
}

/// Those that the arguments name, or all that are to be had; the bare loop is always among them.
pub(crate) fn chosen(arguments: &Arguments) -> Result<Vec<Peer>> {
    for name in &arguments.peers {
        if !ALL.iter().any(|peer| peer.name() == name) {
            let names = ALL.map(Peer::name).join(", ");
            bail!("no server is called {name}; there are {names}");
        }
    }
    let named = |peer: &Peer| arguments.peers.iter().any(|name| name == peer.name());
    let wanted = |peer: &Peer| match peer {
        Peer::Bare => true,
        Peer::Mercure if arguments.peers.is_empty() => arguments.mercure.is_some(),
        Peer::Centrifugo if arguments.peers.is_empty() => arguments.centrifugo.is_some(),
        peer => arguments.peers.is_empty() || named(peer),
    };
    Ok(ALL.into_iter().filter(wanted).collect())
}

/// The binary under test, which is the generator too.
pub(crate) fn headwater(arguments: &Arguments) -> Result<PathBuf> {
    match &arguments.headwater {
        Some(file) => Ok(file.clone()),
        None => install::headwater(),
    }
}

impl Peer {
    /// Its name on the command line and in files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::HeadwaterMemory => "headwater",
            Self::HeadwaterDisk => "headwater-disk",
            Self::Hyper => "hyper",
            Self::Axum => "axum",
            Self::DurableStreams => "durable-streams",
            Self::Nchan => "nchan",
            Self::Node => "node",
            Self::Pushpin => "pushpin",
            Self::Mercure => "mercure",
            Self::Centrifugo => "centrifugo",
        }
    }

    /// What it is, in a few words.
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::Bare => "a bare epoll loop that sends one ready buffer to each socket: the limit",
            Self::HeadwaterMemory => "headwater serve --log memory",
            Self::HeadwaterDisk => "headwater serve --log disk, durability os",
            Self::Hyper => "hyper with a body of shared frames, on one thread",
            Self::Axum => "axum's Sse, on one thread",
            Self::DurableStreams => "the Durable Streams server in Rust, durability memory",
            Self::Nchan => "nginx with the nchan module, one worker",
            Self::Node => "Node with better-sse",
            Self::Pushpin => "Pushpin",
            Self::Mercure => "the Mercure hub (--mercure)",
            Self::Centrifugo => "Centrifugo, unidirectional SSE (--centrifugo)",
        }
    }

    /// Whether it is what the budgets are about.
    pub(crate) fn is_headwater(self) -> bool {
        matches!(self, Self::HeadwaterMemory | Self::HeadwaterDisk)
    }

    /// Whether a subscriber gets what it missed by `Last-Event-ID`.
    pub(crate) fn resumes(self) -> bool {
        matches!(self, Self::HeadwaterMemory | Self::HeadwaterDisk | Self::Nchan | Self::Mercure)
    }

    /// Installs what is missing.
    pub(crate) fn prepare(self, arguments: &Arguments, headwater: &Path) -> Result<Ready> {
        let given = |file: &Option<PathBuf>, flag: &str| {
            let file = file.clone().with_context(|| format!("give its binary with {flag}"))?;
            install::given(file)
        };
        match self {
            Self::Bare => install::rust_peer(&["peer-bare"]),
            Self::HeadwaterMemory | Self::HeadwaterDisk => install::given(headwater.to_owned()),
            Self::Hyper => install::rust_peer(&["peer-hyper"]),
            Self::Axum => install::rust_peer(&["peer-axum"]),
            Self::DurableStreams => install::durable_streams(),
            Self::Nchan => install::nchan(),
            Self::Node => install::node(),
            Self::Pushpin => install::pushpin(),
            Self::Mercure => given(&arguments.mercure, "--mercure"),
            Self::Centrifugo => given(&arguments.centrifugo, "--centrifugo"),
        }
    }

    /// The commands that make it run; the last is the one that is measured. Three ports are free for it:
    /// to subscribe, to publish, and another.
    pub(crate) fn commands(
        self,
        ready: &Ready,
        ports: &[u16; 3],
        folder: &Path,
    ) -> Result<Vec<Vec<String>>> {
        let [port, ..] = ports;
        let program = |number: usize| {
            let file = ready.programs.get(number).context("a program is missing")?;
            Ok::<_, anyhow::Error>(file.display().to_string())
        };
        let with = |words: &[&str]| {
            let own = words.iter().map(|word| (*word).to_owned());
            Ok(vec![std::iter::once(program(0)?).chain(own).collect()])
        };
        let address = format!("127.0.0.1:{port}");
        let data = folder.display().to_string();
        match self {
            Self::Bare | Self::Hyper | Self::Axum => with(&[&address]),
            Self::HeadwaterMemory => with(&["serve", "--listen", &address, "--log", "memory"]),
            Self::HeadwaterDisk => {
                with(&["serve", "--listen", &address, "--log", "disk", "--data", &data])
            }
            Self::DurableStreams => {
                let port = port.to_string();
                with(&["--port", &port, "--data-dir", &data, "--durability", "memory"])
            }
            Self::Nchan => {
                let file = install::nchan_config(*port, folder, &program(1)?)?;
                with(&["-p", &data, "-c", &file])
            }
            Self::Node => with(&[&program(1)?, &address]),
            Self::Pushpin => {
                let files = install::pushpin_config(ports, folder)?;
                let origin = format!("127.0.0.1:{}", ports[2]);
                Ok(vec![
                    vec![program(2)?, origin],
                    vec![program(1)?, format!("--config={}", files.zurl)],
                    vec![program(0)?, "--config".to_owned(), files.pushpin],
                ])
            }
            Self::Mercure => with(&["run", "--config", &install::mercure_config(*port, folder)?]),
            Self::Centrifugo => with(&["--config", &install::centrifugo_config(*port, folder)?]),
        }
    }

    /// Its settings in the environment.
    pub(crate) fn environment(self) -> Vec<(&'static str, &'static str)> {
        match self {
            Self::HeadwaterMemory => vec![("HEADWATER_LIMITS__CONNECTIONS_MAX", CONNECTIONS)],
            Self::HeadwaterDisk => vec![
                ("HEADWATER_LIMITS__CONNECTIONS_MAX", CONNECTIONS),
                ("HEADWATER_DISK__DURABILITY", "os"),
            ],
            _ => Vec::new(),
        }
    }

    /// What has to be asked for before a topic can be subscribed to.
    pub(crate) fn create_request(self, topic: usize, port: u16) -> Option<String> {
        (self == Self::DurableStreams).then(|| {
            format!(
                "PUT /bench-{topic} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\
                 Content-Type: text/plain\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
        })
    }

    /// Where the generator subscribes and publishes.
    pub(crate) fn bench_arguments(self, port: u16, publish_port: u16) -> Vec<String> {
        let base = format!("http://127.0.0.1:{port}");
        let words = match self {
            Self::Bare
            | Self::HeadwaterMemory
            | Self::HeadwaterDisk
            | Self::Hyper
            | Self::Axum
            | Self::Node => vec![format!("{base}/events/{{topic}}")],
            Self::DurableStreams => vec![
                format!("{base}/{{topic}}?offset=now&live=sse"),
                "--publish-url".to_owned(),
                format!("{base}/{{topic}}"),
            ],
            Self::Nchan => vec![
                format!("{base}/sub/{{topic}}"),
                "--publish-url".to_owned(),
                format!("{base}/pub/{{topic}}"),
            ],
            Self::Pushpin => vec![
                format!("{base}/events/{{topic}}"),
                "--publish-url".to_owned(),
                format!("http://127.0.0.1:{publish_port}/publish/"),
                "--publish-body".to_owned(),
                r#"{"items":[{"channel":"{topic}","formats":{"http-stream":{"content":"data: {payload}\n\n"}}}]}"#
                    .to_owned(),
            ],
            Self::Mercure => vec![
                format!("{base}/.well-known/mercure?topic={{topic}}"),
                "--publish-url".to_owned(),
                format!("{base}/.well-known/mercure"),
                "--publish-body".to_owned(),
                "topic={topic}&data={payload}".to_owned(),
                "--publish-header".to_owned(),
                "Content-Type: application/x-www-form-urlencoded".to_owned(),
                "--publish-header".to_owned(),
                format!("Authorization: Bearer {}", install::MERCURE_TOKEN),
            ],
            Self::Centrifugo => vec![
                // The connect command of its protocol, percent-encoded JSON.
                format!(
                    "{base}/connection/uni_sse?cf_connect=%7B%22subs%22%3A%7B%22{{topic}}%22%3A%7B%7D%7D%7D"
                ),
                "--publish-url".to_owned(),
                format!("{base}/api/publish"),
                "--publish-body".to_owned(),
                r#"{"channel":"{topic}","data":{"value":"{payload}"}}"#.to_owned(),
                "--publish-header".to_owned(),
                format!("X-API-Key: {}", install::CENTRIFUGO_KEY),
            ],
        };
        std::iter::once("--url".to_owned()).chain(words).collect()
    }
}

/// Above what any row opens; the system's limit on files may be lower, and then holds.
const CONNECTIONS: &str = "19000";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bare_loop_is_always_among_them() {
        let read = |words: &[&str]| Arguments::parse(words).unwrap().unwrap();
        assert_eq!(chosen(&read(&["--peers", "nchan"])).unwrap(), [Peer::Bare, Peer::Nchan]);
        assert!(!chosen(&read(&[])).unwrap().contains(&Peer::Mercure));
        assert!(chosen(&read(&["--mercure", "x"])).unwrap().contains(&Peer::Mercure));
        assert!(chosen(&read(&["--peers", "other"])).is_err());
    }
}
