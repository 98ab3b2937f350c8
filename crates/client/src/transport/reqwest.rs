//! Over `reqwest`.

use bytes::Bytes;
use futures_util::TryStreamExt;
use http::{Request, Response};
use reqwest::{Client, ClientBuilder, redirect, retry};

use super::{Body, Sending, Transport};
use crate::item::Error;

/// The default [`Transport`]: a `reqwest` client, with its proxies, certificates and pools. Clones share it.
#[derive(Clone, Debug)]
pub struct Reqwest(Client);

impl Reqwest {
    /// One of these settings; its redirects and retries are the event source's own.
    ///
    /// # Errors
    ///
    /// If `reqwest` cannot make it, as on a system without certificates.
    pub fn new(settings: ClientBuilder) -> Result<Self, Error> {
        let client = settings.redirect(redirect::Policy::none()).retry(retry::never());
        client.build().map(Self).map_err(|error| Error::Client(error.into()))
    }

    /// A client that there already is. Unless it was made with `redirect::Policy::none()` it follows
    /// redirects itself, and headers other than `Authorization` and `Cookie` go to whatever origin those lead
    /// to. It should have no time-out for a whole answer.
    #[must_use]
    pub fn with_client(client: Client) -> Self {
        Self(client)
    }
}

impl Transport for Reqwest {
    fn send(&self, request: Request<Bytes>) -> Sending {
        let client = self.0.clone();
        Box::pin(async move {
            let mut request = request.map(reqwest::Body::from);
            let is_empty = request.body().as_bytes().is_some_and(<[u8]>::is_empty);
            if is_empty {
                *request.body_mut() = reqwest::Body::default();
            }
            let answer = client.execute(request.try_into()?).await?;
            let (head, body) = Response::from(answer).into_parts();
            let body = http_body_util::BodyDataStream::new(body).map_err(Into::into);
            Ok(Response::from_parts(head, Box::pin(body) as Body))
        })
    }
}
