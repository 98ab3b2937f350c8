//! What carries requests and answers.

#[cfg(feature = "hyper")]
mod hyper;
#[cfg(feature = "reqwest")]
mod reqwest;

use std::error::Error;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;
use http::{Request, Response};

#[cfg(feature = "hyper")]
pub use self::hyper::Hyper;
#[cfg(feature = "reqwest")]
pub use self::reqwest::Reqwest;

/// An HTTP client, as far as an event source needs one.
///
/// It sends the request as it is, once, and gives the answer's head as soon as it is there: it follows no
/// redirects, retries nothing, decodes nothing but the transfer coding, and has no time-out for the whole.
/// Dropping the future or the body must close the connection, or end its stream of HTTP/2, at once.
///
/// ```
/// use bytes::Bytes;
/// use futures_util::{StreamExt, stream};
/// use headwater_client::http::{Request, Response};
/// use headwater_client::{Body, EventSource, Sending, Transport};
///
/// /// Gives every request the same answer, for a test.
/// struct Canned;
///
/// impl Transport for Canned {
///     fn send(&self, _: Request<Bytes>) -> Sending {
///         let body: Body = Box::pin(stream::iter([Ok(Bytes::from("data: hello\n\n"))]));
///         Box::pin(async move {
///             Ok(Response::builder().header("content-type", "text/event-stream").body(body)?)
///         })
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), headwater_client::Error> {
/// let source = EventSource::builder("http://any.test/").transport(Canned).build()?;
/// let event = source.events().next().await.expect("it does not end")?;
/// assert_eq!(event.data, "hello");
/// # Ok(())
/// # }
/// ```
pub trait Transport: Send + Sync {
    /// Sends a request; an empty body is none.
    fn send(&self, request: Request<Bytes>) -> Sending;
}

/// An answer that is on its way.
pub type Sending =
    Pin<Box<dyn Future<Output = Result<Response<Body>, TransportError>> + Send + 'static>>;

/// The body of an answer, in pieces of any size.
pub type Body = Pin<Box<dyn Stream<Item = Result<Bytes, TransportError>> + Send + 'static>>;

/// What went wrong with a connection. The event source tries again.
pub type TransportError = Box<dyn Error + Send + Sync + 'static>;

/// What is wrong, from the innermost cause, which says it in the plainest words.
pub(crate) fn describe(error: &TransportError) -> String {
    let mut cause: &dyn Error = error.as_ref();
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
