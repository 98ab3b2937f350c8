//! What the settings say of a source.

use std::fmt;
use std::time::Duration;

use headwater_log::Topic;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::output::Format;

/// A source of the settings: a `[[source]]` table, or the short form of `--source`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Source {
    kind: Kind,
    #[serde(serialize_with = "write_topic")]
    pub(super) topic: Topic,
    /// The program and its arguments; no shell sees them.
    pub(super) command: Vec<String>,
    pub(super) format: Format,
    interval_ms: u64,
    pub(super) ids: bool,
    pub(super) only_while_listened: bool,
    pub(super) event_bytes_max: usize,
}

/// What a source is. More kinds will follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Exec,
}

/// A `[[source]]` table as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    kind: Kind,
    #[serde(deserialize_with = "read_topic")]
    topic: Topic,
    command: Command,
    #[serde(default)]
    format: Format,
    #[serde(default = "interval_ms")]
    interval_ms: u64,
    #[serde(default)]
    ids: bool,
    #[serde(default)]
    only_while_listened: bool,
    #[serde(default = "event_bytes_max")]
    event_bytes_max: usize,
}

/// A page whose script ended asks again after some three seconds: the program runs as often as before.
fn interval_ms() -> u64 {
    3000
}

fn event_bytes_max() -> usize {
    1 << 20
}

impl Source {
    /// Reads `KIND[,OPTION]...:TOPIC=COMMAND`, for example `exec:time=php clock.php`.
    ///
    /// # Errors
    /// What is wrong, and how it is written.
    pub(crate) fn parse(text: &str) -> Result<Self, SpecError> {
        let (kind, rest) = text.split_once(':').ok_or(SpecError::Form)?;
        let (topic, command) = rest.split_once('=').ok_or(SpecError::Form)?;
        let mut table = toml::Table::new();
        let mut options = kind.split(',');
        table.insert("kind".into(), options.next().unwrap_or_default().into());
        table.insert("topic".into(), topic.into());
        table.insert("command".into(), command.into());
        for option in options {
            let (name, value) = option.split_once('=').unwrap_or((option, "true"));
            let value = match (value.parse::<bool>(), value.parse::<i64>()) {
                (Ok(switch), _) => switch.into(),
                (_, Ok(number)) => number.into(),
                _ => toml::Value::from(value),
            };
            if table.insert(name.into(), value).is_some() {
                return Err(SpecError::Twice { name: name.into() });
            }
        }
        Table::deserialize(table)
            .and_then(Self::try_from_table)
            .map_err(|error| SpecError::Table { why: error.message().to_owned() })
    }

    fn try_from_table<E: de::Error>(table: Table) -> Result<Self, E> {
        let Table { kind, topic, command, .. } = table;
        let command = match command {
            Command::Words(words) => words,
            Command::Line(line) => shlex::split(&line)
                .ok_or_else(|| E::custom("the command has a quote that is not closed"))?,
        };
        if command.first().is_none_or(String::is_empty) {
            return Err(E::custom("the command is empty: name a program, as in \"php clock.php\""));
        }
        Ok(Self {
            kind,
            topic,
            command,
            format: table.format,
            interval_ms: table.interval_ms,
            ids: table.ids,
            only_while_listened: table.only_while_listened,
            event_bytes_max: table.event_bytes_max,
        })
    }

    /// How long after its end the program runs again, unless it has printed a `retry`.
    pub(super) fn interval(&self) -> Duration {
        Duration::from_millis(self.interval_ms)
    }

    /// The command as one would type it.
    pub(super) fn shown_command(&self) -> String {
        self.command.join(" ")
    }
}

/// Why a text is no source. The operator has to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SpecError {
    /// Its parts are missing.
    #[error("a source is written KIND:TOPIC=COMMAND, for example exec:time=php clock.php")]
    Form,
    /// An option stands there more than once.
    #[error("`{name}` is given twice")]
    Twice {
        /// The option.
        name: Box<str>,
    },
    /// One of its parts is wrong.
    #[error("{why}")]
    Table {
        /// Which, and why.
        why: String,
    },
}

/// A command: words, or a line that is split into words as a shell would, but never seen by one.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "the command is a text, or a list of texts: the program, its arguments"
)]
enum Command {
    Line(String),
    Words(Vec<String>),
}

fn read_topic<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Topic, D::Error> {
    Topic::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
}

fn write_topic<S: Serializer>(topic: &Topic, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(topic.as_str())
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;

        impl<'de> Visitor<'de> for Form {
            type Value = Source;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a [[source]] table, or a text such as \"exec:time=php clock.php\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Source, E> {
                Source::parse(text).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Source, A::Error> {
                Source::try_from_table(Table::deserialize(MapAccessDeserializer::new(map))?)
            }
        }

        deserializer.deserialize_any(Form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_form_says_the_same_as_a_table() {
        let table = "kind = \"exec\"\ntopic = \"time\"\ncommand = [\"php\", \"my clock.php\"]";
        let table: Source = toml::from_str(table).unwrap();
        assert_eq!(Source::parse("exec:time=php 'my clock.php'"), Ok(table.clone()));
        assert_eq!(table.interval(), Duration::from_secs(3));
        assert!(!table.ids && !table.only_while_listened);

        let table = "kind = \"exec\"\ntopic = \"https://a.example/x\"\ncommand = \"date -u +%T=%s\"\n\
                     ids = true\nformat = \"lines\"\ninterval_ms = 50\nonly_while_listened = true";
        let table: Source = toml::from_str(table).unwrap();
        let text = "exec,ids,format=lines,interval_ms=50,only_while_listened:\
                    https://a.example/x=date -u +%T=%s";
        assert_eq!(Source::parse(text), Ok(table.clone()));
        assert_eq!(table.command, ["date", "-u", "+%T=%s"]);
    }

    #[test]
    fn what_is_written_reads_back() {
        let source = Source::parse("exec,ids,interval_ms=7:t=sh -c 'echo \"a b\"'").unwrap();
        assert_eq!(toml::from_str::<Source>(&toml::to_string(&source).unwrap()).unwrap(), source);
    }

    #[test]
    fn an_error_says_what_is_wrong() {
        for (text, says) in [
            ("", "KIND:TOPIC=COMMAND"),
            ("exec", "KIND:TOPIC=COMMAND"),
            ("exec:time", "KIND:TOPIC=COMMAND"),
            ("exec:=date", "the topic is empty"),
            ("exec:*=date", "`*` is not a topic"),
            ("exec:time=", "the command is empty"),
            ("exec:time=''", "the command is empty"),
            ("exec:time=date '", "a quote that is not closed"),
            ("tail:time=x", "unknown variant `tail`"),
            ("exec,idz:time=x", "unknown field `idz`"),
            ("exec,ids=1:time=x", "expected a boolean"),
            ("exec,ids,ids:time=x", "given twice"),
            ("exec,topic=x:time=x", "given twice"),
            ("exec,interval_ms=-1:time=x", "integer `-1`"),
        ] {
            let error = Source::parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text:?} gives {error:?}");
        }
    }
}
