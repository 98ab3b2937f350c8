//! The house rules that a program can check.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::assets;
use crate::process::output;

const MAX_LINES: usize = 500;
/// What we write by hand; prose may be long.
const CODE: [&str; 12] =
    ["rs", "ts", "js", "mjs", "html", "css", "php", "py", "sh", "toml", "yml", "yaml"];

/// Words that must not be left behind in code. Split, so that this file does not hold them.
const LEFTOVERS: [&str; 5] = [
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("#[ig", "nore"),
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
];
/// The beginnings of paths that exist on one machine only.
const MACHINE_PATHS: [&str; 4] =
    [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/"), concat!("/wo", "rk/")];
/// Hosts that serve packages: which one a machine uses is that machine's business.
const REGISTRIES: [&str; 7] = [
    concat!("crates", ".io"),
    concat!("registry.npm", "js.org"),
    concat!("npm", "mirror"),
    concat!("deb.deb", "ian.org"),
    concat!("py", "pi.org"),
    concat!("python", "hosted"),
    concat!("arti", "factory"),
];

/// Checks all of them and names every breach.
pub(crate) fn run() -> Result<()> {
    let mut breaches = assets::differences()?;
    for (name, text) in texts()? {
        breaches.extend(check(&name, &text).into_iter().map(|breach| format!("{name}{breach}")));
    }
    if breaches.is_empty() {
        return Ok(());
    }
    bail!("the house rules are broken:\n{}", breaches.join("\n"))
}

/// Every text file that git knows or would take, by name.
fn texts() -> Result<BTreeMap<String, String>> {
    let listed = output(Command::new("git").args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))?;
    let read = |name: &str| Some((name.to_owned(), fs::read_to_string(name).ok()?));
    Ok(listed.split_terminator('\0').filter_map(read).collect())
}

/// The breaches of one file, each beginning with `:line: `.
fn check(name: &str, text: &str) -> Vec<String> {
    let extension = Path::new(name).extension().and_then(|e| e.to_str()).unwrap_or_default();
    let locked = name.ends_with(".lock") || name.ends_with("package-lock.json");
    let code = CODE.contains(&extension) && !locked;
    let mut breaches = Vec::new();
    let lines = text.lines().count();
    if code && lines > MAX_LINES {
        breaches.push(format!(":{lines}: more than {MAX_LINES} lines: one idea per file"));
    }
    for (line, number) in text.lines().zip(1..) {
        let mut tell = |what: String| breaches.push(format!(":{number}: {what}"));
        if code {
            LEFTOVERS.into_iter().filter(|word| line.contains(word)).for_each(|word| {
                tell(format!("`{word}` was left behind"));
            });
        }
        MACHINE_PATHS.into_iter().filter(|path| begins_a_path(line, path)).for_each(|path| {
            tell(format!("a path that other machines do not have: {path}…"));
        });
        if locked {
            if let Some(host) = foreign_host(line) {
                tell(format!("locked to a registry that others may not reach: {host}"));
            }
        } else {
            REGISTRIES.into_iter().filter(|host| line.contains(host)).for_each(|host| {
                tell(format!("a registry's host name: {host}"));
            });
        }
    }
    breaches
}

/// Whether `path` stands in `line` as the beginning of a path, not inside a longer one or a URL.
fn begins_a_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || "./-_}".contains(c))
    })
}

/// The host in a line of a lock file, unless it is the public one.
fn foreign_host(line: &str) -> Option<&str> {
    const PUBLIC: [&str; 2] = ["github.com", concat!("registry.npm", "js.org")];
    let source = line.contains("source = ") || line.contains("\"resolved\"");
    let (_, rest) = line.split_once("https://").filter(|_| source)?;
    let host = rest.split(['/', ':', '"']).next()?;
    (!PUBLIC.contains(&host)).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaches(name: &str, text: &str) -> usize {
        check(name, text).len()
    }

    #[test]
    fn a_file_may_have_500_lines_and_prose_more() {
        assert_eq!(breaches("a.rs", &"\n".repeat(500)), 0);
        assert_eq!(breaches("a.rs", &"\n".repeat(501)), 1);
        assert_eq!(breaches("CHANGELOG.md", &"\n".repeat(501)), 0);
        assert_eq!(breaches("Cargo.lock", &"\n".repeat(501)), 0);
    }

    #[test]
    fn leftovers_are_found_in_code_only() {
        for word in LEFTOVERS {
            assert_eq!(breaches("a.rs", &format!("fn f() {{}}\n// {word}")), 1);
            assert_eq!(breaches("a.md", word), 0);
        }
    }

    #[test]
    fn machine_paths_are_found_where_a_path_begins() {
        for path in MACHINE_PATHS {
            assert_eq!(breaches("a.md", &format!("see `{path}me/x`")), 1);
            assert_eq!(breaches("a.md", &format!("GET /events{path}me")), 0);
        }
    }

    #[test]
    fn registries_are_named_in_lock_files_only_and_there_only_the_public_ones() {
        for host in REGISTRIES {
            assert_eq!(breaches("a.toml", &format!("https://{host}/x")), 1);
        }
        let locked = |host: &str| format!("source = \"registry+https://{host}/index\"");
        assert_eq!(breaches("Cargo.lock", &locked("github.com")), 0);
        assert_eq!(breaches("Cargo.lock", &locked("mirror.example")), 1);
        assert_eq!(
            breaches("package-lock.json", "\"resolved\": \"https://mirror.example/x.tgz\""),
            1
        );
    }
}
