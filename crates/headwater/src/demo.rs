//! `headwater demo`: a hub with pages to open, on loopback, that leaves nothing behind.

mod files;
mod play;
mod stocks;

use std::time::Duration;

use anyhow::{Context, anyhow};
use headwater_log::Topic;
use headwater_server::Hub;

use crate::failure::Failure;
use crate::serve::{Plan, serve};
use crate::settings::{Given, Settings};
use crate::source::Sources;
use play::{Pace, play};
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
It serves a page that shows the server's clock and lets you publish, reads no settings file, keeps
everything in memory, and ends with Ctrl-C.

Examples:
  headwater demo
  headwater demo --listen 8081         if another program has port 8080";

/// What the built-in clock publishes to, and the page listens to.
const CLOCK: &str = "time";
const HALF_A_SECOND: Duration = Duration::from_millis(500);

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
    settings.choose_admin_port();
    settings.http.pages = files::pages();
    let clock = topic(CLOCK)?;
    let stocks = Pace { listened: topic("stocks/KFSH")?, before: 240, every: HALF_A_SECOND };
    let own = |sources: &mut Sources, hub: &Hub| {
        sources.start_clock(clock, hub.clone());
        sources.start_own(play(Market::new(), stocks, hub.clone()));
    };
    let hints = |base: &str, _| {
        format!(
            "\n  Open {base}/ in a browser. Ctrl-C ends the demo and leaves nothing behind.\n\n"
        )
    };
    serve(Plan { settings, own: Box::new(own), hints: Box::new(hints) }).await
}

fn topic(text: &str) -> anyhow::Result<Topic> {
    Topic::parse(text).with_context(|| format!("the demo's topic {text}"))
}
