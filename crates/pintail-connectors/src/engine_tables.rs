//! Writing to databases whose tables the engine itself changes: SQLite and DuckDB files.
//!
//! Both take back everything that a transaction did, tables included, and their readers see the state before it until
//! the end. So a full load replaces the rows of a table that is there, or a side table takes its place; a delta deletes
//! rows by key and adds the staged ones.

use pintail_lake::commit::{Change, StagedFile, same_row};
use pintail_lake::database::{Brought, Incoming};
use pintail_lake::quote::{self, identifier, identifiers};
use pintail_lake::{Call, Result};
use pintail_model::{Column, TableName};

/// Brings rows in. `schema` stands in where the table names none. The table is there, or `prepared` says which one is to
/// stand in its place.
pub(crate) fn bring_in(
    incoming: &Incoming<'_>,
    schema: &str,
    prepared: Option<&TableName>,
) -> Result<Brought> {
    match incoming.change {
        Change::ReplaceAll => replace(incoming, schema, prepared),
        Change::Append => {
            insert(incoming, schema, incoming.table, incoming.files)?;
            Ok(brought(incoming, incoming.files, 0))
        }
        Change::Exchange => {
            let deleted = delete_equal(incoming, schema)?;
            insert(incoming, schema, incoming.table, incoming.files)?;
            Ok(Brought {
                deleted,
                ..brought(incoming, incoming.files, 0)
            })
        }
        Change::Upsert { newer, .. } => {
            let deleted = delete_by_key(incoming, schema, incoming.gone)?;
            let files = match newer {
                Some(newer) => incoming.without_stale(newer)?,
                None => incoming.files.to_vec(),
            };
            let updated = delete_by_key(incoming, schema, &files)?;
            insert(incoming, schema, incoming.table, &files)?;
            Ok(Brought {
                deleted,
                ..brought(incoming, &files, updated)
            })
        }
    }
}

fn brought(incoming: &Incoming<'_>, files: &[StagedFile], updated: u64) -> Brought {
    let rows: u64 = files.iter().map(|file| file.rows).sum();
    let from = match files {
        _ if incoming.key.is_empty() => String::new(),
        // There may be no staged file at all, and the engine reads no list of none.
        [] => format!(
            "(select {} from {} as kept where false)",
            identifiers(incoming.key),
            incoming.rows
        ),
        files => format!(
            "(select {} from {})",
            identifiers(incoming.key),
            quote::parquet(files.iter().map(|file| file.path.as_path()))
        ),
    };
    Brought {
        inserted: rows.saturating_sub(updated),
        updated,
        deleted: 0,
        superseded: incoming.rows().saturating_sub(rows),
        kept: incoming.table.clone(),
        under_keys: !incoming.key.is_empty(),
        keys: from,
    }
}

fn replace(incoming: &Incoming<'_>, schema: &str, prepared: Option<&TableName>) -> Result<Brought> {
    let table = quote::table(incoming.alias, incoming.table, schema);
    let label = format!("replace rows of table \"{}\"", incoming.table);
    let call = Call::new(&label);
    let session = incoming.session;
    let deleted = match incoming.found {
        Some(_) if prepared.is_none() => session.execute(call, &format!("delete from {table}"))?,
        Some(_) => {
            let rows = session.query(call, &format!("select count(*) from {table}"))?;
            let rows = rows.first().and_then(|row| row.integer(0)).unwrap_or(0);
            session.batch(call, &format!("drop table {table}"))?;
            u64::try_from(rows).unwrap_or(0)
        }
        None => 0,
    };
    if let Some(side) = prepared {
        let side = quote::table(incoming.alias, side, schema);
        let sql = format!(
            "alter table {side} rename to {}",
            identifier(&incoming.table.table)
        );
        session.batch(call, &sql)?;
    }
    insert(incoming, schema, incoming.table, incoming.files)?;
    Ok(Brought {
        inserted: incoming.rows(),
        updated: 0,
        deleted,
        superseded: 0,
        kept: incoming.table.clone(),
        under_keys: false,
        keys: String::new(),
    })
}

/// Deletes the rows of the table that have a key of `files`.
fn delete_by_key(incoming: &Incoming<'_>, schema: &str, files: &[StagedFile]) -> Result<u64> {
    if files.is_empty() {
        return Ok(0);
    }
    let label = format!("replace rows of table \"{}\"", incoming.table);
    incoming.session.execute(
        Call::new(&label),
        &delete(
            &quote::table(incoming.alias, incoming.table, schema),
            incoming.key,
            &quote::parquet(files.iter().map(|file| file.path.as_path())),
        ),
    )
}

/// Deletes all rows that are equal to one that goes.
fn delete_equal(incoming: &Incoming<'_>, schema: &str) -> Result<u64> {
    if incoming.gone.is_empty() {
        return Ok(0);
    }
    let names: Vec<&str> = incoming
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    let sql = format!(
        "delete from {} as kept using (select {} from {}) as staged where {}",
        quote::table(incoming.alias, incoming.table, schema),
        identifiers(&names),
        quote::parquet(incoming.gone.iter().map(|file| file.path.as_path())),
        same_row(incoming.columns)
    );
    let label = format!("remove rows of table \"{}\"", incoming.table);
    let deleted = incoming.session.execute(Call::new(&label), &sql)?;
    incoming.check_copies(deleted)?;
    Ok(deleted)
}

fn insert(incoming: &Incoming<'_>, schema: &str, table: &TableName, files: &[StagedFile]) -> Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    let label = format!("add rows to table \"{}\"", incoming.table);
    let names: Vec<&str> = incoming
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    let sql = add(
        &quote::table(incoming.alias, table, schema),
        &names,
        &quote::parquet(files.iter().map(|file| file.path.as_path())),
    );
    incoming.session.execute(Call::new(&label), &sql).map(drop)
}

/// Deletes the rows of a table that have the key of a staged row.
fn delete(table: &str, key: &[String], staged: &str) -> String {
    format!(
        "delete from {table} as kept using (select {} from {staged}) as staged where {}",
        identifiers(key),
        quote::same_key(key)
    )
}

fn add(table: &str, names: &[&str], staged: &str) -> String {
    let names = identifiers(names);
    format!("insert into {table} ({names}) select {names} from {staged}")
}

/// The statements of a commit, for a plan.
pub(crate) fn shown(
    table: &str,
    ledger: &str,
    columns: &[Column],
    change: &Change,
    file: &str,
) -> Vec<String> {
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let staged = quote::parquet([std::path::Path::new(file)]);
    let away = match change {
        Change::Append => None,
        Change::ReplaceAll => Some(format!("delete from {table}")),
        Change::Exchange => Some(format!("delete from {table} where <equal to a row that is gone>")),
        Change::Upsert { key, .. } => Some(delete(table, key, &staged)),
    };
    std::iter::once("begin transaction".to_owned())
        .chain(away)
        .chain([
            add(table, &names, &staged),
            format!("insert into {ledger} …"),
            "commit".to_owned(),
        ])
        .collect()
}
