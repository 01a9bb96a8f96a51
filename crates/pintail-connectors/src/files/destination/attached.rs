//! A folder of tables that is attached to an engine.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use pintail_lake::depot::Depot;
use pintail_lake::{
    Call, CommitOutcome, CommitRequest, Destination, Engine, FoundTable, LedgerEntry, Result, Session,
    StageFolder, SweepPolicy, Swept,
};
use pintail_model::{Column, PartitionKey, RunId, TableName};

use super::super::manifest::{FOLDER, Manifest};
use super::super::rows::Rows;
use super::{FilesPlace, commit, view};

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
        let Some(manifest) = self.look_up(name)? else {
            return Ok(None);
        };
        self.show(session, name, &manifest)?;
        Ok(Some(FoundTable {
            table_id: manifest.table_id,
            rows: manifest.rows(),
            fits: commit::fits(&manifest, columns, &self.place.layout),
        }))
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
        let folder = self.place.table_folder(table)?;
        let mut swept = Swept::default();
        // Listed before the manifest is read: what comes in between is younger than any policy, or of a live run.
        let found = self.depot.below(&folder)?;
        let Some(manifest) = self.look_up(table)? else {
            return Ok(swept);
        };
        for file in found {
            let inside = file
                .path
                .strip_prefix(&folder)
                .unwrap_or(&file.path)
                .to_string_lossy();
            let staged = inside.strip_prefix(&format!("{FOLDER}/stage/"));
            let part = !inside.starts_with(FOLDER);
            let last = inside.rsplit('/').next().filter(|_| part);
            let name = staged.or(last.and_then(|name| name.strip_prefix("part-")));
            // A manifest that somebody began to write: of whom, nobody knows.
            let begun = !part && staged.is_none() && inside.ends_with(".part");
            let name = name.or(begun.then_some(""));
            let Some(name) = name else {
                // Not ours, or a manifest.
                continue;
            };
            if manifest.keeps(&inside) {
                continue;
            }
            let own = policy.own_runs.iter().any(|run| name.starts_with(run.as_str()));
            if own || policy.older_than.is_some_and(|limit| file.age >= limit) {
                self.depot.remove(&file.path)?;
                self.depot
                    .remove_empty_folders(&folder.join(FOLDER).join("stage"), &file.path);
                if part {
                    self.depot.remove_empty_folders(&folder, &file.path);
                }
                swept.files += 1;
                swept.bytes += file.bytes;
            }
        }
        Ok(swept)
    }
}
