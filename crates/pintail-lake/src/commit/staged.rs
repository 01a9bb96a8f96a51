//! Staged files: what is asked of them before a commit, and how they come into a table.
//!
//! What a file says counts, and never its path: DuckDB would take a folder `tenant=acme` for a column `tenant` of
//! every row below it.

use std::path::PathBuf;

use pintail_model::{ErrorKind, TableName};

use crate::depot::Depot;
use crate::error::{Error, Result};
use crate::lake::ALIAS;
use crate::quote;
use crate::session::{Call, Session};

/// A Parquet file that a worker wrote and that no snapshot refers to yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedFile {
    /// Where it lies: below [`Lake::stage`](crate::Lake::stage)'s folder.
    pub path: PathBuf,
    /// Rows in it.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
}

/// The staged files as a relation.
pub(super) fn read_staged(files: &[StagedFile]) -> String {
    quote::parquet(files.iter().map(|file| file.path.as_path()))
}

/// Refuses staged rows that an upsert cannot place.
///
/// # Errors
/// `Data` for rows without a key, and for keys that stand in more than one row.
pub fn check_keys(session: &Session, table: &TableName, key: &[String], files: &[StagedFile]) -> Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    let names = quote::identifiers(key);
    let any_null = key
        .iter()
        .map(|column| format!("{} is null", quote::identifier(column)))
        .collect::<Vec<_>>()
        .join(" or ");
    let sql = format!(
        "select count(*) filter (where without_key), count(*) filter (where not without_key and same > 1)
         from (select ({any_null}) as without_key, count(*) as same from {} group by {names})",
        read_staged(files)
    );
    let rows = session.query(Call::new("check the keys of the staged rows"), &sql)?;
    let count = |index| rows.first().and_then(|row| row.integer(index)).unwrap_or(0);
    let key = key.join(", ");
    if count(0) > 0 {
        return Err(Error::refused(
            ErrorKind::Data,
            format!("rows of table \"{table}\" have no value in key ({key})"),
            "An upsert needs a key in every row: name columns that are never NULL as `unique_column`.",
        ));
    }
    if count(1) > 0 {
        return Err(Error::refused(
            ErrorKind::Data,
            format!(
                "{} values of key ({key}) stand in more than one row of table \"{table}\"",
                count(1)
            ),
            "An upsert needs a key that is unique: name more columns as `unique_column`.",
        ));
    }
    Ok(())
}

/// Writes staged files anew without the rows for which `stale` (a FROM clause over `staged`) finds something.
pub(crate) fn drop_stale(
    depot: &Depot,
    session: &Session,
    call: Call<'_>,
    stale: &str,
    files: &mut Vec<StagedFile>,
) -> Result<()> {
    let sql = format!(
        "select count(*) from {} as staged where exists ({stale})",
        read_staged(files)
    );
    let found = session
        .query(call, &sql)?
        .first()
        .and_then(|row| row.integer(0))
        .unwrap_or(0);
    if found == 0 {
        return Ok(());
    }
    let Some(first) = files.first() else {
        return Ok(());
    };
    let path = first.path.with_extension("newer.parquet");
    let target = quote::literal(&path.to_string_lossy());
    let copy = format!(
        "copy (select staged.* from {} as staged where not exists ({stale})) to {target} (format parquet)",
        read_staged(files)
    );
    let rows = session.execute(call, &copy)?;
    tracing::info!(
        dropped = found,
        "staged rows older than those that are there were dropped"
    );
    *files = if rows == 0 {
        Vec::new()
    } else {
        let bytes = depot.secure(&path)?;
        vec![StagedFile { path, rows, bytes }]
    };
    Ok(())
}

/// Brings files into a table. Their own bytes are on disk since they were staged.
pub(super) fn add_files(
    depot: &Depot,
    session: &Session,
    table: &TableName,
    files: &[StagedFile],
) -> Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    depot.secure_names(files.iter().map(|file| file.path.as_path()))?;
    let sql = format!(
        "call ducklake_add_data_files('{ALIAS}', {}, {}, schema => {}, hive_partitioning => false)",
        quote::literal(&table.table),
        quote::paths(files.iter().map(|file| file.path.as_path())),
        quote::literal(table.schema_or("main"))
    );
    let label = format!("add staged files to table \"{table}\" of the lake");
    session.batch(Call::new(&label), &sql)
}
