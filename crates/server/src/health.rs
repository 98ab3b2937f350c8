//! Ready or not, with the reason.

use http::Response;

use crate::Hub;
use crate::body::Body;
use crate::problem::Problem;
use crate::route::text;

/// What `/healthz` answers: 200, or 503 with what is the matter.
pub(crate) fn answer(hub: &Hub) -> Response<Body> {
    match hub.trouble() {
        None => text("application/json", "{\"status\":\"ready\"}\n".to_owned()),
        Some(reason) => Problem::unavailable(format!("not ready: {reason}")).into_response(),
    }
}
