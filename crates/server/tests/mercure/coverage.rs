//! Every requirement of the protocol is quoted by a test, or is an exception with a reason; and the document
//! says which.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const REQUIREMENTS: &str = include_str!("requirements.txt");
const EXCEPTIONS: &str = include_str!("exceptions.txt");
const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const BEGIN: &str = "<!-- coverage: from the tests; UPDATE_DOCS=1 cargo test -p headwater-server --test mercure -->\n";
const END: &str = "<!-- end of coverage -->";

/// The tests that quote a requirement, by its section and text.
fn quoted() -> BTreeMap<String, BTreeSet<String>> {
    let mut quoted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for folder in ["tests/mercure", "tests/token", "src/mercure"] {
        for entry in fs::read_dir(Path::new(ROOT).join(folder)).unwrap() {
            let file = entry.unwrap().path();
            let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
            let text = fs::read_to_string(&file).unwrap();
            let mut waiting = Vec::new();
            for line in text.lines().map(str::trim) {
                if let Some(quote) = line.strip_prefix("// Mercure 5.") {
                    let (section, text) = quote.split_once(": \"").unwrap();
                    let text = text.strip_suffix('"').unwrap().replace("\\\"", "\"");
                    waiting.push(format!("5.{section} {text}"));
                } else if let Some((_, rest)) = line.split_once("fn ") {
                    let test = format!("{name}::{}", rest.split('(').next().unwrap());
                    for requirement in waiting.drain(..) {
                        quoted.entry(requirement).or_default().insert(test.clone());
                    }
                }
            }
        }
    }
    quoted
}

/// The reasons of the exceptions, by requirement.
fn exceptions() -> BTreeMap<&'static str, &'static str> {
    let lines: Vec<&str> = EXCEPTIONS.lines().collect();
    lines.chunks(2).map(|pair| (pair[0], pair[1].trim())).collect()
}

#[test]
fn every_requirement_is_proven_or_excepted() {
    let (quoted, exceptions) = (quoted(), exceptions());
    let known: BTreeSet<&str> = REQUIREMENTS.lines().collect();
    for requirement in quoted.keys().map(String::as_str).chain(exceptions.keys().copied()) {
        assert!(known.contains(requirement), "not in requirements.txt: {requirement}");
    }
    for requirement in &known {
        let (proven, excepted) = (quoted.get(*requirement), exceptions.get(requirement));
        assert!(proven.is_some() != excepted.is_some(), "{requirement}: {proven:?} {excepted:?}");
    }
    let document = Path::new(ROOT).join("../../docs/mercure.md");
    let text = fs::read_to_string(&document).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the document marks its table");
    let (written, after) = rest.split_once(END).expect("the document marks its table's end");
    let mut table = "| section | requirement | proven by, or why not |\n|---|---|---|\n".to_owned();
    for line in REQUIREMENTS.lines() {
        let (section, requirement) = line.split_once(' ').unwrap();
        let proof = match quoted.get(line) {
            Some(tests) => {
                tests.iter().map(|test| format!("`{test}`")).collect::<Vec<_>>().join(", ")
            }
            None => format!("*Exception.* {}", exceptions[line]),
        };
        table += &format!("| {section} | {requirement} | {proof} |\n");
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(document, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert!(written == table, "run this test with UPDATE_DOCS=1");
    }
}
