//! Restoring: tables are made and filled beside what is there, read again and compared, and take its place, all in one
//! transaction of the target. What is replaced is kept in a snapshot first, so that a restore can be undone.

mod into_lake;
mod lake_table;
mod objects;
mod plan;

use jiff::Timestamp;
use pintail_lake::quote::{identifier, literal};
use pintail_lake::{Access, Call, DatabaseFile, Engine, Session};
use pintail_model::{ErrorKind, TableName};
use serde::Serialize;

use self::objects::Objects;
pub(crate) use self::plan::absolute_address;
use self::plan::{Planned, Target};
pub use self::plan::{PlannedObject, PlannedTable, RestorePlan};
use crate::capture::{Capture, CreateRequest, Origin};
use crate::catalog::{self, Catalog};
use crate::ddl;
use crate::error::{Error, Result};
use crate::folder::ProjectFolder;
use crate::id::SnapshotId;
use crate::lakes::PinnedLake;
use crate::manifest::{Manifest, SnapshotType, TableEntry};
use crate::progress::{Progress, Step};
use crate::table_file::TableFile;

/// The name under which the target is attached. No schema may have it: a name of two parts could mean either.
const ALIAS: &str = "pintail_target";

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct RestoreRequest {
    /// These tables only. Default: all, and what stands beside them.
    pub tables: Vec<TableName>,
    /// Another name for the one table that is restored.
    pub rename: Option<TableName>,
    /// Replace tables that are not those that the snapshot was taken of.
    pub replace: bool,
    /// Who asks, for the snapshot of what is replaced.
    pub created_by: String,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// What was to be done.
    #[serde(flatten)]
    pub plan: RestorePlan,
    /// The snapshot of what was replaced.
    pub replaced_kept_in: Option<SnapshotId>,
    /// What could not be made again beside the tables, and why.
    pub not_restored: Vec<String>,
}

impl ProjectFolder {
    /// What [`ProjectFolder::restore`] would do. Nothing is changed, and no file of a table is read.
    ///
    /// # Errors
    /// As there.
    pub fn plan_restore(
        &self,
        engine: &Engine,
        database: &DatabaseFile,
        id: &SnapshotId,
        request: &RestoreRequest,
    ) -> Result<RestorePlan> {
        let manifest = self.manifest(id)?;
        let target = Target::file(&manifest, database);
        if !database.exists() {
            let planned = Planned::new(&manifest, request, &target, Vec::new())?;
            let objects = Objects::new(&manifest, request, &planned, Vec::new());
            return Ok(planned.shown(&target, &manifest, &objects.shown()));
        }
        database.attach(engine, ALIAS, Access::ReadOnly, None)?;
        let planned = catalog::session(engine, ALIAS).and_then(|session| {
            let catalog = Catalog {
                session: &session,
                alias: ALIAS,
            };
            let planned = Planned::look(catalog, &manifest, request, &target)?;
            let objects = Objects::look(catalog, &manifest, request, &planned)?;
            session.rollback();
            Ok(planned.shown(&target, &manifest, &objects.shown()))
        });
        let detached = database.detach(engine, ALIAS);
        let planned = planned?;
        detached?;
        Ok(planned)
    }

    /// Restores tables of a snapshot, all or none. The database file is made if there is none.
    ///
    /// # Errors
    /// `NotFound` for a snapshot or a table that is not there, `Conflict` for a table that may not be replaced or that others
    /// refer to, `Data` for a file that is not what was written. The target is as it was then.
    pub fn restore(
        &self,
        engine: &Engine,
        database: &DatabaseFile,
        id: &SnapshotId,
        request: &RestoreRequest,
        now: Timestamp,
        progress: &dyn Progress,
    ) -> Result<Restored> {
        let manifest = self.manifest(id)?;
        // Mistakes in the request are told before files are read.
        let entries = plan::chosen(&manifest, request)?;
        progress.began(entries.len() as u64);
        self.check(id, &entries, progress)?;
        let lake = self.open_lake_of(engine, &manifest, &entries)?;
        let restored = self.restore_from(engine, database, &manifest, lake.as_ref(), request, now, progress);
        let detached = lake.map_or(Ok(()), PinnedLake::close);
        let restored = restored?;
        detached?;
        Ok(restored)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "those of a restore, and what it reads from"
    )]
    fn restore_from(
        &self,
        engine: &Engine,
        database: &DatabaseFile,
        manifest: &Manifest,
        lake: Option<&PinnedLake>,
        request: &RestoreRequest,
        now: Timestamp,
        progress: &dyn Progress,
    ) -> Result<Restored> {
        let new = !database.exists();
        // A lake has types of this year, and no format that would say so.
        let version = match manifest.source.lake_snapshot {
            Some(_) => Some(NEWEST_FORMAT),
            None => manifest.source.storage_version.as_deref(),
        };
        database.attach(engine, ALIAS, Access::ReadWrite, version)?;
        let restored = catalog::session(engine, ALIAS).and_then(|session| {
            let restore = Restore {
                folder: self,
                engine,
                database,
                manifest,
                lake,
                request,
                now,
                progress,
                catalog: Catalog {
                    session: &session,
                    alias: ALIAS,
                },
            };
            restore.run().inspect_err(|_| session.rollback())
        });
        let detached = database.detach(engine, ALIAS);
        if restored.is_err() && new {
            // It was made by the attempt, and holds nothing.
            let _ = std::fs::remove_file(&database.path);
        }
        let restored = restored?;
        detached?;
        Ok(restored)
    }
}

/// The format of a file that is made for tables of a lake.
const NEWEST_FORMAT: &str = "v1.5.0";

/// A restore in its transaction.
struct Restore<'a> {
    folder: &'a ProjectFolder,
    engine: &'a Engine,
    database: &'a DatabaseFile,
    manifest: &'a Manifest,
    /// Where tables without files are.
    lake: Option<&'a PinnedLake>,
    request: &'a RestoreRequest,
    now: Timestamp,
    progress: &'a dyn Progress,
    catalog: Catalog<'a>,
}

impl Restore<'_> {
    fn run(&self) -> Result<Restored> {
        let target = Target::file(self.manifest, self.database);
        let planned = Planned::look(self.catalog, self.manifest, self.request, &target)?;
        let mut objects = Objects::look(self.catalog, self.manifest, self.request, &planned)?;
        let shown = planned.shown(&target, self.manifest, &objects.shown());
        let kept = self.keep_replaced(&planned)?;
        for name in &planned.drops {
            let label = format!("take table \"{}.{}\" away", name.0, name.1);
            let sql = format!("drop table {}", self.catalog.qualified(&name.0, &name.1));
            self.catalog.session.execute(Call::new(&label), &sql)?;
        }
        for bucket in planned.buckets(&objects) {
            let label = format!("make schema `{bucket}`");
            let sql = format!(
                "create schema if not exists {}.{}",
                identifier(ALIAS),
                identifier(bucket)
            );
            self.catalog.session.execute(Call::new(&label), &sql)?;
        }
        let maker = Maker {
            catalog: self.catalog,
        };
        objects.make_before_tables(maker)?;
        for (entry, (bucket, table)) in &planned.tables {
            self.table(entry, bucket, table)?;
            self.progress.done(&entry.name());
        }
        let not_restored = objects.make_after_tables(maker)?;
        let call = Call::new("commit the restored tables").protected();
        self.catalog.session.batch(call, "commit")?;
        Ok(Restored {
            plan: shown,
            replaced_kept_in: kept,
            not_restored,
        })
    }

    /// Takes a snapshot of what is about to be replaced, in the same transaction.
    fn keep_replaced(&self, planned: &Planned<'_>) -> Result<Option<SnapshotId>> {
        if planned.drops.is_empty() {
            return Ok(None);
        }
        let capture = Capture {
            folder: self.folder,
            engine: self.engine,
            catalog: self.catalog,
            origin: Origin::File(self.database),
            now: self.now,
            progress: &crate::progress::Unwatched,
        };
        let request = CreateRequest {
            tables: planned
                .drops
                .iter()
                .map(|(bucket, table)| TableName::new(bucket, table))
                .collect(),
            snapshot_type: SnapshotType::PreDrop,
            description: Some(format!("Before restore of {}", self.manifest.snapshot_id)),
            created_by: self.request.created_by.clone(),
            ..CreateRequest::default()
        };
        let kept = capture.take(&request).map_err(|error| Error::Kept {
            what: format!("the restore of snapshot `{}`", self.manifest.snapshot_id),
            source: Box::new(error),
        })?;
        Ok(Some(kept.manifest.snapshot_id))
    }

    /// Makes a table, fills it, and compares.
    fn table(&self, entry: &TableEntry, bucket: &str, table: &str) -> Result<()> {
        let session = self.catalog.session;
        let qualified = self.catalog.qualified(bucket, table);
        let label = format!("restore table \"{bucket}.{table}\"");
        let call = Call::new(&label);
        self.progress.step(Step::Restoring, &entry.name());
        let maker = Maker {
            catalog: self.catalog,
        };
        maker.look_in(bucket)?;
        session.execute(call, &ddl::table_as(&entry.ddl, &qualified))?;
        let file = TableFile::of(&entry.name(), &entry.schema.columns)?;
        let (rows, fetched) = match self.lake.filter(|_| entry.pinned()) {
            Some(lake) => (file.plain(&lake.relation(entry)), None),
            None => {
                let id = &self.manifest.snapshot_id;
                let fetched = self.folder.fetch(self.engine, id, entry)?;
                (file.restored(fetched.path()), Some(fetched))
            }
        };
        session.execute(
            call,
            &format!("insert into {qualified} ({}) {rows}", file.names()),
        )?;
        drop(fetched);
        self.progress.step(Step::Verifying, &entry.name());
        let expected = expected(self.engine, session, &file, entry, self.lake)?;
        let found = file.hash(self.engine, session, &qualified)?;
        if (found.digest(), found.rows) != expected {
            return Err(other_rows(bucket, table));
        }
        for index in &entry.indexes {
            let name = self.index_name(bucket, table, &index.name)?;
            session.execute(call, &ddl::index_as(&index.ddl, &identifier(&name), &qualified))?;
            let index_name = self.catalog.qualified(bucket, &name);
            maker.comment(&format!("index {index_name}"), index.comment.as_deref())?;
        }
        maker.comments(entry, &qualified)
    }

    /// The index's own name, unless another table of the schema has an index of that name.
    fn index_name(&self, bucket: &str, table: &str, name: &str) -> Result<String> {
        let sql = format!(
            "select lower(index_name) from duckdb_indexes() where database_name = {} and lower(schema_name) = lower({})",
            literal(ALIAS),
            literal(bucket)
        );
        let rows = self
            .catalog
            .session
            .query(Call::new("look up the indexes of the database"), &sql)?;
        let taken = |name: &str| rows.iter().any(|row| row.text(0) == Some(&*name.to_lowercase()));
        let others = (2..).map(|number: u32| format!("{name}_{table}_{number}"));
        let mut names = [name.to_owned(), format!("{name}_{table}")]
            .into_iter()
            .chain(others);
        Ok(names.find(|name| !taken(name)).expect("numbers do not end"))
    }
}

/// What the rows of a table have to be, as hash and number. Of rows that nobody looked at, those of the lake.
fn expected(
    engine: &Engine,
    session: &Session,
    file: &TableFile,
    entry: &TableEntry,
    lake: Option<&PinnedLake>,
) -> Result<(String, u64)> {
    match lake.filter(|_| entry.value_hash.is_empty()) {
        None => Ok((entry.value_hash.clone(), entry.row_count)),
        Some(lake) => {
            let read = file.hash(engine, session, &lake.relation(entry))?;
            Ok((read.digest(), read.rows))
        }
    }
}

fn other_rows(bucket: &str, table: &str) -> Error {
    Error::refused(
        ErrorKind::Data,
        format!("cannot restore table \"{bucket}.{table}\": its rows are not those of the snapshot"),
        "The target is as it was. `pintail snapshot verify` says whether the snapshot is sound; if it is, report it.",
    )
}

/// What it takes to make things in a target.
#[derive(Clone, Copy)]
struct Maker<'a> {
    catalog: Catalog<'a>,
}

impl Maker<'_> {
    /// Lets statements find names without a schema as they did where they were written.
    fn look_in(self, bucket: &str) -> Result<()> {
        let path = format!(
            "{alias}.{},{alias}.main",
            identifier(bucket),
            alias = identifier(self.catalog.alias)
        );
        let sql = format!("set search_path = {}", literal(&path));
        Ok(self
            .catalog
            .session
            .batch(Call::new("look into a schema"), &sql)?)
    }

    /// The comments of a table and its columns.
    fn comments(self, entry: &TableEntry, qualified: &str) -> Result<()> {
        self.comment(&format!("table {qualified}"), entry.comment.as_deref())?;
        for column in &entry.schema.columns {
            let what = format!("column {qualified}.{}", identifier(&column.name));
            self.comment(&what, column.comment.as_deref())?;
        }
        Ok(())
    }

    fn comment(self, what: &str, comment: Option<&str>) -> Result<()> {
        let Some(comment) = comment else { return Ok(()) };
        let sql = format!("comment on {what} is {}", literal(comment));
        let call = Call::new("restore a comment");
        self.catalog.session.execute(call, &sql)?;
        Ok(())
    }
}
