//! The `headwater` binary, running.

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::program::Program;

/// Debug builds on a busy machine are slow to start; nothing waits this long when all is well.
const START: Duration = Duration::from_secs(60);
/// design.md promises 5 s; the rest is for a busy machine.
const STOP: Duration = Duration::from_secs(15);

/// A hub of its own for one test, in an empty folder, on a port chosen by the system.
#[derive(Debug)]
pub struct Hub {
    program: Program,
    address: SocketAddr,
    folder: TempDir,
}

impl Hub {
    /// Runs `headwater` with these arguments (the command first) and `--listen 127.0.0.1:0`, and waits for
    /// the address in its start-up message.
    pub async fn start(arguments: &[&str]) -> Result<Self> {
        Self::start_with(arguments, &[]).await
    }

    /// The same with environment variables.
    pub async fn start_with(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Self> {
        Self::start_at("127.0.0.1:0", arguments, environment).await
    }

    /// The same at a given address, for instance that of a hub that is gone.
    pub async fn start_at(
        listen: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut command = Self::command().await?;
        command.args(arguments).args(["--listen", listen]);
        // Its default is one port for all of the machine.
        command.env("HEADWATER_ADMIN_LISTEN", "off");
        command.envs(environment.iter().copied()).current_dir(folder.path());
        let mut program = Program::start(&mut command)?;
        let address = program.says(START, address).await?;
        Ok(Self { program, address, folder })
    }

    /// The binary, not yet started, without settings from the test's environment.
    pub async fn command() -> Result<Command> {
        let mut command = Command::new(binary().await?);
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("HEADWATER_") {
                command.env_remove(name);
            }
        }
        Ok(command)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path on it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Its working folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The running process.
    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.program.said()
    }

    /// Stops it as an operator would, by SIGTERM, and expects it to end well and in time.
    pub async fn stop(mut self) -> Result<ExitStatus> {
        let status = self.program.terminate(STOP).await?;
        ensure!(status.success(), "the hub ended with {status}:\n{}", self.log());
        Ok(status)
    }
}

/// The first address in a start-up message.
fn address(said: &str) -> Option<SocketAddr> {
    let said = said.get(..said.rfind('\n')?)?;
    said.split("http://").skip(1).find_map(|rest| {
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || ".:[]".contains(c)));
        rest.get(..end.unwrap_or(rest.len()))?.parse().ok()
    })
}

/// The built binary: what TESTED_HEADWATER names, else built now, once. (A name of the hub's own kind,
/// HEADWATER_…, would be an unknown setting to every hub that a test starts.)
async fn binary() -> Result<PathBuf> {
    static BINARY: OnceCell<PathBuf> = OnceCell::const_new();
    let given = env::var_os("TESTED_HEADWATER").map(PathBuf::from);
    BINARY
        .get_or_try_init(async || match given {
            Some(binary) => Ok(binary),
            None => build().await,
        })
        .await
        .cloned()
}

async fn build() -> Result<PathBuf> {
    // …/target/debug/deps/browser-0123456789abcdef
    let us = env::current_exe()?;
    let folder = us.parent().and_then(Path::parent).context("not run by `cargo test`")?;
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--package", "headwater"]);
    if folder.file_name().is_some_and(|profile| profile == "release") {
        command.arg("--release");
    }
    let target = folder.parent().context("no target folder")?;
    let status = command.arg("--target-dir").arg(target).status().await?;
    ensure!(status.success(), "`cargo build --package headwater` failed");
    Ok(folder.join("headwater"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_a_whole_line() {
        let found = |said| address(said).map(|address| address.to_string());
        assert_eq!(found("open http://127.0.0.1:8080/ now\n").unwrap(), "127.0.0.1:8080");
        assert_eq!(found("http://localhost/ http://[::1]:80\n").unwrap(), "[::1]:80");
        assert_eq!(found("http://127.0.0.1:80"), None, "the port may go on");
        assert_eq!(found("starting\n"), None);
    }
}
