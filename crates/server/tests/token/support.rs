//! Keys, issuers that sign with them, and a server that answers as told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use headwater_hub::{Access, Action, Actions};
use headwater_log::{Millis, Topic};
use headwater_server::token::{
    Algorithm, HttpFetch, IssuerConfig, KeySource, Secret, TokenError, TokenLimits, Tokens,
};
use jsonwebtoken::EncodingKey;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use url::Url;

pub(crate) const ISSUER: &str = "https://localhost";
pub(crate) const AUDIENCE: &str = "https://localhost/.well-known/mercure";
/// The key of the protocol's own conformance cases.
pub(crate) const SECRET: &str = "!ChangeThisMercureHubJWTSecretKey!";
pub(crate) const NOW: Millis = Millis(1_800_000_000_000);
pub(crate) const DETAIL: &str = "https://mercure.rocks/authorization-detail";

/// Somebody's pair of keys.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) algorithm: Algorithm,
    pub(crate) private: EncodingKey,
    /// The public key in PEM.
    pub(crate) pem: String,
    /// The private key in PEM.
    pub(crate) private_pem: String,
    /// The public key as a JSON Web Key, without a `kid`.
    pub(crate) jwk: Value,
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

fn point(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Pair {
    pub(crate) fn rsa(algorithm: Algorithm) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let pkcs8: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let private_pem = pem("PRIVATE KEY", pkcs8.as_ref());
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let modulus = pair.public_key().modulus().big_endian_without_leading_zero().to_vec();
        let exponent = pair.public_key().exponent().big_endian_without_leading_zero().to_vec();
        Self {
            algorithm,
            private: EncodingKey::from_rsa_pem(private_pem.as_bytes()).unwrap(),
            pem: pem("PUBLIC KEY", public.as_ref()),
            private_pem,
            jwk: json!({"kty": "RSA", "n": point(&modulus), "e": point(&exponent)}),
        }
    }

    pub(crate) fn ec(algorithm: Algorithm) -> Self {
        let (signing, curve) = match algorithm {
            Algorithm::ES384 => (&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
            _ => (&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
        };
        let pair = EcdsaKeyPair::generate(signing).unwrap();
        let pkcs8 = pair.to_pkcs8v1().unwrap();
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let bytes = pair.public_key().as_ref();
        let (x, y) = bytes[1..].split_at(bytes.len() / 2);
        Self {
            algorithm,
            private: EncodingKey::from_ec_der(pkcs8.as_ref()),
            pem: pem("PUBLIC KEY", public.as_ref()),
            private_pem: pem("PRIVATE KEY", pkcs8.as_ref()),
            jwk: json!({"kty": "EC", "crv": curve, "x": point(x), "y": point(y)}),
        }
    }

    pub(crate) fn ed() -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let pkcs8 = pair.to_pkcs8v1().unwrap();
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        Self {
            algorithm: Algorithm::EdDSA,
            private: EncodingKey::from_ed_der(pkcs8.as_ref()),
            pem: pem("PUBLIC KEY", public.as_ref()),
            private_pem: pem("PRIVATE KEY", pkcs8.as_ref()),
            jwk: json!({"kty": "OKP", "crv": "Ed25519", "x": point(pair.public_key().as_ref())}),
        }
    }

    /// A shared secret.
    pub(crate) fn secret(algorithm: Algorithm, secret: &str) -> Self {
        Self {
            algorithm,
            private: EncodingKey::from_secret(secret.as_bytes()),
            pem: String::new(),
            private_pem: String::new(),
            jwk: json!({"kty": "oct", "k": point(secret.as_bytes())}),
        }
    }

    /// Its public key under a name.
    pub(crate) fn named(&self, kid: &str) -> Value {
        let mut jwk = self.jwk.clone();
        jwk["kid"] = kid.into();
        jwk
    }

    /// A token with exactly this header (but `alg`) and these claims.
    pub(crate) fn sign(&self, mut header: Value, claims: &Value) -> String {
        header["alg"] = format!("{:?}", self.algorithm).into();
        self.sign_as(&header, claims)
    }

    /// A token that says of its algorithm what the header says.
    pub(crate) fn sign_as(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    pub(crate) fn sign_text(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", point(header.as_bytes()), point(claims.as_bytes()));
        let signature =
            jsonwebtoken::crypto::sign(message.as_bytes(), &self.private, self.algorithm);
        format!("{message}.{}", signature.unwrap())
    }

    /// A good token.
    pub(crate) fn token(&self) -> String {
        self.sign(header(), &claims())
    }

    /// A good token that names its key.
    pub(crate) fn token_of(&self, kid: &str) -> String {
        let mut header = header();
        header["kid"] = kid.into();
        self.sign(header, &claims())
    }
}

/// The header of an access token, without its algorithm.
pub(crate) fn header() -> Value {
    json!({"typ": "at+jwt"})
}

/// What a good token says.
pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER,
        "aud": AUDIENCE,
        "exp": NOW.0 / 1000 + 60,
        "authorization_details": [
            {"type": DETAIL, "actions": ["publish", "subscribe"], "topics": [{"match": "a"}]},
        ],
    })
}

/// The same with something else in it.
pub(crate) fn claims_with(change: impl FnOnce(&mut Value)) -> Value {
    let mut claims = claims();
    change(&mut claims);
    claims
}

/// The usual issuer with these keys.
pub(crate) fn issuer(keys: KeySource, algorithms: &[Algorithm]) -> IssuerConfig {
    IssuerConfig {
        issuer: Some(ISSUER.to_owned()),
        audiences: vec!["other".to_owned(), AUDIENCE.to_owned()],
        keys,
        algorithms: algorithms.to_vec(),
        actions: Actions::ALL,
        compat: false,
    }
}

pub(crate) fn shared_secret() -> KeySource {
    KeySource::Secret(Secret::new(SECRET))
}

pub(crate) fn tokens(issuers: Vec<IssuerConfig>) -> Tokens {
    let fetch = Arc::new(HttpFetch::new().unwrap());
    let base = Url::parse(AUDIENCE).unwrap();
    Tokens::new(issuers, base, TokenLimits::default(), fetch).unwrap()
}

/// The usual verifier.
pub(crate) fn usual() -> Tokens {
    tokens(vec![issuer(shared_secret(), &[])])
}

/// What the usual verifier says of claims that are signed well.
pub(crate) async fn judged(claims: &Value) -> Result<Arc<Access>, TokenError> {
    let token = Pair::secret(Algorithm::HS256, SECRET).sign(header(), claims);
    usual().verify(&token, NOW).await
}

pub(crate) fn grants(access: &Access, action: Action, topic: &str) -> bool {
    access.allows(action, &[Topic::parse(topic).unwrap()])
}

/// What a [`Server`] does with a request.
#[derive(Clone)]
pub(crate) enum Does {
    /// Answers with this status, these header lines and this body.
    Answer(u16, String, String),
    /// Reads it and says nothing.
    Nothing,
    /// Sends a body without an end.
    Endless,
    /// Closes the connection.
    Close,
}

impl Does {
    pub(crate) fn json(body: &Value) -> Self {
        Self::Answer(200, String::new(), body.to_string())
    }
}

/// A server on loopback that answers as told, and notes what it is asked.
pub(crate) struct Server {
    pub(crate) url: Url,
    does: Arc<Mutex<Does>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) async fn start(does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (does, seen) = (Arc::new(Mutex::new(does)), Arc::new(Mutex::new(Vec::new())));
        let (told, noted) = (does.clone(), seen.clone());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (told, noted) = (told.clone(), noted.clone());
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    while !is_whole(&request) {
                        let mut piece = [0; 4096];
                        match stream.read(&mut piece).await {
                            Ok(read @ 1..) => request.extend_from_slice(&piece[..read]),
                            _ => return,
                        }
                    }
                    noted.lock().unwrap().push(String::from_utf8(request).unwrap());
                    let does = told.lock().unwrap().clone();
                    match does {
                        Does::Answer(status, headers, body) => {
                            let answer = format!(
                                "HTTP/1.1 {status} X\r\nConnection: close\r\n\
                                 Content-Length: {}\r\n{headers}\r\n{body}",
                                body.len()
                            );
                            let _ = stream.write_all(answer.as_bytes()).await;
                        }
                        Does::Nothing => {
                            let _ = stream.read(&mut [0]).await;
                        }
                        Does::Endless => {
                            let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
                            let _ = stream.write_all(head.as_bytes()).await;
                            while stream.write_all(&[b' '; 4096]).await.is_ok() {}
                        }
                        Does::Close => {}
                    }
                });
            }
        });
        let url = Url::parse(&format!("http://{address}/keys")).unwrap();
        Self { url, does, seen }
    }

    pub(crate) fn now_does(&self, does: Does) {
        *self.does.lock().unwrap() = does;
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())?.ok()
    });
    body.len() >= length.unwrap_or(0)
}

/// Longer than anything here may take on a busy machine.
pub(crate) async fn within<T>(act: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), act).await.expect("it ends")
}
