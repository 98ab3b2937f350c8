//! Where the next request goes: to the URL that was asked for, or where redirects have sent it.

use http::Method;
use url::Url;

/// A request that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Where to. Without a user, a password and a fragment.
    pub url: Url,
    /// With which method.
    pub method: Method,
    /// Whether the body goes along, and the headers that describe it: a redirect may have turned a `POST`
    /// into a `GET`.
    pub has_body: bool,
    /// Whether a redirect has led to another origin: then nothing goes along that is only for the first one,
    /// and that is every header of the program's but those that say nothing secret.
    pub is_foreign: bool,
    /// How many redirects have led here.
    pub redirects: u8,
    /// The last event ID string, which goes as `Last-Event-ID` unless it is empty. UTF-8 without NUL, CR and
    /// LF.
    pub last_event_id: String,
}

impl Attempt {
    pub(crate) fn new(url: Url, method: Method) -> Self {
        Self {
            url,
            method,
            has_body: true,
            is_foreign: false,
            redirects: 0,
            last_event_id: String::new(),
        }
    }

    /// Goes where an answer with this `Location` points, or says why not. Fetch 4.4, "HTTP-redirect fetch".
    pub(crate) fn follow(&mut self, status: u16, location: &str) -> Result<(), String> {
        // "If locationURL is failure, then return a network error."
        let mut url = self.url.join(location).map_err(|error| format!("{location:?}: {error}"))?;
        // "If locationURL's scheme is not an HTTP(S) scheme, then return a network error."
        if !is_http(&url) {
            return Err(format!("{url} is not HTTP"));
        }
        // "If request's redirect count is 20, then return a network error."
        if self.redirects >= REDIRECTS_MAX {
            return Err(format!("there are more than {REDIRECTS_MAX} of them"));
        }
        self.redirects += 1;
        let is_foreign = url.origin() != self.url.origin();
        // "If request's mode is "cors", locationURL includes credentials, and request's origin is not same
        // origin with locationURL's origin, then return a network error."
        let has_credentials = !url.username().is_empty() || url.password().is_some();
        if has_credentials && (is_foreign || self.is_foreign) {
            return Err("another origin's URL holds a password".to_owned());
        }
        strip(&mut url);
        // "status is 301 or 302 and request's method is `POST`", "status is 303 and request's method is not
        // `GET` or `HEAD`": "Set request's method to `GET` and request's body to null."
        let becomes_get = match status {
            301 | 302 => self.method == Method::POST,
            303 => !matches!(self.method, Method::GET | Method::HEAD),
            _ => false,
        };
        if becomes_get {
            self.method = Method::GET;
            self.has_body = false;
        }
        // Once gone, headers stay gone, also when a later redirect leads back.
        self.is_foreign |= is_foreign;
        self.url = url;
        Ok(())
    }
}

/// Fetch 2.2.6: "A redirect status is a status that is 301, 302, 303, 307, or 308."
pub(crate) fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

pub(crate) fn is_http(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
}

/// Takes off what no request line holds.
pub(crate) fn strip(url: &mut Url) {
    url.set_fragment(None);
    // These fail only for URLs without a host, which HTTP's are not.
    let _ = url.set_username("");
    let _ = url.set_password(None);
}

const REDIRECTS_MAX: u8 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn post() -> Attempt {
        Attempt::new(Url::parse("http://a.test/x/y?q").unwrap(), Method::POST)
    }

    fn followed(status: u16, location: &str) -> Attempt {
        let mut attempt = post();
        attempt.follow(status, location).unwrap();
        attempt
    }

    #[test]
    fn the_method_and_the_body_change_as_fetch_says() {
        for (status, becomes_get) in
            [(301, true), (302, true), (303, true), (307, false), (308, false)]
        {
            let attempt = followed(status, "z");
            assert_eq!(attempt.method == Method::GET, becomes_get, "{status}");
            assert_eq!(attempt.has_body, !becomes_get, "{status}");
        }
        let report = Method::from_bytes(b"REPORT").unwrap();
        for (status, becomes_get) in [(301, false), (302, false), (303, true)] {
            let mut attempt = Attempt { method: report.clone(), ..post() };
            attempt.follow(status, "z").unwrap();
            assert_eq!(attempt.method == Method::GET, becomes_get, "{status}");
        }
    }

    #[test]
    fn a_location_is_relative_to_where_it_came_from() {
        assert_eq!(followed(302, "z#f").url.as_str(), "http://a.test/x/z");
        assert_eq!(followed(302, "/z").url.as_str(), "http://a.test/z");
        assert_eq!(followed(302, "").url.as_str(), "http://a.test/x/y?q");
        assert_eq!(followed(302, "//b.test").url.as_str(), "http://b.test/");
        assert_eq!(followed(302, "http://u:p@a.test/").url.as_str(), "http://a.test/");
    }

    #[test]
    fn another_scheme_host_or_port_is_another_origin_for_ever() {
        assert!(!followed(307, "/z").is_foreign);
        assert!(!followed(307, "http://a.test:80/z").is_foreign);
        for location in ["https://a.test/", "http://b.test/", "http://a.test:81/"] {
            let mut attempt = followed(307, location);
            assert!(attempt.is_foreign, "{location}");
            attempt.follow(307, "http://a.test/").unwrap();
            assert!(attempt.is_foreign, "{location}");
        }
    }

    #[test]
    fn what_cannot_be_followed_is_said() {
        for location in ["http://", "ftp://a.test/", "data:,x", "http://u@b.test/"] {
            assert!(post().follow(302, location).is_err(), "{location}");
        }
        let mut attempt = post();
        for _ in 0..20 {
            attempt.follow(302, "").unwrap();
        }
        assert!(attempt.follow(302, "").unwrap_err().contains("more than 20"));
    }
}
