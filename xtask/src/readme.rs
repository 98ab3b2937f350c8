//! The README's commands: every one that its code blocks show must exist.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::process::succeeds;

const README: &str = "README.md";
/// What a newcomer is promised.
const PROMISED: [&str; 2] = ["cargo run --release -- demo", "cargo xtask test"];

/// Asks the built binary for `--help` of each command that the README uses.
pub(crate) fn check(headwater: &Path) -> Result<()> {
    let text = fs::read_to_string(README).with_context(|| format!("no {README}"))?;
    for promise in PROMISED {
        ensure!(commands(&text).any(|line| line == promise), "{README} does not show `{promise}`");
    }
    for line in commands(&text) {
        match used(line) {
            Some(Used::Headwater(name)) => ensure!(
                succeeds(Command::new(headwater).args([name, "--help"])),
                "{README} uses a command that headwater does not have: `{line}`"
            ),
            Some(Used::Chore(name)) if !crate::HELP.contains(&format!("\n  {name} ")) => {
                bail!("{README} uses a chore that does not exist: `{line}`")
            }
            _ => {}
        }
    }
    Ok(())
}

enum Used<'a> {
    Headwater(&'a str),
    Chore(&'a str),
}

/// The lines of the README's shell blocks, without prompts and comments.
fn commands(text: &str) -> impl Iterator<Item = &str> {
    let mut shell = false;
    let mut inside = false;
    text.lines().filter_map(move |line| {
        let line = line.trim();
        if let Some(language) = line.strip_prefix("```") {
            inside = !inside;
            shell = inside && ["sh", "bash", "console", "shell"].contains(&language.trim());
            return None;
        }
        let line = line.strip_prefix("$ ").unwrap_or(line);
        let line = line.split(" #").next().unwrap_or(line).trim_end();
        (shell && !line.is_empty()).then_some(line)
    })
}

/// The command of ours that a shell line runs, if it does.
fn used(line: &str) -> Option<Used<'_>> {
    if let Some(rest) = line.strip_prefix("cargo xtask ") {
        return rest.split_whitespace().next().map(Used::Chore);
    }
    let rest = line
        .strip_prefix("cargo run --release -- ")
        .or_else(|| line.split("| ").last()?.strip_prefix("headwater "))?;
    rest.split_whitespace().next().filter(|word| !word.starts_with('-')).map(Used::Headwater)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_from_shell_blocks_only() {
        let text = "```sh\n$ headwater demo  # opens a page\n\ncurl x | headwater decode\n```\n\
                    headwater prose\n```js\nheadwater code\n```";
        let found: Vec<_> = commands(text).collect();
        assert_eq!(found, ["headwater demo", "curl x | headwater decode"]);
    }

    #[test]
    fn our_commands_are_recognised() {
        let name = |line| match used(line) {
            Some(Used::Headwater(name)) => format!("headwater {name}"),
            Some(Used::Chore(name)) => format!("chore {name}"),
            None => String::new(),
        };
        assert_eq!(name("cargo run --release -- demo"), "headwater demo");
        assert_eq!(name("cargo xtask test"), "chore test");
        assert_eq!(name("curl -N x | headwater decode"), "headwater decode");
        assert_eq!(name("headwater serve --source 'exec:time=php clock.php'"), "headwater serve");
        assert_eq!(name("headwater --version"), "");
        assert_eq!(name("curl localhost"), "");
    }
}
