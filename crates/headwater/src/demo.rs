//! `headwater demo`: a hub with pages to open, on loopback, that leaves nothing behind.

use anyhow::{Context, anyhow};
use bytes::Bytes;
use headwater_log::Topic;
use headwater_server::Page;

use crate::failure::Failure;
use crate::serve::{Plan, serve};
use crate::settings::{Given, Settings};

/// The arguments of `demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Where to listen, on loopback [default: 127.0.0.1:8080]; port 0 is any that is free
    #[arg(long, value_name = "A")]
    listen: Option<String>,
}

const EXAMPLES: &str = "\
It serves a page that shows the server's clock and lets you publish, reads no settings file, keeps
everything in memory, and ends with Ctrl-C.

Examples:
  headwater demo
  headwater demo --listen 8081         if another program has port 8080";

/// What the built-in clock publishes to, and the page listens to.
const CLOCK: &str = "time";

/// Runs the demo.
pub(crate) async fn run(args: Args, log_level: Option<String>) -> Result<(), Failure> {
    let mut given = Given::without_file();
    given.flag("--listen", "listen", args.listen);
    given.flag("--log-level", "log_level", log_level);
    given.flag("demo", "log", Some("memory"));
    let mut settings = Settings::load(&given).map_err(Failure::usage)?;
    if !settings.general.listen.is_loopback() {
        return Err(Failure::usage(anyhow!(
            "the demo listens on loopback only: choose an address such as 127.0.0.1:8081, or run \
             `headwater serve`"
        )));
    }
    settings.http.pages = FILES.iter().flat_map(pages).collect();
    let clock = Topic::parse(CLOCK).context("the clock's topic")?;
    let hints = |base: &str, _| {
        format!(
            "\n  Open {base}/ in a browser. Ctrl-C ends the demo and leaves nothing behind.\n\n"
        )
    };
    serve(Plan { settings, clock: Some(clock), hints }).await
}

/// A file of `web/demo`, carried by the binary.
struct File {
    path: &'static str,
    source_path: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

const FILES: [File; 4] = [
    File {
        path: "/",
        source_path: "/source/index.html",
        content_type: "text/html; charset=utf-8",
        bytes: include_bytes!("../assets/index.html"),
    },
    File {
        path: "/style.css",
        source_path: "/source/style.css",
        content_type: "text/css; charset=utf-8",
        bytes: include_bytes!("../assets/style.css"),
    },
    File {
        path: "/demo.js",
        source_path: "/source/demo.js",
        content_type: "text/javascript; charset=utf-8",
        bytes: include_bytes!("../assets/demo.js"),
    },
    File {
        path: "/favicon.svg",
        source_path: "/source/favicon.svg",
        content_type: "image/svg+xml",
        bytes: include_bytes!("../assets/favicon.svg"),
    },
];

/// The file itself, and its text to read.
fn pages(file: &File) -> [Page; 2] {
    let bytes = Bytes::from_static(file.bytes);
    [
        Page { path: file.path, content_type: file.content_type, bytes: bytes.clone() },
        Page { path: file.source_path, content_type: "text/plain; charset=utf-8", bytes },
    ]
}
