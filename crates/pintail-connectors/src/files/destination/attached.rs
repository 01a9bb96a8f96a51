//! A folder of tables that is attached to an engine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use pintail_lake::depot::Depot;
use pintail_lake::{
    Call, CommitOutcome, CommitRequest, Destination, Engine, FoundTable, LedgerEntry, Result, Session,
    StageFolder, SweepPolicy, Swept,
};
use pintail_model::{Column, PartitionKey, RunId, TableName};

use super::super::manifest::{FOLDER, Manifest};
use super::super::rows::Rows;
use super::{FilesPlace, commit, sweep, view};

/// An attached folder.
pub(super) struct FilesDestination {
    pub(super) place: FilesPlace,
    pub(super) engine: Engine,
    pub(super) depot: Depot,
    /// The manifests that were seen last, by table.
    seen: Mutex<BTreeMap<TableName, Manifest>>,
}

impl FilesDestination {
    pub(super) fn new(place: FilesPlace, engine: Engine, depot: Depot) -> Self {
        Self {
            place,
            engine,
            depot,
            seen: Mutex::default(),
        }
    }

    /// The newest manifest of a table, which is remembered.
    pub(super) fn look_up(&self, table: &TableName) -> Result<Option<Manifest>> {
        let manifest = Manifest::newest(&self.depot, &self.place.table_folder(table)?)?;
        if let Some(manifest) = &manifest {
            self.seen().insert(table.clone(), manifest.clone());
        }
        Ok(manifest)
    }

    /// The same, with the first of its files that is not there. Those that a commit has replaced meanwhile are none.
    fn look_through(&self, table: &TableName) -> Result<Option<(Manifest, Option<PathBuf>)>> {
        let folder = self.place.table_folder(table)?;
        let mut found = self.look_up(table)?;
        while let Some(manifest) = found {
            let files = manifest.files.iter().map(|file| folder.join(&file.path));
            let files: BTreeSet<PathBuf> = files.collect();
            let Some(missing) = self.depot.missing(&folder, &files)? else {
                return Ok(Some((manifest, None)));
            };
            let missing = missing.to_path_buf();
            found = self.look_up(table)?;
            if found
                .as_ref()
                .is_some_and(|newer| newer.version <= manifest.version)
            {
                return Ok(Some((manifest, Some(missing))));
            }
        }
        Ok(None)
    }

    /// Whether somebody has committed to a table since.
    pub(super) fn overtaken(&self, table: &TableName, before: &Manifest) -> Result<bool> {
        let newest = self.look_up(table)?;
        Ok(newest.is_some_and(|newest| newest.version > before.version))
    }

    /// Makes the views of a manifest's files, by its number and as the newest.
    pub(super) fn show(&self, session: &Session, table: &TableName, manifest: &Manifest) -> Result<()> {
        let folder = self.place.table_folder(table)?;
        let rows = Rows::of(&folder, manifest).relation();
        let version = manifest.version.to_string();
        let label = format!("read the files of table \"{table}\"");
        for name in [view(table, Some(&version)), view(table, None)] {
            let sql = format!("create or replace view {name} as select * from {rows}");
            session.batch(Call::new(&label).protected(), &sql)?;
        }
        Ok(())
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, BTreeMap<TableName, Manifest>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Destination for FilesDestination {
    fn engine(&self) -> &Engine {
        &self.engine
    }

    fn table(&self, session: &Session, name: &TableName, columns: &[Column]) -> Result<Option<FoundTable>> {
        let Some((manifest, missing)) = self.look_through(name)? else {
            return Ok(None);
        };
        // Nothing can be added to a table that cannot be read: only a full load goes on.
        let fits = match missing {
            None => {
                self.show(session, name, &manifest)?;
                commit::fits(&manifest, columns, &self.place.layout)
            }
            Some(file) => {
                tracing::warn!(table = %name, file = %file.display(), "a file of the table is not there");
                false
            }
        };
        Ok(Some(FoundTable {
            table_id: manifest.table_id,
            rows: manifest.rows(),
            fits,
        }))
    }

    fn has_rows(&self, _session: &Session, name: &TableName) -> Result<bool> {
        Ok(self.look_up(name)?.is_some_and(|manifest| manifest.rows() > 0))
    }

    fn table_id(&self, _session: &Session, name: &TableName) -> Result<Option<i64>> {
        Ok(self.look_up(name)?.map(|manifest| manifest.table_id))
    }

    fn version(&self, _session: &Session) -> Result<Option<i64>> {
        Ok(self.seen().values().map(|manifest| manifest.version).max())
    }

    fn stage(&self, table: &TableName, run: &RunId) -> Result<StageFolder> {
        let path = self
            .place
            .table_folder(table)?
            .join(FOLDER)
            .join("stage")
            .join(run.as_str());
        self.depot.make_folder(&path)?;
        Ok(StageFolder { path })
    }

    fn secure(&self, staged: &Path) -> Result<u64> {
        self.depot.secure(staged)
    }

    fn staged_bytes(&self, staged: &Path) -> Result<Option<u64>> {
        self.depot.bytes(staged)
    }

    fn discard(&self, staged: &Path) {
        if let Err(error) = self.depot.remove(staged) {
            tracing::debug!(%error, "a staged file stays until the next sweep");
        }
    }

    fn committed(&self, _session: &Session, keys: &[PartitionKey]) -> Result<Vec<LedgerEntry>> {
        let seen = self.seen();
        let entries = seen.values().flat_map(|manifest| &manifest.committed);
        Ok(entries
            .filter(|entry| keys.contains(&entry.key))
            .map(super::super::manifest::Entry::to_ledger)
            .collect())
    }

    fn newest(&self, _session: &Session, table: &TableName) -> Result<Option<LedgerEntry>> {
        let manifest = self.look_up(table)?;
        Ok(manifest.and_then(|manifest| Some(manifest.committed.last()?.to_ledger())))
    }

    fn commit(&self, request: &CommitRequest<'_>) -> Result<CommitOutcome> {
        commit::commit(self, request)
    }

    fn sweep(&self, table: &TableName, policy: &SweepPolicy) -> Result<Swept> {
        sweep::sweep(self, table, policy)
    }
}
