//! Names and values in queries and forms, and percent-encoding, taken literally.
//!
//! `form_urlencoded` replaces what it cannot decode; here that is an error, because a topic that was
//! silently changed is another topic.

use std::borrow::Cow;

/// The values of a query or form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Query<'a>(&'a str);

/// Why a query cannot be used. Whoever sent it has to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QueryError {
    #[error("`{name}` is given more than once: give it once")]
    Repeated { name: &'static str },
    #[error("the value of `{name}` is {}", .error)]
    Malformed { name: &'static str, error: PercentError },
}

/// Why a text is not percent-encoded UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PercentError {
    #[error("not percent-encoded: a `%` that stands for itself is written %25")]
    Percent,
    #[error("not UTF-8: percent-encode the bytes of the UTF-8 form")]
    Utf8,
}

impl<'a> Query<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// Whether it has no names.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a name that is given at most once.
    pub(crate) fn one(&self, name: &'static str) -> Result<Option<Cow<'a, str>>, QueryError> {
        let raw = self.one_raw(name)?;
        raw.map(|raw| decode_value(name, raw)).transpose()
    }

    /// The same of an event id, which is never an error whatever it holds.
    pub(crate) fn one_id(&self, name: &'static str) -> Result<Option<String>, QueryError> {
        let raw = self.one_raw(name)?;
        Ok(raw.map(|raw| String::from_utf8_lossy(&percent_decode(raw, true).0).into_owned()))
    }

    /// All values of a name, in order.
    pub(crate) fn all(
        self,
        name: &'static str,
    ) -> impl Iterator<Item = Result<Cow<'a, str>, QueryError>> {
        self.raw(name).map(move |raw| decode_value(name, raw))
    }

    fn one_raw(&self, name: &'static str) -> Result<Option<&'a str>, QueryError> {
        let mut values = self.raw(name);
        let first = values.next();
        match values.next() {
            Some(_) => Err(QueryError::Repeated { name }),
            None => Ok(first),
        }
    }

    fn raw(self, name: &'static str) -> impl Iterator<Item = &'a str> {
        self.0.split('&').filter_map(move |pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (*percent_decode(key, true).0 == *name.as_bytes()).then_some(value)
        })
    }
}

fn decode_value<'a>(name: &'static str, raw: &'a str) -> Result<Cow<'a, str>, QueryError> {
    decode(raw, true).map_err(|error| QueryError::Malformed { name, error })
}

/// Decodes a path, once: `+` is literal and nothing is normalised.
pub(crate) fn decode_path(raw: &str) -> Result<Cow<'_, str>, PercentError> {
    decode(raw, false)
}

fn decode(raw: &str, plus_is_space: bool) -> Result<Cow<'_, str>, PercentError> {
    let (bytes, malformed) = percent_decode(raw, plus_is_space);
    if malformed {
        return Err(PercentError::Percent);
    }
    match bytes {
        // Nothing was encoded.
        Cow::Borrowed(_) => Ok(Cow::Borrowed(raw)),
        Cow::Owned(bytes) => {
            String::from_utf8(bytes).map(Cow::Owned).map_err(|_| PercentError::Utf8)
        }
    }
}

/// The bytes that a text stands for, and whether a `%` in it was not followed by two digits, which is
/// then left as it is.
pub(crate) fn percent_decode(raw: &str, plus_is_space: bool) -> (Cow<'_, [u8]>, bool) {
    let special = |byte: u8| byte == b'%' || (plus_is_space && byte == b'+');
    if !raw.bytes().any(special) {
        return (Cow::Borrowed(raw.as_bytes()), false);
    }
    let mut decoded = Vec::with_capacity(raw.len());
    let mut malformed = false;
    let mut rest = raw.as_bytes();
    while let Some((&byte, mut after)) = rest.split_first() {
        match (byte, after) {
            (b'%', [high, low, tail @ ..])
                if let (Some(high), Some(low)) = (hex(*high), hex(*low)) =>
            {
                decoded.push(high << 4 | low);
                after = tail;
            }
            (b'+', _) if plus_is_space => decoded.push(b' '),
            _ => {
                malformed |= byte == b'%';
                decoded.push(byte);
            }
        }
        rest = after;
    }
    (Cow::Owned(decoded), malformed)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_decoded_once_and_plus_stays() {
        for (raw, decoded) in [
            ("news", "news"),
            ("a%20b+c", "a b+c"),
            ("a%2Fb//c/../", "a/b//c/../"),
            ("%2525", "%25"),
            ("%E4%BB%B7", "价"),
            ("%e4%bb%b7", "价"),
            ("价", "价"),
        ] {
            assert_eq!(decode_path(raw).unwrap(), decoded, "{raw}");
        }
        for raw in ["%", "%4", "a%zz", "%4g", "100%"] {
            assert_eq!(decode_path(raw), Err(PercentError::Percent), "{raw}");
        }
        for raw in ["%ff", "%c3", "%ed%a0%80"] {
            assert_eq!(decode_path(raw), Err(PercentError::Utf8), "{raw}");
        }
    }

    #[test]
    fn a_query_gives_one_or_all_values_of_a_name() {
        let query = Query::new("topic=a&x=%zz&topic=b+c&%74opic=d%2B&id&id2=&since=1");
        let topics: Vec<_> = query.all("topic").map(Result::unwrap).collect();
        assert_eq!(topics, ["a", "b c", "d+"]);
        assert_eq!(query.one("id").unwrap().as_deref(), Some(""));
        assert_eq!(query.one("since").unwrap().as_deref(), Some("1"));
        assert_eq!(query.one("none").unwrap(), None);
        assert_eq!(query.one("topic"), Err(QueryError::Repeated { name: "topic" }));
        assert_eq!(
            query.one("x"),
            Err(QueryError::Malformed { name: "x", error: PercentError::Percent })
        );
    }

    #[test]
    fn an_id_is_whatever_it_is() {
        let query = Query::new("a=%23x&b=%zz&c=%ff");
        assert_eq!(query.one_id("a").unwrap().as_deref(), Some("#x"));
        assert_eq!(query.one_id("b").unwrap().as_deref(), Some("%zz"));
        assert_eq!(query.one_id("c").unwrap().as_deref(), Some("\u{fffd}"));
    }
}
