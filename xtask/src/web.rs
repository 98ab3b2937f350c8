//! The browser client: its packages, its checks, and that the scripts in the hub are what their sources make.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::checked;

const CLIENT: &str = "web/client";
/// What was installed, to be compared with what is locked.
const INSTALLED: &str = "web/client/node_modules/.package-lock.sha";

/// Every check, in the order of what they need.
pub(crate) fn check() -> Result<()> {
    install()?;
    for arguments in [
        &["run", "build", "--", "--check"][..],
        &["run", "size"],
        &["run", "types"],
        &["run", "lint"],
        &["test"],
        &["run", "pack-check"],
    ] {
        checked(npm()?.args(arguments))?;
    }
    Ok(())
}

/// The locked packages; the system's Node installs them, a newer one among them does the rest.
fn install() -> Result<()> {
    let lock = Path::new(CLIENT).join("package-lock.json");
    let locked = fs::read(&lock).with_context(|| format!("no {}", lock.display()))?;
    if fs::read(INSTALLED).is_ok_and(|installed| installed == locked) {
        return Ok(());
    }
    checked(npm()?.args(["ci", "--no-audit", "--no-fund", "--loglevel", "error"]))?;
    fs::write(INSTALLED, locked).with_context(|| format!("cannot write {INSTALLED}"))
}

/// npm in the client's folder, whose own Node comes before the system's.
fn npm() -> Result<Command> {
    let bin = env::current_dir()?.join(CLIENT).join("node_modules/.bin");
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(bin).chain(env::split_paths(&path));
    let mut command = Command::new("npm");
    command.current_dir(CLIENT).arg("--silent").env("PATH", env::join_paths(folders)?);
    Ok(command)
}
