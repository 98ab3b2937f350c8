//! What a request presents to say who it is from.

use std::borrow::Cow;
use std::fmt;

use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE, ORIGIN, REFERER};
use url::{Url, form_urlencoded};

/// What a request presents. Neither `Debug` nor a message shows it.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// Nothing.
    None,
    /// A token.
    Token {
        /// The token.
        token: String,
        /// How it came.
        via: Via,
    },
    /// A ticket, which stands for a token.
    Ticket(String),
}

/// How a token came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// In `Authorization: Bearer`.
    Header,
    /// In a cookie, which a browser sends whoever made the request: publishing needs [`same_site`].
    Cookie,
    /// In the URL, as Mercure 0.x allows.
    Query,
}

/// Where credentials are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialSettings {
    /// The cookie with the token.
    pub cookie: String,
    /// Whether a token may also come as Mercure 0.x has it: in the query as `authorization`, or in the
    /// cookie `mercureAuthorization`. Query and cookie then both mean that a URL or a page's link may act.
    pub compat: bool,
}

impl Default for CredentialSettings {
    fn default() -> Self {
        Self { cookie: "__Secure-mercure_access_token".to_owned(), compat: false }
    }
}

/// Names in a query whose values no log shows.
const SECRET_NAMES: [&str; 4] = ["ticket", "authorization", "access_token", "token"];
/// draft-07 and its cookie.
const COMPAT_QUERY: &str = "authorization";
const COMPAT_COOKIE: &str = "mercureAuthorization";

/// Why what a request presents cannot be used: it is sent in a wrong way, whatever it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// More than one header, and they may differ.
    #[error("there is more than one `Authorization` header: send one")]
    ManyHeaders,
    /// A scheme, and no token after it.
    #[error("`Authorization: Bearer` needs one token after it, without spaces in it")]
    Bearer,
    /// More than one value.
    #[error("`{name}` is given more than once: give it once")]
    Repeated {
        /// Of what.
        name: &'static str,
    },
    /// A page may have made the browser send its cookie.
    #[error("publishing with a cookie needs an `Origin` (or `Referer`) of a page that may publish")]
    CrossSite,
}

/// What the request presents: the header if there is one, else a ticket, else (0.x) the query, else the
/// cookie. What is passed over is not looked at.
///
/// Mercure 1.0: "header wins, cookie then ignored. URL tokens not accepted."; 0.x: "header > query >
/// cookie".
///
/// # Errors
/// If it presents something in a way that it may not be: 400 `invalid_request`.
pub fn credential(
    headers: &HeaderMap,
    query: Option<&str>,
    settings: &CredentialSettings,
) -> Result<Credential, CredentialError> {
    if let Some(token) = bearer(headers)? {
        return Ok(Credential::Token { token, via: Via::Header });
    }
    let query = query.unwrap_or_default();
    if let Some(ticket) = one_of_query(query, "ticket")? {
        return Ok(Credential::Ticket(ticket));
    }
    if settings.compat
        && let Some(token) = one_of_query(query, COMPAT_QUERY)?
    {
        return Ok(Credential::Token { token, via: Via::Query });
    }
    let names = [Some(settings.cookie.as_str()), settings.compat.then_some(COMPAT_COOKIE)];
    let mut cookies = names.into_iter().flatten().filter_map(|name| cookie(headers, name));
    Ok(match cookies.next() {
        Some(token) => Credential::Token { token, via: Via::Cookie },
        None => Credential::None,
    })
}

/// Whether a request that publishes by cookie comes from a page that may publish: `may` says it of an
/// origin.
///
/// Mercure 1.0: "Cookie-authenticated publish needs CSRF defence: check Origin, else Referer; reject if
/// neither".
///
/// # Errors
/// If it does not: 400 `invalid_request`.
pub fn same_site(headers: &HeaderMap, may: impl Fn(&[u8]) -> bool) -> Result<(), CredentialError> {
    let mut origins = headers.get_all(ORIGIN).iter().peekable();
    let ours = if origins.peek().is_some() {
        origins.all(|origin| may(origin.as_bytes()))
    } else {
        let referer = headers.get(REFERER).and_then(|referer| referer.to_str().ok());
        let origin = referer.and_then(|referer| Url::parse(referer).ok()).map(|url| url.origin());
        origin.is_some_and(|origin| may(origin.ascii_serialization().as_bytes()))
    };
    if ours { Ok(()) } else { Err(CredentialError::CrossSite) }
}

/// A query as logs may show it: without what is in it of tokens and tickets.
#[must_use]
pub fn redacted(query: &str) -> Cow<'_, str> {
    let is_secret = |pair: &str| {
        let name = form_urlencoded::parse(pair.as_bytes()).next().map(|(name, _)| name);
        name.is_some_and(|name| SECRET_NAMES.iter().any(|secret| name.eq_ignore_ascii_case(secret)))
    };
    if !query.split('&').any(is_secret) {
        return Cow::Borrowed(query);
    }
    let shown = query.split('&').map(|pair| match is_secret(pair) {
        true => format!("{}=(hidden)", pair.split('=').next().unwrap_or_default()),
        false => pair.to_owned(),
    });
    Cow::Owned(shown.collect::<Vec<_>>().join("&"))
}

/// The token of `Authorization: Bearer`. Other schemes are another's business, such as a proxy's.
fn bearer(headers: &HeaderMap) -> Result<Option<String>, CredentialError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(CredentialError::ManyHeaders);
    }
    let text = value.as_bytes().trim_ascii();
    let (scheme, token) = match text.iter().position(|byte| *byte == b' ') {
        Some(space) => text.split_at(space),
        None => (text, &[][..]),
    };
    // RFC 9110, 11.1: "It uses a case-insensitive token to identify the authentication scheme".
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Ok(None);
    }
    let token = token.trim_ascii();
    if token.is_empty() || !token.iter().all(u8::is_ascii_graphic) {
        return Err(CredentialError::Bearer);
    }
    Ok(Some(String::from_utf8_lossy(token).into_owned()))
}

fn one_of_query(query: &str, name: &'static str) -> Result<Option<String>, CredentialError> {
    let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(other, _)| other == name);
    let first = values.next().map(|(_, value)| value.into_owned());
    if values.next().is_some() {
        return Err(CredentialError::Repeated { name });
    }
    Ok(first)
}

/// The value of a cookie, the first if there are several: browsers send that of the longest path first.
fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let values = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| {
        let (other, value) = pair.trim().split_once('=')?;
        (other == name).then_some(value)
    });
    // RFC 6265, 4.1.1: "cookie-value = *cookie-octet / ( DQUOTE *cookie-octet DQUOTE )".
    let value = pairs.next()?;
    let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    (!bare.is_empty()).then(|| bare.to_owned())
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Token { via, .. } => write!(f, "Token(.., {via:?})"),
            Self::Ticket(_) => f.write_str("Ticket(..)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs.fold(HeaderMap::new(), |mut headers, (name, value)| {
            headers.append(name, HeaderValue::from_static(value));
            headers
        })
    }

    fn of(
        pairs: &[(HeaderName, &'static str)],
        query: &str,
        compat: bool,
    ) -> Result<Credential, CredentialError> {
        let settings = CredentialSettings { compat, ..CredentialSettings::default() };
        credential(&headers(pairs), Some(query), &settings)
    }

    fn token(token: &str, via: Via) -> Result<Credential, CredentialError> {
        Ok(Credential::Token { token: token.to_owned(), via })
    }

    const OURS: &str = "a=b; __Secure-mercure_access_token=c; mercureAuthorization=m";

    #[test]
    fn the_header_wins_then_the_ticket_then_the_cookie() {
        let both = [(AUTHORIZATION, "Bearer h"), (COOKIE, OURS)];
        assert_eq!(of(&both, "ticket=t", false), token("h", Via::Header));
        assert_eq!(of(&both[1..], "ticket=t", false), Ok(Credential::Ticket("t".to_owned())));
        assert_eq!(of(&both[1..], "topic=t", false), token("c", Via::Cookie));
        assert_eq!(of(&[], "topic=t", false), Ok(Credential::None));
    }

    #[test]
    fn a_token_in_the_url_is_for_0_x_only() {
        let cookie = [(COOKIE, "mercureAuthorization=m")];
        assert_eq!(of(&cookie, "authorization=q", false), Ok(Credential::None));
        // "`authorization=` (header > query > cookie)".
        assert_eq!(of(&cookie, "authorization=q", true), token("q", Via::Query));
        assert_eq!(of(&cookie, "", true), token("m", Via::Cookie));
        assert_eq!(of(&[(COOKIE, OURS)], "", true), token("c", Via::Cookie));
        let header = [(AUTHORIZATION, "bearer h")];
        assert_eq!(of(&header, "authorization=q", true), token("h", Via::Header));
    }

    #[test]
    fn the_scheme_has_any_case_and_others_are_not_ours() {
        for value in ["Bearer h", "bearer h", "BEARER   h "] {
            let header = headers(&[(AUTHORIZATION, "x")]);
            let mut header = header;
            header.insert(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            let settings = CredentialSettings::default();
            assert_eq!(credential(&header, None, &settings), token("h", Via::Header), "{value}");
        }
        assert_eq!(of(&[(AUTHORIZATION, "Basic abc")], "", false), Ok(Credential::None));
        let basic = [(AUTHORIZATION, "Basic abc"), (COOKIE, OURS)];
        assert_eq!(of(&basic, "", false), token("c", Via::Cookie));
    }

    #[test]
    fn what_is_presented_in_a_wrong_way_is_an_error() {
        // "malformed presentation → 400 error="invalid_request"".
        for (headers, query, error) in [
            (&[(AUTHORIZATION, "Bearer")][..], "", CredentialError::Bearer),
            (&[(AUTHORIZATION, "Bearer ")], "", CredentialError::Bearer),
            (&[(AUTHORIZATION, "Bearer a b")], "", CredentialError::Bearer),
            (
                &[(AUTHORIZATION, "Bearer a"), (AUTHORIZATION, "Bearer b")],
                "",
                CredentialError::ManyHeaders,
            ),
            (&[], "ticket=a&ticket=b", CredentialError::Repeated { name: "ticket" }),
            (
                &[],
                "authorization=a&authorization=b",
                CredentialError::Repeated { name: "authorization" },
            ),
        ] {
            assert_eq!(of(headers, query, true), Err(error));
        }
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        for (value, expected) in [
            ("__Secure-mercure_access_token=c", Some("c")),
            ("x=1;__Secure-mercure_access_token=\"c\";y=2", Some("c")),
            ("__Secure-mercure_access_token=a=b", Some("a=b")),
            ("__Secure-mercure_access_token=c; __Secure-mercure_access_token=d", Some("c")),
            ("__Secure-mercure_access_token=", None),
            ("a__Secure-mercure_access_token=c", None),
            ("__secure-mercure_access_token=c", None),
        ] {
            let found = of(&[(COOKIE, value)], "", false);
            let expected = expected.map_or(Ok(Credential::None), |text| token(text, Via::Cookie));
            assert_eq!(found, expected, "{value}");
        }
    }

    #[test]
    fn publishing_by_cookie_needs_an_origin_of_ours() {
        let may = |origin: &[u8]| origin == b"https://app.example";
        let check = |pairs: &[(HeaderName, &'static str)]| same_site(&headers(pairs), may);
        assert_eq!(check(&[(ORIGIN, "https://app.example")]), Ok(()));
        assert_eq!(check(&[(REFERER, "https://app.example/page?x")]), Ok(()));
        for pairs in [
            &[][..],
            &[(ORIGIN, "https://evil.example")],
            &[(ORIGIN, "null")],
            &[(ORIGIN, "https://evil.example"), (REFERER, "https://app.example/")],
            &[(ORIGIN, "https://app.example"), (ORIGIN, "https://evil.example")],
            &[(REFERER, "https://app.example.evil/")],
            &[(REFERER, "app.example")],
        ] {
            assert_eq!(check(pairs), Err(CredentialError::CrossSite), "{pairs:?}");
        }
    }

    #[test]
    fn nothing_of_a_credential_is_shown() {
        let shown = format!(
            "{:?}{:?}",
            token("s3cret", Via::Header),
            Credential::Ticket("s3cret".to_owned())
        );
        assert!(!shown.contains("s3cret"), "{shown}");
        assert_eq!(redacted("topic=a&match=b"), "topic=a&match=b");
        assert_eq!(
            redacted("topic=a&ticket=s3cret&%74icket=s3cret&Authorization=s3cret&access_token"),
            "topic=a&ticket=(hidden)&%74icket=(hidden)&Authorization=(hidden)&access_token=(hidden)"
        );
    }
}
