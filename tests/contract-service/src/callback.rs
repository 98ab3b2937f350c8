//! What the service tells the harness.

use serde_json::Value;

/// Numbered messages to one stream's callback URL.
pub(crate) struct Callbacks {
    client: reqwest::Client,
    url: String,
    sent: u64,
}

impl Callbacks {
    pub(crate) fn new(client: reqwest::Client, url: &str) -> Self {
        Self { client, url: url.trim_end_matches('/').to_owned(), sent: 0 }
    }

    /// Sends the next one, and waits until it is there.
    pub(crate) async fn send(&mut self, message: &Value) {
        self.sent += 1;
        let url = format!("{}/{}", self.url, self.sent);
        let request = self.client.post(&url).header("content-type", "application/json");
        if let Err(error) = request.body(message.to_string()).send().await {
            eprintln!("the harness does not take {url}: {error}");
        }
    }
}
