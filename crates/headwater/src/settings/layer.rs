//! Where settings come from: the file, the environment, the flags.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, ValueDeserializer};

use super::schema;
use super::{PARTS, SECRETS};

/// One setting and its value, as some layer says. It may be a secret, so it has no `Debug`.
pub(super) struct Entry {
    /// Its name, with the tables that it lies in.
    pub(super) path: Vec<String>,
    pub(super) value: toml::Value,
    pub(super) origin: Origin,
}

/// Who set something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A line of a file, counted from 1.
    File {
        /// Which.
        path: PathBuf,
        /// Where.
        line: usize,
    },
    /// A variable of this name.
    Environment(String),
    /// A flag of this name.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// What is wrong with a setting, and where it was set if it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(super) origin: Option<Origin>,
    pub(super) what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(origin) => write!(f, "{origin}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// Collects what the layers say, and what is wrong with it.
#[derive(Default)]
pub(super) struct Layers {
    pub(super) entries: Vec<Entry>,
    pub(super) problems: Vec<Problem>,
}

impl Layers {
    /// Adds a file. Messages quote no line of it, which may hold a secret.
    pub(super) fn file(&mut self, path: &Path, text: &str) {
        let origin = |at: usize| {
            let before = text.as_bytes().get(..at).unwrap_or_default();
            let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
            Origin::File { path: path.to_owned(), line }
        };
        match DeTable::parse(text) {
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                self.problem(origin(at), error.message().trim_end().to_owned());
            }
            Ok(table) => self.table(&mut Vec::new(), table.into_inner(), &origin),
        }
    }

    fn table(
        &mut self,
        path: &mut Vec<String>,
        table: DeTable<'_>,
        origin: &dyn Fn(usize) -> Origin,
    ) {
        for (key, value) in table {
            let at = key.span().start;
            path.push(key.into_inner().into_owned());
            let span = value.span();
            match value.into_inner() {
                DeValue::Table(inner) if !inner.is_empty() => self.table(path, inner, origin),
                leaf => {
                    let leaf = Spanned::new(span, leaf);
                    match check(path, &leaf) {
                        Ok(value) => {
                            self.entries.push(Entry {
                                path: path.clone(),
                                value,
                                origin: origin(at),
                            });
                        }
                        Err(Wrong::Unknown(what)) => self.problem(origin(at), what),
                        Err(Wrong::Value { inside, what }) => {
                            let what = format!("{}: {what}", path.join("."));
                            self.problem(origin(inside.unwrap_or(at)), what);
                        }
                    }
                }
            }
            path.pop();
        }
    }

    /// Adds the variables whose names begin with [`PREFIX`] and that no command has another use for.
    pub(super) fn environment(&mut self, variables: impl Iterator<Item = (OsString, OsString)>) {
        for (name, value) in variables {
            let Some(name) = name.to_str() else { continue };
            let Some(setting) = name.strip_prefix(PREFIX) else { continue };
            if NOT_SETTINGS.contains(&setting) {
                continue;
            }
            let origin = Origin::Environment(name.to_owned());
            let path: Vec<_> = setting.split("__").map(str::to_lowercase).collect();
            match value.to_str() {
                Some(value) => self.text(path, value, origin),
                None => self.problem(origin, "the value is not UTF-8".into()),
            }
        }
    }

    /// Adds a flag. If the setting is a list, the flag is one more item of it.
    pub(super) fn flag(&mut self, flag: &'static str, setting: &str, value: &str) {
        self.text(vec![setting.to_owned()], value, Origin::Flag(flag));
    }

    fn text(&mut self, path: Vec<String>, text: &str, origin: Origin) {
        let mut errors = Vec::new();
        for candidate in candidates(text, &origin) {
            match check(&path, &candidate) {
                Ok(value) => return self.entries.push(Entry { path, value, origin }),
                Err(Wrong::Unknown(what) | Wrong::Value { what, .. }) => errors.push(what),
            }
        }
        // Only of the right type does a value get as far as being looked at.
        let of_right_type = errors.iter().position(|what| !what.starts_with("invalid type"));
        let what = errors.swap_remove(of_right_type.unwrap_or_default());
        self.problem(origin, what);
    }

    pub(super) fn problem(&mut self, origin: Origin, what: String) {
        self.problems.push(Problem { origin: Some(origin), what });
    }
}

const PREFIX: &str = "HEADWATER_";

/// Variables that the commands use for something else.
const NOT_SETTINGS: [&str; 5] = ["CONFIG", "URL", "ADMIN_URL", "TOKEN", "TOKEN_SECRET"];

/// What a text may mean: itself; a number, or what else TOML knows; a list. In a variable the items of
/// a list have commas between them; of a flag, each has its own.
fn candidates<'a>(text: &'a str, origin: &Origin) -> Vec<Spanned<DeValue<'a>>> {
    let spanned = |value| Spanned::new(0..0, value);
    let string = |text: &'a str| spanned(DeValue::String(text.into()));
    let mut list = DeArray::new();
    match origin {
        Origin::Flag(_) => list.push(string(text)),
        _ => text.split(',').for_each(|item| list.push(string(item.trim()))),
    }
    let toml = DeValue::parse(text).ok().filter(|value| !value.get_ref().is_str());
    let last = spanned(DeValue::Array(list));
    [string(text)].into_iter().chain(toml).chain([last]).collect()
}

/// What is wrong with an entry.
enum Wrong {
    Unknown(String),
    Value {
        /// Where in the text the value is wrong, in bytes.
        inside: Option<usize>,
        what: String,
    },
}

/// Whether there is such a setting, and it may have this value.
fn check(path: &[String], value: &Spanned<DeValue<'_>>) -> Result<toml::Value, Wrong> {
    let name = path.first().map(String::as_str).unwrap_or_default();
    let Some(part) = PARTS.iter().find(|part| (part.fields)().contains(&name)) else {
        let known = PARTS.iter().flat_map(|part| (part.fields)()).copied();
        return Err(Wrong::Unknown(schema::unknown(name, known)));
    };
    let nested = path.iter().rev().fold(value.clone(), |inner, name| {
        let mut table = DeTable::new();
        let span = inner.span();
        table.insert(Spanned::new(span.clone(), name.as_str().into()), inner);
        Spanned::new(span, DeValue::Table(table))
    });
    let checked = (part.check)(ValueDeserializer::from(nested));
    checked.and_then(|()| toml::Value::deserialize(ValueDeserializer::from(value.clone()))).map_err(
        |error| match (SECRETS.iter().find(|(secret, _)| *secret == name), error.message()) {
            // Whatever else the message would say, it might say the secret.
            (Some((_, what)), _) => Wrong::Value { inside: None, what: what.to_string() },
            (None, message) => Wrong::Value {
                inside: error.span().map(|span| span.start),
                what: schema::reworded(message),
            },
        },
    )
}
