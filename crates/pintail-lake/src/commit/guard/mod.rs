//! Keeps delete files alive through a lost answer.
//!
//! When COMMIT fails, DuckLake deletes the delete files of the transaction, even if the catalogue had committed and
//! only the answer was lost: the table is then unreadable, while COUNT still answers. So every delete file that the
//! transaction wrote is hard-linked (in a bucket: copied by the server) into a folder beside the table before COMMIT, and
//! put back if the ledger says that the commit is in. A process that dies in between, or cannot ask, leaves the links; the
//! next committer, sweep or [repair](crate::lake::Lake::repair) of the table finishes the work.
//!
//! Nor does DuckLake bring the files that it writes to disk; the guard does, before COMMIT refers to them.

mod links;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use pintail_model::TableName;

use self::links::Links;
use super::lease::Lease;
use crate::depot::Depot;
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::metadata::{self, Files};
use crate::session::Session;

/// Watches a table's folder during one transaction.
pub(crate) struct Guard {
    depot: Depot,
    table_folder: PathBuf,
    before: BTreeSet<PathBuf>,
    links: Option<Links>,
}

impl Guard {
    /// Notes which delete files are there. The caller holds the lease.
    pub(crate) fn watch(depot: &Depot, table_folder: &Path) -> Result<Self> {
        Ok(Self {
            depot: depot.clone(),
            table_folder: table_folder.to_path_buf(),
            before: delete_files(depot, table_folder)?,
            links: None,
        })
    }

    /// Links every delete file that came since [`Guard::watch`], and brings it to disk.
    pub(crate) fn link(&mut self) -> Result<()> {
        let new: Vec<PathBuf> = delete_files(&self.depot, &self.table_folder)?
            .difference(&self.before)
            .cloned()
            .collect();
        let Some(first) = new.first() else {
            return Ok(());
        };
        let links = self
            .links
            .insert(Links::make(&self.depot, &self.table_folder, first)?);
        new.iter().try_for_each(|file| links.add(file))?;
        self.depot.secure_folder(&self.table_folder)
    }

    /// Removes the links: the outcome is known.
    pub(crate) fn release(self) {
        if let Some(links) = self.links {
            links.remove();
        }
    }
}

/// Checks that every file of the newest snapshot is there. COUNT would not notice a missing one.
pub(crate) fn check_files(
    lake: &Lake,
    session: &Session,
    table: &TableName,
    table_folder: &Path,
) -> Result<()> {
    let files = metadata::files(lake, session, table_folder, Files::Current)?;
    match lake.depot().missing(table_folder, &files)? {
        None => Ok(()),
        Some(missing) => Err(Error::refused(
            pintail_model::ErrorKind::Internal,
            format!(
                "table \"{table}\" of the lake refers to file `{}`, which does not exist",
                missing.display()
            ),
            "Restore the file from a backup, or load the table in full.",
        )),
    }
}

/// Puts back what any snapshot needs and DuckLake deleted after a lost answer, of this committer or of one that died
/// before it could. Returns the number of files.
///
/// Anybody may do this at any time. The links stay: whoever made them may not have seen yet that its answer is lost,
/// and DuckLake then deletes the files once more.
pub(crate) fn put_back(lake: &Lake, session: &Session, table_folder: &Path) -> Result<u32> {
    let depot = lake.depot();
    let links = links::all(depot, table_folder)?;
    if links.is_empty() {
        return Ok(0);
    }
    let needed = metadata::files(lake, session, table_folder, Files::Any)?;
    let mut repaired = 0;
    for link in &links {
        repaired += restore(depot, table_folder, link, &needed)?;
    }
    if repaired > 0 {
        // The links go when the files have their names again, and not before.
        depot.secure_folder(table_folder)?;
        tracing::warn!(
            files = repaired,
            "delete files of an interrupted commit were put back"
        );
    }
    Ok(repaired)
}

/// Puts back as [`put_back`] does, and removes the links of committers that are gone. Under the lease, what they sent
/// is in by now or will never be.
pub(crate) fn recover(lake: &Lake, session: &Session, table_folder: &Path, _lease: &Lease) -> Result<u32> {
    // Listed first: a committer that was passed over may still make links.
    let gone = links::abandoned(lake.depot(), table_folder);
    let repaired = put_back(lake, session, table_folder)?;
    gone.iter().for_each(|folder| links::remove(lake.depot(), folder));
    Ok(repaired)
}

/// Links a file that is needed and missing back to where it belongs.
fn restore(depot: &Depot, table_folder: &Path, link: &Path, needed: &BTreeSet<PathBuf>) -> Result<u32> {
    let original = table_folder.join(link.file_name().unwrap_or_default());
    if !needed.contains(&original) || depot.bytes(&original)?.is_some() {
        return Ok(0);
    }
    match depot.duplicate(link, &original) {
        Ok(restored) => Ok(u32::from(restored)),
        // Another committer, who asked at the same time, was faster.
        Err(_) if depot.bytes(&original)?.is_some() => Ok(0),
        Err(error) => Err(error),
    }
}

/// Delete files directly in a table's folder, where DuckLake writes them.
fn delete_files(depot: &Depot, table_folder: &Path) -> Result<BTreeSet<PathBuf>> {
    let is_delete = |path: &PathBuf| {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.ends_with("-delete.parquet"))
    };
    Ok(depot
        .inside(table_folder)?
        .into_iter()
        .filter(is_delete)
        .collect())
}
