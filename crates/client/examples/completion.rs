//! Asks a language model with an OpenAI-style API, and prints its answer as it comes:
//! `API_KEY=… cargo run --example completion -- https://api.example/v1/chat/completions 'Why is the sky blue?'`

use std::error::Error;
use std::io::{self, Write};

use futures_util::StreamExt;
use headwater_client::EventSource;
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(prompt)) = (arguments.next(), arguments.next()) else {
        return Err("usage: completion URL PROMPT, with API_KEY in the environment".into());
    };
    complete(&url, &std::env::var("API_KEY")?, &prompt, io::stdout()).await
}

pub(crate) async fn complete(
    url: &str,
    key: &str,
    prompt: &str,
    mut out: impl Write,
) -> Result<(), Box<dyn Error>> {
    let mut events = EventSource::builder(url)
        .header("authorization", format!("Bearer {key}"))
        // A JSON body makes it a POST.
        .json(&json!({
            "model": "gpt-4o",
            "stream": true,
            "messages": [{ "role": "user", "content": prompt }],
        }))
        // Asking again would cost again: a stream that breaks off is an error.
        .reconnect(false)
        .build()?
        .events();
    while let Some(event) = events.next().await {
        let event = event?;
        if event.data == "[DONE]" {
            writeln!(out)?;
            return Ok(());
        }
        let chunk: Value = event.json()?;
        let text = chunk.pointer("/choices/0/delta/content").and_then(Value::as_str);
        write!(out, "{}", text.unwrap_or_default())?;
        out.flush()?;
    }
    Err("the answer ended before [DONE]".into())
}
