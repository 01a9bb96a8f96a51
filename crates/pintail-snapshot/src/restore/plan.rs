//! Which tables a restore makes, under which names, and what goes for them.

use std::collections::BTreeSet;
use std::path::Path;

use pintail_lake::{DatabaseFile, LakeLocation};
use pintail_model::ErrorKind;
use serde::Serialize;

use super::RestoreRequest;
use super::objects::Objects;
use crate::catalog::{self, Catalog, FoundTable};
use crate::error::{Error, Result};
use crate::id::SnapshotId;
use crate::manifest::{Manifest, TableEntry};

/// What a restore does, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RestorePlan {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The database.
    pub target: String,
    /// Its tables, in the order in which they are made.
    pub tables: Vec<PlannedTable>,
    /// What stands beside them.
    pub objects: Vec<PlannedObject>,
    /// What the target cannot hold, in words.
    pub warnings: Vec<String>,
    /// Memory that keys and indexes take while they are made, about: DuckDB keeps them as a whole. An engine needs that much
    /// beside what it has for everything else.
    pub index_bytes: u64,
}

/// A table that is restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedTable {
    /// Its name in the snapshot.
    pub table: String,
    /// Its name in the target.
    pub into: String,
    /// Its rows.
    pub rows: u64,
    /// Whether a table of that name is there, and goes.
    pub replaces: bool,
}

/// Something beside the tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedObject {
    /// What it is: `view`, `sequence`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Whether one of that name is there. It stays; a sequence goes on where the later one of both does.
    pub exists: bool,
}

/// Where tables are restored to.
pub(super) struct Target {
    /// For people.
    pub(super) address: String,
    /// Whether the snapshot was taken of it: its tables may be replaced.
    pub(super) own: bool,
}

impl Target {
    pub(super) fn file(manifest: &Manifest, database: &DatabaseFile) -> Self {
        Self {
            address: database.address.clone(),
            own: manifest.source.address == absolute_address(&database.path),
        }
    }

    pub(super) fn lake(manifest: &Manifest, location: &LakeLocation) -> Self {
        Self {
            address: location.address(),
            own: manifest.source.address == location.identity(),
        }
    }
}

/// What is to be done.
pub(super) struct Planned<'a> {
    /// Tables of the snapshot and their names in the target, those first that others refer to.
    pub(super) tables: Vec<(&'a TableEntry, (String, String))>,
    /// Tables of the target that go, those last that others refer to.
    pub(super) drops: Vec<(String, String)>,
}

impl<'a> Planned<'a> {
    pub(super) fn look(
        catalog: Catalog<'_>,
        manifest: &'a Manifest,
        request: &RestoreRequest,
        target: &Target,
    ) -> Result<Self> {
        Self::new(manifest, request, target, catalog::tables(catalog)?)
    }

    /// `there` are the tables of the target.
    pub(super) fn new(
        manifest: &'a Manifest,
        request: &RestoreRequest,
        target: &Target,
        there: Vec<FoundTable>,
    ) -> Result<Self> {
        let tables: Vec<(&TableEntry, (String, String))> = ordered(chosen(manifest, request)?)
            .into_iter()
            .map(|entry| (entry, named(entry, request)))
            .collect();
        let mut drops = Vec::new();
        for (entry, (bucket, table)) in &tables {
            let Some(found) = there.iter().find(|found| found.named(bucket, table)) else {
                continue;
            };
            let own = target.own && found.named(&entry.bucket, &entry.table);
            if !own && !request.replace {
                return Err(Error::refused(
                    ErrorKind::Conflict,
                    format!("{} has a table \"{bucket}.{table}\" already", target.address),
                    "Add `--replace` to put the restored one in its place (it is kept in a snapshot of its own), or give the \
                     restored one another name with `--as`.",
                ));
            }
            drops.push(found);
        }
        let drops = drop_order(&drops, &there)?;
        Ok(Self { tables, drops })
    }

    pub(super) fn buckets<'b>(&'b self, objects: &'b Objects<'_>) -> BTreeSet<&'b str> {
        let of_tables = self.tables.iter().map(|(_, (bucket, _))| bucket.as_str());
        let mut buckets: BTreeSet<&str> = of_tables.chain(objects.buckets()).collect();
        // It is always there.
        buckets.remove("main");
        buckets
    }

    pub(super) fn shown(
        &self,
        target: &Target,
        manifest: &Manifest,
        objects: &[PlannedObject],
    ) -> RestorePlan {
        let table = |(entry, (bucket, table)): &(&TableEntry, (String, String))| PlannedTable {
            table: entry.name(),
            into: format!("{bucket}.{table}"),
            rows: entry.row_count,
            replaces: self
                .drops
                .iter()
                .any(|(b, t)| b.eq_ignore_ascii_case(bucket) && t.eq_ignore_ascii_case(table)),
        };
        RestorePlan {
            snapshot: manifest.snapshot_id.clone(),
            target: target.address.clone(),
            tables: self.tables.iter().map(table).collect(),
            objects: objects.to_vec(),
            warnings: Vec::new(),
            index_bytes: self.tables.iter().map(|(entry, _)| entry.index_bytes()).sum(),
        }
    }
}

/// The address of a database file, whatever the folder from which it is looked at.
pub(crate) fn absolute_address(path: &Path) -> String {
    let absolute = std::fs::canonicalize(path).or_else(|_| std::path::absolute(path));
    format!("duckdb:{}", absolute.as_deref().unwrap_or(path).display())
}

/// The tables of the snapshot that are meant.
pub(super) fn chosen<'a>(manifest: &'a Manifest, request: &RestoreRequest) -> Result<Vec<&'a TableEntry>> {
    if request.rename.is_some() && request.tables.len() != 1 {
        return Err(Error::refused(
            ErrorKind::Invalid,
            "`--as` gives one table another name, and not several",
            "Name the one table with `--table`.",
        ));
    }
    if request.tables.is_empty() {
        return Ok(manifest.tables.iter().collect());
    }
    let mut chosen: Vec<&TableEntry> = Vec::new();
    for name in &request.tables {
        let Some(entry) = manifest.table(name.schema_or("main"), &name.table) else {
            return Err(Error::refused(
                ErrorKind::NotFound,
                format!("snapshot `{}` has no table \"{name}\"", manifest.snapshot_id),
                format!(
                    "`pintail snapshot show {} --project {}` lists its tables.",
                    manifest.snapshot_id, manifest.project_id
                ),
            ));
        };
        if !chosen.contains(&entry) {
            chosen.push(entry);
        }
    }
    Ok(chosen)
}

fn named(entry: &TableEntry, request: &RestoreRequest) -> (String, String) {
    match &request.rename {
        None => (entry.bucket.clone(), entry.table.clone()),
        // Without a schema it stays in its own.
        Some(name) => (
            name.schema.clone().unwrap_or_else(|| entry.bucket.clone()),
            name.table.clone(),
        ),
    }
}

/// Those first that others refer to.
fn ordered(mut entries: Vec<&TableEntry>) -> Vec<&TableEntry> {
    let mut order: Vec<&TableEntry> = Vec::new();
    while !entries.is_empty() {
        let refers = |entry: &&TableEntry| {
            let keys = &entry.schema.foreign_keys;
            entries.iter().any(|other| {
                let same = other.bucket == entry.bucket && other.table == entry.table;
                !same
                    && other.bucket.eq_ignore_ascii_case(&entry.bucket)
                    && keys
                        .iter()
                        .any(|key| key.references.eq_ignore_ascii_case(&other.table))
            })
        };
        let (waiting, mut free): (Vec<_>, Vec<_>) = entries.iter().copied().partition(refers);
        if free.is_empty() {
            // No order would do: DuckDB is the one to say so.
            order.extend(waiting);
            break;
        }
        order.append(&mut free);
        entries = waiting;
    }
    order
}

/// Tables that go, those last that others refer to.
///
/// # Errors
/// `Conflict` if a table that stays refers to one.
fn drop_order(drops: &[&FoundTable], there: &[FoundTable]) -> Result<Vec<(String, String)>> {
    let refers = |from: &FoundTable, to: &FoundTable| {
        from.bucket.eq_ignore_ascii_case(&to.bucket)
            && from.table != to.table
            && from
                .schema
                .foreign_keys
                .iter()
                .any(|key| key.references.eq_ignore_ascii_case(&to.table))
    };
    let mut left: Vec<&FoundTable> = drops.to_vec();
    for gone in drops {
        let stays = |table: &&FoundTable| !left.iter().any(|left| left.named(&table.bucket, &table.table));
        if let Some(other) = there.iter().filter(stays).find(|other| refers(other, gone)) {
            return Err(Error::refused(
                ErrorKind::Conflict,
                format!(
                    "cannot replace table \"{}\": table \"{}\" refers to it",
                    gone.name(),
                    other.name()
                ),
                "Restore both with a `--table` for each, or restore under another name with `--as`.",
            ));
        }
    }
    let mut order = Vec::new();
    while !left.is_empty() {
        let free = |table: &&&FoundTable| !left.iter().any(|other| refers(other, table));
        let next: Vec<&FoundTable> = left.iter().filter(free).copied().collect();
        let next = if next.is_empty() { left.clone() } else { next };
        left.retain(|table| !next.iter().any(|gone| gone.named(&table.bucket, &table.table)));
        order.extend(
            next.iter()
                .map(|table| (table.bucket.clone(), table.table.clone())),
        );
    }
    Ok(order)
}
