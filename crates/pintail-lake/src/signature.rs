//! Which extension files DuckDB has found signed, as long as this process lives.
//!
//! DuckDB checks the signature of a file whenever an engine loads it, which is a hash of 40 MB. A process that opens one
//! engine after another, as a service or a test does, would spend half of its time on files that it has checked before.
//! So an engine that runs Pintail's statements alone may take a file for signed that another engine of this process has
//! checked, and that is the very same since: of that path, inode, size and times.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A file, as it is now.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SignedFile {
    path: PathBuf,
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

static CHECKED: Mutex<BTreeSet<SignedFile>> = Mutex::new(BTreeSet::new());

impl SignedFile {
    /// Looks at a file before it is checked: what it becomes meanwhile is another file then. `None` if it cannot be
    /// looked at.
    pub(crate) fn look(path: &Path) -> Option<Self> {
        let found = std::fs::metadata(path).ok()?;
        Some(Self {
            path: path.to_path_buf(),
            device: found.dev(),
            inode: found.ino(),
            bytes: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }

    /// Whether DuckDB has checked it.
    pub(crate) fn is_checked(&self) -> bool {
        with_checked(|files| files.contains(self))
    }

    /// Remembers that DuckDB has checked it.
    pub(crate) fn remember(self) {
        with_checked(|files| files.insert(self));
    }
}

/// Whether any file was checked yet.
pub(crate) fn any() -> bool {
    with_checked(|files| !files.is_empty())
}

fn with_checked<T>(work: impl FnOnce(&mut BTreeSet<SignedFile>) -> T) -> T {
    work(&mut CHECKED.lock().unwrap_or_else(PoisonError::into_inner))
}
