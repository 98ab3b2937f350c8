//! `headwater token verify`: every check of a token, and what came of it.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use headwater_log::Millis;
use headwater_server::token::{
    Access, Actions, Algorithm, HttpFetch, IssuerConfig, KeySource, Outcome, Secret, TokenLimits,
    Tokens,
};
use url::Url;

use super::Given;
use super::time::now_s;
use crate::failure::Failure;
use crate::settings::{self, Settings};

/// Say of each check whether a token passes it; ends with 1 if it fails one
///
/// With the issuers of the settings, or with one that is given here.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    token: Given,
    /// The settings whose issuers are asked; ./headwater.toml if it exists
    #[arg(long, value_name = "F", env = "HEADWATER_CONFIG", hide_env = true)]
    config: Option<PathBuf>,
    #[command(flatten)]
    key: Key,
    /// Who has to have issued it, with a key that is given here
    #[arg(long, value_name = "NAME")]
    iss: Option<String>,
    /// For whom it has to be, with a key that is given here; may be repeated
    #[arg(long, value_name = "NAME")]
    aud: Vec<String>,
    /// The algorithms that the given key may be used for; may be repeated
    #[arg(long, value_name = "ALG")]
    algorithm: Vec<Algorithm>,
    /// Take tokens in the form of Mercure 0.x too, with a key that is given here
    #[arg(long)]
    compat: bool,
    /// What the token's URL Patterns are relative to: the hub's own URL
    #[arg(long, value_name = "URL")]
    base: Option<Url>,
}

#[derive(clap::Args)]
#[group(multiple = false)]
struct Key {
    /// A file with nothing but the secret; HEADWATER_TOKEN_SECRET holds one too
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// A file with a public key in PEM
    #[arg(long, value_name = "FILE")]
    public_key_file: Option<PathBuf>,
    /// A file with a JSON Web Key Set
    #[arg(long, value_name = "FILE")]
    jwks_file: Option<PathBuf>,
    /// Where a JSON Web Key Set is
    #[arg(long, value_name = "URL")]
    jwks_url: Option<Url>,
}

/// Prints the checks.
pub(super) async fn run(args: Args) -> Result<(), Failure> {
    let (issuers, limits) = args.issuers()?;
    let public = "http://127.0.0.1:8080/.well-known/mercure";
    let base = args.base.map_or_else(|| Url::parse(public), Ok).context("no base URL")?;
    let token = args.token.read()?;
    let fetch = Arc::new(HttpFetch::new().context("cannot prepare for https")?);
    let tokens =
        Tokens::new(issuers, base, limits, fetch).map_err(|(_, error)| Failure::usage(error))?;
    let now = Millis(now_s().saturating_mul(1000));
    let mut text = String::new();
    for check in tokens.examine(&token, now).await {
        let line = match check.outcome {
            Outcome::Passed => format!("ok          {}", check.name),
            Outcome::Failed(error) => format!("FAILED      {}: {error}", check.name),
            Outcome::NotReached => format!("not reached {}", check.name),
        };
        writeln!(text, "{line}").context("cannot print the checks")?;
    }
    let verified = tokens.verify(&token, now).await;
    if let Ok(access) = &verified {
        text += &granted(access);
    }
    io::stdout().write_all(text.as_bytes()).context("cannot print the checks")?;
    verified.map(drop).map_err(|error| anyhow!("the hub does not take this token: {error}").into())
}

/// What a token grants, a line for each matcher.
fn granted(access: &Access) -> String {
    let mut text = String::new();
    for rule in access.rules() {
        let action = match rule.actions {
            Actions { publish: true, subscribe: true } => "publish and subscribe to",
            Actions { publish: true, .. } => "publish to",
            Actions { subscribe: true, .. } => "subscribe to",
            Actions { .. } => "nothing with",
        };
        for matcher in &rule.matchers {
            text += &format!("it may {action} {matcher}\n");
        }
    }
    if text.is_empty() {
        text.push_str("it grants nothing: public events only\n");
    }
    text
}

impl Args {
    /// The issuer of the key that is given here, or those of the settings.
    fn issuers(&self) -> Result<(Vec<IssuerConfig>, TokenLimits), Failure> {
        let Some(keys) = self.keys()? else {
            let given = settings::Given::here(self.config.clone());
            let Settings { issuers, general, .. } =
                Settings::load(&given).map_err(Failure::usage)?;
            if issuers.is_empty() {
                return Err(Failure::Usage(anyhow!(
                    "there is no issuer: give settings that have an [[issuer]] with --config, or a \
                     key with --secret-file, --public-key-file, --jwks-file or --jwks-url"
                )));
            }
            return Ok((issuers, general.tokens.limits()));
        };
        if !self.compat && (self.iss.is_none() || self.aud.is_empty()) {
            return Err(Failure::Usage(anyhow!(
                "with a key, say whose it is and what the hub is called: --iss and --aud, or --compat"
            )));
        }
        let issuer = IssuerConfig {
            issuer: self.iss.clone(),
            audiences: self.aud.clone(),
            keys,
            algorithms: self.algorithm.clone(),
            actions: Actions::ALL,
            compat: self.compat,
        };
        Ok((vec![issuer], TokenLimits::default()))
    }

    fn keys(&self) -> Result<Option<KeySource>, Failure> {
        let read = |path: &PathBuf| {
            let text = fs::read_to_string(path);
            text.with_context(|| format!("the key in {}", path.display())).map_err(Failure::Usage)
        };
        let Key { secret_file, public_key_file, jwks_file, jwks_url } = &self.key;
        Ok(match (secret_file, public_key_file, jwks_file, jwks_url) {
            (Some(path), ..) => Some(KeySource::Secret(Secret::new(read(path)?.trim_end()))),
            (_, Some(path), ..) => Some(KeySource::Pem(read(path)?)),
            (_, _, Some(path), _) => Some(KeySource::Jwks(read(path)?)),
            (.., Some(url)) => Some(KeySource::JwksUrl(url.clone())),
            // An issuer's name with no key beside it means the secret of the environment.
            _ if self.config.is_none() && (self.iss.is_some() || self.compat) => {
                let secret = std::env::var("HEADWATER_TOKEN_SECRET").ok();
                secret.map(|secret| KeySource::Secret(Secret::new(secret)))
            }
            _ => None,
        })
    }
}
