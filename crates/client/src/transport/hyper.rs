//! Over `hyper` alone.

use bytes::Bytes;
use futures_util::TryStreamExt;
use http::{Request, Response};
use http_body_util::{BodyDataStream, Full};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::client::legacy::{Builder, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::{Body, Sending, Transport};
use crate::item::Error;

/// A [`Transport`] over a `hyper` client, without proxies. Clones share it.
#[derive(Clone, Debug)]
pub struct Hyper<C = HttpsConnector<HttpConnector>>(Client<C, Full<Bytes>>);

impl Hyper {
    /// HTTP/1.1 and HTTP/2, in the clear and over TLS with the system's certificates.
    ///
    /// # Errors
    ///
    /// If the system has none.
    pub fn new() -> Result<Self, Error> {
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_provider_and_platform_verifier(rustls::crypto::aws_lc_rs::default_provider())
            .map_err(|error| Error::Client(error.into()))?;
        Ok(Self::with_connector(connector.https_or_http().enable_all_versions().build()))
    }
}

impl<C: Connect + Clone + Send + Sync + 'static> Hyper<C> {
    /// Through connections of your own: a Unix socket, another TLS.
    pub fn with_connector(connector: C) -> Self {
        let mut settings = Builder::new(TokioExecutor::new());
        settings.pool_timer(TokioTimer::new());
        Self(settings.build(connector))
    }
}

impl<C: Connect + Clone + Send + Sync + 'static> Transport for Hyper<C> {
    fn send(&self, request: Request<Bytes>) -> Sending {
        let answer = self.0.request(request.map(Full::new));
        Box::pin(async move {
            let (head, body) = answer.await?.into_parts();
            let body = BodyDataStream::new(body).map_err(Into::into);
            Ok(Response::from_parts(head, Box::pin(body) as Body))
        })
    }
}
