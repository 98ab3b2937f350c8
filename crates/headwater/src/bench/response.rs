//! HTTP/1.1 responses, as they come in pieces: the head, and a body without or with chunks.

use thiserror::Error;

/// The head of a response, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    /// Whether the connection takes another request when the body is over.
    pub(crate) keep_alive: bool,
    pub(crate) body: Body,
}

/// Why what comes is not a response that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum ResponseError {
    #[error("the answer is not HTTP/1: is this the right port?")]
    NotHttp,
    #[error("the answer's head is larger than {HEAD_BYTES_MAX} bytes")]
    HeadTooLarge,
    #[error("the answer is compressed although that was not asked for")]
    Compressed,
    #[error("the answer's chunks are malformed")]
    Chunks,
}

/// The largest head that is taken.
pub(crate) const HEAD_BYTES_MAX: usize = 32 * 1024;
const HEADERS_MAX: usize = 100;

impl Head {
    /// Reads the head at the beginning of `input`, and how long it is; `None` if it is not complete.
    pub(crate) fn parse(input: &[u8]) -> Result<Option<(Self, usize)>, ResponseError> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        let length = match response.parse(input) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if input.len() > HEAD_BYTES_MAX => {
                return Err(ResponseError::HeadTooLarge);
            }
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(ResponseError::HeadTooLarge),
            Err(_) => return Err(ResponseError::NotHttp),
        };
        let status = response.code.unwrap_or_default();
        let mut head = Self {
            status,
            content_type: String::new(),
            keep_alive: response.version == Some(1),
            body: if matches!(status, 204 | 304) { Body::Length(0) } else { Body::UntilEnd },
        };
        for header in response.headers.iter() {
            let value = String::from_utf8_lossy(header.value);
            head.header(&header.name.to_ascii_lowercase(), value.trim())?;
        }
        Ok(Some((head, length)))
    }

    fn header(&mut self, name: &str, value: &str) -> Result<(), ResponseError> {
        match name {
            "content-type" => value.clone_into(&mut self.content_type),
            "content-length" if self.body == Body::UntilEnd => {
                self.body = Body::Length(value.parse().map_err(|_| ResponseError::NotHttp)?);
            }
            // RFC 9112 6.3: "If a message is received with both a Transfer-Encoding and a Content-Length
            // header field, the Transfer-Encoding overrides the Content-Length."
            "transfer-encoding" if value.eq_ignore_ascii_case("chunked") => {
                self.body = Body::Chunked(Chunk::Size { bytes: 0 });
            }
            "connection" if value.eq_ignore_ascii_case("close") => self.keep_alive = false,
            "connection" if value.eq_ignore_ascii_case("keep-alive") => self.keep_alive = true,
            "content-encoding" if !value.eq_ignore_ascii_case("identity") => {
                return Err(ResponseError::Compressed);
            }
            _ => {}
        }
        Ok(())
    }
}

/// How far a body has been read. Takes no memory beyond itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// It ends with the connection.
    UntilEnd,
    /// So many bytes are still to come.
    Length(u64),
    Chunked(Chunk),
}

/// A place in a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chunk {
    /// In the line with the size; what of it has been read.
    Size { bytes: u64 },
    /// In the rest of that line.
    Extension { bytes: u64 },
    /// In the data, with so many bytes to come.
    Data { bytes: u64 },
    /// In the line end after the data.
    DataEnd,
    /// In the lines after the last chunk; whether the present one is empty so far.
    Trailer { empty: bool },
    /// After the last line.
    End,
}

impl Body {
    /// Takes bytes off the front of `input`, and gives the next stretch of what the body says. `None` when
    /// all of `input` is used up, or the body is over.
    pub(crate) fn next<'a>(
        &mut self,
        input: &mut &'a [u8],
    ) -> Result<Option<&'a [u8]>, ResponseError> {
        match self {
            Self::UntilEnd => Ok(Some(std::mem::take(input)).filter(|bytes| !bytes.is_empty())),
            Self::Length(left) => {
                let stretch = take(input, *left);
                *left -= stretch.len() as u64;
                Ok(Some(stretch).filter(|bytes| !bytes.is_empty()))
            }
            Self::Chunked(chunk) => chunk.next(input),
        }
    }

    /// Whether nothing more belongs to it.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::End))
    }
}

impl Chunk {
    fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<&'a [u8]>, ResponseError> {
        loop {
            if let Self::Data { bytes } = self {
                let stretch = take(input, *bytes);
                *bytes -= stretch.len() as u64;
                if *bytes == 0 {
                    *self = Self::DataEnd;
                }
                return Ok(Some(stretch).filter(|bytes| !bytes.is_empty()));
            }
            if *self == Self::End {
                return Ok(None);
            }
            let Some((&byte, rest)) = input.split_first() else { return Ok(None) };
            *input = rest;
            *self = self.after(byte)?;
        }
    }

    /// The place after one more byte that is not data.
    fn after(self, byte: u8) -> Result<Self, ResponseError> {
        Ok(match (self, byte) {
            (Self::Size { bytes }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                let bytes = bytes.checked_mul(16).ok_or(ResponseError::Chunks)? + u64::from(digit);
                Self::Size { bytes }
            }
            (Self::Size { bytes: 0 } | Self::Extension { bytes: 0 }, b'\n') => {
                Self::Trailer { empty: true }
            }
            (Self::Size { bytes } | Self::Extension { bytes }, b'\n') => Self::Data { bytes },
            (Self::Size { bytes }, b'\r' | b';' | b' ' | b'\t')
            | (Self::Extension { bytes }, _) => Self::Extension { bytes },
            (Self::DataEnd, b'\r') => Self::DataEnd,
            (Self::DataEnd, b'\n') => Self::Size { bytes: 0 },
            (Self::Trailer { empty: true }, b'\n') => Self::End,
            (Self::Trailer { .. }, b'\n') => Self::Trailer { empty: true },
            (Self::Trailer { empty }, b'\r') => Self::Trailer { empty },
            (Self::Trailer { .. }, _) => Self::Trailer { empty: false },
            _ => return Err(ResponseError::Chunks),
        })
    }
}

fn take<'a>(input: &mut &'a [u8], most: u64) -> &'a [u8] {
    let count = usize::try_from(most).unwrap_or(usize::MAX).min(input.len());
    let (stretch, rest) = input.split_at(count);
    *input = rest;
    stretch
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a response says, read in pieces of so many bytes, and whether it was over.
    fn read(response: &[u8], piece: usize) -> Result<(Head, Vec<u8>, bool), ResponseError> {
        let (head, length) = Head::parse(response)?.unwrap();
        let (mut body, mut said) = (head.body, Vec::new());
        for mut bytes in response[length..].chunks(piece) {
            while let Some(stretch) = body.next(&mut bytes)? {
                said.extend(stretch);
            }
        }
        Ok((head, said, body.is_over()))
    }

    #[test]
    fn a_body_is_the_same_however_it_is_cut() {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";
        for (rest, said, over) in [
            ("\r\ndata: 1\n\n", "data: 1\n\n", false),
            ("Content-Length: 3\r\n\r\nabc", "abc", true),
            ("Content-Length: 3\r\n\r\nab", "ab", false),
            (
                "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0A;x=y\r\n0123456789\r\n",
                "abc0123456789",
                false,
            ),
            ("Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", "a", true),
            (
                "Transfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n1\r\na\r\n0\r\nx: y\r\n\r\n",
                "a",
                true,
            ),
        ] {
            let response = format!("{head}{rest}");
            for piece in [1, 2, 3, 1000] {
                let (head, body, is_over) = read(response.as_bytes(), piece).unwrap();
                assert_eq!((head.status, head.content_type.as_str()), (200, "text/event-stream"));
                assert_eq!(String::from_utf8(body).unwrap(), said);
                assert_eq!(is_over, over, "{rest}");
            }
        }
    }

    #[test]
    fn a_head_waits_until_it_is_complete() {
        assert_eq!(Head::parse(b"HTTP/1.1 200 OK\r\nA: b\r\n"), Ok(None));
        assert_eq!(Head::parse(b"SSH-2.0-x\r\n"), Err(ResponseError::NotHttp));
        let endless = [b"HTTP/1.1 200 OK\r\nA: ".as_slice(), &vec![b'x'; HEAD_BYTES_MAX]].concat();
        assert_eq!(Head::parse(&endless), Err(ResponseError::HeadTooLarge));
    }

    #[test]
    fn a_connection_is_kept_as_the_version_and_the_header_say() {
        for (head, kept) in [
            ("HTTP/1.1 200 OK\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", true),
        ] {
            assert_eq!(Head::parse(head.as_bytes()).unwrap().unwrap().0.keep_alive, kept);
        }
    }

    #[test]
    fn malformed_answers_are_refused() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        for body in ["x\r\n", "1\r\nab", "fffffffffffffffff\r\n"] {
            let response = format!("{head}{body}");
            assert_eq!(read(response.as_bytes(), 9).unwrap_err(), ResponseError::Chunks, "{body}");
        }
        let packed = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n";
        assert_eq!(Head::parse(packed), Err(ResponseError::Compressed));
    }
}
