//! What the `[mercure]` table ([`MercureConfig`]) means beside the other settings.

use headwater_server::MercureConfig;
use headwater_server::token::IssuerConfig;
use url::Url;

/// Who issues tokens, for those who ask the hub: of the issuers those that are named by a URL.
pub(crate) fn authorization_servers(issuers: &[IssuerConfig]) -> Vec<String> {
    let names = issuers.iter().filter_map(|issuer| issuer.issuer.as_deref());
    let is_url = |name: &&str| Url::parse(name).is_ok_and(|url| url.scheme() == "https");
    let mut servers: Vec<String> = names.filter(is_url).map(str::to_owned).collect();
    servers.sort_unstable();
    servers.dedup();
    servers
}

/// What the operator is to know about what was set.
pub(crate) fn warning(config: &MercureConfig) -> Option<&'static str> {
    (config.enabled && config.compat.is_on()).then_some(COMPAT)
}

const COMPAT: &str = "mercure.compat lets clients of Mercure 0.x in, and weakens what tokens are worth: they \
     are accepted in URLs, which proxies log and browsers keep, and in the cookie mercureAuthorization, \
     which need not be secure; and of an issuer with `compat` also if they name no hub, no issuer and no \
     end. Take it out when the last client speaks 1.0";

#[cfg(test)]
mod tests {
    use headwater_server::token::{Actions, KeySource, Secret};

    use super::*;

    #[test]
    fn issuers_with_urls_are_told_once() {
        let issuer = |name: Option<&str>| IssuerConfig {
            issuer: name.map(str::to_owned),
            audiences: Vec::new(),
            keys: KeySource::Secret(Secret::new("x")),
            algorithms: Vec::new(),
            actions: Actions::ALL,
            compat: false,
        };
        let issuers = [
            "https://b.example",
            "https://a.example",
            "https://b.example",
            "urn:x",
            "http://c",
            "d",
        ]
        .map(|name| issuer(Some(name)));
        assert_eq!(authorization_servers(&issuers), ["https://a.example", "https://b.example"]);
        assert!(authorization_servers(&[issuer(None)]).is_empty());
        assert!(warning(&MercureConfig::default()).is_none());
    }
}
