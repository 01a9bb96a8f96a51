//! One run of a pipeline at a time: a lock on a file, which the system releases with the process.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use jiff::Timestamp;

use crate::error::{Error, Result};
use crate::file_name::file_name;

/// The right to run a pipeline, until it is dropped.
#[derive(Debug)]
pub struct PipelineLock {
    _file: File,
}

impl PipelineLock {
    /// Takes the lock of `pipeline` in a data folder.
    ///
    /// # Errors
    /// [`Error::AlreadyRunning`] at once if another run holds it.
    pub fn take(data_dir: &Path, pipeline: &str, now: Timestamp) -> Result<Self> {
        let folder = data_dir.join("locks");
        std::fs::create_dir_all(&folder).map_err(|source| Error::File {
            action: "create folder",
            path: folder.clone(),
            source,
        })?;
        let path = folder.join(format!("{}.lock", file_name(pipeline)));
        let failed = |source| Error::File {
            action: "lock",
            path: path.clone(),
            source,
        };
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Only for the message: the lock itself has said what counts.
                let _ = file.read_to_string(&mut holder);
                let holder = holder.trim();
                return Err(Error::AlreadyRunning {
                    pipeline: pipeline.to_owned(),
                    holder: (!holder.is_empty()).then(|| holder.to_owned()),
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let note = format!(
            "process {}, since {}",
            std::process::id(),
            now.strftime("%Y-%m-%dT%H:%M:%SZ")
        );
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(note.as_bytes()))
            .map_err(failed)?;
        Ok(Self { _file: file })
    }
}
