//! Keeps delete files alive through a lost answer.
//!
//! When COMMIT fails, DuckLake deletes the delete files of the transaction, even if the catalogue had committed and
//! only the answer was lost: the table is then unreadable, while COUNT still answers. So every delete file that the
//! transaction wrote is hard-linked into a folder beside the table before COMMIT, and put back if the ledger says
//! that the commit is in. A process that dies in between, or cannot ask, leaves the links; the next committer, sweep or
//! [repair](crate::lake::Lake::repair) of the table finishes the work.
//!
//! Nor does DuckLake bring the files that it writes to disk; the guard does, before COMMIT refers to them.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use pintail_model::TableName;

use super::durable;
use super::lease::Lease;
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::metadata::{self, Files};
use crate::session::Session;

/// Folder of the links, below the table's folder.
const FOLDER: &str = "pintail-guard";

/// A file beside the links that their maker keeps locked for as long as DuckLake may delete what they stand for.
const MAKER: &str = "maker.lock";

/// Watches a table's folder during one transaction.
pub(crate) struct Guard {
    table_folder: PathBuf,
    before: BTreeSet<PathBuf>,
    links: Option<Links>,
}

/// A folder of links. Its maker is at work as long as this exists, and gone when the process is.
struct Links {
    folder: PathBuf,
    _maker: File,
}

impl Guard {
    /// Notes which delete files are there. The caller holds the lease.
    pub(crate) fn watch(table_folder: &Path) -> Result<Self> {
        Ok(Self {
            table_folder: table_folder.to_path_buf(),
            before: delete_files(table_folder)?,
            links: None,
        })
    }

    /// Links every delete file that came since [`Guard::watch`], and brings it to disk.
    pub(crate) fn link(&mut self) -> Result<()> {
        let new: Vec<PathBuf> = delete_files(&self.table_folder)?
            .difference(&self.before)
            .cloned()
            .collect();
        let Some(first) = new.first() else {
            return Ok(());
        };
        let links = self
            .links
            .insert(own_folder(&self.table_folder.join(FOLDER), first)?);
        for file in &new {
            let link = links.folder.join(file.file_name().unwrap_or_default());
            match duplicate(file, &link) {
                Ok(()) => durable::sync_file(&link).map(drop)?,
                // Another committer's, who passed our lease over or whose lease we passed over, and who was refused.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(failed("link", &link)(error)),
            }
        }
        durable::sync_folder(&self.table_folder)
    }

    /// Removes the links: the outcome is known.
    pub(crate) fn release(self) {
        if let Some(links) = self.links {
            remove_folder(&links.folder);
        }
    }
}

/// Makes a folder that nobody else has. DuckLake's file names are UUIDs, so the name of one will do; where a lease was
/// passed over, two committers may have seen the same file first.
fn own_folder(parent: &Path, file: &Path) -> Result<Links> {
    std::fs::create_dir_all(parent).map_err(failed("create folder", parent))?;
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let mut folder = parent.join(&*name);
    for number in 2_u32.. {
        match std::fs::create_dir(&folder) {
            Ok(()) => break,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                folder = parent.join(format!("{name}-{number}"));
            }
            // The parent goes with the last folder in it.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                std::fs::create_dir_all(parent).map_err(failed("create folder", parent))?;
            }
            Err(error) => return Err(failed("create folder", &folder)(error)),
        }
    }
    let path = folder.join(MAKER);
    let maker = File::create(&path).map_err(failed("create", &path))?;
    maker.lock().map_err(failed("lock", &path))?;
    Ok(Links {
        folder,
        _maker: maker,
    })
}

/// Checks that every file of the newest snapshot is there. COUNT would not notice a missing one.
pub(crate) fn check_files(
    lake: &Lake,
    session: &Session,
    table: &TableName,
    table_folder: &Path,
) -> Result<()> {
    let files = metadata::files(lake, session, table_folder, Files::Current)?;
    match files.iter().find(|file| !file.exists()) {
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
    let folders = folders(table_folder);
    if folders.is_empty() {
        return Ok(0);
    }
    let needed = metadata::files(lake, session, table_folder, Files::Any)?;
    let mut repaired = 0;
    for links in &folders {
        repaired += restore(table_folder, links, &needed)?;
    }
    if repaired > 0 {
        // The links go when the files have their names again, and not before.
        durable::sync_folder(table_folder)?;
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
    let gone: Vec<PathBuf> = folders(table_folder)
        .into_iter()
        .filter(|links| maker_gone(links))
        .collect();
    let repaired = put_back(lake, session, table_folder)?;
    gone.iter().for_each(|links| remove_folder(links));
    Ok(repaired)
}

/// The folders of links of all committers.
fn folders(table_folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(table_folder.join(FOLDER));
    entries
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect()
}

/// Whether nobody is at work any more who made these links. A committer that makes its folder only now comes after
/// our lease, and is refused.
fn maker_gone(links: &Path) -> bool {
    File::open(links.join(MAKER)).map_or(true, |maker| maker.try_lock().is_ok())
}

/// Links files that are needed and missing back to where they belong.
fn restore(table_folder: &Path, links: &Path, needed: &BTreeSet<PathBuf>) -> Result<u32> {
    let mut restored = 0;
    for link in linked(links) {
        let original = table_folder.join(link.file_name().unwrap_or_default());
        if !needed.contains(&original) || original.exists() {
            continue;
        }
        match duplicate(&link, &original) {
            Ok(()) => restored += 1,
            // Another committer, who asked at the same time, was faster.
            Err(_) if original.exists() => {}
            Err(error) => return Err(failed("link", &original)(error)),
        }
    }
    Ok(restored)
}

/// Gives a file a second name, or a second self where the file system has no hard links (exFAT, SMB). Whoever finds the
/// new name finds the whole file.
fn duplicate(file: &Path, copy: &Path) -> std::io::Result<()> {
    let refused = match std::fs::hard_link(file, copy) {
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::AlreadyExists) => error,
        done => return done,
    };
    let part = copy.with_extension("part");
    tracing::debug!(%refused, "a delete file is copied, since it cannot be linked");
    std::fs::File::open(file)?.sync_all()?;
    std::fs::copy(file, &part)?;
    std::fs::File::open(&part)?.sync_all()?;
    std::fs::rename(&part, copy)
}

fn linked(links: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(links).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| !path.ends_with(MAKER))
        .collect()
}

/// Delete files directly in a table's folder, where DuckLake writes them.
fn delete_files(table_folder: &Path) -> Result<BTreeSet<PathBuf>> {
    let entries = match std::fs::read_dir(table_folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(failed("list", table_folder)(error)),
    };
    let is_delete = |path: &PathBuf| {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.ends_with("-delete.parquet"))
    };
    Ok(entries
        .flatten()
        .map(|entry| entry.path())
        .filter(is_delete)
        .collect())
}

fn remove_folder(folder: &Path) {
    if let Err(error) = std::fs::remove_dir_all(folder) {
        tracing::debug!(%error, "a folder of links stays until the next sweep");
    }
    // The parent goes with its last folder; it is not empty while another commit is under way.
    let _ = folder.parent().map(std::fs::remove_dir);
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let path = path.to_path_buf();
    move |source| Error::File { action, path, source }
}
