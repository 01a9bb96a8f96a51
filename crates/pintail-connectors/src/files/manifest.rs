//! The manifest of a table in files: which files it consists of, and which partitions are in them.
//!
//! ```text
//! orders/part-20261121_003011_abc123-1.parquet      data; whatever a manifest does not name is no part of the table
//! orders/day=2026-11-21/part-….csv                  the same in another layout
//! orders/_pintail/manifest-000000000007.json        the table after its 7th commit
//! orders/_pintail/stage/<run>/…                      what a run has staged
//! ```
//!
//! A commit puts the manifest with the next number in place, under the condition that nobody has it: that one step is
//! the commit, and of two committers one is refused. The manifest with the greatest number is the table. A few older ones
//! are kept, so that who looks one up finds it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use pintail_lake::depot::Depot;
use pintail_lake::{Error, LedgerEntry, Result};
use pintail_model::{Checksum, Column, CursorValue, ErrorKind, PartitionKey, RunId, TableName};
use serde::{Deserialize, Serialize};

use super::layout::Layout;

/// The folder of what is no data, below a table's folder.
pub(super) const FOLDER: &str = "_pintail";

/// What this release writes, and the newest that it reads.
const FORMAT: u32 = 2;

/// Runs of a pipeline whose entries of the ledger are kept. A manifest is written anew by every commit.
const RUNS_KEPT: usize = 100;

const PREFIX: &str = "manifest-";
const SUFFIX: &str = ".json";

/// A table in files, after one of its commits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// The version of this form.
    pub(super) pintail_manifest: u32,
    /// Another one after the table was made anew.
    pub(super) table_id: i64,
    /// The number of the commit, from 1.
    pub(super) version: i64,
    /// Its columns.
    pub(super) columns: Vec<Column>,
    /// How its files are laid out.
    #[serde(flatten)]
    pub(super) layout: Layout,
    /// Its data.
    pub(super) files: Vec<DataFile>,
    /// Files that were its data, and that stay for a while for whoever reads by an older manifest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) retired: Vec<Retired>,
    /// The ledger: the partitions of the newest [`RUNS_KEPT`] runs of each pipeline, the newest last. A run that is
    /// tried again is among them, and so is what a delta goes on from.
    pub(super) committed: Vec<Entry>,
}

/// A file with rows of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DataFile {
    /// Relative to the table's folder.
    pub(super) path: String,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    /// The values of its folders, as texts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) partition: Vec<Option<String>>,
}

/// A file that stays for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Retired {
    /// Relative to the table's folder.
    pub(super) path: String,
    pub(super) bytes: u64,
    /// When it may go.
    pub(super) until: Timestamp,
}

/// An entry of the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    pipeline: String,
    strategy: String,
    run: RunId,
    pub(super) key: PartitionKey,
    rows: u64,
    checksum: Checksum,
    source: String,
    cursor: Option<String>,
    watermark: Option<CursorValue>,
}

impl Manifest {
    /// A table that nothing was committed to yet.
    pub(super) fn empty(table_id: i64, columns: &[Column], layout: &Layout) -> Self {
        Self {
            pintail_manifest: FORMAT,
            table_id,
            version: 0,
            columns: columns.to_vec(),
            layout: layout.clone(),
            files: Vec::new(),
            retired: Vec::new(),
            committed: Vec::new(),
        }
    }

    /// The one that follows, with more entries of the ledger.
    pub(super) fn next(&self, entries: impl IntoIterator<Item = Entry>) -> Self {
        let committed = self.committed.iter().cloned().chain(entries).collect();
        Self {
            pintail_manifest: FORMAT,
            version: self.version + 1,
            committed: of_newest_runs(committed),
            ..self.clone()
        }
    }

    /// The newest manifest of a table; `None` if there is none.
    pub(super) fn newest(depot: &Depot, table_folder: &Path) -> Result<Option<Self>> {
        // Whoever removes an old one has put a newer one in place: then there is another to look for.
        for _ in 0..16 {
            let Some(path) = newest_path(depot, table_folder)? else {
                return Ok(None);
            };
            if let Some(content) = depot.read(&path)? {
                return read(&path, &content).map(Some);
            }
        }
        Err(Error::refused(
            ErrorKind::Unavailable,
            format!(
                "cannot read the manifest of `{}`: it changes all the time",
                table_folder.display()
            ),
            "Try again when nobody commits to the table.",
        ))
    }

    /// Puts this manifest in place as the newest; `false` if somebody else was faster.
    pub(super) fn publish(&self, depot: &Depot, table_folder: &Path) -> Result<bool> {
        let path = path_of(table_folder, self.version);
        let content = serde_json::to_vec_pretty(self).map_err(|_| unreadable(&path))?;
        let put = depot.create(&path, &content);
        let ours = match put {
            Ok(ours) => ours,
            // Nobody knows whether it is there: look.
            Err(error) if error.kind() == ErrorKind::Unavailable => match depot.read(&path)? {
                Some(found) => found == content,
                None => return Err(error),
            },
            Err(error) => return Err(error),
        };
        if !ours && depot.read(&path)?.is_none_or(|found| found != content) {
            return Ok(false);
        }
        // A committer that was stopped for long may have found its number free again.
        let newest = newest_path(depot, table_folder)?;
        if newest.as_deref() == Some(path.as_path()) {
            return Ok(true);
        }
        let newest = Self::newest(depot, table_folder)?;
        // The entries of a commit come in together, and old ones are left out in time.
        let last = self.committed.last();
        let followed = newest.is_some_and(|newest| last.is_none_or(|entry| newest.has(&entry.key)));
        if !followed {
            depot.remove(&path)?;
        }
        Ok(followed)
    }

    /// The newest entry of the ledger.
    pub(super) fn newest_key(&self) -> Option<&PartitionKey> {
        self.committed.last().map(|entry| &entry.key)
    }

    pub(super) fn has(&self, key: &PartitionKey) -> bool {
        self.committed.iter().any(|entry| entry.key == *key)
    }

    /// Whether a file is of the table, or stays for a while.
    pub(super) fn keeps(&self, path: &str) -> bool {
        self.files.iter().any(|file| file.path == path) || self.retired.iter().any(|file| file.path == path)
    }

    pub(super) fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }
}

impl Entry {
    pub(super) fn of(entry: &LedgerEntry) -> Self {
        Self {
            pipeline: entry.pipeline.clone(),
            strategy: entry.strategy.clone(),
            run: entry.run.clone(),
            key: entry.key.clone(),
            rows: entry.rows,
            checksum: entry.checksum,
            source: entry.source.clone(),
            cursor: entry.cursor.clone(),
            watermark: entry.watermark,
        }
    }

    pub(super) fn to_ledger(&self) -> LedgerEntry {
        LedgerEntry {
            pipeline: self.pipeline.clone(),
            strategy: self.strategy.clone(),
            run: self.run.clone(),
            key: self.key.clone(),
            rows: self.rows,
            checksum: self.checksum,
            source: self.source.clone(),
            cursor: self.cursor.clone(),
            watermark: self.watermark,
        }
    }
}

/// The entries of the newest runs of each pipeline.
fn of_newest_runs(entries: Vec<Entry>) -> Vec<Entry> {
    let mut runs: BTreeMap<String, BTreeSet<RunId>> = BTreeMap::new();
    let mut kept: Vec<Entry> = entries
        .into_iter()
        .rev()
        .filter(|entry| {
            let runs = runs.entry(entry.pipeline.clone()).or_default();
            if runs.len() < RUNS_KEPT {
                runs.insert(entry.run.clone());
            }
            runs.contains(&entry.run)
        })
        .collect();
    kept.reverse();
    kept
}

/// Whether a file beside the manifests is one that was never finished.
pub(super) fn begun(name: &str) -> bool {
    name.starts_with(PREFIX) && name.ends_with(".part")
}

/// Removes manifests that are `kept` versions behind.
pub(super) fn remove_old(depot: &Depot, table_folder: &Path, newest: i64, kept: i64) -> Result<()> {
    let old = numbered(depot, table_folder)?
        .into_iter()
        .filter(|(number, _)| *number + kept <= newest);
    old.into_iter().try_for_each(|(_, path)| depot.remove(&path))
}

/// The table whose manifest that is, of those below the folder `above`.
pub(super) fn table_of(above: &Path, file: &Path) -> Option<TableName> {
    let name = file.file_name()?.to_str()?;
    let folder = file.parent()?;
    if !name.starts_with(PREFIX) || folder.file_name()? != FOLDER {
        return None;
    }
    let inside = folder.parent()?.strip_prefix(above).ok()?.to_str()?;
    match inside.split('/').collect::<Vec<_>>().as_slice() {
        [table] if !table.is_empty() => Some(TableName::bare(*table)),
        [schema, table] => Some(TableName::new(*schema, *table)),
        _ => None,
    }
}

fn newest_path(depot: &Depot, table_folder: &Path) -> Result<Option<PathBuf>> {
    let newest = numbered(depot, table_folder)?.into_iter().max();
    Ok(newest.map(|(_, path)| path))
}

fn numbered(depot: &Depot, table_folder: &Path) -> Result<Vec<(i64, PathBuf)>> {
    let number = |path: &PathBuf| -> Option<i64> {
        let name = path.file_name()?.to_str()?;
        name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok()
    };
    let files = depot.inside(&table_folder.join(FOLDER))?;
    Ok(files
        .into_iter()
        .filter_map(|path| Some((number(&path)?, path)))
        .collect())
}

fn path_of(table_folder: &Path, version: i64) -> PathBuf {
    table_folder
        .join(FOLDER)
        .join(format!("{PREFIX}{version:012}{SUFFIX}"))
}

fn read(path: &Path, content: &[u8]) -> Result<Manifest> {
    let manifest: Manifest = serde_json::from_slice(content).map_err(|_| unreadable(path))?;
    if manifest.pintail_manifest > FORMAT {
        return Err(Error::refused(
            ErrorKind::Invalid,
            format!("manifest `{}` was written by a newer release", path.display()),
            "Use that release, or another folder.",
        ));
    }
    Ok(manifest)
}

fn unreadable(path: &Path) -> Error {
    Error::refused(
        ErrorKind::Data,
        format!("manifest `{}` is damaged", path.display()),
        "Restore it from a backup, or remove the table's folder and load the table in full.",
    )
}
