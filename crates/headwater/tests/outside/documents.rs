//! What the documents say of settings is what the example file says, which unit tests hold to the code.

use std::fmt::Write;
use std::fs;

use crate::support::Place;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
const EXAMPLE: &str = include_str!("../../headwater.example.toml");
const BEGIN: &str =
    "<!-- settings: from headwater.example.toml; UPDATE_DOCS=1 cargo test -p headwater -->\n";
const END: &str = "<!-- end of settings -->";

#[test]
fn the_table_of_settings_is_complete() {
    let document = fs::read_to_string(DOCUMENT).unwrap();
    let (before, rest) = document.split_once(BEGIN).expect("the document marks its table");
    let (written, after) = rest.split_once(END).expect("the document marks its table's end");
    let table = table();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(DOCUMENT, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert!(written == table, "run the tests with UPDATE_DOCS=1; it should be:\n{table}");
    }
}

/// A row for each setting of the example file but those of sources, which have a document of their own.
fn table() -> String {
    let (_, defaults, _) = Place::new().run(&["check-config"], &[]);
    let mut table = "| setting | default | meaning |\n|---|---|---|\n".to_owned();
    let (mut section, mut prose) = (String::new(), Vec::new());
    for line in EXAMPLE.lines().take_while(|line| *line != "#[[source]]") {
        if let Some(text) = line.strip_prefix("# ") {
            prose.push(text);
        } else if let Some(name) = line.strip_prefix("#[").and_then(|line| line.strip_suffix(']')) {
            section = format!("{name}.");
        } else if let Some((name, value)) = line.strip_prefix('#').and_then(|s| s.split_once(" = "))
        {
            let unset = defaults.contains(&format!("# {name} is not set\n"));
            let value = if unset || value == "[]" { "none" } else { value };
            let meaning = prose.join(" ");
            writeln!(table, "| `{section}{name}` | {value} | {meaning} |").unwrap();
        }
        if !line.starts_with("# ") {
            prose.clear();
        }
    }
    table
}
