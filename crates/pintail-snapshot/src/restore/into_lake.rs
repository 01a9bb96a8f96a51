//! Restoring into a lake: rows are staged beside its tables and proven there, and then all tables change in one commit.
//!
//! ```text
//! look ─▶ pin what goes ─▶ stage rows, compare ─▶ begin ─▶ tables as pinned? ─▶ replace, compare ─▶ commit
//!   ▲                                                          │ no
//!   └──────────────────────────────────────────────────────────┘
//! ```
//!
//! What is pinned first is what the commit replaces: a table that somebody changed in between is pinned anew.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::Timestamp;
use pintail_lake::quote::identifier;
use pintail_lake::{Access, Call, Engine, Lake, LakeLocation, Session, StagedFile, WholeChange};
use pintail_model::{ErrorKind, RunId, TableName};

use super::lake_table::LakeTable;
use super::objects::Objects;
use super::plan::{self, Planned, Target};
use super::{Maker, RestorePlan, RestoreRequest, Restored, other_rows};
use crate::capture::{COMPRESSION_LEVEL, CreateRequest, count};
use crate::catalog::{self, FoundTable};
use crate::error::{Error, Result};
use crate::folder::ProjectFolder;
use crate::id::SnapshotId;
use crate::lakes::PinnedLake;
use crate::manifest::{Manifest, ObjectKind, SnapshotType, TableEntry};
use crate::pinning::{catalog as of_lake, use_lake};
use crate::progress::{Progress, Step, Unwatched};
use crate::table_file::{self, TableFile};

/// How often a restore begins anew because somebody changed what it replaces.
const ATTEMPTS: u32 = 4;

impl ProjectFolder {
    /// What [`ProjectFolder::restore_into_lake`] would do. Nothing is changed, and no row is read.
    ///
    /// # Errors
    /// As there.
    pub fn plan_restore_into_lake(
        &self,
        engine: &Engine,
        location: &LakeLocation,
        id: &SnapshotId,
        request: &RestoreRequest,
    ) -> Result<RestorePlan> {
        let manifest = self.manifest(id)?;
        let target = Target::lake(&manifest, location);
        refuse_other_lake(&manifest, request, &target)?;
        let there = match Lake::attach(engine, location, Access::ReadOnly) {
            Ok(lake) => {
                let there = tables(&lake);
                lake.detach()?;
                there?
            }
            // It is made.
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let planned = Planned::new(&manifest, request, &target, there)?;
        Ok(shown(&manifest, request, &planned, &target))
    }

    /// Restores tables of a snapshot into a lake, all or none, in one commit. The lake is made if there is none. A snapshot that
    /// is pinned comes back into its own lake.
    ///
    /// # Errors
    /// `NotFound` for a snapshot or a table that is not there, `Conflict` for a table that may not be replaced or that others
    /// keep changing, `Invalid` for a snapshot that is pinned in another lake, `Data` for rows that are not those of the
    /// snapshot. The lake is as it was then.
    pub fn restore_into_lake(
        &self,
        engine: &Engine,
        location: &LakeLocation,
        id: &SnapshotId,
        request: &RestoreRequest,
        now: Timestamp,
        progress: &dyn Progress,
    ) -> Result<Restored> {
        let manifest = self.manifest(id)?;
        let target = Target::lake(&manifest, location);
        refuse_other_lake(&manifest, request, &target)?;
        let entries = plan::chosen(&manifest, request)?;
        progress.began(entries.len() as u64);
        self.check(id, &entries, progress)?;
        let lake = Lake::attach(engine, location, Access::ReadWrite)?;
        let restored = self.restore_in_lake(&lake, &manifest, &target, request, now, progress);
        let detached = lake.detach();
        let restored = restored?;
        detached?;
        Ok(restored)
    }

    fn restore_in_lake(
        &self,
        lake: &Lake,
        manifest: &Manifest,
        target: &Target,
        request: &RestoreRequest,
        now: Timestamp,
        progress: &dyn Progress,
    ) -> Result<Restored> {
        // Before anything is pinned for it.
        let entries = plan::chosen(manifest, request)?;
        if entries.iter().any(|entry| entry.pinned()) {
            PinnedLake::checked(lake.clone(), manifest)?;
        }
        for _ in 0..ATTEMPTS {
            let planned = Planned::new(manifest, request, target, tables(lake)?)?;
            let kept = self.keep_in_lake(lake, manifest, &planned, request, now)?;
            let work = IntoLake {
                folder: self,
                lake,
                manifest,
                request,
                target,
                run: RunId::new(now, random(lake.engine())?),
                kept: kept.as_ref(),
                progress,
            };
            match work.run(&planned) {
                Ok(restored) => return Ok(restored),
                Err(Stop::Failed(error)) => return Err(error),
                Err(Stop::Moved) => {
                    // It is not what would have been replaced.
                    if let Some(kept) = &kept {
                        self.delete(&kept.snapshot_id, now)?;
                    }
                }
            }
        }
        Err(Error::refused(
            ErrorKind::Conflict,
            format!(
                "cannot restore snapshot `{}`: others keep changing the tables that it replaces",
                manifest.snapshot_id
            ),
            "Nothing was changed. Try again when they are done.",
        ))
    }

    /// Pins what is about to be replaced.
    fn keep_in_lake(
        &self,
        lake: &Lake,
        manifest: &Manifest,
        planned: &Planned<'_>,
        request: &RestoreRequest,
        now: Timestamp,
    ) -> Result<Option<Manifest>> {
        if planned.drops.is_empty() {
            return Ok(None);
        }
        let names = planned.drops.iter();
        let asked = CreateRequest {
            tables: names
                .map(|(bucket, table)| TableName::new(bucket, table))
                .collect(),
            snapshot_type: SnapshotType::PreDrop,
            description: Some(format!("Before restore of {}", manifest.snapshot_id)),
            created_by: request.created_by.clone(),
            ..CreateRequest::default()
        };
        let kept = self
            .create_in_lake(lake, &asked, now, &Unwatched)
            .map_err(|error| Error::Kept {
                what: format!("the restore of snapshot `{}`", manifest.snapshot_id),
                source: Box::new(error),
            })?;
        Ok(Some(kept.manifest))
    }
}

/// A pin is a state of its own lake, and of no other.
fn refuse_other_lake(manifest: &Manifest, request: &RestoreRequest, target: &Target) -> Result<()> {
    let pinned = plan::chosen(manifest, request)?
        .iter()
        .any(|entry| entry.pinned());
    if target.own || !pinned {
        return Ok(());
    }
    Err(Error::refused(
        ErrorKind::Invalid,
        format!(
            "cannot restore snapshot `{}` into {}: it is pinned in {}",
            manifest.snapshot_id, target.address, manifest.source.address
        ),
        "What is pinned comes back into its own lake, or into a DuckDB file. `create --export` takes a snapshot that goes \
         everywhere.",
    ))
}

/// All tables of a lake as it is now.
fn tables(lake: &Lake) -> Result<Vec<FoundTable>> {
    let session = lake.session()?;
    use_lake(&session)?;
    session.begin()?;
    let found = catalog::tables(of_lake(&session));
    session.rollback();
    found
}

/// The plan for people, with what a lake cannot hold.
fn shown(
    manifest: &Manifest,
    request: &RestoreRequest,
    planned: &Planned<'_>,
    target: &Target,
) -> RestorePlan {
    let objects = Objects::new(manifest, request, planned, Vec::new());
    let (held, lost): (Vec<_>, Vec<_>) = objects.shown().into_iter().partition(|object| {
        object.kind != ObjectKind::Sequence.keyword() && object.kind != ObjectKind::Type.keyword()
    });
    let mut plan = planned.shown(target, manifest, &held);
    // A lake has no indexes.
    plan.index_bytes = 0;
    for (entry, _) in &planned.tables {
        plan.warnings.extend(LakeTable::of(manifest, entry).warnings);
    }
    let left_out = |object: &super::PlannedObject| {
        format!(
            "{} \"{}\" is left out: a lake holds none",
            object.kind, object.name
        )
    };
    plan.warnings.extend(lost.iter().map(left_out));
    plan
}

fn random(engine: &Engine) -> Result<u32> {
    let rows = engine
        .session()?
        .query(Call::new("name a run"), "select (random() * 16777215)::integer")?;
    let number = rows.first().and_then(|row| row.integer(0)).unwrap_or(0);
    Ok(u32::try_from(number).unwrap_or(0))
}

/// Why a restore does not go on.
enum Stop {
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

struct IntoLake<'a> {
    folder: &'a ProjectFolder,
    lake: &'a Lake,
    manifest: &'a Manifest,
    request: &'a RestoreRequest,
    target: &'a Target,
    run: RunId,
    /// The snapshot of what is replaced.
    kept: Option<&'a Manifest>,
    progress: &'a dyn Progress,
}

impl IntoLake<'_> {
    fn run(&self, planned: &Planned<'_>) -> std::result::Result<Restored, Stop> {
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
