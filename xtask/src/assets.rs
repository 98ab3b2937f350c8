//! The demo's pages: written in `web/demo`, committed a second time inside the crate that carries them,
//! because `cargo publish` packages only what lies inside a crate.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

const SOURCE: &str = "web/demo";
const COPY: &str = "crates/headwater/assets";

/// Makes the copy equal to the source.
pub(crate) fn copy() -> Result<()> {
    if Path::new(COPY).exists() {
        fs::remove_dir_all(COPY).with_context(|| format!("cannot empty {COPY}"))?;
    }
    for (name, content) in files(Path::new(SOURCE))? {
        let to = Path::new(COPY).join(&name);
        fs::create_dir_all(to.parent().context("a file without a folder")?)?;
        fs::write(&to, content).with_context(|| format!("cannot write {}", to.display()))?;
        println!("{}", to.display());
    }
    Ok(())
}

/// What differs between the copy and the source, a line each.
pub(crate) fn differences() -> Result<Vec<String>> {
    let (source, copy) = (files(Path::new(SOURCE))?, files(Path::new(COPY))?);
    let names = source.keys().chain(copy.keys().filter(|name| !source.contains_key(*name)));
    let differ = names.filter(|name| source.get(*name) != copy.get(*name));
    let told = differ.map(|name| {
        format!("{COPY} is not {SOURCE} in `{}`: run `cargo xtask demo-assets`", name.display())
    });
    Ok(told.collect())
}

/// Every file below `folder`, by its name relative to it.
fn files(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let entries = fs::read_dir(&next).with_context(|| format!("no {}", next.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder)?.to_owned(), fs::read(&path)?);
            }
        }
    }
    Ok(found)
}
