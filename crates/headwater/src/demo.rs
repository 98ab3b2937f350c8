//! `headwater demo`: a hub with pages to open, on loopback, that leaves nothing behind.

mod atom;
mod files;
mod matches;
mod play;
mod posts;
mod social;
mod stocks;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use headwater_log::Topic;
use headwater_server::{Hub, Page};

use crate::failure::Failure;
use crate::serve::{OwnSources, Plan, serve};
use crate::settings::{Given, Settings};
use crate::source::Sources;
use matches::MatchDay;
use play::{Pace, play};
use posts::{Posts, Sample};
use social::Stream;
use stocks::Market;

/// The arguments of `demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Where to listen, on loopback [default: 127.0.0.1:8080]; port 0 is any that is free
    #[arg(long, value_name = "A")]
    listen: Option<String>,
}

const EXAMPLES: &str = "\
It serves pages that show what headwater is for: the server's clock and what you publish, share prices,
scores of a match, posts out of a file that you can change, and a social stream. It reads no settings
file, keeps everything in memory, and ends with Ctrl-C.

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
    let sample = Sample::write().context("cannot write the posts' file for the demo")?;
    let path = sample.path();
    settings.choose_admin_port();
    settings.http.pages = files::pages();
    settings.http.pages.push(posts_file(&path));
    let sources = own_sources(path.clone())?;
    let hints = move |base: &str, _| {
        format!(
            "\n  Open {base}/ in a browser.\n  Change {}, and look at {base}/posts.\n  \
             Ctrl-C ends the demo and leaves nothing behind.\n\n",
            path.display()
        )
    };
    // The sample is dropped, and so removed, when the hub has ended.
    serve(Plan { settings, own: sources, hints: Box::new(hints) }).await
}

/// What is published while somebody listens.
fn own_sources(posts: PathBuf) -> anyhow::Result<OwnSources> {
    let clock = topic(CLOCK)?;
    let pace = |listened: &str, before, every_ms| {
        let every = Duration::from_millis(every_ms);
        anyhow::Ok(Pace { listened: topic(listened)?, before, every })
    };
    let stocks = pace(&format!("{}KFSH", stocks::TOPIC), 240, 500)?;
    let matches = pace(&format!("{}1", matches::TOPIC), 31, 1000)?;
    let file = pace(posts::FILE_TOPIC, 1, 500)?;
    let social = pace(social::POSTS, social::TICKS_BEFORE, 350)?;
    Ok(Box::new(|sources: &mut Sources, hub: &Hub| {
        sources.start_clock(clock, hub.clone());
        sources.start_own(play(Market::new(), stocks, hub.clone()));
        sources.start_own(play(MatchDay::new(), matches, hub.clone()));
        sources.start_own(play(Posts::new(posts), file, hub.clone()));
        sources.start_own(play(Stream::new(), social, hub.clone()));
    }))
}

/// What the posts' page asks: where the file is.
fn posts_file(path: &Path) -> Page {
    let bytes = serde_json::json!({ "path": path }).to_string().into();
    Page { path: "/posts/file", content_type: "application/json", bytes }
}

fn topic(text: &str) -> anyhow::Result<Topic> {
    Topic::parse(text).with_context(|| format!("the demo's topic {text}"))
}
