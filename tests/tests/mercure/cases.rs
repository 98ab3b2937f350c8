//! Cases like the protocol's own conformance suite, over HTTPS and HTTP/2 through nginx.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::header::HeaderMap;
use reqwest::{Certificate, Client, Method, Response, StatusCode};
use serde_json::Value;

use crate::stage::{HUB, Stage};

const PATIENCE: Duration = Duration::from_secs(60);
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn client(stage: &Stage) -> Result<Client> {
    let authority = Certificate::from_pem(&std::fs::read(stage.authority())?)?;
    Ok(Client::builder().add_root_certificate(authority).no_proxy().build()?)
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// What a stream says until it says this, which has to be the end of a block.
async fn until(response: &mut Response, end: &str) -> Result<String> {
    let mut said = String::new();
    while !said.ends_with(end) {
        let piece = tokio::time::timeout(PATIENCE, response.chunk()).await;
        let piece = piece.with_context(|| format!("no {end:?} after {said:?}"))??;
        said += std::str::from_utf8(&piece.context("the stream ended")?)?;
    }
    Ok(said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_anonymous_subscriber_gets_every_field_and_resumes() -> Result<()> {
    let stage = Stage::start("").await?;
    let (client, token) = (client(&stage)?, stage.mint(&["--publish", "*"]).await?);
    let publish = async |form: &str| -> Result<String> {
        let request = client.post(stage.url("")).bearer_auth(&token).header(FORM.0, FORM.1);
        let answer = request.body(form.to_owned()).send().await?;
        ensure!(answer.status() == 200, "{answer:?}");
        ensure!(header(answer.headers(), "content-type") == "text/plain; charset=utf-8");
        Ok(answer.text().await?)
    };
    let mut live = client.get(stage.url("?match=https://example.com/a")).send().await?;
    ensure!(live.version() == reqwest::Version::HTTP_2, "{:?}", live.version());
    ensure!(header(live.headers(), "content-type") == "text/event-stream");
    ensure!(!live.headers().contains_key("mercure-last-event-id"));
    let topic = "topic=https%3A%2F%2Fexample.com%2Fa";
    let data = "data=one%0A%0Athree%0D%0A&id=id-%5B%22x%22%5D&type=t&retry=5000";
    ensure!(publish(&format!("{topic}&{data}")).await? == "id-[\"x\"]");
    let event = "event: t\nretry: 5000\ndata: one\ndata:\ndata: three\ndata:\nid: id-[\"x\"]\n\n";
    let said = until(&mut live, "id: id-[\"x\"]\n\n").await?;
    ensure!(said.starts_with(":\n") && said.ends_with(event), "{said:?}");

    let second = publish(&format!("{topic}&topic=other&data=2")).await?;
    ensure!(
        until(&mut live, &format!("id: {second}\n\n")).await?
            == format!("data: 2\nid: {second}\n\n")
    );
    for (query, id, told) in [
        ("&last_event_id=id-%5B%22x%22%5D", None, "id-[\"x\"]"),
        ("&last_event_id=earliest", Some("id-[\"x\"]"), "id-[\"x\"]"),
        ("&last_event_id=unknown", None, "earliest"),
    ] {
        let mut request = client.get(stage.url(&format!("?match=*{query}")));
        if let Some(id) = id {
            request = request.header("last-event-id", id);
        }
        let mut response = request.send().await?;
        let place = header(response.headers(), "mercure-last-event-id");
        ensure!(place == told, "{query}: {place}");
        let said = until(&mut response, &format!("id: {second}\n\n")).await?;
        ensure!(said.contains(event) == (told == "earliest"), "{query}: {said:?}");
    }
    stage.end().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_lead_to_what_is_needed() -> Result<()> {
    let stage = Stage::start("subscriptions = true").await?;
    let client = client(&stage)?;
    for query in ["", "?Match=a", "?matches=a", "?match=%ff", "?match_urlpattern=/(", "?topic=a"] {
        let answer = client.get(stage.url(query)).send().await?;
        ensure!(answer.status() == StatusCode::BAD_REQUEST, "{query}: {answer:?}");
    }
    let request = client.post(stage.url("")).header(FORM.0, FORM.1).body("topic=a");
    let refused = request.send().await?;
    ensure!(refused.status() == StatusCode::UNAUTHORIZED, "{refused:?}");
    let challenge = header(refused.headers(), "www-authenticate");
    let metadata = challenge.strip_prefix("Bearer resource_metadata=\"");
    let metadata =
        metadata.and_then(|rest| rest.strip_suffix('"')).context(challenge.to_owned())?;
    let document = client.get(metadata).send().await?.text().await?;
    let document: Value = serde_json::from_str(&document)?;
    ensure!(document["resource"] == stage.url(""), "{document}");
    ensure!(document["authorization_servers"] == serde_json::json!(["https://localhost"]));
    ensure!(document["mercure_subscriptions"] == true, "{document}");

    let token =
        stage.mint(&["--publish", "a", "--subscribe", &format!("{HUB}/subscriptions")]).await?;
    for (form, status) in [
        ("topic=a", 200),
        ("topic=a&topic=b", 403),
        ("topic=%2F.well-known%2Fx%2F..%2Fmercure%2Fsubscriptions", 400),
        ("topic=a&type=mercure", 400),
        ("topic=a&id=%23x", 400),
    ] {
        let request = client.post(stage.url("")).bearer_auth(&token).header(FORM.0, FORM.1);
        let answer = request.body(form).send().await?;
        ensure!(answer.status() == status, "{form}: {answer:?}");
    }
    let _page = client.get(stage.url("?match=a")).send().await?;
    let listed = client.get(stage.url("/subscriptions")).bearer_auth(&token).send().await?;
    ensure!(header(listed.headers(), "link").contains("rel=\"mercure\""), "{listed:?}");
    let listed: Value = serde_json::from_str(&listed.text().await?)?;
    ensure!(listed["subscriptions"][0]["match"] == "a", "{listed}");

    let [_, application] = &stage.origins;
    let preflight = client.request(Method::OPTIONS, stage.url("")).header("origin", application);
    let preflight = preflight.header("access-control-request-method", "POST").send().await?;
    let headers = preflight.headers();
    ensure!(header(headers, "access-control-allow-origin") == application, "{headers:?}");
    ensure!(header(headers, "access-control-allow-credentials") == "true", "{headers:?}");
    stage.end().await
}
