//! How many connections and requests each client address has.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderMap;
use http::header::FORWARDED;

use crate::config::Network;

/// Counts by address. An entry lives only while it is counted.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    counts: Arc<Mutex<HashMap<Client, usize>>>,
    max: usize,
}

/// One of an address's places; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    addresses: Addresses,
    client: Client,
}

/// Whom an address stands for: IPv6 networks hand a /64 to each customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Client(u64, bool);

impl From<IpAddr> for Client {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(u32::from(address).into(), false),
            IpAddr::V6(address) => Self((u128::from(address) >> 64) as u64, true),
        }
    }
}

impl Addresses {
    pub(crate) fn new(max: usize) -> Self {
        Self { counts: Arc::default(), max }
    }

    /// Takes a place for an address, unless it has all that it may.
    pub(crate) fn take(&self, address: IpAddr) -> Option<Place> {
        let client = Client::from(address);
        let mut counts = self.counts();
        let count = counts.entry(client).or_default();
        if *count >= self.max {
            // With a maximum of 0 the entry may be new.
            if *count == 0 {
                counts.remove(&client);
            }
            return None;
        }
        *count += 1;
        Some(Place { addresses: self.clone(), client })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<Client, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.addresses.counts();
        if let Some(count) = counts.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.client);
            }
        }
    }
}

/// The client on whose behalf trusted proxies forwarded a request, if they say so: the nearest address
/// that is not a proxy itself. What lies behind it, anybody could have written.
pub(crate) fn forwarded_for(headers: &HeaderMap, trusted: &[Network]) -> Option<IpAddr> {
    let header =
        if headers.contains_key(FORWARDED) { FORWARDED.as_str() } else { "x-forwarded-for" };
    let lines = headers.get_all(header).iter().filter_map(|line| line.to_str().ok());
    let hops: Vec<&str> = lines.flat_map(|line| line.split(',')).collect();
    let mut client = None;
    for hop in hops.into_iter().rev() {
        let node = if header == FORWARDED.as_str() { for_parameter(hop) } else { Some(hop) };
        // An obfuscated or broken node hides what lies behind it.
        let Some(address) = node.and_then(address) else { break };
        client = Some(address);
        if !trusted.iter().any(|network| network.contains(address)) {
            break;
        }
    }
    client
}

/// RFC 7239, 4: `forwarded-pair = token "=" value`, of which `for` names the client.
fn for_parameter(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim().trim_matches('"'))
    })
}

/// The address of `1.2.3.4`, `1.2.3.4:80`, `::1`, `[::1]` or `[::1]:80`.
fn address(node: &str) -> Option<IpAddr> {
    let node = node.trim();
    if let Ok(address) = node.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let host = match node.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => node.split_once(':')?.0,
    };
    host.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_so_many_places() {
        let addresses = Addresses::new(2);
        let first = addresses.take(ip("10.0.0.1")).unwrap();
        let _second = addresses.take(ip("::ffff:10.0.0.1")).unwrap();
        assert!(addresses.take(ip("10.0.0.1")).is_none());
        let _other = addresses.take(ip("10.0.0.2")).unwrap();
        drop(first);
        assert!(addresses.take(ip("10.0.0.1")).is_some());
    }

    #[test]
    fn an_ipv6_network_is_one_client() {
        let addresses = Addresses::new(1);
        let place = addresses.take(ip("2001:db8::1"));
        assert!(addresses.take(ip("2001:db8::ffff:1")).is_none());
        assert!(addresses.take(ip("2001:db8:0:1::1")).is_some());
        drop(place);
        assert_eq!(addresses.counts().len(), 0);
    }

    #[test]
    fn the_nearest_hop_that_is_no_proxy_is_the_client() {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()];
        let client = |name: &'static str, lines: &[&str]| {
            let headers = lines
                .iter()
                .map(|line| (http::HeaderName::from_static(name), line.parse().unwrap()));
            forwarded_for(&headers.collect(), &trusted).map(|address| address.to_string())
        };
        for (line, expected) in [
            ("203.0.113.9", Some("203.0.113.9")),
            ("6.6.6.6, 203.0.113.9", Some("203.0.113.9")),
            ("203.0.113.9, 10.1.2.3", Some("203.0.113.9")),
            ("203.0.113.9:4711, 10.1.2.3:80", Some("203.0.113.9")),
            ("unknown, 10.1.2.3", Some("10.1.2.3")),
            ("unknown", None),
            ("", None),
        ] {
            assert_eq!(client("x-forwarded-for", &[line]).as_deref(), expected, "{line}");
        }
        let forwarded = r#"for=6.6.6.6, For="[2001:db8::7]:4711";proto=https, for=10.0.0.1"#;
        assert_eq!(client("forwarded", &[forwarded]).as_deref(), Some("2001:db8::7"));
        assert_eq!(client("forwarded", &["for=1.1.1.1", "for=_hidden"]), None);
        assert_eq!(client("x-forwarded-for", &[]), None);
    }
}
