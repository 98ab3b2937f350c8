//! The browser client, as the hub itself serves it: built in `web/client`, committed in `assets`.

use std::fmt::Write as _;
use std::sync::LazyLock;

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
    X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use sha2::{Digest as _, Sha256};

use crate::body::Body;

/// A script, by what follows `/client` or `/client-VERSION` in its path.
struct Script {
    suffix: &'static str,
    text: &'static str,
    etag: LazyLock<HeaderValue>,
}

macro_rules! script {
    ($suffix:literal) => {{
        const TEXT: &str = include_str!(concat!("../assets/client", $suffix));
        Script { suffix: $suffix, text: TEXT, etag: LazyLock::new(|| etag(TEXT)) }
    }};
}

static SCRIPTS: [Script; 4] =
    [script!(".js"), script!(".legacy.js"), script!(".mjs"), script!(".element.mjs")];

/// What the version in a path has to be.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The text of a version never changes.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const REVALIDATED: HeaderValue = HeaderValue::from_static("no-cache");
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");

/// Answers a request for one of the scripts; `None` if it is for something else.
pub(crate) fn answer(request: &Parts) -> Option<Response<Body>> {
    let rest = request.uri.path().strip_prefix("/client")?;
    let versioned = rest.strip_prefix('-').and_then(|rest| rest.strip_prefix(VERSION));
    let suffix = versioned.unwrap_or(rest);
    let script = SCRIPTS.iter().find(|script| script.suffix == suffix)?;
    let known = request.headers.get_all(IF_NONE_MATCH).iter().any(|tags| is_among(script, tags));
    let mut response = Response::new(Body::empty());
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        *response.body_mut() = Body::full(Bytes::from_static(script.text.as_bytes()));
    }
    let headers = response.headers_mut();
    let cache_control = if versioned.is_some() { IMMUTABLE } else { REVALIDATED };
    headers.insert(CACHE_CONTROL, cache_control);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"));
    headers.insert(ETAG, script.etag.clone());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Pages of other origins load it too, as modules and where they demand leave from what they embed.
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    Some(response)
}

/// RFC 9110, 13.1.2: "A recipient MUST use the weak comparison function when comparing entity tags for
/// If-None-Match".
fn is_among(script: &Script, tags: &HeaderValue) -> bool {
    let listed = tags.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    let mut strong = listed.map(|tag| tag.strip_prefix(b"W/").unwrap_or(tag));
    strong.any(|tag| *script.etag == *tag || tag == b"*")
}

fn etag(text: &str) -> HeaderValue {
    let mut tag = String::from("\"");
    for byte in Sha256::digest(text).iter().take(16) {
        // Writing to a string cannot fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    HeaderValue::from_str(&tag).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}
