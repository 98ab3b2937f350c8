//! `headwater token inspect`: what stands in a token.

use std::io::{self, Write};

use anyhow::{Context, anyhow};
use headwater_server::token::decoded;
use serde_json::{Value, json};

use super::Given;
use super::time::{now_s, shown};
use crate::failure::Failure;

/// Show what is in a token, without verifying it
///
/// Prints the header and the claims as JSON. Anybody can write such a token: only `verify` says whether the
/// hub would take it.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    token: Given,
}

/// Prints it, and warns.
pub(super) fn run(args: Args) -> Result<(), Failure> {
    let token = args.token.read()?;
    let (header, claims) = decoded(&token).ok_or_else(|| {
        anyhow!("this is no JWT: three parts of base64url with dots between them, two of them JSON")
    })?;
    let mut warning =
        "NOT VERIFIED: anybody may have written this; see `headwater token verify`\n".to_owned();
    for (name, what) in [("iat", "issued"), ("nbf", "good from"), ("exp", "good until")] {
        if let Some(date) = claims.get(name).and_then(Value::as_f64) {
            warning += &format!("{what} {}\n", shown(date, now_s()));
        }
    }
    // There is nobody to warn if it is closed.
    let _ = io::stderr().write_all(warning.as_bytes());
    let text = serde_json::to_string_pretty(&json!({"header": header, "claims": claims}));
    let text = text.context("cannot print the token")?;
    Ok(writeln!(io::stdout(), "{text}").context("cannot print the token")?)
}
