//! `cargo xtask test`: every check, the quick ones first, and at the end every test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::process::{cargo, checked, target};
use crate::{beside, readme, setup, tidy, web};

/// Sets up what is missing, then runs every check and every test. Stops at the first step that fails.
pub(crate) fn run() -> Result<()> {
    let mut steps = Steps::default();
    let tools = steps.run("set-up: packages and tools", setup::run)?;
    steps.run("format", format)?;
    steps.run("house rules", tidy::run)?;
    steps.run("dependencies: bans, licences, sources", || deny(&tools.cargo_deny))?;
    steps.run("the browser client", web::check)?;
    steps.run("clippy", clippy)?;
    steps.run("documentation", documentation)?;
    steps.run("the workspaces beside: benchmarks, fuzz targets", beside::check)?;
    let headwater = steps.run("build of the binary and the tests", build)?;
    steps.run("README's commands", || readme::check(&headwater))?;
    steps.summary();
    // Last, so that cargo's own summary lines are the last that is seen.
    steps.announce("tests: unit, property, simulation, end to end, browsers, documentation");
    checked(
        cargo()
            .args(["test", "--workspace", "--locked", "--no-fail-fast"])
            .env("TESTED_HEADWATER", &headwater)
            .env("GECKODRIVER", &tools.geckodriver)
            .env("OLD_ENGINES", &tools.old_engines),
    )
}

fn format() -> Result<()> {
    checked(cargo().args(["fmt", "--all", "--check"]))?;
    beside::format()
}

fn deny(cargo_deny: &Path) -> Result<()> {
    checked(
        Command::new(cargo_deny)
            .args(["--locked", "--workspace", "--log-level", "error", "check"])
            .args(["--hide-inclusion-graph", "bans", "licenses", "sources"]),
    )
}

fn clippy() -> Result<()> {
    let arguments = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    checked(cargo().args(arguments))
}

fn documentation() -> Result<()> {
    checked(
        cargo()
            .args(["doc", "--workspace", "--no-deps", "--document-private-items", "--locked"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

/// Builds what `cargo test` will use, the binary included, and says where the binary is.
fn build() -> Result<PathBuf> {
    checked(cargo().args(["build", "--workspace", "--bins", "--tests", "--locked"]))?;
    let headwater = target()?.join("debug/headwater");
    ensure!(headwater.is_file(), "the build made no {}", headwater.display());
    Ok(headwater)
}

/// Prints each step with its time.
#[derive(Default)]
struct Steps {
    done: Vec<(&'static str, f64)>,
}

impl Steps {
    fn run<T>(&mut self, name: &'static str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        self.announce(name);
        let start = Instant::now();
        let result = step().with_context(|| format!("step `{name}`"))?;
        let seconds = start.elapsed().as_secs_f64();
        println!("    {seconds:.1} s");
        self.done.push((name, seconds));
        Ok(result)
    }

    fn announce(&self, name: &str) {
        println!("\n==> {}. {name}", self.done.len() + 1);
    }

    fn summary(&self) {
        println!("\nPassed so far:");
        for (name, seconds) in &self.done {
            println!("{seconds:>8.1} s  {name}");
        }
    }
}
