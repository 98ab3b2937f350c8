//! The workspaces beside ours, benchmarks and fuzz targets: what they depend on stays out of the main one,
//! but they have to keep up with it.

use std::fs;
use std::process::Command;

use anyhow::Result;

use crate::process::{cargo, checked, output, target};

/// The formatting of each.
pub(crate) fn format() -> Result<()> {
    for manifest in manifests()? {
        checked(cargo().args(["fmt", "--check", "--manifest-path", &manifest]))?;
    }
    Ok(())
}

/// Whether each compiles without a warning, and the tests that it has.
pub(crate) fn check() -> Result<()> {
    let target = target()?;
    for manifest in manifests()? {
        let place = ["--locked", "--manifest-path", &manifest];
        let run = |command: &mut Command| checked(command.env("CARGO_TARGET_DIR", &target));
        run(cargo().args(["clippy", "--all-targets"]).args(place).args(["--", "-D", "warnings"]))?;
        run(cargo().args(["test", "--quiet"]).args(place))?;
    }
    Ok(())
}

/// Every manifest but the main one that begins a workspace.
fn manifests() -> Result<Vec<String>> {
    let listed = output(Command::new("git").args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
        "*/Cargo.toml",
    ]))?;
    let begins = |name: &&str| {
        let text = fs::read_to_string(name).unwrap_or_default();
        text.lines().any(|line| line.trim() == "[workspace]")
    };
    Ok(listed.split_terminator('\0').filter(begins).map(str::to_owned).collect())
}
