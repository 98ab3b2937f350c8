//! One line of an event stream, taken apart.

/// What a line that is not empty says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field<'a> {
    Data(&'a [u8]),
    EventType(&'a [u8]),
    Id(&'a [u8]),
    RetryMs(u64),
    Comment(&'a [u8]),
    Ignored,
}

impl<'a> Field<'a> {
    /// Takes apart a line without its end. It must not be empty.
    #[inline(always)]
    pub(crate) fn parse(line: &'a [u8]) -> Self {
        match line {
            [b'd', b'a', b't', b'a', b':', value @ ..] => Self::Data(without_space(value)),
            [b'i', b'd', b':', value @ ..] => Self::id(without_space(value)),
            [b'e', b'v', b'e', b'n', b't', b':', value @ ..] => {
                Self::EventType(without_space(value))
            }
            // WHATWG HTML 9.2.6: "If the line starts with a U+003A COLON character (:): Ignore the line."
            [b':', text @ ..] => Self::Comment(without_space(text)),
            [b'r', b'e', b't', b'r', b'y', b':', value @ ..] => Self::retry(without_space(value)),
            // WHATWG HTML 9.2.6: "Otherwise, the string is not empty but does not contain a U+003A COLON
            // character (:): Process the field … using the whole line as the field name, and the empty
            // string as the field value." An empty `retry` has no digits.
            b"data" => Self::Data(b""),
            b"event" => Self::EventType(b""),
            b"id" => Self::Id(b""),
            _ => Self::Ignored,
        }
    }

    fn id(value: &'a [u8]) -> Self {
        // WHATWG HTML 9.2.6: "If the field value does not contain U+0000 NULL, then set the last event ID
        // buffer to the field value. Otherwise, ignore the field."
        if value.contains(&0) { Self::Ignored } else { Self::Id(value) }
    }

    fn retry(value: &[u8]) -> Self {
        // WHATWG HTML 9.2.6: "If the field value consists of only ASCII digits, then interpret the field
        // value as an integer in base ten". One that no u64 holds is ignored like one that is no number.
        if value.is_empty() {
            return Self::Ignored;
        }
        let number = value.iter().try_fold(0_u64, |number, byte| {
            let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
            number.checked_mul(10)?.checked_add(digit)
        });
        number.map_or(Self::Ignored, Self::RetryMs)
    }
}

/// WHATWG HTML 9.2.6: "If value starts with a U+0020 SPACE character, remove it from value."
pub(crate) fn without_space(value: &[u8]) -> &[u8] {
    value.strip_prefix(b" ").unwrap_or(value)
}
