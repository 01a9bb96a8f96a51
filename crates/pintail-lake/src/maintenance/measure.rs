//! The tables of a lake in numbers, read from its metadata.

use std::collections::BTreeMap;

use pintail_model::TableName;

use super::{Compacted, Maintenance, TableMaintained};
use crate::error::{Error, FaultClass, Result};
use crate::lake::{ALIAS, Lake};
use crate::ledger::ledger_table;
use crate::metadata::metadata_table;
use crate::session::{Call, Row, Session};

/// DuckLake's own size of a file, if the lake names none.
const TARGET_BYTES: u64 = 512 * 1000 * 1000;

/// One table.
pub(super) struct Measured {
    pub(super) name: TableName,
    files: Vec<File>,
    /// Rows or deletes that live in the catalogue.
    inlined: bool,
    target_bytes: u64,
}

struct File {
    rows: u64,
    bytes: u64,
    deleted: u64,
    partition: i64,
}

impl File {
    fn deleted_share(&self) -> f64 {
        if self.rows == 0 {
            return 0.0;
        }
        // Counts are far below the 53 bits of a double.
        self.deleted as f64 / self.rows as f64
    }
}

/// All tables that may be compacted, by name.
pub(super) fn tables(lake: &Lake, session: &Session) -> Result<Vec<Measured>> {
    let sql = format!(
        "select s.schema_name, t.table_name, t.table_id::bigint
         from {tables} as t
         join {schemas} as s on s.schema_id = t.schema_id
         where t.end_snapshot is null and s.end_snapshot is null
         order by 1, 2",
        tables = metadata_table(lake, "ducklake_table"),
        schemas = metadata_table(lake, "ducklake_schema"),
    );
    let rows = session.query(Call::new("list the tables of the lake"), &sql)?;
    let data = inlined_data(lake, session)?;
    let mut files = files(lake, session)?;
    let mut measured = Vec::new();
    for row in &rows {
        let (Some(schema), Some(table), Some(id)) = (row.text(0), row.text(1), row.integer(2)) else {
            continue;
        };
        let name = TableName::new(schema, table);
        if name == ledger_table() {
            continue;
        }
        measured.push(Measured {
            files: files.remove(&id).unwrap_or_default(),
            inlined: inlined(lake, session, id, &data)?,
            target_bytes: target_bytes(session, &name)?,
            name,
        });
    }
    Ok(measured)
}

/// The live data files of all tables, in the order in which they came, with the rows that are deleted from each.
fn files(lake: &Lake, session: &Session) -> Result<BTreeMap<i64, Vec<File>>> {
    let sql = format!(
        "select f.table_id::bigint, f.record_count::bigint, f.file_size_bytes::bigint,
                coalesce(d.deleted, 0)::bigint, coalesce(f.partition_id, -1)::bigint
         from {files} as f
         left join (
             select data_file_id, max(delete_count) as deleted
             from {deletes}
             where end_snapshot is null
             group by data_file_id
         ) as d on d.data_file_id = f.data_file_id
         where f.end_snapshot is null
         order by f.data_file_id",
        files = metadata_table(lake, "ducklake_data_file"),
        deletes = metadata_table(lake, "ducklake_delete_file"),
    );
    let mut found: BTreeMap<i64, Vec<File>> = BTreeMap::new();
    for row in session.query(Call::new("list the files of the lake"), &sql)? {
        let number = |index| row.integer(index).and_then(|number| u64::try_from(number).ok());
        let file = File {
            rows: number(1).unwrap_or(0),
            bytes: number(2).unwrap_or(0),
            deleted: number(3).unwrap_or(0),
            partition: row.integer(4).unwrap_or(-1),
        };
        found.entry(row.integer(0).unwrap_or(-1)).or_default().push(file);
    }
    Ok(found)
}

/// Tables of the catalogue that hold rows of the lake, by the number of the lake's table.
fn inlined_data(lake: &Lake, session: &Session) -> Result<Vec<(i64, String)>> {
    let sql = format!(
        "select table_id::bigint, table_name from {}",
        metadata_table(lake, "ducklake_inlined_data_tables")
    );
    let rows = session.query(Call::new(INLINED), &sql)?;
    let named = |row: &Row| Some((row.integer(0)?, row.text(1)?.to_owned()));
    Ok(rows.iter().filter_map(named).collect())
}

const INLINED: &str = "look for rows in the catalogue";

/// Whether rows or deletes of a table live in the catalogue.
fn inlined(lake: &Lake, session: &Session, id: i64, data: &[(i64, String)]) -> Result<bool> {
    let own = data.iter().filter(|(table, _)| *table == id);
    let rows = own.map(|(_, name)| (name.clone(), "where end_snapshot is null"));
    let deletes = (format!("ducklake_inlined_delete_{id}"), "");
    for (name, live) in rows.chain([deletes]) {
        let sql = format!("select count(*) from {} {live}", metadata_table(lake, &name));
        let found = match session.query(Call::new(INLINED), &sql) {
            Ok(rows) => rows.first().and_then(|row| row.integer(0)).unwrap_or(0),
            // No list has it: DuckLake makes it with the first delete of the kind.
            Err(Error::Statement { source, .. }) if source.class == FaultClass::Name => 0,
            Err(error) => return Err(error),
        };
        if found > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How large DuckLake makes the files of a table: its own setting, that of its schema, or that of the lake.
fn target_bytes(session: &Session, name: &TableName) -> Result<u64> {
    let schema = name.schema_or("main");
    let sql = format!(
        "select value
         from {ALIAS}.options()
         where option_name = 'target_file_size' and (scope = 'GLOBAL' or scope_entry in (?, ?))
         order by case scope when 'TABLE' then 0 when 'SCHEMA' then 1 else 2 end
         limit 1"
    );
    let rows = session.query_with(
        Call::new("read the options of the lake"),
        &sql,
        &[&format!("{schema}.{}", name.table), schema],
    )?;
    let set = rows.first().and_then(|row| row.text(0)?.parse().ok());
    Ok(set.unwrap_or(TARGET_BYTES))
}

impl Measured {
    /// The table before anything is done.
    pub(super) fn untouched(&self) -> TableMaintained {
        let inlined = "another program keeps rows or deletes of it in the catalogue";
        TableMaintained {
            table: self.name.to_string(),
            files: self.files.len() as u64,
            bytes: self.files.iter().map(|file| file.bytes).sum(),
            deleted_rows: self.files.iter().map(|file| file.deleted).sum(),
            rewritten: Compacted::default(),
            merged: Compacted::default(),
            skipped: self.inlined.then(|| inlined.to_owned()),
        }
    }

    /// What would be done.
    pub(super) fn planned(&self, asked: &Maintenance) -> TableMaintained {
        let untouched = self.untouched();
        if untouched.skipped.is_some() {
            return untouched;
        }
        let (rewritten, merged) = (self.to_rewrite(asked), self.to_merge(asked));
        TableMaintained {
            rewritten,
            merged,
            ..untouched
        }
    }

    /// Files with many deletes become one each, or none if nothing of them is left.
    pub(super) fn to_rewrite(&self, asked: &Maintenance) -> Compacted {
        let many = |file: &&File| file.deleted > 0 && file.deleted_share() >= asked.rewrite_from;
        let (mut from, mut to) = (0, 0);
        for file in self.files.iter().filter(many) {
            from += 1;
            to += u64::from(file.deleted < file.rows);
        }
        Compacted { from, to }
    }

    /// Files that are smaller than they should be and of which nothing is deleted, neighbours together. An estimate:
    /// what was just written anew takes part, and files from before a change of columns do not mix with later ones.
    pub(super) fn to_merge(&self, asked: &Maintenance) -> Compacted {
        let mut open: BTreeMap<i64, (u64, u64)> = BTreeMap::new();
        let mut merged = Compacted::default();
        let mut close = |(files, _): (u64, u64)| {
            if files > 1 {
                merged.from += files;
                merged.to += 1;
            }
        };
        for file in &self.files {
            let rewritten = file.deleted > 0 && file.deleted_share() >= asked.rewrite_from;
            let gone = file.deleted >= file.rows && file.rows > 0;
            if file.bytes >= self.target_bytes || gone || (file.deleted > 0 && !rewritten) {
                continue;
            }
            let group = open.entry(file.partition).or_default();
            *group = (group.0 + 1, group.1 + file.bytes);
            if group.1 >= self.target_bytes {
                close(std::mem::take(group));
            }
        }
        open.into_values().for_each(close);
        merged
    }
}
