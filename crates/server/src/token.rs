//! Tokens: who a request comes from, and what that allows it.
//!
//! [`credential()`] takes what a request presents; [`Tokens`] verifies a token against the issuers of the
//! settings and gives the [`Access`] that it grants, or the [`TokenError`] that
//! names the check that failed, of which [`Refusal`] is what may be told. [`Tickets`] stand in for a token
//! in a URL; [`Backend`] asks the user's own application in place of tokens.

mod backend;
mod claims;
mod config;
mod credential;
mod error;
mod fetch;
mod header;
mod issuer;
mod key;
mod remote;
mod secret;
mod ticket;
mod verifier;

pub use backend::{Asked, Backend, BackendConfig, BackendError, Verdict};
pub use config::{Authorization, IssuerConfig, Judge, KeySource, TokenLimits};
pub use credential::{
    Credential, CredentialError, CredentialSettings, Via, credential, redacted, same_site,
};
pub use error::{Check, Outcome, Refusal, TokenError};
pub use fetch::{Fetch, FetchError, Fetched, HttpFetch};
pub use headwater_hub::{Access, Action, Actions};
pub use http::HeaderName;
pub use jsonwebtoken::Algorithm;
pub use key::KeyError;
pub use secret::Secret;
pub use ticket::{Binding, Presented, Ticket, TicketError, TicketKey, Tickets};
pub use verifier::{Tokens, decoded};
