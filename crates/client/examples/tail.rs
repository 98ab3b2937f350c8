//! Prints the events of a topic as they are published, for as long as the hub wants:
//! `cargo run --example tail -- http://127.0.0.1:8080/events/news`

use std::io::{self, Write};

use futures_util::StreamExt;
use headwater_client::{Error, EventSource, Item, ReadTimeout, Statuses};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let default = "http://127.0.0.1:8080/events/news";
    let url = std::env::args().nth(1).unwrap_or_else(|| default.to_owned());
    tail(&url, io::stdout()).await
}

pub(crate) async fn tail(url: &str, mut out: impl Write) -> Result<(), Error> {
    let mut source = EventSource::builder(url)
        // A connection that died without a word is noticed by the hub's heartbeat.
        .read_timeout(ReadTimeout::Heartbeat)
        // A hub that is being restarted answers 503 for a moment.
        .retry_statuses(Statuses::temporary())
        .build()?;
    while let Some(item) = source.next().await {
        // An error here is for ever. What passes is an `Item::Error`.
        let line = match item? {
            Item::Open => format!("# connected to {}", source.url()),
            Item::Message(event) => event.data,
            Item::Gap(_) => "# some events are not kept any more".to_owned(),
            Item::Error(lost) => {
                format!("# {}; trying again in {} ms", lost.cause, lost.delay.as_millis())
            }
            _ => continue,
        };
        if writeln!(out, "{line}").is_err() {
            // Nobody reads on. Dropping the source closes the connection.
            break;
        }
    }
    Ok(())
}
