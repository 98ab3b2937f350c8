//! Who may do what: the names under which we are reached, other sites' pages, and the publishers' key.

use std::net::{IpAddr, SocketAddr};

use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::request::Parts;
use http::uri::Authority;
use http::{StatusCode, Version};
use url::Url;

use crate::config::{Config, Origin, PublishKey};
use crate::problem::Problem;

/// Decides by a request's head. No web page may publish to a developer's hub, or read it under a name
/// that it made to point to loopback.
#[derive(Debug)]
pub(crate) struct Guard {
    /// The listener is on loopback: only what runs on this machine, browsers too, reaches it.
    loopback: bool,
    public_host: Option<String>,
    /// What `Host` usually is.
    usual_hosts: Vec<String>,
    own_origins: Vec<Origin>,
    publish_origins: Vec<Origin>,
    publish_key: Option<PublishKey>,
}

/// Why a request is turned away. Whoever sent it, or the operator, has to act.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GuardError {
    #[error("the request names no host, or more than one: send one `Host` header")]
    NoHost,
    #[error(
        "`{host}` is not a name of this hub, which listens on this machine only: use localhost, or set public_url to how the hub is seen behind its proxy"
    )]
    ForeignHost { host: String },
    #[error(
        "pages of `{origin}` may not publish here: list the origin in publish_origins, or set public_url if it is the hub's own"
    )]
    ForeignOrigin { origin: String },
    #[error("publishing needs the hub's publish_key: send it as `Authorization: Bearer KEY`")]
    NoKey,
    #[error(
        "this is not the hub's publish_key: check what you send as `Authorization: Bearer KEY`"
    )]
    WrongKey,
}

impl From<GuardError> for Problem {
    fn from(error: GuardError) -> Self {
        let detail = error.to_string();
        match error {
            GuardError::NoHost => Self::bad_request(detail),
            GuardError::ForeignHost { .. } | GuardError::ForeignOrigin { .. } => {
                Self::new(StatusCode::FORBIDDEN, detail)
            }
            GuardError::NoKey | GuardError::WrongKey => Self::unauthorized(&detail),
        }
    }
}

impl Guard {
    /// The guard of a listener.
    pub(crate) fn new(config: &Config, listener: SocketAddr) -> Self {
        let public = config.public_url.as_ref().map(crate::PublicUrl::as_url);
        let port = listener.port();
        let names = ["127.0.0.1".to_owned(), "localhost".into(), "[::1]".into()];
        let own = names.iter().cloned().chain([url_host(listener.ip())]);
        let own = own.filter_map(|name| Url::parse(&format!("http://{name}:{port}/")).ok());
        Self {
            loopback: listener.ip().is_loopback(),
            usual_hosts: names.iter().map(|name| format!("{name}:{port}")).collect(),
            public_host: public.and_then(Url::host_str).map(str::to_owned),
            own_origins: public
                .into_iter()
                .map(Origin::of)
                .chain(own.map(|url| Origin::of(&url)))
                .collect(),
            publish_origins: config.publish_origins.clone(),
            publish_key: config.publish_key.clone(),
        }
    }

    /// Whether the request is for us. A name that resolves to loopback only because a web page's owner
    /// wanted it to is not.
    pub(crate) fn check_host(&self, request: &Parts) -> Result<(), GuardError> {
        if self.is_usual(request) {
            return Ok(());
        }
        let Some(authority) = authority(request)? else { return Ok(()) };
        if !self.loopback || is_loopback_name(authority.host()) {
            return Ok(());
        }
        if self.public_host.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(authority.host()))
        {
            return Ok(());
        }
        Err(GuardError::ForeignHost { host: authority.to_string() })
    }

    /// Whether the request names us as those who are asked each time do.
    fn is_usual(&self, request: &Parts) -> bool {
        let mut hosts = request.headers.get_all(HOST).iter();
        request.uri.authority().is_none()
            && matches!((hosts.next(), hosts.next()), (Some(host), None)
                if self.usual_hosts.iter().any(|usual| usual.as_bytes() == host.as_bytes()))
    }

    /// Whether the page from which the request, whose host was checked, comes may publish.
    pub(crate) fn check_origin(&self, request: &Parts) -> Result<(), GuardError> {
        for origin in request.headers.get_all(ORIGIN) {
            if !self.may_publish(request, origin.as_bytes()) {
                let origin = String::from_utf8_lossy(origin.as_bytes()).into_owned();
                return Err(GuardError::ForeignOrigin { origin });
            }
        }
        Ok(())
    }

    /// Whether pages of an origin may publish by such a request.
    pub(crate) fn may_publish(&self, request: &Parts, origin: &[u8]) -> bool {
        let known = self.own_origins.iter().chain(&self.publish_origins);
        known.into_iter().any(|own| own.is(origin)) || self.is_forwarded(request, origin)
    }

    /// Whether the request has the publish key, if there is one.
    pub(crate) fn check_key(&self, request: &Parts) -> Result<(), GuardError> {
        let Some(publish_key) = &self.publish_key else { return Ok(()) };
        let key = bearer(request).ok_or(GuardError::NoKey)?;
        if publish_key.is(key) { Ok(()) } else { Err(GuardError::WrongKey) }
    }

    /// Whether there is a publish key and the request has it.
    pub(crate) fn has_key(&self, request: &Parts) -> bool {
        self.publish_key.as_ref().zip(bearer(request)).is_some_and(|(own, key)| own.is(key))
    }

    /// Whether the page came from the very address to which it publishes, on a loopback listener: through
    /// a forwarded port, say. The host has been checked, so it is no name that anybody could own.
    fn is_forwarded(&self, request: &Parts, origin: &[u8]) -> bool {
        let Ok(Some(host)) = authority(request) else { return false };
        let rest = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
        self.loopback
            && rest.is_some_and(|rest| rest.eq_ignore_ascii_case(host.as_str().as_bytes()))
    }
}

/// The `KEY` of `Authorization: Bearer KEY`.
pub(crate) fn bearer(request: &Parts) -> Option<&[u8]> {
    let value = request.headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, key) = value.split_at_checked(b"bearer ".len())?;
    // RFC 9110, 11.1: "It uses a case-insensitive token to identify the authentication scheme".
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| key.trim_ascii())
}

/// The host that the request names; HTTP/1.0 need not name any.
fn authority(request: &Parts) -> Result<Option<Authority>, GuardError> {
    if let Some(authority) = request.uri.authority() {
        return Ok(Some(authority.clone()));
    }
    let mut hosts = request.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => {
            Authority::try_from(host.as_bytes()).map(Some).map_err(|_| GuardError::NoHost)
        }
        // RFC 9112, 3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1
        // request message that lacks a Host header field".
        (None, _) if request.version < Version::HTTP_11 => Ok(None),
        _ => Err(GuardError::NoHost),
    }
}

fn is_loopback_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host);
    // RFC 6761, 6.3: "Users may assume that IPv4 and IPv6 address queries for localhost names will
    // always resolve to the respective IP loopback address."
    host == "localhost"
        || host.ends_with(".localhost")
        || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn url_host(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_publisher(guard: &Guard, request: &Parts) -> Result<(), GuardError> {
        guard.check_origin(request)?;
        guard.check_key(request)
    }

    const KEY: &str = "0123456789abcdef";

    fn guard(listener: &str, set: impl FnOnce(&mut Config)) -> Guard {
        let mut config = Config::default();
        set(&mut config);
        Guard::new(&config, listener.parse().unwrap())
    }

    fn request(headers: &[(&str, &str)]) -> Parts {
        let mut builder = http::Request::builder().uri("/events/a");
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap().into_parts().0
    }

    #[test]
    fn on_loopback_only_our_names_are_answered() {
        let guard = guard("127.0.0.1:8080", |config| {
            config.public_url = "https://Hub.example".parse().ok();
        });
        for host in [
            "localhost",
            "LOCALHOST:9000",
            "localhost.",
            "app.localhost:8080",
            "127.0.0.1:8080",
            "127.1.2.3",
            "[::1]:8080",
            "hub.example",
            "hub.example:443",
        ] {
            assert_eq!(guard.check_host(&request(&[("host", host)])), Ok(()), "{host}");
        }
        for host in
            ["evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1"]
        {
            let error = GuardError::ForeignHost { host: host.into() };
            assert_eq!(guard.check_host(&request(&[("host", host)])), Err(error));
        }
        for headers in
            [&[][..], &[("host", "a"), ("host", "a")], &[("host", "a b")], &[("host", "")]]
        {
            assert_eq!(guard.check_host(&request(headers)), Err(GuardError::NoHost), "{headers:?}");
        }
        let mut old = request(&[]);
        old.version = Version::HTTP_10;
        assert_eq!(guard.check_host(&old), Ok(()));
    }

    #[test]
    fn elsewhere_any_name_is() {
        let guard = guard("0.0.0.0:80", |_| {});
        assert_eq!(guard.check_host(&request(&[("host", "anything.example")])), Ok(()));
    }

    #[test]
    fn foreign_pages_may_not_publish() {
        let guard = guard("127.0.0.1:8080", |config| {
            config.public_url = "https://hub.example".parse().ok();
            config.publish_origins = vec!["https://app.example".parse().unwrap()];
        });
        let check = |origin| {
            check_publisher(&guard, &request(&[("host", "localhost:9000"), ("origin", origin)]))
        };
        for origin in [
            "http://127.0.0.1:8080",
            "http://localhost:8080",
            "http://[::1]:8080",
            "https://hub.example",
            "https://app.example",
            // What the page itself was fetched from, over a forwarded port.
            "http://localhost:9000",
        ] {
            assert_eq!(check(origin), Ok(()), "{origin}");
        }
        for origin in [
            "null",
            "http://localhost:3000",
            "https://evil.example",
            "http://hub.example",
            "https://app.example.evil",
            "",
        ] {
            let error = GuardError::ForeignOrigin { origin: origin.into() };
            assert_eq!(check(origin), Err(error), "{origin}");
        }
        assert_eq!(check_publisher(&guard, &request(&[("host", "localhost")])), Ok(()));
    }

    #[test]
    fn off_loopback_the_host_header_proves_nothing() {
        let guard = guard("0.0.0.0:80", |_| {});
        let rebound = request(&[("host", "evil.example"), ("origin", "http://evil.example")]);
        assert!(matches!(check_publisher(&guard, &rebound), Err(GuardError::ForeignOrigin { .. })));
    }

    #[test]
    fn publishers_show_the_key() {
        let guard = guard("0.0.0.0:80", |config| config.publish_key = KEY.parse().ok());
        let check = |value: &str| check_publisher(&guard, &request(&[("authorization", value)]));
        assert_eq!(check(&format!("Bearer {KEY}")), Ok(()));
        assert_eq!(check(&format!("bearer  {KEY}")), Ok(()));
        assert_eq!(check("Bearer wrong"), Err(GuardError::WrongKey));
        assert_eq!(check("Bearer "), Err(GuardError::WrongKey));
        assert_eq!(check("Basic abc"), Err(GuardError::NoKey));
        assert_eq!(check(KEY), Err(GuardError::NoKey));
        assert_eq!(check_publisher(&guard, &request(&[])), Err(GuardError::NoKey));
    }
}
