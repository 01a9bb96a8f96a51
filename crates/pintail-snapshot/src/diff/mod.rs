//! What would change: the rows of a snapshot beside those of another one, or of the database as it is now.
//!
//! Both sides are read as they would stand in files, so that each side may be a file. With a key, rows are told apart by it:
//! added, removed, changed. Without one, a row that changed is one that is gone and one that came.

mod comparison;

use jiff::Timestamp;
use pintail_lake::{Access, DatabaseFile, Engine, Lake, LakeLocation};
use pintail_model::{ErrorKind, TableName};
use serde::Serialize;

use self::comparison::{Comparison, Rows, Side};
use crate::catalog::{self, Catalog};
use crate::error::{Error, Result};
use crate::folder::ProjectFolder;
use crate::id::SnapshotId;
use crate::lakes::PinnedLake;
use crate::manifest::{Manifest, TableEntry};
use crate::table_file::TableFile;

const ALIAS: &str = "pintail_live";

/// With what a snapshot is compared.
#[derive(Debug, Clone)]
pub enum Against {
    /// Another snapshot of the project.
    Snapshot(SnapshotId),
    /// A database as it is now.
    Live(DatabaseFile),
    /// A lake as it is now.
    LiveLake(Box<LakeLocation>),
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct DiffRequest {
    /// With what.
    pub against: Against,
    /// These tables only.
    pub tables: Vec<TableName>,
    /// Name the keys of so many rows a table.
    pub rows: u64,
}

/// How two states differ: from the snapshot to the other side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// When it was taken.
    pub taken_at: Timestamp,
    /// The other side, for people.
    pub against: String,
    /// The tables of either side, by name.
    pub tables: Vec<TableDifference>,
}

/// How a table differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableDifference {
    /// Its name.
    pub table: String,
    /// What happened to it.
    #[serde(flatten)]
    pub change: TableChange,
    /// Keys of some of the rows, where they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<RowDifference>,
}

/// What happened to a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum TableChange {
    /// Nothing.
    Same,
    /// It came after the snapshot.
    Added,
    /// It is gone.
    Removed,
    /// Its columns are others, which a comparison of rows makes nothing of.
    Columns {
        /// Columns that came or have another type.
        now: Vec<String>,
        /// Columns that went or had another type.
        before: Vec<String>,
    },
    /// Rows are others.
    Rows {
        /// Rows that came.
        added: u64,
        /// Rows that went.
        removed: u64,
        /// Rows of the same key with other values; none without a key.
        changed: u64,
    },
}

/// A row that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RowDifference {
    /// `added`, `removed` or `changed`.
    pub change: String,
    /// The values of its key, or of all its columns if there is none.
    pub key: Vec<Option<String>>,
}

impl ProjectFolder {
    /// Compares.
    ///
    /// # Errors
    /// `NotFound` for a snapshot or a database that is not there, `Data` for a file that is not what was written.
    pub fn diff(&self, engine: &Engine, id: &SnapshotId, request: &DiffRequest) -> Result<Difference> {
        let manifest = self.manifest(id)?;
        let meant = |bucket: &str, table: &str| {
            request.tables.is_empty()
                || request.tables.iter().any(|name| {
                    name.schema_or("main").eq_ignore_ascii_case(bucket)
                        && name.table.eq_ignore_ascii_case(table)
                })
        };
        let entries = entries(&manifest, &meant);
        let lake = self.open_lake_of(engine, &manifest, &entries)?;
        let compared = self.compare_with(engine, &manifest, &entries, lake.as_ref(), request, &meant);
        let detached = lake.map_or(Ok(()), PinnedLake::close);
        let (against, tables) = compared?;
        detached?;
        Ok(Difference {
            snapshot: id.clone(),
            taken_at: manifest.created_at,
            against,
            tables,
        })
    }

    /// Compares entries of a snapshot, of which those without files are in `lake`, with the other side.
    fn compare_with(
        &self,
        engine: &Engine,
        manifest: &Manifest,
        of_snapshot: &[&TableEntry],
        lake: Option<&PinnedLake>,
        request: &DiffRequest,
        meant: &impl Fn(&str, &str) -> bool,
    ) -> Result<(String, Vec<TableDifference>)> {
        let before = self.sides(&manifest.snapshot_id, of_snapshot, lake)?;
        match &request.against {
            Against::Snapshot(other) => {
                let other_manifest = self.manifest(other)?;
                let entries = entries(&other_manifest, meant);
                let pinned = entries.iter().any(|entry| entry.pinned());
                let (shared, own) = match lake {
                    Some(lake) if pinned => (Some(lake.also(&other_manifest)?), None),
                    _ => (None, self.open_lake_of(engine, &other_manifest, &entries)?),
                };
                let after = self.sides(other, &entries, shared.as_ref().or(own.as_ref()));
                let compared = after.and_then(|after| {
                    let session = engine.session()?;
                    let comparison = Comparison {
                        folder: self,
                        engine,
                        session: &session,
                        limit: request.rows,
                    };
                    comparison.tables(before, after)
                });
                let detached = own.map_or(Ok(()), PinnedLake::close);
                let compared = compared?;
                detached?;
                Ok((other.to_string(), compared))
            }
            Against::Live(database) => {
                database.attach(engine, ALIAS, Access::ReadOnly, None)?;
                let compared = self.compare_live(engine, ALIAS, before, meant, request.rows);
                let detached = database.detach(engine, ALIAS);
                let compared = compared?;
                detached?;
                Ok((database.address.clone(), compared))
            }
            Against::LiveLake(location) => {
                if let Some(lake) = lake {
                    same_lake(lake, location, manifest)?;
                    let compared = self.compare_live(engine, Lake::NAME, before, meant, request.rows)?;
                    return Ok((location.address(), compared));
                }
                let attached = Lake::attach(engine, location, Access::ReadOnly)?;
                let compared = self.compare_live(engine, Lake::NAME, before, meant, request.rows);
                let detached = attached.detach();
                let compared = compared?;
                detached?;
                Ok((location.address(), compared))
            }
        }
    }

    fn sides(
        &self,
        id: &SnapshotId,
        entries: &[&TableEntry],
        lake: Option<&PinnedLake>,
    ) -> Result<Vec<Side>> {
        self.check(id, entries, &crate::progress::Unwatched)?;
        let side = |entry: &&TableEntry| {
            let rows = match lake.filter(|_| entry.pinned()) {
                Some(lake) => {
                    let file = TableFile::of(&entry.name(), &entry.schema.columns)?;
                    Rows::Live(file.hashed_table(&lake.relation(entry)))
                }
                None => Rows::Kept(id.clone(), Box::new((*entry).clone())),
            };
            Ok(Side {
                entry_name: entry.name(),
                columns: entry.schema.columns.clone(),
                primary_key: entry.schema.primary_key.clone(),
                rows,
            })
        };
        entries.iter().map(side).collect()
    }

    fn compare_live(
        &self,
        engine: &Engine,
        alias: &str,
        before: Vec<Side>,
        meant: &impl Fn(&str, &str) -> bool,
        limit: u64,
    ) -> Result<Vec<TableDifference>> {
        let session = catalog::session(engine, alias)?;
        let catalog = Catalog {
            session: &session,
            alias,
        };
        let mut after = Vec::new();
        for table in catalog::tables(catalog)? {
            if !meant(&table.bucket, &table.table) {
                continue;
            }
            let file = TableFile::of(&table.name(), &table.schema.columns)?;
            let relation = catalog.qualified(&table.bucket, &table.table);
            after.push(Side {
                entry_name: table.name(),
                rows: Rows::Live(file.hashed_table(&relation)),
                columns: table.schema.columns,
                primary_key: table.schema.primary_key,
            });
        }
        let comparison = Comparison {
            folder: self,
            engine,
            session: &session,
            limit,
        };
        let compared = comparison.tables(before, after);
        session.rollback();
        compared
    }
}

/// The tables of a snapshot that are meant.
fn entries<'m>(manifest: &'m Manifest, meant: &impl Fn(&str, &str) -> bool) -> Vec<&'m TableEntry> {
    let meant = |entry: &&TableEntry| meant(&entry.bucket, &entry.table);
    manifest.tables.iter().filter(meant).collect()
}

fn same_lake(lake: &PinnedLake, location: &LakeLocation, manifest: &Manifest) -> Result<()> {
    if lake.identity() == location.identity() {
        return Ok(());
    }
    Err(Error::refused(
        ErrorKind::Invalid,
        format!(
            "snapshot `{}` is pinned in lake `{}`, and an engine reads one lake at a time",
            manifest.snapshot_id,
            lake.identity()
        ),
        "Compare with that lake, or take snapshots with `--export`.",
    ))
}
