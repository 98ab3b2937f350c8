//! URI Templates (RFC 6570) read backwards: whether a text is one of a template's expansions.

use std::fmt;
use std::sync::Arc;

use crate::positions::Positions;

/// A URI Template that a text can be held against: `https://example.com/books/{id}`.
///
/// Nothing is compiled: a text is walked once for each part of the template, over a set of positions, so
/// that no template is slow. Cloning costs one reference count.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Template(Arc<Parts>);

#[derive(PartialEq, Eq, Hash)]
struct Parts {
    text: Box<str>,
    parts: Box<[Part]>,
}

#[derive(PartialEq, Eq, Hash)]
enum Part {
    /// As it stands, and with what is not ASCII percent-encoded, if that differs.
    Literal {
        plain: Box<str>,
        encoded: Option<Box<str>>,
    },
    Expression {
        operator: Operator,
        variables: Box<[Variable]>,
    },
}

#[derive(PartialEq, Eq, Hash)]
struct Variable {
    name: Box<str>,
    modifier: Modifier,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Modifier {
    None,
    /// At most so many characters.
    Prefix(u16),
    Explode,
}

/// RFC 6570, 2.2: the operators, with what begins, separates and names the values of each (appendix A).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Operator {
    first: &'static str,
    separator: u8,
    named: bool,
    /// What follows a name without a value.
    if_empty: &'static str,
    /// Whether reserved characters stay as they are.
    reserved: bool,
}

impl Operator {
    const SIMPLE: Self =
        Self { first: "", separator: b',', named: false, if_empty: "", reserved: false };

    /// The operator that an expression begins with, and the rest of the expression.
    fn of(expression: &str) -> (Self, &str) {
        let operator = match expression.as_bytes().first() {
            Some(b'+') => Self { reserved: true, ..Self::SIMPLE },
            Some(b'#') => Self { first: "#", reserved: true, ..Self::SIMPLE },
            Some(b'.') => Self { first: ".", separator: b'.', ..Self::SIMPLE },
            Some(b'/') => Self { first: "/", separator: b'/', ..Self::SIMPLE },
            Some(b';') => Self { first: ";", separator: b';', named: true, ..Self::SIMPLE },
            Some(b'?') => Self::of_query("?"),
            Some(b'&') => Self::of_query("&"),
            _ => return (Self::SIMPLE, expression),
        };
        (operator, expression.get(1..).unwrap_or_default())
    }

    const fn of_query(first: &'static str) -> Self {
        Self { first, separator: b'&', named: true, if_empty: "=", reserved: false }
    }

    /// Whether an expanded value may hold this byte unencoded.
    fn allows(self, byte: u8) -> bool {
        is_unreserved(byte) || self.reserved && is_reserved(byte)
    }
}

impl Template {
    /// The longest template, in bytes.
    pub const BYTES_MAX: usize = 1024;

    /// Reads a template. Costs its length.
    ///
    /// # Errors
    /// What RFC 6570 does not allow in it.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.len() > Self::BYTES_MAX {
            return Err(TemplateError::TooLong { bytes: text.len() });
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (literal, after) = rest.split_once('{').map_or((rest, None), |(a, b)| (a, Some(b)));
            if !literal.is_empty() {
                parts.push(parse_literal(literal)?);
            }
            let Some(after) = after else { break };
            let (expression, after) = after.split_once('}').ok_or(TemplateError::Unclosed)?;
            parts.push(parse_expression(expression)?);
            rest = after;
        }
        Ok(Self(Arc::new(Parts { text: text.into(), parts: parts.into() })))
    }

    /// The template's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// Whether there is an expansion of the template that is this text.
    ///
    /// Costs at most the product of both lengths in simple steps, usually a few passes over the text. A
    /// text beyond [`Template::BYTES_MAX`] bytes matches nothing.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let text = text.as_bytes();
        if text.len() > Self::BYTES_MAX {
            return false;
        }
        let mut at = Positions::start();
        for part in &self.0.parts {
            at = part.advance(text, &at);
            if at.is_empty() {
                return false;
            }
        }
        at.contains(text.len())
    }
}

impl Part {
    fn advance(&self, text: &[u8], at: &Positions) -> Positions {
        match self {
            Self::Literal { plain, encoded } => {
                let mut after = at.past(text, plain.as_bytes());
                if let Some(encoded) = encoded {
                    after.add(&at.past(text, encoded.as_bytes()));
                }
                after
            }
            Self::Expression { operator, variables } => {
                // RFC 6570, 3.2.1: "A variable that is undefined has no value and is ignored by the
                // expansion process." So each may be left out, and only what follows another value is
                // separated from it.
                let mut begun = Positions::default();
                for variable in variables {
                    let mut starts = at.past(text, operator.first.as_bytes());
                    starts.add(&begun.past(text, &[operator.separator]));
                    begun.add(&variable.advance(text, &starts, *operator));
                }
                begun.add(at);
                begun
            }
        }
    }
}

impl Variable {
    /// Where values that start there may end.
    fn advance(&self, text: &[u8], starts: &Positions, operator: Operator) -> Positions {
        let item = |text: &[u8], at| unit(text, at, |byte| operator.allows(byte));
        let list = |text: &[u8], at| unit(text, at, |byte| operator.allows(byte) || byte == b',');
        let one = |text: &[u8], at| character(text, at, |byte| operator.allows(byte));
        match (operator.named, self.modifier) {
            // RFC 6570, 3.2.1: an exploded list has its values apart, an associative array is "name=value".
            (named, Modifier::Explode) => {
                let pairs = |text: &[u8], at| {
                    let between = |byte| byte == b'=' || byte == operator.separator;
                    unit(text, at, |byte| operator.allows(byte) || between(byte))
                };
                // The names of exploded pairs are the values' own, but there is at least one.
                let starts = if named { starts.step(text, item) } else { starts.clone() };
                starts.along(text, pairs)
            }
            (false, Modifier::None) => starts.along(text, list),
            (false, Modifier::Prefix(max)) => starts.along_at_most(max, text, one),
            (true, modifier) => {
                let name = starts.past(text, self.name.as_bytes());
                let value = name.past(text, b"=");
                let mut ends = match modifier {
                    Modifier::Prefix(max) => value.along_at_most(max, text, one),
                    _ => value.along(text, list),
                };
                ends.add(&name.past(text, operator.if_empty.as_bytes()));
                ends
            }
        }
    }
}

/// The length of the allowed byte, or of the percent-encoded one, that stands there.
fn unit(text: &[u8], at: usize, allows: impl Fn(u8) -> bool) -> Option<usize> {
    match text.get(at)? {
        b'%' => encoded(text, at).map(|_| 3),
        &byte => allows(byte).then_some(1),
    }
}

fn encoded(text: &[u8], at: usize) -> Option<u8> {
    let hex = |offset| char::from(*text.get(at + offset)?).to_digit(16);
    let byte = hex(1)? * 16 + hex(2)?;
    u8::try_from(byte).ok().filter(|_| text.get(at) == Some(&b'%'))
}

/// The length of the character that stands there; of one beyond ASCII, of all its percent-encoded bytes.
fn character(text: &[u8], at: usize, allows: impl Fn(u8) -> bool) -> Option<usize> {
    let length = unit(text, at, allows)?;
    let more = match encoded(text, at) {
        Some(0xc2..=0xdf) => 1,
        Some(0xe0..=0xef) => 2,
        Some(0xf0..=0xf4) => 3,
        _ => 0,
    };
    (1..=more).try_fold(length, |length, _| {
        let continues = encoded(text, at + length).is_some_and(|byte| byte & 0xc0 == 0x80);
        continues.then_some(length + 3)
    })
}

fn parse_literal(literal: &str) -> Result<Part, TemplateError> {
    // RFC 6570, 2.1: "any Unicode character except: CTL, SP, DQUOTE, "'", "%" (aside from pct-encoded),
    // "<", ">", "\", "^", "`", "{", "|", "}"". The apostrophe is let through, as its erratum has it.
    let bad = |c: char| c.is_control() || " \"<>\\^`|}".contains(c);
    if let Some(character) = literal.chars().find(|&c| bad(c)) {
        return Err(TemplateError::Literal { character });
    }
    let mut percents = literal.as_bytes().split(|&byte| byte == b'%').skip(1);
    if !percents.all(|rest| rest.get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit)))
    {
        return Err(TemplateError::Literal { character: '%' });
    }
    // RFC 6570, 3.1: "Otherwise, the literal character is replaced by its pct-encoded triplets".
    let encoded = (!literal.is_ascii()).then(|| {
        literal.bytes().fold(String::new(), |mut text, byte| {
            if byte.is_ascii() {
                text.push(char::from(byte));
            } else {
                text += &format!("%{byte:02X}");
            }
            text
        })
    });
    Ok(Part::Literal { plain: literal.into(), encoded: encoded.map(Into::into) })
}

fn parse_expression(expression: &str) -> Result<Part, TemplateError> {
    let (operator, list) = Operator::of(expression);
    let variables = list.split(',').map(parse_variable).collect::<Result<_, _>>()?;
    Ok(Part::Expression { operator, variables })
}

fn parse_variable(text: &str) -> Result<Variable, TemplateError> {
    let bad = || TemplateError::Variable { text: text.into() };
    let (name, modifier) = match (text.strip_suffix('*'), text.split_once(':')) {
        (Some(name), _) => (name, Modifier::Explode),
        // RFC 6570, 2.4.1: "max-length = %x31-39 0*3DIGIT ; positive integer < 10000".
        (None, Some((name, max))) => {
            let digits = max.bytes().all(|byte| byte.is_ascii_digit()) && !max.starts_with('0');
            let max = max.parse().ok().filter(|&max| digits && max < 10_000).ok_or_else(bad)?;
            (name, Modifier::Prefix(max))
        }
        (None, None) => (text, Modifier::None),
    };
    // RFC 6570, 2.3: "varname = varchar *( ["."] varchar )".
    let segment = |segment: &str| {
        let plain = segment.bytes().filter(|&byte| byte != b'%');
        let mut escapes = segment.as_bytes().split(|&byte| byte == b'%').skip(1);
        !segment.is_empty()
            && plain.into_iter().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && escapes
                .all(|rest| rest.get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit)))
    };
    if !name.split('.').all(segment) {
        return Err(bad());
    }
    Ok(Variable { name: name.into(), modifier })
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn is_reserved(byte: u8) -> bool {
    b":/?#[]@!$&'()*+,;=".contains(&byte)
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({:?})", self.as_str())
    }
}

/// Why a text is no [`Template`]. Whoever issued the token has to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// More than [`Template::BYTES_MAX`].
    #[error("the template has {bytes} bytes; at most {max} are allowed", max = Template::BYTES_MAX)]
    TooLong {
        /// The length of what was given.
        bytes: usize,
    },
    /// An expression does not end.
    #[error("a `{{` is not closed")]
    Unclosed,
    /// What may stand in no literal.
    #[error("`{}` cannot stand outside of an expression: percent-encode it", .character.escape_debug())]
    Literal {
        /// The first one.
        character: char,
    },
    /// What is no variable.
    #[error("`{text}` is no variable of an expression: write one such as {{id}}")]
    Variable {
        /// What stands there.
        text: Box<str>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(template: &str, text: &str) -> bool {
        Template::parse(template).unwrap().matches(text)
    }

    #[test]
    fn matches_what_it_expands_to() {
        // The examples of RFC 6570, 3.2.2 to 3.2.9, the other way round.
        for (template, expansions) in [
            ("{var}", &["value", "Hello%20World%21", ""][..]),
            ("O{empty}X", &["OX"]),
            ("?{x,empty}", &["?1024,", "?1024"]),
            ("{var:3}", &["val", "va", "", "%E4%BD%A0%E5%A5%BD"]),
            ("{list}", &["red,green,blue"]),
            ("{keys}", &["semi,%3B,dot,.,comma,%2C"]),
            ("{keys*}", &["semi=%3B,dot=.,comma=%2C"]),
            ("{+path}/here", &["/foo/bar/here", "/here"]),
            ("{+base}index", &["http://example.com/home/index"]),
            ("{#path,x}/here", &["#/foo/bar,1024/here", "/here"]),
            ("X{.var}", &["X.value", "X", "X."]),
            ("X{.list*}", &["X.red.green.blue"]),
            ("{/var,x}/here", &["/value/1024/here", "/value/here", "/here"]),
            ("{/list*,path:4}", &["/red/green/blue/%2Ffoo"]),
            ("{;x,y,empty}", &[";x=1024;y=768;empty", ";y=768", ""]),
            ("{;keys*}", &[";semi=%3B;dot=.;comma=%2C"]),
            ("{?x,y}", &["?x=1024&y=768", "?y=768", "?x=", ""]),
            ("{?list*}", &["?list=red&list=green"]),
            ("{&x,y}", &["&x=1024&y=768"]),
            ("http://example.com/{a}/{b}", &["http://example.com/x/y"]),
            (
                "https://example.com/ü/{id}",
                &["https://example.com/ü/1", "https://example.com/%C3%BC/1"],
            ),
            ("", &[""]),
        ] {
            for text in expansions {
                assert!(matches(template, text), "{template} does not match {text}");
            }
        }
    }

    #[test]
    fn matches_nothing_else() {
        for (template, others) in [
            (
                "https://example.com/books/{id}",
                &[
                    "https://example.com/books/1/2",
                    "https://example.com/books/a b",
                    "https://example.com/books/ü",
                    "https://example.com/books/%4",
                    "https://example.com/book/1",
                    "https://example.com/books/1?x",
                    "",
                ][..],
            ),
            ("{var:3}", &["value", "a%20%20%20", "a,b"]),
            ("{+path}", &["a b", "%zz"]),
            ("{;x}", &["x=1", ";y=1", ";xy"]),
            ("{?x}", &["?x", "?y=1", "x=1", "?"]),
            ("{?keys*}", &["?", "?a b"]),
            ("{/a,b}", &["/1/2/3", "1"]),
            ("a{b}", &["A1", ""]),
        ] {
            for text in others {
                assert!(!matches(template, text), "{template} matches {text}");
            }
        }
    }

    #[test]
    fn refuses_what_is_no_template() {
        for bad in [
            "{",
            "{}",
            "{a",
            "a}",
            "{a}}",
            "{=a}",
            "{|a}",
            "{a b}",
            "{a,}",
            "{.}",
            "{a..b}",
            "{a:0}",
            "{a:01}",
            "{a:10000}",
            "{a:x}",
            "{a*:3}",
            "{%4}",
            "%",
            "%z0",
            "a b",
            "<",
            "{ü}",
        ] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Template::parse(&"a".repeat(1025)), Err(TemplateError::TooLong { bytes: 1025 }));
    }

    #[test]
    fn no_template_is_slow() {
        // Backtracking would take longer than the universe; this takes a pass over the text for each part.
        let template = Template::parse(&"{+a,b*}".repeat(146)).unwrap();
        assert!(!template.matches(&format!("{} ", "a".repeat(1023))));
        assert!(template.matches(&"a,".repeat(512)));
    }
}
