//! Posts out of an Atom file: what is new, changed or gone in it is published, and nothing twice.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

use super::atom::{self, AtomError, Entry};
use super::play::{Said, Script};

/// What a page's topic begins with. Each entry has a topic of its own, so that whoever comes late gets the
/// newest state of each.
const TOPIC: &str = "posts/";
/// Something to listen to that tells of the file as a whole.
pub(super) const FILE_TOPIC: &str = "posts/file";

const SAMPLE: &str = include_str!("sample.xml");
const BYTES_MAX: u64 = 256 << 10;
const ENTRIES_MAX: usize = 50;
/// How many entries are remembered, those that are gone among them.
const REMEMBERED_MAX: usize = 1000;

/// A folder with an Atom file to play with, which is gone when this is dropped.
#[derive(Debug)]
pub(super) struct Sample {
    folder: TempDir,
}

impl Sample {
    pub(super) fn write() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("headwater-demo-").tempdir()?;
        let sample = Self { folder };
        fs::write(sample.path(), SAMPLE)?;
        Ok(sample)
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("posts.xml")
    }
}

/// Reads the file again and again.
#[derive(Debug)]
pub(super) struct Posts {
    path: PathBuf,
    /// What was read last: nothing is done if it is the same.
    text: String,
    entries: BTreeMap<String, Known>,
    /// What the page was told of the file.
    trouble: Option<String>,
}

#[derive(Debug)]
struct Known {
    number: usize,
    /// Of what was published last; nothing if that was that it is gone.
    hash: Option<u64>,
}

/// Why a file is not read. Its writer has to act.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("it has more than {BYTES_MAX} bytes")]
    TooLarge,
    #[error(transparent)]
    Atom(#[from] AtomError),
}

impl Posts {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, text: String::new(), entries: BTreeMap::new(), trouble: None }
    }

    /// What follows from the file's text.
    fn changes(&mut self, text: &str) -> Result<Vec<Said>, AtomError> {
        let entries = atom::parse(text, ENTRIES_MAX)?;
        let mut said = Vec::new();
        let gone = |id: &String| !entries.iter().any(|entry| entry.id == *id);
        for (id, known) in self.entries.iter_mut().filter(|(id, _)| gone(id)) {
            if known.hash.take().is_some() {
                let data = json!({ "entry": id, "removed": true });
                said.push(Said::new(format!("{TOPIC}{}", known.number), data));
            }
        }
        // Oldest first, as they would have come.
        for entry in entries.iter().rev() {
            said.extend(self.change(entry));
        }
        Ok(said)
    }

    fn change(&mut self, entry: &Entry) -> Option<Said> {
        let number = self.entries.len();
        if !self.entries.contains_key(&entry.id) && number >= REMEMBERED_MAX {
            tracing::warn!(
                id = entry.id,
                "the demo remembers {REMEMBERED_MAX} posts: start it anew"
            );
            return None;
        }
        let mut hasher = DefaultHasher::new();
        entry.hash(&mut hasher);
        let hash = Some(hasher.finish());
        let known = self.entries.entry(entry.id.clone()).or_insert(Known { number, hash: None });
        if known.hash == hash {
            return None;
        }
        known.hash = hash;
        let data = json!({
            "entry": entry.id, "title": entry.title, "author": entry.author,
            "updated": entry.updated, "text": entry.text, "html": entry.is_html,
        });
        Some(Said::new(format!("{TOPIC}{}", known.number), data))
    }

    /// What follows from the file; nothing at all if it is as it was.
    fn read(&mut self) -> Result<Option<Vec<Said>>, FileError> {
        // What cannot be read now may have the same text when it can.
        let text = read(&self.path).inspect_err(|_| self.text.clear())?;
        if text == self.text {
            return Ok(None);
        }
        let said = self.changes(&text);
        self.text = text;
        Ok(Some(said?))
    }

    /// Tells of the file if that is news.
    fn tell(&mut self, trouble: Option<String>) -> Option<Said> {
        if trouble == self.trouble {
            return None;
        }
        self.trouble.clone_from(&trouble);
        Some(Said::new(FILE_TOPIC, json!({ "trouble": trouble })))
    }
}

impl Script for Posts {
    /// A small file, so that reading it here holds nothing up.
    fn next(&mut self) -> Vec<Said> {
        match self.read() {
            Ok(None) => Vec::new(),
            Ok(Some(mut said)) => {
                said.extend(self.tell(None));
                said
            }
            Err(error) => self.tell(Some(error.to_string())).into_iter().collect(),
        }
    }
}

fn read(path: &Path) -> Result<String, FileError> {
    let mut text = String::new();
    File::open(path)?.take(BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > BYTES_MAX {
        return Err(FileError::TooLarge);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changes_is_said() {
        let sample = Sample::write().unwrap();
        let mut posts = Posts::new(sample.path());
        let first = posts.next();
        assert_eq!(first.len(), 3);
        assert_eq!(first[0].data["entry"], "urn:headwater:demo:notes:1", "the oldest first");
        assert_eq!(posts.next(), []);

        let changed = SAMPLE.replace("speaks", "sings");
        fs::write(sample.path(), &changed).unwrap();
        let said = posts.next();
        assert_eq!(said.len(), 1);
        assert_eq!(said[0].topic, first[2].topic);
        assert_eq!(said[0].data["title"], "The gauge at the weir sings");

        // And back again: it is the newest that counts.
        fs::write(sample.path(), SAMPLE).unwrap();
        assert_eq!(posts.next()[0].data["title"], "The gauge at the weir speaks");
    }

    #[test]
    fn half_a_file_changes_nothing_and_is_told() {
        let sample = Sample::write().unwrap();
        let mut posts = Posts::new(sample.path());
        posts.next();
        fs::write(sample.path(), &SAMPLE[..SAMPLE.len() / 2]).unwrap();
        let said = posts.next();
        assert_eq!((said.len(), said[0].topic.as_str()), (1, FILE_TOPIC));
        assert!(said[0].data["trouble"].is_string());
        assert_eq!(posts.next(), []);
        fs::write(sample.path(), SAMPLE).unwrap();
        assert_eq!(posts.next(), [Said::new(FILE_TOPIC, json!({ "trouble": null }))]);
    }

    #[test]
    fn what_is_gone_from_the_file_is_gone() {
        let sample = Sample::write().unwrap();
        let mut posts = Posts::new(sample.path());
        posts.next();
        fs::write(sample.path(), "<feed></feed>").unwrap();
        let said = posts.next();
        assert_eq!(said.len(), 3);
        assert!(said.iter().all(|said| said.data["removed"] == true));
    }

    #[test]
    fn the_sample_is_gone_with_its_owner() {
        let sample = Sample::write().unwrap();
        let path = sample.path();
        assert!(path.exists());
        drop(sample);
        assert!(!path.exists());
    }
}
