//! Publishes one private update with the crate `mercure`, and prints its id.
//!
//! mercure-publisher URL CA SECRET TOPIC DATA
use anyhow::{Context as _, Result};
use mercure::client::PublishUpdatePrivacy;
use mercure::{Client, HubUrl, PublisherJwt, Topic, TopicSelector};
use reqwest::Certificate;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, authority, secret, topic, data] = arguments.as_slice() else {
        anyhow::bail!("URL CA SECRET TOPIC DATA");
    };
    let authority = Certificate::from_pem(&std::fs::read(authority)?)?;
    let http = reqwest::Client::builder().add_root_certificate(authority).no_proxy().build()?;
    let url = HubUrl::try_from(reqwest::Url::parse(url)?)?;
    let jwt =
        PublisherJwt::new(&secret.clone().into_bytes().into(), vec![TopicSelector::Wildcard])?;
    let topic = Topic::new(topic.parse().context("no URL")?, vec![]);
    let client = Client::new(http, url, jwt);
    let id = client.publish_update(topic, Some(data), PublishUpdatePrivacy::Private).await?;
    println!("{id}");
    Ok(())
}
