//! `headwater token mint`: a token for development.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow};
use headwater_server::token::{Algorithm, KeySource};
use jsonwebtoken::crypto::aws_lc;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Map, Value, json};

use super::time::{now_s, parse_duration};
use crate::failure::Failure;
use crate::settings::{Given, Settings};

/// Make a token and print it
///
/// For development and tests: in production, the application's own library makes tokens, with a key that
/// only it has.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Grant private events of this topic, or of all with `*`; may be repeated
    #[arg(long, value_name = "TOPIC")]
    subscribe: Vec<String>,
    /// Grant private events of the topics that this URL Pattern matches; may be repeated
    #[arg(long, value_name = "PATTERN", conflicts_with = "compat")]
    subscribe_pattern: Vec<String>,
    /// Grant publishing to this topic, or to all with `*`; may be repeated
    #[arg(long, value_name = "TOPIC")]
    publish: Vec<String>,
    /// Grant publishing to the topics that this URL Pattern matches; may be repeated
    #[arg(long, value_name = "PATTERN", conflicts_with = "compat")]
    publish_pattern: Vec<String>,
    /// For how long it is good: 90s, 10m, 1h, 7d
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = parse_duration)]
    ttl: Duration,
    /// Who issues it: what the hub's settings have as the issuer
    #[arg(long, value_name = "NAME")]
    iss: Option<String>,
    /// For whom it is: what the hub's settings have in audiences; may be repeated
    #[arg(long, value_name = "NAME")]
    aud: Vec<String>,
    /// Whose it is
    #[arg(long, value_name = "NAME")]
    sub: Option<String>,
    /// Its own name, under which it can be revoked; made up without it
    #[arg(long, value_name = "ID")]
    jti: Option<String>,
    /// What subscriptions under it show of their subscriber, as a JSON object
    #[arg(long, value_name = "JSON", value_parser = parse_object)]
    payload: Option<Value>,
    /// In the form of Mercure 0.x: topics may be URI Templates, and neither --iss nor --aud is needed
    #[arg(long)]
    compat: bool,
    /// What it is signed with: HS256 with a secret; RS256, ES256, ES384 or EdDSA by a key's kind
    #[arg(long, value_name = "ALG")]
    algorithm: Option<Algorithm>,
    /// The name of the key that the hub finds it by
    #[arg(long, value_name = "ID")]
    kid: Option<String>,
    #[command(flatten)]
    key: Key,
    /// Take issuer, audience and secret from the first `[[issuer]]` with a secret of these settings
    #[arg(long, value_name = "F")]
    config: Option<PathBuf>,
}

#[derive(clap::Args)]
#[group(multiple = false)]
struct Key {
    /// The secret that it is signed with; better given as HEADWATER_TOKEN_SECRET, or in a file
    #[arg(long, value_name = "TEXT", env = "HEADWATER_TOKEN_SECRET", hide_env_values = true)]
    secret: Option<String>,
    /// A file with nothing but the secret
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// A file with a private key in PEM (PKCS #8), as `openssl genpkey` makes it
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

fn parse_object(text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(object @ Value::Object(_)) => Ok(object),
        _ => Err("a payload is a JSON object such as {\"name\":\"Ann\"}".to_owned()),
    }
}

/// Prints the token.
pub(super) fn run(mut args: Args) -> Result<(), Failure> {
    // It is an error only if it was done before.
    let _ = aws_lc::DEFAULT_PROVIDER.install_default();
    let (algorithm, key) = args.key()?;
    let mut header = Header::new(algorithm);
    header.typ = Some(if args.compat { "JWT" } else { "at+jwt" }.to_owned());
    header.kid = args.kid.clone();
    let claims = args.claims()?;
    let token = jsonwebtoken::encode(&header, &claims, &key)
        .context("the key does not sign with this algorithm")
        .map_err(Failure::Usage)?;
    println(&token)
}

fn println(text: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    Ok(writeln!(std::io::stdout(), "{text}").context("cannot print the token")?)
}

impl Args {
    /// The key, and what it signs with. With settings, takes from them what is not said otherwise.
    fn key(&mut self) -> Result<(Algorithm, EncodingKey), Failure> {
        if let Some(path) = &self.key.key_file {
            let pem = fs::read(path).with_context(|| format!("the key in {}", path.display()));
            return private_key(&pem.map_err(Failure::Usage)?, self.algorithm);
        }
        let mut secret = self.key.secret.clone().map(String::into_bytes);
        if let Some(path) = &self.key.secret_file {
            let text = fs::read_to_string(path);
            let text = text.with_context(|| format!("the secret in {}", path.display()));
            secret = Some(text.map_err(Failure::Usage)?.trim_end().as_bytes().to_vec());
        }
        if let Some(file) = self.config.take() {
            let settings = Settings::load(&Given::here(Some(file))).map_err(Failure::usage)?;
            let mut issuers = settings.issuers.into_iter();
            let issuer = issuers.find(|issuer| matches!(issuer.keys, KeySource::Secret(_)));
            let nothing = || anyhow!("no [[issuer]] of these settings has a secret: give a key");
            let issuer = issuer.ok_or_else(nothing).map_err(Failure::Usage)?;
            if let KeySource::Secret(configured) = &issuer.keys {
                secret.get_or_insert_with(|| configured.expose().to_vec());
            }
            self.iss = self.iss.take().or(issuer.issuer);
            if self.aud.is_empty() {
                self.aud.extend(issuer.audiences.into_iter().take(1));
            }
            self.algorithm = self.algorithm.or(issuer.algorithms.first().copied());
        }
        let nothing =
            || anyhow!("there is no key: give --secret-file, HEADWATER_TOKEN_SECRET or --key-file");
        let secret = secret.ok_or_else(nothing).map_err(Failure::Usage)?;
        let algorithm = self.algorithm.unwrap_or(Algorithm::HS256);
        Ok((algorithm, EncodingKey::from_secret(&secret)))
    }

    fn claims(&self) -> Result<Value, Failure> {
        let now = now_s();
        let mut claims = Map::new();
        let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        if !self.compat && (self.iss.is_none() || self.aud.is_empty()) {
            let what = anyhow!(
                "a token says who issued it and for which hub: give --iss and --aud (or --config), \
                 or --compat for a token of Mercure 0.x"
            );
            return Err(Failure::Usage(what));
        }
        self.iss.as_deref().map(|iss| set("iss", iss.into()));
        match self.aud.as_slice() {
            [] => None,
            [one] => set("aud", one.as_str().into()),
            many => set("aud", many.into()),
        };
        self.sub.as_deref().map(|sub| set("sub", sub.into()));
        set("iat", now.into());
        set("exp", now.saturating_add(self.ttl.as_secs()).into());
        let id = self.jti.clone().map_or_else(random_id, Ok)?;
        set("jti", id.into());
        if self.compat {
            let mut grants = Map::new();
            grants.insert("publish".to_owned(), self.publish.clone().into());
            grants.insert("subscribe".to_owned(), self.subscribe.clone().into());
            grants.extend(self.payload.clone().map(|payload| ("payload".to_owned(), payload)));
            set("mercure", grants.into());
        } else {
            set("authorization_details", self.details().into());
        }
        Ok(claims.into())
    }

    /// A rule for what may be published, and one for what may be seen.
    fn details(&self) -> Vec<Value> {
        let actions = [
            ("publish", &self.publish, &self.publish_pattern, None),
            ("subscribe", &self.subscribe, &self.subscribe_pattern, self.payload.as_ref()),
        ];
        let mut details = Vec::new();
        for (action, topics, patterns, payload) in actions {
            let exact = topics.iter().map(|topic| json!({ "match": topic }));
            let patterns = patterns
                .iter()
                .map(|pattern| json!({"match": pattern, "match_type": "urlpattern"}));
            let matchers: Vec<_> = exact.chain(patterns).collect();
            if matchers.is_empty() {
                continue;
            }
            let mut detail = json!({
                "type": "https://mercure.rocks/authorization-detail",
                "actions": [action],
                "topics": matchers,
            });
            if let (Some(payload), Some(detail)) = (payload, detail.as_object_mut()) {
                detail.insert("payload".to_owned(), payload.clone());
            }
            details.push(detail);
        }
        details
    }
}

/// Finds out what kind of key it is by what it can sign.
fn private_key(
    pem: &[u8],
    algorithm: Option<Algorithm>,
) -> Result<(Algorithm, EncodingKey), Failure> {
    let kinds = [
        (EncodingKey::from_ed_pem(pem), &[Algorithm::EdDSA][..]),
        (EncodingKey::from_ec_pem(pem), &[Algorithm::ES256, Algorithm::ES384]),
        (EncodingKey::from_rsa_pem(pem), &[Algorithm::RS256]),
    ];
    for (key, usual) in kinds {
        let Ok(key) = key else { continue };
        let candidates = algorithm.as_ref().map_or(usual, std::slice::from_ref);
        let signs =
            |algorithm: &&Algorithm| jsonwebtoken::crypto::sign(b"", &key, **algorithm).is_ok();
        if let Some(&algorithm) = candidates.iter().find(signs) {
            return Ok((algorithm, key));
        }
    }
    Err(Failure::Usage(anyhow!(
        "this is no private key (PEM, PKCS #8) that signs with such an algorithm: make one with \
         `openssl genpkey -algorithm ed25519`"
    )))
}

fn random_id() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("no random numbers: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
