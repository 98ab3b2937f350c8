//! The settings: built-in defaults, overridden by a file, by the environment, by flags.

mod general;
mod issuer;
mod layer;
pub(crate) mod mercure;
mod retention;
mod schema;
mod shown;
#[cfg(test)]
mod tests;
mod tokens;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use headwater_server::token::{BackendConfig, IssuerConfig};
use headwater_server::{Config, HubConfig, Limits, SettingError};
use serde::de::DeserializeOwned;
use toml::de::ValueDeserializer;

use self::layer::{Layers, Origin, Problem};

use self::general::Disk;
pub(crate) use self::general::{AdminListen, Backend, DATA, General, Listen, LogLevel};
pub(crate) use self::tokens::TokenSettings;

/// Everything that an operator may set. In a file the three parts are one: their names differ.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Of the program itself.
    pub(crate) general: General,
    /// Of the hub.
    pub(crate) hub: HubConfig,
    /// Of its HTTP server.
    pub(crate) http: Config,
    /// Whose tokens are taken, with their keys, out of whatever files they are in.
    pub(crate) issuers: Vec<IssuerConfig>,
    /// The application that is asked in place of tokens.
    pub(crate) application: Option<BackendConfig>,
    /// Who set what is not a default, by the setting's name.
    origins: BTreeMap<String, Origin>,
}

/// What there is to read settings from. It holds secrets, so it has no `Debug`.
#[derive(Default)]
pub(crate) struct Given {
    /// The file.
    pub(crate) file: Option<PathBuf>,
    /// All variables of the environment.
    pub(crate) variables: Vec<(OsString, OsString)>,
    /// Flags: their name, the setting's, the value.
    pub(crate) flags: Vec<(&'static str, &'static str, String)>,
}

/// The file that is read if none is named and there is one.
const USUAL_FILE: &str = "headwater.toml";

impl Given {
    /// The named file, or the usual one; and the environment of this process.
    pub(crate) fn here(file: Option<PathBuf>) -> Self {
        let usual = || Some(PathBuf::from(USUAL_FILE)).filter(|file| file.exists());
        Self { file: file.or_else(usual), ..Self::without_file() }
    }

    /// Only the environment of this process.
    pub(crate) fn without_file() -> Self {
        Self { variables: std::env::vars_os().collect(), ..Self::default() }
    }

    /// Adds a flag if it was given.
    pub(crate) fn flag(
        &mut self,
        flag: &'static str,
        setting: &'static str,
        value: Option<impl fmt::Display>,
    ) {
        self.flags.extend(value.map(|value| (flag, setting, value.to_string())));
    }
}

impl Settings {
    /// Reads and validates all of them. Binds no port and starts nothing.
    ///
    /// # Errors
    /// Everything that is wrong, with the place of each.
    pub(crate) fn load(given: &Given) -> Result<Self, SettingsError> {
        let mut layers = Layers::default();
        if let Some(file) = &given.file {
            match fs::read_to_string(file) {
                Ok(text) => layers.file(file, &text),
                Err(error) => {
                    let what = format!("cannot read the settings in {}: {error}", file.display());
                    layers.problems.push(Problem { origin: None, what });
                }
            }
        }
        layers.environment(given.variables.iter().cloned());
        for (flag, setting, value) in &given.flags {
            layers.flag(flag, setting, value);
        }
        let mut settings = Self::merge(&mut layers)?;
        let mut problems = settings.read_key_files();
        problems.extend(settings.read_issuers(&given.variables));
        problems.extend(settings.read_application());
        problems.extend(settings.validate());
        if problems.is_empty() { Ok(settings) } else { Err(SettingsError { problems }) }
    }

    /// The later entry wins; flags add to lists.
    fn merge(layers: &mut Layers) -> Result<Self, SettingsError> {
        let mut merged = toml::Table::new();
        let mut origins = BTreeMap::new();
        for entry in layers.entries.drain(..) {
            let Some((name, tables)) = entry.path.split_last() else { continue };
            let table = tables.iter().try_fold(&mut merged, |table, name| {
                table.entry(name).or_insert(toml::Table::new().into()).as_table_mut()
            });
            let Some(table) = table else { continue };
            match (table.get_mut(name), entry.value, &entry.origin) {
                (Some(toml::Value::Array(list)), toml::Value::Array(more), Origin::Flag(_)) => {
                    list.extend(more);
                }
                (_, value, _) => {
                    table.insert(name.clone(), value);
                }
            }
            origins.insert(entry.path.join("."), entry.origin);
        }
        let mut problems = std::mem::take(&mut layers.problems);
        let settings = Self {
            general: part(&merged, &mut problems),
            hub: part(&merged, &mut problems),
            http: part(&merged, &mut problems),
            issuers: Vec::new(),
            application: None,
            origins,
        };
        if problems.is_empty() { Ok(settings) } else { Err(SettingsError { problems }) }
    }
}

/// One of the parts, out of what was set of all of them.
fn part<T: DeserializeOwned + Default>(merged: &toml::Table, problems: &mut Vec<Problem>) -> T {
    let fields = schema::fields::<T>();
    let ours = merged.iter().filter(|(name, _)| fields.contains(&name.as_str()));
    let ours: toml::Table = ours.map(|(name, value)| (name.clone(), value.clone())).collect();
    T::deserialize(ours).unwrap_or_else(|error| {
        // Each setting was checked alone, so that this is about several together.
        problems.push(Problem { origin: None, what: error.message().to_owned() });
        T::default()
    })
}

/// A part of the settings: the names in it, and whether a value of one is right.
struct Part {
    fields: fn() -> &'static [&'static str],
    check: fn(ValueDeserializer<'_>) -> Result<(), toml::de::Error>,
}

impl Part {
    const fn of<T: DeserializeOwned>() -> Self {
        Self { fields: schema::fields::<T>, check: |value| T::deserialize(value).map(drop) }
    }
}

const PARTS: [Part; 3] = [Part::of::<General>(), Part::of::<HubConfig>(), Part::of::<Config>()];

/// The settings whose value no message shows, and what is said of one that cannot be used.
const SECRETS: [(&str, SettingError); 2] =
    [("publish_key", SettingError::PublishKey), ("admin_key", SettingError::AdminKey)];

/// Numbers that mean something when they are 0: as many as there are cores, none at all, or no limit.
const MAY_BE_ZERO: [&str; 7] = [
    "shards",
    "limits.patterns_max",
    "memory.removed_topics_max",
    "memory.keys_max",
    "disk.bytes_max",
    "disk.age_max_hours",
    "disk.removed_topics_max",
];

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

impl Settings {
    fn problem(&self, setting: &str, what: String) -> Problem {
        Problem { origin: self.origins.get(setting).cloned(), what }
    }

    /// Where the operator's listener is to be, and whether somebody asked for it there. If the system
    /// chooses the public port, it chooses this one too, unless somebody says otherwise.
    pub(crate) fn admin_listen(&self) -> (Option<Listen>, bool) {
        let asked_for = self.origins.contains_key("admin_listen");
        let listen = match self.general.admin_listen {
            AdminListen::At(_) if !asked_for && self.general.listen.address().port() == 0 => {
                AdminListen::ANY
            }
            listen => listen,
        };
        (listen.listen(), asked_for)
    }

    /// Lets the system choose the port of the operator's listener, unless somebody has said where it is.
    pub(crate) fn choose_admin_port(&mut self) {
        if !self.origins.contains_key("admin_listen") {
            self.general.admin_listen = AdminListen::ANY;
        }
    }

    /// Takes the keys out of their files.
    fn read_key_files(&mut self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let (general, http) = (&self.general, &self.http);
        match read_key(general.publish_key_file.as_deref(), http.publish_key.as_ref()) {
            Ok(key) => self.http.publish_key = key,
            Err(why) => problems.push(self.problem("publish_key_file", why.of("publish_key"))),
        }
        let general = &self.general;
        match read_key(general.admin_key_file.as_deref(), general.admin_key.as_ref()) {
            Ok(key) => self.general.admin_key = key,
            Err(why) => problems.push(self.problem("admin_key_file", why.of("admin_key"))),
        }
        problems
    }

    /// Takes the issuers' keys out of wherever they are.
    fn read_issuers(&mut self, variables: &[(OsString, OsString)]) -> Vec<Problem> {
        let read = self.general.issuer.iter().map(|issuer| issuer.read(variables));
        let (issuers, errors): (Vec<_>, Vec<_>) = read.partition(Result::is_ok);
        self.issuers = issuers.into_iter().flatten().collect();
        let errors = errors.into_iter().filter_map(Result::err);
        errors.map(|error| self.problem("issuer", error.to_string())).collect()
    }

    /// Looks at who is asked in place of tokens.
    fn read_application(&mut self) -> Option<Problem> {
        let url = self.general.authorize_url.as_deref()?;
        match self.general.authorize.of(url) {
            Err((setting, what)) => Some(self.problem(setting, what)),
            Ok(_) if !self.general.issuer.is_empty() => {
                let what = "with authorize_url the application decides about every request, those \
                            with tokens too: leave out either it or every [[issuer]]";
                Some(self.problem("authorize_url", what.to_owned()))
            }
            Ok(application) => {
                self.application = Some(application);
                None
            }
        }
    }

    /// Whether somebody says who may publish.
    pub(crate) fn knows_publishers(&self) -> bool {
        self.http.publish_key.is_some() || !self.issuers.is_empty() || self.application.is_some()
    }

    /// What is wrong with settings that are right each for itself.
    fn validate(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.general.data.is_some() && self.general.log != Backend::Disk {
            let what = "a data directory is of use only to a log on disk: leave it out, or set \
                        log = \"disk\"";
            problems.push(self.problem("data", what.to_owned()));
        }
        if !self.general.disk.has_segments() {
            let what = format!(
                "disk.segment_bytes is from {} (1 MiB) to 1 GiB: a segment holds the largest event",
                Disk::SEGMENT_BYTES_MIN
            );
            problems.push(self.problem("disk.segment_bytes", what));
        }
        let listen = self.general.listen;
        if let Some(what) = self.general.tokens.problem() {
            problems.push(self.problem("tokens.cookie", what));
        }
        if !listen.is_loopback() && !self.knows_publishers() && !self.general.insecure {
            let what = format!(
                "at {listen} anybody who reaches this machine could publish: set publish_key (or \
                 HEADWATER_PUBLISH_KEY, or publish_key_file), an [[issuer]] of tokens or authorize_url, listen at 127.0.0.1:{} behind a proxy, \
                 or say --insecure if anybody may",
                listen.address().port()
            );
            problems.push(self.problem("listen", what));
        }
        problems.extend(self.validate_admin());
        if self.http.limits.header_bytes_max < Limits::HEADER_BYTES_MIN {
            let what = format!("limits.header_bytes_max is at least {}", Limits::HEADER_BYTES_MIN);
            problems.push(self.problem("limits.header_bytes_max", what));
        }
        for (name, number) in self.numbers() {
            if number == 0 && !MAY_BE_ZERO.contains(&name.as_str()) {
                problems.push(self.problem(&name, format!("{name} has to be more than 0")));
            }
            if name.ends_with("_ms") && number > DAY_MS {
                problems.push(self.problem(&name, format!("{name} is at most a day, {DAY_MS}")));
            }
        }
        problems
    }

    fn validate_admin(&self) -> Option<Problem> {
        let admin = self.general.admin_listen.listen()?;
        let what = if !admin.is_loopback() && self.general.admin_key.is_none() {
            format!(
                "at {admin} anybody who reaches this machine could read the metrics: set admin_key (or \
                 HEADWATER_ADMIN_KEY, or admin_key_file), or listen at 127.0.0.1:{}",
                admin.address().port()
            )
        } else if admin == self.general.listen
            && admin.address().port() != 0
            && self.origins.contains_key("admin_listen")
        {
            let what = "admin_listen and listen are the same address: choose another port for one";
            what.to_owned()
        } else {
            return None;
        };
        Some(self.problem("admin_listen", what))
    }

    /// Every setting that is a number.
    fn numbers(&self) -> Vec<(String, i64)> {
        let mut numbers = Vec::new();
        for (name, value) in self.tables().into_iter().flatten() {
            match value {
                toml::Value::Integer(number) => numbers.push((name, number)),
                toml::Value::Table(table) => {
                    numbers.extend(table.iter().filter_map(|(inner, value)| {
                        Some((format!("{name}.{inner}"), value.as_integer()?))
                    }))
                }
                _ => {}
            }
        }
        numbers
    }
}

/// A key: the one that was set, or that of a file.
fn read_key<K: FromStr<Err = SettingError> + Clone>(
    file: Option<&Path>,
    set: Option<&K>,
) -> Result<Option<K>, NoKey> {
    let Some(file) = file else { return Ok(set.cloned()) };
    if set.is_some() {
        return Err(NoKey::Both);
    }
    let unreadable = |why: String| NoKey::Unreadable(file.to_owned(), why);
    let text = fs::read_to_string(file).map_err(|error| unreadable(error.to_string()))?;
    text.trim_end().parse().map(Some).map_err(|error: SettingError| unreadable(error.to_string()))
}

/// Why there is no key.
enum NoKey {
    Both,
    Unreadable(PathBuf, String),
}

impl NoKey {
    fn of(self, setting: &str) -> String {
        match self {
            Self::Both => format!("{setting} is set too: set one of the two"),
            Self::Unreadable(file, why) => format!("the key in {}: {why}", file.display()),
        }
    }
}

/// Why the settings cannot be used: the operator has to mend every one of these.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SettingsError {
    problems: Vec<Problem>,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.problems.iter().enumerate() {
            let separator = if number == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SettingsError {}
