//! Folders for files on their way between this machine and a bucket. One whose process died is removed by the next one that
//! makes such a folder.

use std::path::{Path, PathBuf};

use tempfile::{TempDir, TempPath};

use crate::error::{Error, Result};
use crate::lock::Lock;

/// What the names of the folders begin with.
const PREFIX: &str = "pintail-staging-";

/// Its holder is alive.
const LOCK: &str = "lock";

/// How often a folder is made that cannot be locked.
const ATTEMPTS: u32 = 5;

/// A folder that goes when this is dropped.
#[derive(Debug)]
pub(super) struct Staging {
    // First: whoever finds no lock finds no folder either.
    folder: TempDir,
    _lock: Lock,
}

impl Staging {
    pub(super) fn new() -> Result<Self> {
        let above = std::env::temp_dir();
        remove_dead(&above);
        let mut attempt = 1;
        loop {
            let folder = tempfile::Builder::new()
                .prefix(PREFIX)
                .tempdir_in(&above)
                .map_err(Error::file("create folder", &above))?;
            match Lock::take(&folder.path().join(LOCK)) {
                Ok(Some(lock)) => return Ok(Self { folder, _lock: lock }),
                // Somebody who removes dead ones was between its making and its locking.
                Ok(None) => {}
                Err(error) if attempt == ATTEMPTS => return Err(error),
                Err(_) => attempt += 1,
            }
        }
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file that is not there yet, which goes when its path is dropped.
    pub(super) fn temporary(&self) -> Result<TempPath> {
        let made = tempfile::Builder::new()
            .suffix(".parquet")
            .tempfile_in(self.folder.path());
        Ok(made
            .map_err(Error::file("create", self.folder.path()))?
            .into_temp_path())
    }
}

/// Removes the folders of processes that died. One that cannot be removed belongs to somebody else.
fn remove_dead(above: &Path) {
    for entry in std::fs::read_dir(above).into_iter().flatten().flatten() {
        let ours = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with(PREFIX));
        let lock = entry.path().join(LOCK);
        // Without a lock it is just being made.
        if ours
            && lock.is_file()
            && let Ok(Some(_lock)) = Lock::take(&lock)
        {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
