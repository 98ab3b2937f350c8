//! What is told of subscriptions, as JSON, and the paths that name them.

use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::registry::{Place, Subscriber, Update};
use super::wanted::{Kind, Matcher};

/// "each percent-encoded once": all that RFC 3986 does not call unreserved.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What a path below the hub's subscriptions names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    /// All of them.
    All,
    /// Those with a matcher.
    Of(Matcher),
    /// One.
    One(Place),
}

impl Named {
    /// What is named by what follows `{hub}/subscriptions`. `compat` says whether the paths of 0.x are
    /// known, which do not have the type of a matcher.
    pub(super) fn parse(rest: &str, compat: bool) -> Option<Self> {
        if rest.is_empty() {
            return Some(Self::All);
        }
        let segments = rest.strip_prefix('/')?.split('/');
        let segments: Option<Vec<String>> = segments
            .map(|segment| {
                let text = percent_decode_str(segment).decode_utf8().ok()?;
                (!text.is_empty()).then(|| text.into_owned())
            })
            .collect();
        let matcher = |kind, text: &String| Matcher { kind, text: text.as_str().into() };
        let one = |matcher, subscriber: &String| {
            Some(Self::One(Place { matcher, subscriber: Subscriber::parse(subscriber)? }))
        };
        let kind = |name: &String| match name.as_str() {
            "exact" => Some(Kind::Exact),
            "urlpattern" => Some(Kind::UrlPattern),
            _ => None,
        };
        match segments?.as_slice() {
            [name, text] if let Some(kind) = kind(name) => Some(Self::Of(matcher(kind, text))),
            [name, text, subscriber] => one(matcher(kind(name)?, text), subscriber),
            [text] if compat => Some(Self::Of(matcher(Kind::Selector, text))),
            [text, subscriber] if compat => one(matcher(Kind::Selector, text), subscriber),
            _ => None,
        }
    }

    /// The path, written as the hub writes it.
    pub(super) fn path(&self, hub_path: &str) -> String {
        match self {
            Self::All => format!("{hub_path}/subscriptions"),
            Self::Of(matcher) => matcher.path(hub_path),
            Self::One(place) => place.path(hub_path),
        }
    }
}

impl Matcher {
    fn path(&self, hub_path: &str) -> String {
        let text = utf8_percent_encode(&self.text, SEGMENT);
        match self.kind {
            Kind::Exact => format!("{hub_path}/subscriptions/exact/{text}"),
            Kind::UrlPattern => format!("{hub_path}/subscriptions/urlpattern/{text}"),
            Kind::Selector => format!("{hub_path}/subscriptions/{text}"),
        }
    }
}

impl Place {
    /// "topic `{hubpath}/subscriptions/{match_type}/{match}/{subscriber}`".
    pub(super) fn path(&self, hub_path: &str) -> String {
        let subscriber = self.subscriber.to_string();
        let subscriber = utf8_percent_encode(&subscriber, SEGMENT);
        format!("{}/{subscriber}", self.matcher.path(hub_path))
    }
}

/// A text that is JSON already.
fn raw(json: &Arc<str>) -> Value {
    // It was read as JSON when its token was verified.
    serde_json::from_str(json).unwrap_or_default()
}

const CONTEXT: &str = "https://mercure.rocks/";

/// One subscription, in the form of the dialect in which it was made.
///
/// "JSON: `{id,type:\"subscription\",match_type,match,subscriber,active,payload?}`"; in 0.x it has a `topic`
/// and a `@context`.
pub(super) fn subscription(hub_path: &str, update: &Update) -> Value {
    let Update { place, payload, active } = update;
    let Matcher { kind, text } = &place.matcher;
    let (id, subscriber) = (place.path(hub_path), place.subscriber.to_string());
    let mut document = match kind {
        Kind::Exact | Kind::UrlPattern => json!({
            "id": id,
            "type": "subscription",
            "match_type": if *kind == Kind::Exact { "exact" } else { "urlpattern" },
            "match": &**text,
            "subscriber": subscriber,
            "active": active,
        }),
        Kind::Selector => json!({
            "@context": CONTEXT,
            "id": id,
            "type": "Subscription",
            "topic": &**text,
            "subscriber": subscriber,
            "active": active,
        }),
    };
    if let (Some(payload), Some(fields)) = (payload, document.as_object_mut()) {
        fields.insert("payload".to_owned(), raw(payload));
    }
    document
}

/// Many: "collections `{id,type:\"subscriptions\",subscriptions:[…]}`"; in 0.x with where to go on from.
pub(super) fn subscriptions(
    hub_path: &str,
    named: &Named,
    updates: &[Update],
    compat: Option<&str>,
) -> Value {
    let listed = updates.iter().map(|update| {
        let mut document = subscription(hub_path, update);
        // In a collection the context stands once.
        document.as_object_mut().map(|fields: &mut Map<String, Value>| fields.remove("@context"));
        document
    });
    let (id, listed) = (named.path(hub_path), listed.collect::<Vec<_>>());
    match compat {
        None => json!({ "id": id, "type": "subscriptions", "subscriptions": listed }),
        Some(last_event_id) => json!({
            "@context": CONTEXT,
            "id": id,
            "type": "Subscriptions",
            "lastEventID": last_event_id,
            "subscriptions": listed,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBSCRIBER: &str = "urn:uuid:bb3de268-05b0-4c65-b44e-8f9acefc29d6";

    #[test]
    fn a_path_is_read_as_it_is_written() {
        let of = |kind, text: &str| Named::Of(Matcher { kind, text: text.into() });
        for (rest, named) in [
            ("", Named::All),
            ("/exact/a", of(Kind::Exact, "a")),
            (
                "/exact/https%3A%2F%2Fexample.com%2F%C3%A9%2525",
                of(Kind::Exact, "https://example.com/é%25"),
            ),
            ("/urlpattern/%2Fbooks%2F%3Aid", of(Kind::UrlPattern, "/books/:id")),
            ("/urlpattern/%2A", of(Kind::UrlPattern, "*")),
        ] {
            assert_eq!(Named::parse(rest, false), Some(named.clone()), "{rest}");
            assert_eq!(named.path("/hub"), format!("/hub/subscriptions{rest}"));
        }
        let one = "/exact/a/urn%3Auuid%3Abb3de268-05b0-4c65-b44e-8f9acefc29d6";
        let named = Named::parse(one, false).unwrap();
        assert_eq!(named.path("/hub"), format!("/hub/subscriptions{one}"));
        assert_eq!(Named::parse(&format!("/exact/a/{SUBSCRIBER}"), false), Some(named));
        for rest in
            ["/", "/exact", "/exact/", "/exact//x", "/other/a", "/exact/%ff", "/exact/a/b", "x"]
        {
            assert_eq!(Named::parse(rest, false), None, "{rest}");
        }
        assert_eq!(Named::parse("/exact", true), Some(of(Kind::Selector, "exact")));
        assert_eq!(Named::parse("/a%2Fb", true), Some(of(Kind::Selector, "a/b")));
        assert!(matches!(Named::parse(&format!("/a/{SUBSCRIBER}"), true), Some(Named::One(_))));
    }

    #[test]
    fn a_subscription_says_whose_it_is() {
        let place = Place {
            matcher: Matcher { kind: Kind::Exact, text: "a b".into() },
            subscriber: Subscriber::parse(SUBSCRIBER).unwrap(),
        };
        let id = "/hub/subscriptions/exact/a%20b/urn%3Auuid%3Abb3de268-05b0-4c65-b44e-8f9acefc29d6";
        let mut update = Update { place, payload: Some("{\"n\":1}".into()), active: true };
        let document = json!({
            "id": id, "type": "subscription", "match_type": "exact", "match": "a b",
            "subscriber": SUBSCRIBER, "active": true, "payload": {"n": 1},
        });
        assert_eq!(subscription("/hub", &update), document);
        update.place.matcher.kind = Kind::Selector;
        update.payload = None;
        update.active = false;
        let id = id.replace("/exact", "");
        let document = json!({
            "@context": "https://mercure.rocks/", "id": id, "type": "Subscription", "topic": "a b",
            "subscriber": SUBSCRIBER, "active": false,
        });
        assert_eq!(subscription("/hub", &update), document);
    }
}
