//! Files and folders that outlive a loss of power: a commit must not refer to anything less.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use crate::error::{Error, Result};

/// Brings a file to disk. Returns its size.
pub(crate) fn sync_file(path: &Path) -> Result<u64> {
    let file = sync(path)?;
    let found = file.metadata().map_err(|source| failed(path, source))?;
    Ok(found.len())
}

/// Brings the names in a folder to disk.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    sync(path).map(drop)
}

/// Brings the names of `files` to disk: of each one in its folder, and of that folder in the one above it.
pub(crate) fn sync_names<'a>(files: impl IntoIterator<Item = &'a Path>) -> Result<()> {
    let folders: BTreeSet<&Path> = files
        .into_iter()
        .flat_map(|file| file.ancestors().skip(1).take(2))
        .filter(|folder| !folder.as_os_str().is_empty())
        .collect();
    folders.into_iter().try_for_each(sync_folder)
}

fn sync(path: &Path) -> Result<File> {
    File::open(path)
        .and_then(|file| file.sync_all().map(|()| file))
        .map_err(|source| failed(path, source))
}

fn failed(path: &Path, source: std::io::Error) -> Error {
    Error::File {
        action: "bring to disk",
        path: path.to_path_buf(),
        source,
    }
}
