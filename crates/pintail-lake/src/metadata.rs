//! Look-ups in the metadata tables of a lake that DuckLake's own functions do not answer.
//!
//! They are short, and the repair after a lost answer needs them: a request to stop does not interrupt them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pintail_model::TableName;

use crate::error::Result;
use crate::lake::{ALIAS, Lake};
use crate::location::Catalogue;
use crate::quote;
use crate::session::{Call, Row, Session};

/// The database under which DuckLake shows its metadata tables.
pub(crate) fn metadata_alias() -> String {
    format!("__ducklake_metadata_{ALIAS}")
}

/// A metadata table, qualified.
pub(crate) fn metadata_table(lake: &Lake, table: &str) -> String {
    let schema = match &lake.location().catalogue {
        Catalogue::Postgres { metadata_schema, .. } => metadata_schema,
        Catalogue::Sqlite(_) | Catalogue::DuckDb(_) => "main",
    };
    format!(
        "{}.{}.{}",
        quote::identifier(&metadata_alias()),
        quote::identifier(schema),
        quote::identifier(table)
    )
}

/// Compares a name with a parameter as DuckLake does: letters of ASCII are the same in both cases, others are not.
fn same_name(column: &str) -> String {
    let folded =
        |text: &str| format!("translate({text}, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz')");
    format!("{} = {}", folded(column), folded("?"))
}

/// Where a table is, according to the catalogue.
pub(crate) struct Place {
    pub(crate) table_id: i64,
    pub(crate) folder: PathBuf,
}

/// Looks up a live table's id and folder.
pub(crate) fn place(lake: &Lake, session: &Session, name: &TableName) -> Result<Option<Place>> {
    let sql = format!(
        "select t.table_id, s.path, s.path_is_relative, t.path, t.path_is_relative
         from {tables} as t
         join {schemas} as s on s.schema_id = t.schema_id
         where t.end_snapshot is null
           and s.end_snapshot is null
           and {same_schema}
           and {same_table}",
        same_schema = same_name("s.schema_name"),
        same_table = same_name("t.table_name"),
        tables = metadata_table(lake, "ducklake_table"),
        schemas = metadata_table(lake, "ducklake_schema"),
    );
    let rows = session.query_with(
        Call::new("look a table of the lake up").protected(),
        &sql,
        &[name.schema_or("main"), &name.table],
    )?;
    Ok(rows.first().and_then(|row| {
        let schema = joined(&lake.location().data_path, row, 1);
        Some(Place {
            table_id: row.integer(0)?,
            folder: joined(&schema, row, 3),
        })
    }))
}

/// The folder of a live schema, if there is one.
pub(crate) fn schema_folder(lake: &Lake, session: &Session, schema: &str) -> Result<Option<PathBuf>> {
    let sql = format!(
        "select path, path_is_relative from {} where end_snapshot is null and {}",
        metadata_table(lake, "ducklake_schema"),
        same_name("schema_name")
    );
    let rows = session.query_with(
        Call::new("look a schema of the lake up").protected(),
        &sql,
        &[schema],
    )?;
    Ok(rows.first().map(|row| joined(&lake.location().data_path, row, 0)))
}

/// Whether a table has a setting of its own for `option`.
pub(crate) fn table_option(lake: &Lake, session: &Session, table_id: i64, option: &str) -> Result<bool> {
    let sql = format!(
        "select count(*) from {} where scope = 'table' and scope_id::bigint = {table_id} and key = ?",
        metadata_table(lake, "ducklake_metadata")
    );
    let call = Call::new("look an option of a table up").protected();
    let rows = session.query_with(call, &sql, &[option])?;
    Ok(rows.first().and_then(|row| row.integer(0)).unwrap_or(0) > 0)
}

/// The snapshot whose commit said `extra_info`, if it has not expired.
pub(crate) fn snapshot_of(lake: &Lake, session: &Session, extra_info: &str) -> Result<Option<i64>> {
    let sql = format!(
        "select max(snapshot_id) from {} where commit_extra_info = ?",
        metadata_table(lake, "ducklake_snapshot_changes")
    );
    let call = Call::new("look a commit of the lake up").protected();
    let rows = session.query_with(call, &sql, &[extra_info])?;
    Ok(rows.first().and_then(|row| row.integer(0)))
}

/// The newest snapshot, of those up to `version`, that changed anything of a table; `None` if all of them have expired.
pub(crate) fn last_change(
    lake: &Lake,
    session: &Session,
    table_id: i64,
    version: Option<i64>,
) -> Result<Option<i64>> {
    let until = version.unwrap_or(i64::MAX);
    // The changes of a snapshot are a list like `inserted_into_table:1,deleted_from_table:1`.
    let sql = format!(
        "select max(snapshot_id) from {} where snapshot_id <= {until} and ',' || changes_made || ',' like '%:{table_id},%'",
        metadata_table(lake, "ducklake_snapshot_changes")
    );
    let rows = session.query(Call::new("look the last change of a table up"), &sql)?;
    Ok(rows.first().and_then(|row| row.integer(0)))
}

/// How many rows the files of a live table hold, less those that were deleted from them. What other programs keep in the
/// catalogue instead is left out. Of two delete files for one data file, the larger one counts.
pub(crate) fn rows_in_files(lake: &Lake, session: &Session, table_id: i64) -> Result<u64> {
    let sql = format!(
        "select coalesce(sum(f.record_count - coalesce(d.delete_count, 0)), 0)
         from {files} as f
         left join (
             select data_file_id, max(delete_count) as delete_count
             from {deletes}
             where table_id = {table_id}
               and end_snapshot is null
             group by data_file_id
         ) as d on d.data_file_id = f.data_file_id
         where f.table_id = {table_id}
           and f.end_snapshot is null",
        files = metadata_table(lake, "ducklake_data_file"),
        deletes = metadata_table(lake, "ducklake_delete_file"),
    );
    let call = Call::new("add the rows of a table's files up").protected();
    let rows = session.query(call, &sql)?;
    let number = rows.first().and_then(|row| row.integer(0)).unwrap_or(0);
    Ok(u64::try_from(number).unwrap_or(0))
}

/// Which files to list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Files {
    /// Those that the newest snapshot needs.
    Current,
    /// Those that any snapshot needs.
    Any,
}

/// Data and delete files of all tables whose folder is `folder`, wherever they lie, and files of other tables that lie
/// below it: a table that was created anew shares its folder with its predecessors.
pub(crate) fn files(
    lake: &Lake,
    session: &Session,
    folder: &Path,
    which: Files,
) -> Result<BTreeSet<PathBuf>> {
    let live = if which == Files::Current {
        "where f.end_snapshot is null and t.end_snapshot is null"
    } else {
        ""
    };
    let of_kind = |kind: &str| {
        format!(
            "select f.path, f.path_is_relative, f.end_snapshot, f.table_id from {} as f",
            metadata_table(lake, kind)
        )
    };
    // A table has several rows if it was renamed; its path stays.
    let sql = format!(
        "select distinct s.path, s.path_is_relative, t.path, t.path_is_relative, f.path, f.path_is_relative
         from ({data} union all {deletes}) as f
         join {tables} as t on t.table_id = f.table_id
         join {schemas} as s on s.schema_id = t.schema_id
         {live}",
        data = of_kind("ducklake_data_file"),
        deletes = of_kind("ducklake_delete_file"),
        tables = metadata_table(lake, "ducklake_table"),
        schemas = metadata_table(lake, "ducklake_schema"),
    );
    let mut found = BTreeSet::new();
    for row in session.query(Call::new("list the files of a table").protected(), &sql)? {
        let schema = joined(&lake.location().data_path, &row, 0);
        let table = joined(&schema, &row, 2);
        let file = joined(&table, &row, 4);
        if table == folder || file.starts_with(folder) {
            found.insert(file);
        }
    }
    Ok(found)
}

/// Files that the last snapshot gave up less than `age` ago: a query that began before may still read them.
pub(crate) fn given_up_within(lake: &Lake, session: &Session, age: Duration) -> Result<BTreeSet<PathBuf>> {
    // Compared as numbers: the operators of instants and intervals live in an extension.
    let sql = format!(
        "select path, path_is_relative
         from {}
         where epoch(schedule_start::timestamptz) > epoch(now()) - {}",
        metadata_table(lake, "ducklake_files_scheduled_for_deletion"),
        age.as_secs_f64()
    );
    let call = Call::new("list the files that a lake gave up").protected();
    let rows = session.query(call, &sql)?;
    Ok(rows
        .iter()
        .map(|row| joined(&lake.location().data_path, row, 0))
        .collect())
}

/// The path in column `index`, which column `index + 1` says to be relative to `base` or not.
fn joined(base: &Path, row: &Row, index: usize) -> PathBuf {
    let path = row.text(index).unwrap_or_default();
    // SQLite has no booleans: the flag arrives as a number there.
    let relative = row.boolean(index + 1) || row.integer(index + 1) == Some(1);
    let joined = if relative {
        base.join(path)
    } else {
        PathBuf::from(path)
    };
    // DuckLake writes folders with a slash at their end; without it, paths compare equal. An address of a bucket has two
    // slashes where a path has one.
    match joined.to_str() {
        Some(address) if address.contains("://") => PathBuf::from(address.trim_end_matches('/')),
        _ => joined.components().collect(),
    }
}
