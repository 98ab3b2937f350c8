//! The parts of a token, before anything of it is believed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::error::TokenError;

/// A token in JWS compact form, its header read and nothing verified.
pub(super) struct Unverified<'a> {
    /// What is signed.
    pub(super) message: &'a str,
    pub(super) signature: &'a str,
    /// `None` is one that no key is for, such as `none`.
    pub(super) algorithm: Option<Algorithm>,
    /// The algorithm's name, cut short.
    pub(super) alg: String,
    pub(super) key_id: Option<String>,
    /// Whether it says that it is an access token (RFC 9068).
    pub(super) is_access_token: bool,
    pub(super) typ: Option<String>,
    /// The claims' JSON.
    pub(super) claims: Vec<u8>,
}

/// The members that mean something here. `jwk`, `jku`, `x5u` and `x5c` do not: a key is never taken from
/// the token that it would vouch for.
#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
    crit: Option<IgnoredAny>,
}

/// How much of a token's own text messages show.
const SHOWN_MAX: usize = 80;

impl<'a> Unverified<'a> {
    /// Takes a token apart. Costs its length, of which the caller has seen to.
    pub(super) fn parse(token: &'a str) -> Result<Self, TokenError> {
        let form = |what| TokenError::Form { what };
        let (message, signature) = token.rsplit_once('.').ok_or(form("it has no parts"))?;
        let (header, claims) = message.split_once('.').ok_or(form("it has two parts"))?;
        if claims.contains('.') {
            return Err(form("it has more than three parts"));
        }
        if signature.is_empty() {
            return Err(form("it is not signed"));
        }
        let header = decode(header).ok_or(form("its header is not base64url"))?;
        let claims = decode(claims).ok_or(form("its claims are not base64url"))?;
        decode(signature).ok_or(form("its signature is not base64url"))?;
        let header: Header = serde_json::from_slice(&header)
            .map_err(|_| form("its header is not a JSON object with a text `alg`"))?;
        // RFC 7515, 4.1.11: "If any of the listed extension Header Parameters are not understood and
        // supported by the recipient, then the JWS is invalid."
        if header.crit.is_some() {
            return Err(TokenError::Critical);
        }
        Ok(Self {
            message,
            signature,
            // `none` is not among those that can be parsed.
            algorithm: header.alg.parse().ok(),
            alg: cut(&header.alg),
            key_id: header.kid,
            is_access_token: header.typ.as_deref().is_some_and(is_access_token),
            typ: header.typ.as_deref().map(cut),
            claims,
        })
    }
}

/// RFC 9068, 2.1: "JWT access tokens MUST include this media type in the "typ" header parameter": `at+jwt`,
/// with or without `application/` before it, in any case.
fn is_access_token(typ: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    typ.strip_prefix("application/").unwrap_or(&typ) == "at+jwt"
}

pub(super) fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

/// What a message shows of a text out of a token.
pub(super) fn cut(text: &str) -> String {
    let shown = text.chars().take(SHOWN_MAX).flat_map(char::escape_debug).collect::<String>();
    if text.chars().nth(SHOWN_MAX).is_some() { format!("{shown}…") } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", part(header), part("{}"), part("x"))
    }

    fn error(token: &str) -> TokenError {
        match Unverified::parse(token) {
            Err(error) => error,
            Ok(_) => panic!("{token} is taken"),
        }
    }

    #[test]
    fn what_is_no_signed_token_is_refused() {
        let good = token(r#"{"alg":"HS256"}"#);
        assert!(Unverified::parse(&good).is_ok());
        for bad in [
            "",
            "a",
            "a.b",
            "..",
            "a.b.c.d",
            "{}.{}.x",
            "!.!.!",
            &format!("{good}="),
            &format!("{good}.x"),
        ] {
            assert!(matches!(error(bad), TokenError::Form { .. }), "{bad}");
        }
        // "never `none`", and unsigned is unsigned whatever the header says.
        let unsigned = good.rsplit_once('.').map(|(message, _)| format!("{message}.")).unwrap();
        assert_eq!(error(&unsigned), TokenError::Form { what: "it is not signed" });
        for header in ["[]", "1", "{", "{}", r#"{"alg":1}"#, r#"{"alg":"HS256","alg":"HS256"}"#] {
            assert!(matches!(error(&token(header)), TokenError::Form { .. }), "{header}");
        }
    }

    #[test]
    fn algorithms_that_do_not_sign_are_none() {
        for alg in ["none", "None", "NONE", "", "hs256", "RSA-OAEP", "ES512", "HS256 "] {
            let token = token(&format!(r#"{{"alg":"{alg}"}}"#));
            let parsed = Unverified::parse(&token).unwrap();
            assert_eq!((parsed.algorithm, parsed.alg.as_str()), (None, alg));
        }
        let long = token(&format!(r#"{{"alg":"{}"}}"#, "x".repeat(500)));
        assert_eq!(Unverified::parse(&long).unwrap().alg.chars().count(), SHOWN_MAX + 1);
    }

    #[test]
    fn extensions_that_must_be_understood_are_not() {
        for crit in [r#"["b64"]"#, "[]", "1"] {
            let refused = error(&token(&format!(r#"{{"alg":"HS256","crit":{crit}}}"#)));
            assert_eq!(refused, TokenError::Critical);
        }
    }

    #[test]
    fn an_access_token_says_so() {
        // "header `typ` `at+jwt`|`application/at+jwt` (case-insens.)".
        for (typ, is) in [
            ("at+jwt", true),
            ("AT+JWT", true),
            ("application/at+jwt", true),
            ("Application/AT+jwt", true),
            ("JWT", false),
            ("text/at+jwt", false),
            ("at+jwt ", false),
        ] {
            let token = token(&format!(r#"{{"alg":"HS256","typ":"{typ}"}}"#));
            assert_eq!(Unverified::parse(&token).unwrap().is_access_token, is, "{typ}");
        }
    }
}
