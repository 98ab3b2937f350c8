//! The arguments, and what the help says about them.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use jiff::SignedDuration;

use super::payload;

/// Load a server of event streams, and report deliveries, latency and losses
///
/// Opens many subscriptions, publishes events that carry a number and the time at which they should have
/// been sent, and checks at every subscriber that each arrives once and in order: the order of sending with
/// one publisher, the same order everywhere with several. Works with any server that speaks HTTP/1.1
/// without TLS: headwater needs only its address, others are described with --publish-url,
/// --publish-method and --publish-body.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Where to subscribe, with {topic} where the topic's name belongs; a hub's bare address means
    /// /events/{topic}
    #[arg(
        long,
        value_name = "URL",
        env = "HEADWATER_URL",
        default_value = "http://127.0.0.1:8080"
    )]
    pub(crate) url: String,
    /// What kind of load
    #[arg(long, value_enum, default_value_t = Mode::FanOut)]
    pub(crate) mode: Mode,
    /// How many subscribers
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    pub(crate) subscribers: usize,
    /// How many topics, each with its share of the subscribers [default: 1; in mode topics one each]
    #[arg(long, value_name = "T")]
    pub(crate) topics: Option<usize>,
    /// Names of topics are this and a number
    #[arg(long, value_name = "TEXT", default_value = "bench-")]
    pub(crate) topic_prefix: String,
    /// Events a second, all topics together, sent when they are due however long others take
    #[arg(short, long, value_name = "R", default_value_t = 10.0, conflicts_with = "in_flight")]
    pub(crate) rate: f64,
    /// Instead of a rate: publish the next event when fewer than N are under way, which an event is until
    /// all of its subscribers have it
    #[arg(long, value_name = "N")]
    pub(crate) in_flight: Option<usize>,
    /// Bytes of an event's data
    #[arg(short, long, value_name = "S", default_value_t = 100)]
    pub(crate) size: usize,
    /// For how long to measure, as in 500ms, 10s or 5m
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub(crate) duration: Duration,
    /// For how long to publish before measuring begins
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time)]
    pub(crate) warmup: Duration,
    /// Additional subscribers that do not read [default: 0; in mode stalled 100]
    #[arg(long, value_name = "N")]
    pub(crate) stalled: Option<usize>,
    /// Subscribers a second that leave for good, each replaced by a new one
    #[arg(long, value_name = "R", default_value_t = 0.0, conflicts_with = "in_flight")]
    pub(crate) churn: f64,
    /// In mode storm: events of each topic that are published while everybody is away
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) missed: usize,
    /// Connections that are being opened at a time
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) connecting: usize,
    /// Give up when nothing moves for this long
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    pub(crate) timeout: Duration,
    /// Where to publish, with {topic} and {payload} where they belong [default: the same as --url]
    #[arg(long, value_name = "URL", help_heading = "Publishing")]
    pub(crate) publish_url: Option<String>,
    /// The method
    #[arg(long, value_name = "METHOD", default_value = "POST", help_heading = "Publishing")]
    pub(crate) publish_method: String,
    /// The body, with {topic} and {payload} where they belong
    #[arg(long, value_name = "TEXT", default_value = "{payload}", help_heading = "Publishing")]
    pub(crate) publish_body: String,
    /// A header of each publish, such as 'Content-Type: application/json'
    #[arg(long, value_name = "HEADER", value_parser = header, help_heading = "Publishing")]
    pub(crate) publish_header: Vec<String>,
    /// Connections to publish over, one request at a time on each [default: 16, or as many as --in-flight]
    #[arg(long, value_name = "N", help_heading = "Publishing")]
    pub(crate) publishers: Option<usize>,
    /// A header of each request, such as 'Cookie: a=b'
    #[arg(long, value_name = "HEADER", value_parser = header)]
    pub(crate) header: Vec<String>,
    /// The key or token that the hub asks for
    #[arg(long, value_name = "TOKEN", env = "HEADWATER_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// The server's process on this machine: report its CPU and memory, with those of its children
    #[arg(long, value_name = "PID")]
    pub(crate) server_pid: Option<u32>,
    /// Write the report as JSON; `-` for standard output, in place of the table
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub(crate) json: Option<PathBuf>,
    /// Write the report as one page with plots, to open in a browser
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub(crate) html: Option<PathBuf>,
}

/// The kinds of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Each event goes to many subscribers
    FanOut,
    /// Each subscriber has a topic of its own
    Topics,
    /// Nothing is published: what do connections cost?
    Idle,
    /// All drop at once and come back with Last-Event-ID, having missed events
    Storm,
    /// As fan-out, beside subscribers that do not read
    Stalled,
}

const EXAMPLES: &str = r#"Examples:
  headwater bench -n 1000 --rate 50
  headwater bench -n 1000 --in-flight 1 --server-pid "$(pgrep -x headwater)" --html report.html
  headwater bench -n 10000 --mode idle --duration 30s --server-pid 4242
  headwater bench -n 10000 --mode storm --missed 20
  headwater bench --url 'http://127.0.0.1:8081/sub/{topic}' --publish-url 'http://127.0.0.1:8081/pub/{topic}'
  headwater bench --url 'http://127.0.0.1:3000/.well-known/mercure?topic={topic}' \
    --publish-url http://127.0.0.1:3000/.well-known/mercure \
    --publish-body 'topic={topic}&data={payload}' \
    --publish-header 'Content-Type: application/x-www-form-urlencoded' --token "$JWT"

It ends with 1 if events were lost, came twice or out of order."#;

fn time(text: &str) -> Result<Duration, String> {
    let advice = "write a time like 500ms, 10s or 5m";
    let parsed = text.parse::<SignedDuration>().map_err(|error| format!("{error}; {advice}"))?;
    Duration::try_from(parsed).map_err(|_| format!("it is negative; {advice}"))
}

fn header(text: &str) -> Result<String, String> {
    let advice = "write a header like 'Name: value'";
    let (name, value) = text.split_once(':').ok_or(advice)?;
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(token) || value.chars().any(char::is_control) {
        return Err(advice.to_owned());
    }
    Ok(format!("{name}: {}", value.trim()))
}

impl Args {
    /// Events' data, at least as long as what has to be in it.
    pub(crate) fn size_checked(&self) -> Result<usize, String> {
        match self.size {
            size if size < payload::BYTES_MIN => Err(format!(
                "--size is at least {}, because the number and the time have to be in it",
                payload::BYTES_MIN
            )),
            size if size > SIZE_MAX => Err(format!("--size is at most {SIZE_MAX}")),
            size => Ok(size),
        }
    }
}

/// A decoder's own limit.
const SIZE_MAX: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_others_explained() {
        assert_eq!(time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(time("1m 30s"), Ok(Duration::from_secs(90)));
        for text in ["", "10", "-1s", "soon"] {
            assert!(time(text).unwrap_err().contains("500ms"), "{text}");
        }
    }

    #[test]
    fn headers_cannot_break_the_request() {
        assert_eq!(header("A-b:c d").unwrap(), "A-b: c d");
        for text in ["", "a", ": b", "a b: c", "a: b\r\nc: d"] {
            assert!(header(text).is_err(), "{text}");
        }
    }
}
