//! The files of a log, behind a trait, so that a test can make them fail.

use std::fs;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One flat directory.
pub(crate) trait Files: Send + Sync + 'static {
    /// The names of all files.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes a file of zeros whose blocks are reserved; the name must be new.
    fn create(&self, name: &str, bytes: u64) -> io::Result<Arc<dyn File>>;

    /// Opens a file that is there.
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// Puts a file in another's place, at once.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes creations, renames and removals last.
    fn sync_dir(&self) -> io::Result<()>;
}

/// One file. Reads and writes name their place, so that many may read while one writes.
pub(crate) trait File: Send + Sync + 'static {
    /// How many bytes it has.
    fn len(&self) -> io::Result<u64>;

    /// Fills the buffer from a place; fails if the file ends before.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()>;

    /// Writes all of the bytes at a place.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;

    /// Makes what was written last.
    fn sync(&self) -> io::Result<()>;

    /// Gives back what lies behind a place.
    fn truncate(&self, len: u64) -> io::Result<()>;
}

/// Puts a whole file in place, at once and for good: it is there as it should be, or as it was.
pub(crate) fn replace(files: &dyn Files, name: &str, bytes: &[u8]) -> io::Result<Arc<dyn File>> {
    let temporary = format!("{name}.new");
    if files.list()?.contains(&temporary) {
        files.remove(&temporary)?;
    }
    let file = files.create(&temporary, 0)?;
    file.write_at(bytes, 0)?;
    file.sync()?;
    files.rename(&temporary, name)?;
    files.sync_dir()?;
    Ok(file)
}

/// Removes a file for good, if it is there.
pub(crate) fn remove(files: &dyn Files, name: &str) -> io::Result<()> {
    if files.list()?.iter().any(|own| own == name) {
        files.remove(name)?;
    }
    files.sync_dir()
}

/// A whole file, if it is there.
pub(crate) fn read(files: &dyn Files, name: &str) -> io::Result<Option<Vec<u8>>> {
    if !files.list()?.iter().any(|own| own == name) {
        return Ok(None);
    }
    let file = files.open(name)?;
    let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(usize::MAX)];
    file.read_at(&mut bytes, 0)?;
    Ok(Some(bytes))
}

/// The file system's.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

impl Files for Directory {
    fn list(&self) -> io::Result<Vec<String>> {
        let names = fs::read_dir(&self.0)?.map(|entry| {
            // A name that is not UTF-8 is none of ours.
            entry.map(|entry| entry.file_name().into_string().unwrap_or_default())
        });
        names.collect()
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<Arc<dyn File>> {
        let path = self.0.join(name);
        let mut options = fs::OpenOptions::new();
        // Events and the key of their ids are nobody else's business.
        options.read(true).write(true).create_new(true).mode(0o600);
        let file = options.open(&path)?;
        let reserved = if bytes > 0 { reserve(&file, bytes) } else { Ok(()) };
        if let Err(error) = reserved {
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        Ok(Arc::new(file))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let file = fs::OpenOptions::new().read(true).write(true).open(self.0.join(name))?;
        Ok(Arc::new(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        fs::File::open(&self.0)?.sync_all()
    }
}

/// Reserves blocks, so that a full disk is met here and not in the middle of a record, and so that
/// syncing has no blocks to allocate.
#[cfg(target_os = "linux")]
fn reserve(file: &fs::File, bytes: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    match fallocate(file, FallocateFlags::empty(), 0, bytes) {
        // Some file systems cannot; the length alone is what is needed.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => file.set_len(bytes),
        reserved => Ok(reserved?),
    }
}

#[cfg(not(target_os = "linux"))]
fn reserve(file: &fs::File, bytes: u64) -> io::Result<()> {
    file.set_len(bytes)
}

impl File for fs::File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        self.read_exact_at(buffer, at)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }
}
