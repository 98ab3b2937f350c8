//! Stays subscribed with tokens that last only for a while:
//! `cargo run --example token_refresh -- https://login.example/token https://hub.example/events/news`

use std::io::{self, Write};

use futures_util::StreamExt;
use headwater_client::http::HeaderMap;
use headwater_client::http::header::{AUTHORIZATION, HeaderValue};
use headwater_client::{Error, EventSource, TransportError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let (Some(login), Some(url)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: token_refresh LOGIN_URL EVENTS_URL");
        return Ok(());
    };
    follow(&login, &url, io::stdout()).await
}

pub(crate) async fn follow(login: &str, url: &str, mut out: impl Write) -> Result<(), Error> {
    let (client, login) = (reqwest::Client::new(), login.to_owned());
    let mut events = EventSource::builder(url)
        // Asked before every connection. An error is tried again like one of the network.
        .fresh_headers(move || token(client.clone(), login.clone()))
        // The hub closes a stream whose token has run out, and refuses an old one: a reason for a new one.
        .retry_statuses([401, 503])
        .build()?
        .events();
    while let Some(event) = events.next().await {
        if writeln!(out, "{}", event?.data).is_err() {
            break;
        }
    }
    Ok(())
}

async fn token(client: reqwest::Client, login: String) -> Result<HeaderMap, TransportError> {
    let answer = client.post(login).send().await?.error_for_status()?;
    let mut bearer = HeaderValue::try_from(format!("Bearer {}", answer.text().await?.trim()))?;
    // Keeps it out of logs.
    bearer.set_sensitive(true);
    Ok(HeaderMap::from_iter([(AUTHORIZATION, bearer)]))
}
