//! Keeps staged files alive until they are known to be where the catalogue says they are.
//!
//! Another program may take a staged file for an orphan and remove it: `ducklake_delete_orphaned_files` does, whatever a
//! run is about to do, and if it looks before our COMMIT and removes after it, the table would be unreadable. So every
//! file is there when it is added, or the commit is refused; and it has a second name, which does not end in
//! `.parquet`, until the commit is over. Whoever looks for orphans does not look at that.

use std::io::ErrorKind as IoKind;
use std::path::{Path, PathBuf};

use pintail_model::{ErrorKind, TableName};

use super::StagedFile;
use crate::depot::Depot;
use crate::error::{Error, Result};

/// The ending of second names.
const ENDING: &str = "kept";

/// Second names of staged files, which go when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Kept(Vec<(PathBuf, PathBuf)>);

/// Refuses files that are not as they were staged.
pub(crate) fn check_present(depot: &Depot, table: &TableName, files: &[StagedFile]) -> Result<()> {
    for file in files {
        if depot.bytes(&file.path)? == Some(file.bytes) {
            continue;
        }
        return Err(Error::refused(
            ErrorKind::Conflict,
            format!(
                "cannot commit to table \"{table}\": another program removed or changed the staged file `{}`",
                file.path.display()
            ),
            "Nothing was committed. Run again: what is missing is read again. Let other programs remove orphaned files \
             of this lake only if they are older than a run can be.",
        ));
    }
    Ok(())
}

impl Kept {
    /// Gives `files` their second names. A bucket, and a file system without hard links, does without.
    pub(crate) fn of(depot: &Depot, files: &[StagedFile]) -> Self {
        let mut kept = Self::default();
        if matches!(depot, Depot::Bucket(_)) {
            return kept;
        }
        for file in files {
            let second = second_name(&file.path);
            match std::fs::hard_link(&file.path, &second) {
                Ok(()) => {}
                // Of an attempt before this one.
                Err(error) if error.kind() == IoKind::AlreadyExists => {}
                Err(error) => {
                    tracing::debug!(%error, "a staged file has no second name");
                    continue;
                }
            }
            kept.0.push((file.path.clone(), second));
        }
        kept
    }

    /// Puts back what was removed although the catalogue refers to it. Returns the number of files.
    ///
    /// # Errors
    /// If a file cannot be put back: the table is unreadable without it.
    pub(crate) fn put_back(&self) -> Result<u32> {
        let mut restored = 0;
        for (first, second) in &self.0 {
            if first.exists() {
                continue;
            }
            let folder = first.parent().unwrap_or(Path::new(""));
            std::fs::create_dir_all(folder)
                .and_then(|()| std::fs::hard_link(second, first))
                .map_err(|source| Error::File {
                    action: "put back",
                    path: first.clone(),
                    source,
                })?;
            super::durable::sync_folder(folder)?;
            restored += 1;
        }
        if restored > 0 {
            tracing::warn!(
                files = restored,
                "another program removed files while they were committed: they were put back"
            );
        }
        Ok(restored)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        for (_, second) in &self.0 {
            if let Err(error) = std::fs::remove_file(second) {
                tracing::debug!(%error, "a second name stays until the next sweep");
            }
        }
    }
}

fn second_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ENDING);
    PathBuf::from(name)
}
