//! Section 5.6: what is to be known of a hub beforehand.

use serde_json::json;

use crate::hub::{HUB, Hub, config};
use crate::server::Server;

const METADATA: &str = "/.well-known/oauth-protected-resource/.well-known/mercure";

// Mercure 5.6: "The RFC 9728 document is at `/.well-known/oauth-protected-resource{hubpath}`: `resource`, `authorization_servers`, `authorization_details_types_supported`, `bearer_methods_supported`, `mercure_cookie`, `mercure_matcher_types_supported`, `mercure_subscriptions`."
#[tokio::test]
async fn the_hub_describes_itself() {
    let hub = Hub::telling().await;
    let answer = hub.server.get(METADATA, "").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let document = json!({
        "resource": "https://localhost/.well-known/mercure",
        "authorization_servers": ["https://localhost"],
        "authorization_details_types_supported": ["https://mercure.rocks/authorization-detail"],
        "bearer_methods_supported": ["header"],
        "mercure_cookie": "__Secure-mercure_access_token",
        "mercure_matcher_types_supported": ["exact", "urlpattern"],
        "mercure_subscriptions": true,
    });
    assert_eq!(answer.json(), document);
    assert_eq!(hub.server.post(METADATA, "", "").await.status, 405);
}

// Mercure 5.1: "The hub's URL is any HTTPS URL; `/.well-known/mercure` SHOULD be it."
#[tokio::test]
async fn the_hub_can_be_elsewhere_or_nowhere() {
    let mut config = config(false);
    config.mercure.subscriptions = true;
    config.mercure.path = "/hub".parse().unwrap();
    let server = Server::with(|set| *set = config).await;
    assert_eq!(server.get(HUB, "").await.status, 404);
    assert_eq!(server.get("/hub", "").await.status, 400);
    assert_eq!(server.get("/hub/subscriptions", "").await.status, 401);
    let document = server.get("/.well-known/oauth-protected-resource/hub", "").await;
    assert_eq!(document.json()["resource"], "https://localhost/hub");
    let server = Server::with(|set| set.mercure.enabled = false).await;
    for path in [HUB, METADATA, "/.well-known/mercure/subscriptions"] {
        assert_eq!(server.get(path, "").await.status, 404, "{path}");
    }
    // Then nothing of it is reserved either.
    server.publish("/events//.well-known/mercure", "x").await;
}
