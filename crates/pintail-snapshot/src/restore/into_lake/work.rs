//! One try: rows are staged and proven, and then all tables change in one commit.

use std::collections::BTreeSet;
use std::path::PathBuf;

use pintail_lake::quote::identifier;
use pintail_lake::{Call, Lake, Session, StagedFile, WholeChange};
use pintail_model::{RunId, TableName};

use super::shown;
use crate::capture::{COMPRESSION_LEVEL, count};
use crate::catalog::{self, FoundTable};
use crate::error::{Error, Result};
use crate::folder::ProjectFolder;
use crate::lakes::PinnedLake;
use crate::manifest::{Manifest, ObjectKind, TableEntry};
use crate::pinning::{catalog as of_lake, use_lake};
use crate::progress::{Progress, Step};
use crate::restore::lake_table::LakeTable;
use crate::restore::objects::Objects;
use crate::restore::plan::{Planned, Target};
use crate::restore::{Maker, RestoreRequest, Restored, other_rows};
use crate::table_file::{self, TableFile};

/// Why a restore does not go on.
pub(super) enum Stop {
    /// Somebody changed what is replaced.
    Moved,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<pintail_lake::Error> for Stop {
    fn from(error: pintail_lake::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// Rows of a table, written beside it.
struct Staged {
    file: TableFile,
    path: PathBuf,
    rows: u64,
    hash: String,
}

impl Staged {
    /// Whether the lake takes the file as it is. Some types it would not take for its own in a file that it did not write.
    fn is_taken(&self) -> bool {
        self.rows > 0 && !self.file.casts_any()
    }
}

pub(super) struct IntoLake<'a> {
    pub(super) folder: &'a ProjectFolder,
    pub(super) lake: &'a Lake,
    pub(super) manifest: &'a Manifest,
    pub(super) request: &'a RestoreRequest,
    pub(super) target: &'a Target,
    pub(super) run: RunId,
    /// The snapshot of what is replaced.
    pub(super) kept: Option<&'a Manifest>,
    pub(super) progress: &'a dyn Progress,
}

impl IntoLake<'_> {
    pub(super) fn run(&self, planned: &Planned<'_>) -> std::result::Result<Restored, Stop> {
        let mut staged = Vec::new();
        let done = self
            .stage_all(planned, &mut staged)
            .and_then(|()| self.commit(planned, &staged));
        let undecided = matches!(
            done,
            Err(Stop::Failed(Error::Engine(pintail_lake::Error::Undecided { .. })))
        );
        for staged in staged.iter().filter(|_| !undecided) {
            // Files that the lake took are its own now.
            if done.is_err() || !staged.is_taken() {
                self.lake.discard_staged(&staged.path);
            }
        }
        done
    }

    fn stage_all(&self, planned: &Planned<'_>, staged: &mut Vec<Staged>) -> std::result::Result<(), Stop> {
        let pinned = match planned.tables.iter().any(|(entry, _)| entry.pinned()) {
            true => Some(PinnedLake::checked(self.lake.clone(), self.manifest)?),
            false => None,
        };
        for (entry, (bucket, table)) in &planned.tables {
            self.progress.step(Step::Restoring, &entry.name());
            staged.push(self.stage(entry, &TableName::new(bucket, table), pinned.as_ref())?);
        }
        Ok(())
    }

    /// Writes the rows of a table into a file of the lake, and compares.
    fn stage(&self, entry: &TableEntry, name: &TableName, pinned: Option<&PinnedLake>) -> Result<Staged> {
        let file = LakeTable::of(self.manifest, entry).file()?;
        let (relation, fetched) = match pinned.filter(|_| entry.pinned()) {
            Some(lake) => (lake.relation(entry), None),
            None => {
                let id = &self.manifest.snapshot_id;
                let fetched = self.folder.fetch(self.lake.engine(), id, entry)?;
                let relation = match self.manifest.source.lake_snapshot {
                    Some(_) => format!("({}) as rows", file.restored(fetched.path())),
                    // In the types in which they stand in the file.
                    None => table_file::parquet(fetched.path()),
                };
                (relation, Some(fetched))
            }
        };
        let path = self.lake.stage(name, &self.run)?.file("restored", 1);
        let session = self.lake.session()?;
        let written = file.write(self.lake.engine(), &session, &relation, &path, COMPRESSION_LEVEL)?;
        drop(fetched);
        let known = !entry.value_hash.is_empty();
        if known && (written.digest() != entry.value_hash || written.rows != entry.row_count) {
            self.lake.discard_staged(&path);
            return Err(other_rows(name.schema_or("main"), &name.table));
        }
        Ok(Staged {
            file,
            path,
            rows: written.rows,
            hash: written.digest(),
        })
    }

    fn commit(&self, planned: &Planned<'_>, staged: &[Staged]) -> std::result::Result<Restored, Stop> {
        let names: Vec<TableName> = planned
            .tables
            .iter()
            .map(|(_, (bucket, table))| TableName::new(bucket, table))
            .collect();
        let source = format!(
            "snapshot {} of project {}",
            self.manifest.snapshot_id, self.manifest.project_id
        );
        let message = format!("Restored {source}");
        let change = WholeChange {
            tables: &names,
            run: &self.run,
            source: &source,
            author: &self.request.created_by,
            message: &message,
        };
        let (not_restored, _) = self
            .lake
            .change(&change, |session| self.replace(session, planned, staged))?;
        Ok(Restored {
            plan: shown(self.manifest, self.request, planned, self.target),
            replaced_kept_in: self.kept.map(|kept| kept.snapshot_id.clone()),
            not_restored,
        })
    }

    /// Everything between BEGIN and COMMIT.
    fn replace(
        &self,
        session: &Session,
        planned: &Planned<'_>,
        staged: &[Staged],
    ) -> std::result::Result<Vec<String>, Stop> {
        use_lake(session)?;
        let catalog = of_lake(session);
        let there = catalog::tables(catalog)?;
        self.check_kept(session, planned, &there)?;
        let maker = Maker { catalog };
        let mut objects = Objects::look(catalog, self.manifest, self.request, planned)?;
        objects.leave_out(&[ObjectKind::Sequence, ObjectKind::Type]);
        for bucket in planned.buckets(&objects) {
            let label = format!("make schema `{bucket}`");
            let sql = format!(
                "create schema if not exists {}.{}",
                Lake::NAME,
                identifier(bucket)
            );
            session.execute(Call::new(&label), &sql)?;
        }
        objects.make_before_tables(maker)?;
        for ((entry, (bucket, table)), staged) in planned.tables.iter().zip(staged) {
            let found = there.iter().find(|found| found.named(bucket, table));
            self.table(maker, entry, &TableName::new(bucket, table), found, staged)?;
            self.progress.done(&entry.name());
        }
        Ok(objects.make_after_tables(maker)?)
    }

    /// Whether the tables that go are still what was pinned, and no others.
    fn check_kept(
        &self,
        session: &Session,
        planned: &Planned<'_>,
        there: &[FoundTable],
    ) -> std::result::Result<(), Stop> {
        let now = Planned::new(self.manifest, self.request, self.target, there.to_vec())?;
        if now.drops != planned.drops {
            return Err(Stop::Moved);
        }
        let Some((_, from)) = self.kept.and_then(Manifest::pin) else {
            return Ok(());
        };
        let to = self.lake.snapshot(session)?;
        if from == to {
            return Ok(());
        }
        let mut tables = BTreeSet::new();
        for (bucket, table) in &planned.drops {
            let name = TableName::new(bucket, table);
            let before = self.lake.table_id_at(session, &name, from)?;
            let now = self.lake.table_id_at(session, &name, to)?;
            match (before, now) {
                (Some(before), Some(now)) if before == now => tables.insert(now),
                _ => return Err(Stop::Moved),
            };
        }
        match self.lake.changed(session, &tables, from, to)?.is_empty() {
            true => Ok(()),
            false => Err(Stop::Moved),
        }
    }

    /// Puts a table in place of the one that is there.
    fn table(
        &self,
        maker: Maker<'_>,
        entry: &TableEntry,
        name: &TableName,
        found: Option<&FoundTable>,
        staged: &Staged,
    ) -> Result<()> {
        let session = maker.catalog.session;
        let bucket = name.schema_or("main");
        let qualified = self.lake.qualified(name);
        let label = format!("restore table \"{name}\" of the lake");
        let call = Call::new(&label);
        let table = LakeTable::of(self.manifest, entry);
        let fits = found.is_some_and(|found| table.is_like(&found.ddl));
        // DuckLake does not notice that somebody else put rows into a table of which none were deleted.
        if fits && count(session, &qualified)? > 0 {
            session.execute(call, &format!("delete from {qualified}"))?;
        } else {
            if found.is_some() {
                session.execute(call, &format!("drop table {qualified}"))?;
            }
            maker.look_in(bucket)?;
            session.execute(call, &table.ddl(&qualified))?;
        }
        if staged.rows > 0 {
            self.fill(session, name, &qualified, staged)?;
        }
        self.progress.step(Step::Verifying, &entry.name());
        let read = staged.file.hash(self.lake.engine(), session, &qualified)?;
        if read.digest() != staged.hash || read.rows != staged.rows {
            return Err(other_rows(bucket, &name.table));
        }
        maker.comments(&table.commented(), &qualified)
    }

    fn fill(&self, session: &Session, name: &TableName, qualified: &str, staged: &Staged) -> Result<()> {
        if !staged.is_taken() {
            let label = format!("restore table \"{name}\" of the lake");
            let rows = staged.file.restored(&staged.path);
            let sql = format!("insert into {qualified} ({}) {rows}", staged.file.names());
            session.execute(Call::new(&label), &sql)?;
            return Ok(());
        }
        let file: StagedFile = self.lake.staged(staged.path.clone(), staged.rows)?;
        Ok(self.lake.add_staged(session, name, &[file])?)
    }
}
