//! Which tables of a lake changed between two of its snapshots, told by the catalogue and without a look at any row.
//!
//! Both snapshots must not have expired: then every file that came or went between them is on record, as far as it made a
//! difference. A list of the commits between them would not do, since those may have expired.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use pintail_model::TableName;

use crate::error::{Error, FaultClass, Result};
use crate::lake::Lake;
use crate::ledger::ledger_table;
use crate::metadata::metadata_table;
use crate::quote;
use crate::session::{Call, Row, Session};

/// A file that a snapshot needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeededFile {
    /// Where it lies.
    pub path: PathBuf,
    /// Its size when it was written.
    pub bytes: u64,
}

const LOOK: &str = "look for changes of the lake";

impl Lake {
    /// Those of `tables`, by DuckLake's numbers, that may have other rows or columns in snapshot `to` than in the earlier
    /// snapshot `from`. One whose rows the catalogue keeps, or whose files were written anew, counts as changed: only its rows
    /// could tell.
    pub fn changed(
        &self,
        session: &Session,
        tables: &BTreeSet<i64>,
        from: i64,
        to: i64,
    ) -> Result<BTreeSet<i64>> {
        if from == to || tables.is_empty() {
            return Ok(BTreeSet::new());
        }
        let between = |column: &str| format!("({column} > {from} and {column} <= {to})");
        let moved = format!("{} or {}", between("begin_snapshot"), between("end_snapshot"));
        // Merged files have the number of their oldest rows; `partial_max` is that of the newest.
        let of_files = format!("{moved} or partial_max > {from}");
        let kinds = [
            ("ducklake_data_file", of_files.as_str()),
            ("ducklake_delete_file", of_files.as_str()),
            ("ducklake_table", moved.as_str()),
            ("ducklake_column", moved.as_str()),
        ];
        let selects: Vec<String> = kinds
            .iter()
            .map(|(table, condition)| {
                format!(
                    "select table_id::bigint from {} where {condition}",
                    metadata_table(self, table)
                )
            })
            .collect();
        let rows = session.query(Call::new(LOOK), &selects.join(" union "))?;
        let mut changed: BTreeSet<i64> = rows.iter().filter_map(|row| row.integer(0)).collect();
        changed.retain(|table| tables.contains(table));
        for table in tables {
            if !changed.contains(table) && self.inlined(session, *table)? {
                changed.insert(*table);
            }
        }
        Ok(changed)
    }

    /// The tables of a snapshot that has not expired, by schema and name and without the ledger, and how many views and macros
    /// there are beside them.
    pub fn contents_at(&self, session: &Session, snapshot: i64) -> Result<(Vec<TableName>, u64)> {
        let alive = |alias: &str| {
            format!(
                "{alias}.begin_snapshot <= {snapshot} and ({alias}.end_snapshot is null or {alias}.end_snapshot > {snapshot})"
            )
        };
        let sql = format!(
            "select s.schema_name, t.table_name
             from {tables} as t
             join {schemas} as s on s.schema_id = t.schema_id
             where {} and {}
             order by 1, 2",
            alive("t"),
            alive("s"),
            tables = metadata_table(self, "ducklake_table"),
            schemas = metadata_table(self, "ducklake_schema"),
        );
        let rows = session.query(Call::new(LOOK), &sql)?;
        let name = |row: &Row| Some(TableName::new(row.text(0)?, row.text(1)?));
        let tables = rows
            .iter()
            .filter_map(name)
            .filter(|name| *name != ledger_table());
        let sql = format!(
            "select (select count(*) from {views} as v where {}) + (select count(*) from {macros} as m where {})",
            alive("v"),
            alive("m"),
            views = metadata_table(self, "ducklake_view"),
            macros = metadata_table(self, "ducklake_macro"),
        );
        let others = session.query(Call::new(LOOK), &sql)?;
        let others = others.first().and_then(|row| row.integer(0)).unwrap_or(0);
        Ok((tables.collect(), u64::try_from(others).unwrap_or(0)))
    }

    /// DuckLake's number of a table in a snapshot that has not expired.
    pub fn table_id_at(&self, session: &Session, name: &TableName, snapshot: i64) -> Result<Option<i64>> {
        let alive = |alias: &str| {
            format!(
                "{alias}.begin_snapshot <= {snapshot} and ({alias}.end_snapshot is null or {alias}.end_snapshot > {snapshot})"
            )
        };
        let sql = format!(
            "select t.table_id::bigint
             from {tables} as t
             join {schemas} as s on s.schema_id = t.schema_id
             where {} and {} and s.schema_name = ? and t.table_name = ?",
            alive("t"),
            alive("s"),
            tables = metadata_table(self, "ducklake_table"),
            schemas = metadata_table(self, "ducklake_schema"),
        );
        let rows = session.query_with(Call::new(LOOK), &sql, &[name.schema_or("main"), &name.table])?;
        Ok(rows.first().and_then(|row| row.integer(0)))
    }

    /// The files that a table needs in a snapshot.
    pub fn files_at(&self, session: &Session, name: &TableName, snapshot: i64) -> Result<Vec<NeededFile>> {
        let sql = format!(
            "select data_file, data_file_size_bytes::bigint, delete_file, delete_file_size_bytes::bigint
             from ducklake_list_files('{}', {}, schema => {}, snapshot_version => {snapshot})",
            Self::NAME,
            quote::literal(&name.table),
            quote::literal(name.schema_or("main"))
        );
        let rows = session.query(Call::new("list the files of a table of the lake"), &sql)?;
        let file = |row: &Row, index| {
            Some(NeededFile {
                path: PathBuf::from(row.text(index)?),
                bytes: row
                    .integer(index + 1)
                    .and_then(|bytes| u64::try_from(bytes).ok())?,
            })
        };
        Ok(rows
            .iter()
            .flat_map(|row| [file(row, 0), file(row, 2)])
            .flatten()
            .collect())
    }

    /// The size of a file of the lake; `None` if it is not there.
    pub fn file_bytes(&self, file: &Path) -> Result<Option<u64>> {
        self.depot().bytes(file)
    }

    /// Whether the catalogue has, or had, rows or deletes of a table.
    fn inlined(&self, session: &Session, table: i64) -> Result<bool> {
        let sql = format!(
            "select table_name from {} where table_id = {table}",
            metadata_table(self, "ducklake_inlined_data_tables")
        );
        let found = session.query(Call::new(LOOK), &sql)?;
        let names = found.iter().filter_map(|row| row.text(0).map(str::to_owned));
        for name in names.chain([format!("ducklake_inlined_delete_{table}")]) {
            let sql = format!("select count(*) from {}", metadata_table(self, &name));
            let rows = match session.query(Call::new(LOOK), &sql) {
                Ok(rows) => rows,
                // No list has it: DuckLake makes it with the first delete of the kind.
                Err(Error::Statement { source, .. }) if source.class == FaultClass::Name => continue,
                Err(error) => return Err(error),
            };
            if rows.first().and_then(|row| row.integer(0)).unwrap_or(0) > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
