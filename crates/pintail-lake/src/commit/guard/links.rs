//! The second selves of delete files: hard links in a folder, copies in a bucket.
//!
//! Each committer has a folder of its own, and as long as it may be at work nobody else removes it. On this machine a file
//! in it tells: its maker keeps it locked. In a bucket only age tells: what others left there goes with the sweep of old
//! files.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::depot::Depot;
use crate::error::{Error, Result};

/// Folder of all links, below the table's folder.
const FOLDER: &str = "pintail-guard";

/// A file beside the links that their maker keeps locked for as long as DuckLake may delete what they stand for.
const MAKER: &str = "maker.lock";

/// A folder of links. Its maker is at work as long as this exists, and gone when the process is.
pub(super) struct Links {
    depot: Depot,
    pub(super) folder: PathBuf,
    _maker: Option<File>,
}

impl Links {
    /// Makes a folder that nobody else has. DuckLake's file names are UUIDs, so the name of one will do; where a lease
    /// was passed over, two committers may have seen the same file first.
    pub(super) fn make(depot: &Depot, table_folder: &Path, file: &Path) -> Result<Self> {
        let parent = table_folder.join(FOLDER);
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        let mut folder = parent.join(&*name);
        let mut number = 2_u32;
        while !claim(depot, &parent, &folder)? {
            folder = parent.join(format!("{name}-{number}"));
            number += 1;
        }
        let maker = match depot {
            Depot::Folder => {
                let path = folder.join(MAKER);
                let maker = File::create(&path).map_err(failed("create", &path))?;
                maker.lock().map_err(failed("lock", &path))?;
                Some(maker)
            }
            Depot::Bucket(_) => None,
        };
        Ok(Self {
            depot: depot.clone(),
            folder,
            _maker: maker,
        })
    }

    /// Links a file, and brings it to disk. A file that is gone is another committer's, who passed our lease over or
    /// whose lease we passed over, and who was refused.
    pub(super) fn add(&self, file: &Path) -> Result<()> {
        let link = self.folder.join(file.file_name().unwrap_or_default());
        if self.depot.duplicate(file, &link)? {
            self.depot.secure(&link)?;
        }
        Ok(())
    }

    pub(super) fn remove(self) {
        remove(&self.depot, &self.folder);
    }
}

/// Takes the folder; `false` if somebody else has it.
fn claim(depot: &Depot, parent: &Path, folder: &Path) -> Result<bool> {
    if let Depot::Bucket(_) = depot {
        return depot.create(&folder.join(MAKER), b"");
    }
    loop {
        std::fs::create_dir_all(parent).map_err(failed("create folder", parent))?;
        match std::fs::create_dir(folder) {
            Ok(()) => return Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
            // The parent goes with the last folder in it.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed("create folder", folder)(error)),
        }
    }
}

/// All links below a table's folder.
pub(super) fn all(depot: &Depot, table_folder: &Path) -> Result<Vec<PathBuf>> {
    let folder = table_folder.join(FOLDER);
    if !depot.may_have(&folder) {
        return Ok(Vec::new());
    }
    let files = depot.below(&folder)?.into_iter().map(|found| found.path);
    Ok(files
        .filter(|path| path.extension().is_some_and(|end| end == "parquet"))
        .collect())
}

/// The folders whose makers are gone. A committer that makes its folder only now comes after the lease of who asks, and is
/// refused.
pub(super) fn abandoned(depot: &Depot, table_folder: &Path) -> Vec<PathBuf> {
    let Depot::Folder = depot else {
        return Vec::new();
    };
    let gone = |links: &PathBuf| File::open(links.join(MAKER)).map_or(true, |maker| maker.try_lock().is_ok());
    let entries = std::fs::read_dir(table_folder.join(FOLDER));
    entries
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(gone)
        .collect()
}

/// Removes a folder of links. What cannot be removed stays until a later sweep.
pub(super) fn remove(depot: &Depot, folder: &Path) {
    let removed = match depot {
        Depot::Folder => std::fs::remove_dir_all(folder).map_err(failed("remove", folder)),
        Depot::Bucket(_) => depot
            .below(folder)
            .and_then(|files| files.iter().try_for_each(|file| depot.remove(&file.path))),
    };
    if let Err(error) = removed {
        tracing::debug!(%error, "a folder of links stays until the next sweep");
    }
    if let Depot::Folder = depot {
        // The parent goes with its last folder; it is not empty while another commit is under way.
        let _ = folder.parent().map(std::fs::remove_dir);
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let path = path.to_path_buf();
    move |source| Error::File { action, path, source }
}
