//! `POST /admin/revoke`: tokens that are good no more.

use headwater_log::Millis;
use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};

use super::{AdminConfig, json, parsed};
use crate::Hub;
use crate::body::Body;
use crate::hub::RevokeError;
use crate::problem::Problem;
use crate::revocations::{By, Revoked};
use crate::token::{Authorization, Judge};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoke {
    /// The token itself, or one of the next two.
    token: Option<String>,
    jti: Option<String>,
    sub: Option<String>,
    iss: Option<String>,
    /// Until when such tokens would be good, in seconds since 1970.
    exp: Option<u64>,
}

#[derive(Serialize)]
struct Done {
    /// Streams that were closed here.
    closed: usize,
    /// Until when it is kept, in seconds since 1970.
    until: u64,
}

const SUCH_AS: &str = r#"{"sub":"ann"}, {"jti":"8f14e45f","exp":1800000000} or {"token":"eyJ…"}"#;
/// Without `exp`: no token should be good for longer.
const YEAR_MS: u64 = 366 * 24 * 3600 * 1000;

/// Revokes tokens, and closes their streams.
pub(super) async fn answer(
    hub: &Hub,
    config: &AdminConfig,
    text: &str,
) -> Result<Response<Body>, Problem> {
    let Revoke { token, jti, sub, iss, exp } = parsed(text, SUCH_AS)?;
    let until = exp.map(|exp| Millis(exp.saturating_mul(1000)));
    let (revoked, until) = match (token, jti, sub) {
        (Some(token), None, None) => of_token(hub, config, &token).await?,
        (None, Some(jti), None) => (Revoked { by: By::Jti(jti), iss }, until),
        (None, None, Some(sub)) => (Revoked { by: By::Sub(sub), iss }, until),
        _ => {
            let detail = format!("give one of `token`, `jti` and `sub`, as in {SUCH_AS}");
            return Err(Problem::bad_request(detail));
        }
    };
    let now = hub.now();
    let until = until.unwrap_or(Millis(now.0.saturating_add(YEAR_MS)));
    if until <= now {
        return Err(Problem::bad_request("by `exp` it has expired already: nothing is to be done"));
    }
    let closed = hub.revoke(revoked, until).await.map_err(|error| match error {
        RevokeError::TooMany => Problem::new(StatusCode::INSUFFICIENT_STORAGE, error.to_string()),
        RevokeError::Log { .. } => Problem::unavailable(error.to_string()),
    })?;
    tracing::info!(closed, "tokens were revoked");
    Ok(json(&Done { closed, until: until.0 / 1000 }))
}

/// Which one a token is, if it is good.
async fn of_token(
    hub: &Hub,
    config: &AdminConfig,
    token: &str,
) -> Result<(Revoked, Option<Millis>), Problem> {
    let Some(Authorization { judge: Judge::Tokens(tokens), .. }) = &config.authorization else {
        return Err(Problem::bad_request(
            "this hub knows no issuer of tokens: give `jti` or `sub`",
        ));
    };
    let access = tokens.verify(token, hub.now()).await.map_err(|error| {
        Problem::bad_request(format!("the hub does not take this token anyway: {error}"))
    })?;
    let identity = access.identity();
    let Some(jti) = identity.token_id.as_deref() else {
        let detail = "the token has no name of its own (`jti`): revoke its subject's with `sub`";
        return Err(Problem::bad_request(detail));
    };
    let iss = identity.issuer.as_deref().map(str::to_owned);
    Ok((Revoked { by: By::Jti(jti.to_owned()), iss }, identity.expires))
}
