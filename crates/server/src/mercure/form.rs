//! Queries and forms as the WHATWG parser of `application/x-www-form-urlencoded` reads them.

use std::borrow::Cow;

use crate::plain::query::percent_decode;

/// Names and values, in order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form<'a>(&'a str);

/// Why a form cannot be used. Whoever sent it has to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the value of `{name}` is not UTF-8: percent-encode the bytes of the UTF-8 form")]
pub(super) struct NotUtf8 {
    name: String,
}

impl<'a> Form<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// All names, with their values as bytes. What is no percent-encoding stands for itself.
    ///
    /// WHATWG URL 5.1: "If bytes is the empty byte sequence, then continue."
    pub(super) fn pairs(self) -> impl Iterator<Item = (Cow<'a, [u8]>, Cow<'a, [u8]>)> {
        self.0.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decode(name, true).0, percent_decode(value, true).0)
        })
    }

    /// The values of a name, in order.
    pub(super) fn all(self, name: &'a str) -> impl Iterator<Item = Result<String, NotUtf8>> {
        self.pairs()
            .filter(move |(other, _)| **other == *name.as_bytes())
            .map(move |(_, value)| text(name, value))
    }

    /// The first value of a name, as forms are commonly read.
    pub(super) fn first(self, name: &'a str) -> Result<Option<String>, NotUtf8> {
        self.all(name).next().transpose()
    }

    /// The same of what is never an error, whatever it holds.
    pub(super) fn first_lossy(self, name: &str) -> Option<String> {
        let mut values = self.pairs().filter(|(other, _)| **other == *name.as_bytes());
        values.next().map(|(_, value)| String::from_utf8_lossy(&value).into_owned())
    }

    pub(super) fn has(self, name: &str) -> bool {
        self.pairs().any(|(other, _)| *other == *name.as_bytes())
    }
}

/// Mercure 1.0: "Values: valid UTF-8 … else 400".
pub(super) fn text(name: &str, value: Cow<'_, [u8]>) -> Result<String, NotUtf8> {
    String::from_utf8(value.into_owned()).map_err(|_| NotUtf8 { name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_the_standard_says() {
        let pairs = |text| -> Vec<(String, String)> {
            let text_of = |bytes: Cow<'_, [u8]>| String::from_utf8(bytes.into_owned()).unwrap();
            Form::new(text).pairs().map(|(name, value)| (text_of(name), text_of(value))).collect()
        };
        let expected = [("a", "1 2"), ("b", ""), ("", "x"), ("c d", "="), ("e", "%zz%")];
        let read = pairs("a=1+2&&b&=x&c%20d=%3D&e=%zz%&");
        assert_eq!(read, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let form = Form::new("a=%ff&a=1&b=%C3%A9");
        assert!(form.first("a").is_err());
        assert_eq!(form.first_lossy("a").unwrap(), "\u{fffd}");
        assert_eq!(form.first("b").unwrap().unwrap(), "é");
        assert!(form.has("a") && !form.has("A"));
    }
}
