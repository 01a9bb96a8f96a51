//! A lock that dies with its holder: whoever finds a lock that nobody holds knows that its holder is gone, however it went.

use std::fs::{File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A lock that this process holds until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    /// `None` if somebody holds it.
    pub(crate) fn take(path: &Path) -> Result<Option<Self>> {
        Self::get(path, File::try_lock)
    }

    /// Waits until nobody else holds it. For locks that are held for a moment only.
    pub(crate) fn wait(path: &Path) -> Result<Self> {
        let lock = Self::get(path, |file| file.lock().map_err(TryLockError::Error))?;
        Ok(lock.expect("a lock that is waited for is had"))
    }

    fn get(
        path: &Path,
        lock: impl Fn(&File) -> std::result::Result<(), TryLockError>,
    ) -> Result<Option<Self>> {
        loop {
            let file = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(path)
                .map_err(Error::file("create", path))?;
            match lock(&file) {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(Error::file("lock", path)(error)),
            }
            // The holder before may have removed the file between our opening it and our locking it.
            let locked = file.metadata().map_err(Error::file("look up", path))?;
            let there = std::fs::metadata(path);
            if there.is_ok_and(|there| (there.dev(), there.ino()) == (locked.dev(), locked.ino())) {
                return Ok(Some(Self {
                    path: path.to_path_buf(),
                    _file: file,
                }));
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removed while it is held: nobody else can hold this file then.
        let _ = std::fs::remove_file(&self.path);
    }
}
