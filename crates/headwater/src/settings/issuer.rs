//! Whose tokens are taken: the `[[issuer]]` tables.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use headwater_server::token::{Algorithm, IssuerConfig, KeyError, KeySource, Secret};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use url::{Host, Url};

/// An `[[issuer]]` table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Issuer {
    #[serde(flatten)]
    table: Table,
}

/// The table as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    issuer: Option<String>,
    #[serde(default)]
    audiences: Vec<String>,
    secret: Option<Secret>,
    secret_file: Option<PathBuf>,
    secret_env: Option<String>,
    public_key_file: Option<PathBuf>,
    jwks_file: Option<PathBuf>,
    jwks_url: Option<String>,
    #[serde(default)]
    algorithms: Vec<Algorithm>,
    #[serde(default = "all_actions")]
    actions: Vec<Action>,
    #[serde(default)]
    compat: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Publish,
    Subscribe,
}

fn all_actions() -> Vec<Action> {
    vec![Action::Publish, Action::Subscribe]
}

/// Why an issuer cannot be used. The operator has to mend it. No secret is shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IssuerError {
    #[error(
        "issuer {name}: it has {count} keys: set one of secret, secret_file, secret_env, public_key_file, jwks_file, jwks_url"
    )]
    Keys { name: String, count: usize },
    #[error("issuer {name}: the key in {}: {why}", .path.display())]
    File { name: String, path: PathBuf, why: String },
    #[error(
        "issuer {name}: there is no variable {variable} in the environment, or it is not UTF-8"
    )]
    Variable { name: String, variable: String },
    #[error(
        "issuer {name}: jwks_url has to begin with https:// (or be of this machine) and has no password: whoever can change keys on their way could sign anything"
    )]
    Url { name: String },
    #[error(
        "an [[issuer]] needs its name (issuer = \"https://auth.example.com\", what the tokens' `iss` is), unless it has compat = true"
    )]
    NoName,
    #[error(
        "issuer {name}: it needs audiences, what this hub is called in the tokens' `aud`, such as [\"https://events.example.com/.well-known/mercure\"]"
    )]
    NoAudience { name: String },
    #[error("issuer {name}: {error}")]
    Key { name: String, error: KeyError },
}

impl Issuer {
    /// Reads its keys out of wherever they are, and looks at them. Fetches nothing.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(
        &self,
        variables: &[(OsString, OsString)],
    ) -> Result<IssuerConfig, IssuerError> {
        let table = &self.table;
        let name = || table.issuer.clone().unwrap_or_else(|| "without a name".to_owned());
        if table.issuer.is_none() && !table.compat {
            return Err(IssuerError::NoName);
        }
        if table.audiences.is_empty() && table.issuer.is_some() && !table.compat {
            return Err(IssuerError::NoAudience { name: name() });
        }
        let config = IssuerConfig {
            issuer: table.issuer.clone(),
            audiences: table.audiences.clone(),
            keys: self.keys(&name(), variables)?,
            algorithms: table.algorithms.clone(),
            actions: headwater_server::token::Actions {
                publish: table.actions.contains(&Action::Publish),
                subscribe: table.actions.contains(&Action::Subscribe),
            },
            compat: table.compat,
        };
        config.check().map_err(|error| IssuerError::Key { name: name(), error })?;
        Ok(config)
    }

    fn keys(
        &self,
        name: &str,
        variables: &[(OsString, OsString)],
    ) -> Result<KeySource, IssuerError> {
        let table = &self.table;
        let file = |path: &Path| {
            fs::read_to_string(path).map_err(|error| IssuerError::File {
                name: name.to_owned(),
                path: path.to_owned(),
                why: error.to_string(),
            })
        };
        let mut found = Vec::new();
        found.extend(table.secret.clone().map(KeySource::Secret));
        if let Some(path) = &table.secret_file {
            found.push(KeySource::Secret(Secret::new(file(path)?.trim_end())));
        }
        if let Some(variable) = &table.secret_env {
            let value = variables.iter().find(|(name, _)| name == OsStr::new(variable));
            let value = value.and_then(|(_, value)| value.to_str()).ok_or_else(|| {
                IssuerError::Variable { name: name.to_owned(), variable: variable.clone() }
            })?;
            found.push(KeySource::Secret(Secret::new(value)));
        }
        if let Some(path) = &table.public_key_file {
            found.push(KeySource::Pem(file(path)?));
        }
        if let Some(path) = &table.jwks_file {
            found.push(KeySource::Jwks(file(path)?));
        }
        if let Some(url) = &table.jwks_url {
            let url = Url::parse(url).ok().filter(is_safe);
            let url = url.ok_or_else(|| IssuerError::Url { name: name.to_owned() })?;
            found.push(KeySource::JwksUrl(url));
        }
        let count = found.len();
        match (found.pop(), count) {
            (Some(keys), 1) => Ok(keys),
            _ => Err(IssuerError::Keys { name: name.to_owned(), count }),
        }
    }
}

/// Whether nobody can change what comes from there on its way.
pub(super) fn is_safe(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let safe = url.scheme() == "https" || url.scheme() == "http" && loopback;
    safe && url.password().is_none()
}

impl<'de> Deserialize<'de> for Issuer {
    /// No error quotes a text: it may be the whole table in the wrong form, with its secret.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;

        impl<'de> Visitor<'de> for Form {
            type Value = Issuer;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an [[issuer]] table")
            }

            fn visit_str<E: de::Error>(self, _: &str) -> Result<Issuer, E> {
                Err(E::custom("an issuer is an [[issuer]] table"))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Issuer, A::Error> {
                let table = Table::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Issuer { table })
            }
        }

        deserializer.deserialize_any(Form)
    }
}

/// Reads the list of them. A text in its place is not quoted either.
pub(super) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Issuer>, D::Error> {
    struct List;

    impl<'de> Visitor<'de> for List {
        type Value = Vec<Issuer>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("[[issuer]] tables")
        }

        fn visit_str<E: de::Error>(self, _: &str) -> Result<Vec<Issuer>, E> {
            Err(E::custom("issuers are [[issuer]] tables"))
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Vec<Issuer>, A::Error> {
            let mut issuers = Vec::new();
            while let Some(issuer) = items.next_element()? {
                issuers.push(issuer);
            }
            Ok(issuers)
        }
    }

    deserializer.deserialize_any(List)
}

#[cfg(test)]
mod tests {
    use headwater_server::token::Actions;

    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn issuer(text: &str) -> Issuer {
        toml::from_str(text).unwrap()
    }

    fn named(rest: &str) -> Issuer {
        issuer(&format!("issuer = \"https://a.example\"\naudiences = [\"hub\"]\n{rest}"))
    }

    #[test]
    fn the_key_comes_from_one_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        fs::write(&file, format!("{SECRET}\n")).unwrap();
        let variables = [(OsString::from("SHARED"), OsString::from(SECRET))];
        for keys in [
            format!("secret = \"{SECRET}\""),
            format!("secret_file = {:?}", file.display().to_string()),
            "secret_env = \"SHARED\"".to_owned(),
        ] {
            let config = named(&keys).read(&variables).unwrap();
            let KeySource::Secret(secret) = &config.keys else { panic!("{config:?}") };
            assert_eq!(secret.expose(), SECRET.as_bytes());
            assert_eq!(config.issuer.as_deref(), Some("https://a.example"));
            assert_eq!((config.actions, config.compat), (Actions::ALL, false));
        }
        let url = named("jwks_url = \"https://a.example/keys\"\nalgorithms = [\"ES256\"]");
        assert!(matches!(url.read(&[]).unwrap().keys, KeySource::JwksUrl(_)));
        let both = named(&format!("secret = \"{SECRET}\"\nsecret_env = \"SHARED\""));
        let error = both.read(&variables).unwrap_err();
        assert!(matches!(error, IssuerError::Keys { count: 2, .. }), "{error}");
    }

    #[test]
    fn an_error_says_what_to_do() {
        for (issuer, says) in [
            (named(""), "set one of secret"),
            (named("secret = \"short\""), "openssl rand -hex"),
            (named("secret_env = \"ABSENT\""), "no variable ABSENT"),
            (named("public_key_file = \"/nowhere/key\""), "the key in /nowhere/key: No such file"),
            (named("jwks_url = \"http://a.example/keys\""), "has to begin with https://"),
            (named("jwks_url = \"https://a:b@a.example/keys\""), "has no password"),
            (named("jwks_url = \"keys\""), "has to begin with https://"),
            (named("jwks_url = \"file:///keys\""), "has to begin with https://"),
            (issuer(&format!("secret = \"{SECRET}\"")), "needs its name"),
            (issuer(&format!("issuer = \"x\"\nsecret = \"{SECRET}\"")), "needs audiences"),
            (
                named(&format!("secret = \"{SECRET}\"\nalgorithms = [\"RS256\"]")),
                "none of the algorithms is for this kind of key",
            ),
        ] {
            let error = issuer.read(&[]).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        assert!(issuer(&format!("compat = true\nsecret = \"{SECRET}\"")).read(&[]).is_ok());
        assert!(named("jwks_url = \"http://127.0.0.1:1/keys\"").read(&[]).is_ok());
    }

    #[test]
    fn what_these_tokens_may_do_can_be_less() {
        let config = named(&format!("secret = \"{SECRET}\"\nactions = [\"subscribe\"]"));
        let actions = config.read(&[]).unwrap().actions;
        assert!(actions.subscribe && !actions.publish);
    }

    #[test]
    fn no_secret_is_shown() {
        let issuer = named(&format!("secret = \"{SECRET}\""));
        let config = issuer.read(&[]).unwrap();
        let shown = format!("{issuer:?}{config:?}{}", toml::to_string(&issuer).unwrap());
        assert!(!shown.contains(SECRET), "{shown}");
        for wrong in [
            "secret = 31415926535897932384",
            "secret = 3141592653589793",
            "secret = [\"3141592653589793\"]",
            "secret = { a = \"3141592653589793\" }",
        ] {
            let error = toml::from_str::<Issuer>(wrong).unwrap_err();
            assert!(!error.message().contains("3141"), "{}", error.message());
        }
    }
}
