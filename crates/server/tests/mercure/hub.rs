//! A Mercure hub as the protocol's own conformance cases set one up, and who speaks to it.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use headwater_log::Log;
use headwater_server::token::{
    Actions, Authorization, CredentialSettings, HttpFetch, IssuerConfig, Judge, KeySource, Secret,
    TokenLimits, Tokens,
};
use headwater_server::{Config, MercureConfig};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use crate::client::{Answer, Said, Subscriber};
use crate::server::{Server, SetUp};

pub(crate) const SECRET: &str = "!ChangeThisMercureHubJWTSecretKey!";
pub(crate) const ISSUER: &str = "https://localhost";
pub(crate) const HUB: &str = "/.well-known/mercure";
pub(crate) const AUDIENCE: &str = "https://localhost/.well-known/mercure";

/// A running hub.
pub(crate) struct Hub {
    pub(crate) server: Server,
}

/// Settings under which tokens of the conformance cases are taken.
pub(crate) fn config(compat: bool) -> Config {
    let issuer = IssuerConfig {
        issuer: Some(ISSUER.to_owned()),
        audiences: vec![AUDIENCE.to_owned()],
        keys: KeySource::Secret(Secret::new(SECRET)),
        algorithms: Vec::new(),
        actions: Actions::ALL,
        compat: false,
    };
    // 0.x knows no issuers.
    let old = IssuerConfig { issuer: None, audiences: Vec::new(), compat: true, ..issuer.clone() };
    let issuers = if compat { vec![issuer, old] } else { vec![issuer] };
    let base = Url::parse("https://localhost/").unwrap();
    let fetch = Arc::new(HttpFetch::new().unwrap());
    let tokens = Tokens::new(issuers, base, TokenLimits::default(), fetch).unwrap();
    Config {
        public_url: Some("https://localhost".parse().unwrap()),
        authorization: Some(Authorization {
            judge: Judge::Tokens(tokens),
            credentials: CredentialSettings { compat, ..CredentialSettings::default() },
        }),
        mercure: MercureConfig {
            authorization_servers: vec![ISSUER.to_owned()],
            ..MercureConfig::default()
        },
        ..Config::default()
    }
}

impl Hub {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// One that tells who is subscribed.
    pub(crate) async fn telling() -> Self {
        Self::with(|set_up| set_up.config.mercure.subscriptions = true).await
    }

    pub(crate) async fn with(set: impl FnOnce(&mut SetUp)) -> Self {
        let mut set_up = SetUp { config: config(false), ..SetUp::default() };
        set(&mut set_up);
        Self { server: set_up.start().await }
    }

    /// The same, with a log of the test's own.
    pub(crate) async fn telling_into(log: Arc<dyn Log>) -> Self {
        let mut config = config(false);
        config.mercure.subscriptions = true;
        Self { server: SetUp { config, ..SetUp::default() }.start_with(log).await }
    }

    /// Subscribes; the stream's first bytes are still to come.
    pub(crate) async fn subscribe(&self, query: &str, headers: &str) -> Subscriber {
        let mut connection = self.server.connect().await;
        let target = format!("{HUB}?{query}");
        let request = format!("GET {target} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
        connection.write(request.as_bytes()).await;
        let subscriber = connection.stream().await;
        assert!(subscriber.head.starts_with("HTTP/1.1 200 "), "{query}: {}", subscriber.head);
        subscriber
    }

    /// What a request to subscribe is answered, if it is not with a stream.
    pub(crate) async fn refused(&self, query: &str, headers: &str) -> Answer {
        self.server.get(&format!("{HUB}?{query}"), headers).await
    }

    /// Publishes fields, as somebody who may publish everything.
    pub(crate) async fn post(&self, fields: &[(&str, &str)]) -> Answer {
        self.post_as(&publisher(), &form(fields)).await
    }

    pub(crate) async fn post_as(&self, headers: &str, form: &str) -> Answer {
        let headers = format!("content-type: application/x-www-form-urlencoded\r\n{headers}");
        self.server.post(HUB, &headers, form).await
    }

    /// The same, where it has to work; the event's id.
    pub(crate) async fn publish(&self, fields: &[(&str, &str)]) -> String {
        let answer = self.post(fields).await;
        assert_eq!(answer.status, 200, "{fields:?}: {}", answer.body);
        answer.body
    }
}

/// Fields as a form.
pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A token with these claims, as 1.0 has it, without what hubs need not ask for.
pub(crate) fn token(claims: &Value) -> String {
    sign(Some("at+jwt"), claims)
}

pub(crate) fn sign(typ: Option<&str>, claims: &Value) -> String {
    let header = Header { typ: typ.map(str::to_owned), ..Header::default() };
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

/// The claims of a token that grants actions on topics.
pub(crate) fn claims(actions: &[&str], topics: &Value) -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "exp": now_s() + 600,
        "authorization_details": [{
            "type": "https://mercure.rocks/authorization-detail",
            "actions": actions,
            "topics": topics,
        }],
    })
}

/// A header line with a token.
pub(crate) fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

/// A header line of one who may do these on these topics, exactly.
pub(crate) fn granted(actions: &[&str], topics: &[&str]) -> String {
    let topics: Vec<Value> = topics.iter().map(|topic| json!({ "match": topic })).collect();
    bearer(&token(&claims(actions, &topics.into())))
}

/// One who may publish everything.
pub(crate) fn publisher() -> String {
    granted(&["publish"], &["*"])
}

/// What a subscriber gets next: type, data, id.
pub(crate) async fn next(page: &mut Subscriber) -> (String, String, String) {
    match page.next().await {
        Said::Event { event_type, data, id } => (event_type, data, id),
        said => panic!("{said:?} where an event was expected"),
    }
}
