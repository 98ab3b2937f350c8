//! Which settings there are, found out from the structs that hold them.

use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor, value};
use serde::forward_to_deserialize_any;

/// The names of a struct's fields, as they are written in a file.
pub(super) fn fields<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut fields: &[&str] = &[];
    // The error is how the visit ends once it has told what it came for.
    let _ = T::deserialize(Ask { fields: &mut fields });
    fields
}

struct Ask<'a> {
    fields: &'a mut &'static [&'static str],
}

impl<'de> Deserializer<'de> for Ask<'_> {
    type Error = value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, value::Error> {
        Err(value::Error::custom("not a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, value::Error> {
        *self.fields = fields;
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// Says that there is no such setting, and which one may have been meant.
pub(super) fn unknown<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let distance = |other: &str| strsim::damerau_levenshtein(name, other);
    let nearest = known.into_iter().min_by_key(|other| distance(other));
    match nearest {
        Some(nearest) if distance(nearest) <= nearest.len() / 2 => {
            format!("there is no setting `{name}`: did you mean `{nearest}`?")
        }
        Some(nearest) => format!(
            "there is no setting `{name}` (the nearest is `{nearest}`); \
             `headwater check-config` shows all"
        ),
        None => format!("there is no setting `{name}`"),
    }
}

/// What serde says, in the words of who writes settings.
pub(super) fn reworded(message: &str) -> String {
    let mut names = message.split('`').skip(1).step_by(2);
    if message.starts_with("unknown field")
        && let Some(name) = names.next()
    {
        return unknown(name, names);
    }
    let whole = ["u64", "u32", "usize"].iter().find_map(|number| message.strip_suffix(number));
    match whole.and_then(|before| before.strip_suffix("expected ")) {
        Some(before) => format!("{before}expected a whole number"),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    #[derive(Default)]
    struct Some {
        listen: String,
        #[serde(rename = "log")]
        backend: Option<u8>,
    }

    #[test]
    fn a_struct_tells_its_fields() {
        assert_eq!(fields::<Some>(), ["listen", "log"]);
        let read: Some = toml::from_str("listen = \"x\"\nlog = 1").unwrap();
        assert_eq!((read.listen.as_str(), read.backend), ("x", Option::Some(1)));
    }

    #[test]
    fn the_nearest_name_is_told() {
        let says = unknown("lisen", ["log", "listen", "data"]);
        assert!(says.ends_with("did you mean `listen`?"), "{says}");
        let says = unknown("colour", ["log", "data"]);
        assert!(says.contains("the nearest is `log`"), "{says}");
        let error = toml::from_str::<Some>("lgo = 1").unwrap_err();
        let says = reworded(error.message());
        assert!(says.ends_with("did you mean `log`?"), "{says}");
        assert_eq!(reworded("expected `a`"), "expected `a`");
        let error = toml::from_str::<Some>("log = \"u8\"").unwrap_err();
        assert_eq!(reworded(error.message()), error.message());
        let error =
            toml::from_str::<std::collections::BTreeMap<String, u64>>("n = -1").unwrap_err();
        let says = reworded(error.message());
        assert!(says.ends_with("`-1`, expected a whole number"), "{says}");
    }
}
