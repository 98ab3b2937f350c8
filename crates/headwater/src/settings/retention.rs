//! What is kept of which topics: the `[[retention]]` tables.

use std::time::Duration;

use headwater_log::{Filter, Keep, Pattern, Retention, Topic};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use url::Url;

/// A `[[retention]]` table. The first one that matches a topic holds for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Rule {
    #[serde(flatten)]
    of: Of,
    keep: Much,
    age_max_hours: u64,
    bytes_max: u64,
}

/// Which topics a rule is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Of {
    Topic(String),
    Pattern(String),
}

/// How many events of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Much {
    All,
    Newest(u64),
}

/// The table as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    topic: Option<String>,
    pattern: Option<String>,
    #[serde(default)]
    keep: Option<Much>,
    #[serde(default)]
    age_max_hours: u64,
    #[serde(default)]
    bytes_max: u64,
}

impl Rule {
    fn try_from_table(table: Table) -> Result<Self, String> {
        let Table { topic, pattern, keep, age_max_hours, bytes_max } = table;
        let of = match (topic, pattern) {
            (Some(topic), None) => Of::Topic(topic),
            (None, Some(pattern)) => Of::Pattern(pattern),
            _ => {
                return Err("a [[retention]] is about a `topic` or a `pattern`: one of them".into());
            }
        };
        let keep = keep.unwrap_or(Much::All);
        if keep == Much::All && age_max_hours == 0 && bytes_max == 0 {
            let what = "a [[retention]] says what to keep: keep = \"latest\" or a number of events, \
                        age_max_hours, or bytes_max";
            return Err(what.into());
        }
        let rule = Self { of, keep, age_max_hours, bytes_max };
        // Where the hub is seen makes no difference to whether a pattern is one.
        let anywhere = Url::parse("http://127.0.0.1/").map_err(|error| error.to_string())?;
        rule.filter(&anywhere)?;
        Ok(rule)
    }

    fn filter(&self, root: &Url) -> Result<Filter, String> {
        match &self.of {
            Of::Topic(topic) => {
                Topic::parse(topic).map(Filter::topic).map_err(|error| error.to_string())
            }
            Of::Pattern(pattern) if pattern == "*" => Ok(Filter::all()),
            Of::Pattern(pattern) => {
                let pattern = Pattern::parse(pattern, root).map_err(|error| error.to_string())?;
                Ok(Filter::new(Vec::new(), vec![pattern]))
            }
        }
    }

    fn keep(&self) -> Keep {
        let count_max = match self.keep {
            Much::All => None,
            Much::Newest(count) => Some(count),
        };
        let bytes_max = Some(self.bytes_max).filter(|&bytes| bytes > 0);
        Keep { count_max, bytes_max, age_max: hours(self.age_max_hours) }
    }
}

/// A number of hours; 0 is no limit.
pub(super) fn hours(hours: u64) -> Option<Duration> {
    Some(hours)
        .filter(|&hours| hours > 0)
        .map(|hours| Duration::from_secs(hours.saturating_mul(3600)))
}

/// The rules, for topics that are resolved against a root.
///
/// # Errors
/// What is wrong with a pattern.
pub(crate) fn retention(
    rules: &[Rule],
    age_max_hours: u64,
    root: &Url,
) -> Result<Retention, String> {
    let rules = rules.iter().map(|rule| Ok((rule.filter(root)?, rule.keep())));
    let otherwise = Keep { age_max: hours(age_max_hours), ..Keep::default() };
    Ok(Retention { rules: rules.collect::<Result<_, String>>()?, otherwise })
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from_table(Table::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl Serialize for Much {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::All => serializer.serialize_str("all"),
            Self::Newest(1) => serializer.serialize_str("latest"),
            Self::Newest(count) => serializer.serialize_u64(count),
        }
    }
}

impl<'de> Deserialize<'de> for Much {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Word(String),
            Count(u64),
        }
        match Written::deserialize(deserializer) {
            Ok(Written::Word(word)) if word == "all" => Ok(Self::All),
            Ok(Written::Word(word)) if word == "latest" => Ok(Self::Newest(1)),
            Ok(Written::Count(count)) if count > 0 => Ok(Self::Newest(count)),
            _ => Err(de::Error::custom("keep is \"all\", \"latest\" or a number of events")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Result<Vec<Rule>, String> {
        #[derive(Deserialize)]
        struct Settings {
            retention: Vec<Rule>,
        }
        let settings: Result<Settings, _> = toml::from_str(text);
        settings.map(|settings| settings.retention).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn the_first_rule_that_matches_a_topic_holds() {
        let rules = rules(
            "[[retention]]\ntopic = \"prices/gold\"\nage_max_hours = 2\n\
             [[retention]]\npattern = \"/prices/:symbol\"\nkeep = \"latest\"\n\
             [[retention]]\npattern = \"*\"\nkeep = 10\nbytes_max = 5\n",
        )
        .unwrap();
        let root = Url::parse("https://events.example.com/").unwrap();
        let retention = retention(&rules, 3, &root).unwrap();
        let of = |topic| retention.of(&Topic::parse(topic).unwrap());
        assert_eq!(of("prices/gold"), Keep { age_max: hours(2), ..Keep::default() });
        assert_eq!(of("prices/silver"), Keep::LATEST);
        assert_eq!(of("https://events.example.com/prices/silver"), Keep::LATEST);
        let other = Keep { count_max: Some(10), bytes_max: Some(5), age_max: None };
        assert_eq!(of("news"), other);
        assert_eq!(retention.otherwise, Keep { age_max: hours(3), ..Keep::default() });
    }

    #[test]
    fn what_makes_no_rule_is_said() {
        for (table, word) in [
            ("keep = 3", "`topic` or a `pattern`"),
            ("topic = \"a\"\npattern = \"/a\"\nkeep = 3", "one of them"),
            ("topic = \"a\"", "says what to keep"),
            ("topic = \"a\"\nkeep = 0", "a number of events"),
            ("topic = \"a\"\nkeep = \"newest\"", "a number of events"),
            ("pattern = \"/(\"\nkeep = 3", "not a URL Pattern"),
            ("topic = \"\"\nkeep = 3", "topic"),
            ("topic = \"a\"\nkeeps = 3", "unknown field"),
        ] {
            let error = rules(&format!("[[retention]]\n{table}\n")).unwrap_err();
            assert!(error.contains(word), "{table}: {error}");
        }
    }
}
