//! The files of a table as a view of the engine: exactly those that were listed, by name.
//!
//! The view holds values in the types that the files have: those of Parquet, text for CSV, and for JSON what
//! [`json`](super::json) found in it; of a table that Pintail wrote, in the types that were written.

use std::path::Path;

use pintail_config::FileFormat;
use pintail_lake::connector::SourceColumn;
use pintail_lake::quote::{identifier, literal, plain_path};
use pintail_lake::relation::{Dialect, Relation};
use pintail_lake::{Call, Error, Result, Session};
use pintail_model::{Column, ErrorKind, TableName};

use super::json;
use super::listing::Listing;
use super::manifest::Manifest;
use super::rows::{LINES, Rows};
use super::types::home;

/// A table as a part of a statement: its view, or a query over it.
pub(super) fn from(alias: &str, relation: &Relation) -> String {
    let name = |table: &TableName| view(alias, table);
    let dialect = Dialect {
        identifier: &identifier,
        table: &name,
    };
    relation
        .derived(&dialect, &[])
        .unwrap_or_else(|| name(&relation.table))
}

/// The name of a table's view.
pub(super) fn view(alias: &str, table: &TableName) -> String {
    // A name with its schema is one name here: the view lives in an empty database of ours.
    format!("{}.main.{}", identifier(alias), identifier(&table.to_string()))
}

/// Makes the view anew, and describes its columns.
pub(super) fn install(
    session: &Session,
    alias: &str,
    table: &TableName,
    listing: &Listing,
    delimiter: Option<char>,
) -> Result<Vec<SourceColumn>> {
    let label = format!("read the files of table \"{table}\"");
    let call = Call::new(&label);
    if let Some(manifest) = &listing.manifest {
        return install_own(session, call, &view(alias, table), listing, manifest);
    }
    if listing.format == FileFormat::Parquet {
        check_types(session, table, listing)?;
    }
    let source = source(session, listing, delimiter)?;
    let view = view(alias, table);
    session.batch(
        call,
        &format!("create or replace view {view} as select * from {source}"),
    )?;
    let rows = session.query(
        call,
        &format!("select column_name, column_type from (describe {view})"),
    )?;
    let column = |row: &pintail_lake::Row| {
        let source_type = row.text(1).unwrap_or_default().to_owned();
        SourceColumn {
            name: row.text(0).unwrap_or_default().to_owned(),
            logical_type: home(&source_type),
            carrier: None,
            origin: None,
            source_type,
            nullable: true,
            identity: None,
            histogram: Vec::new(),
        }
    };
    Ok(rows.iter().map(column).collect())
}

/// The same for a table that Pintail wrote: its columns are those that were written, whatever a format makes of them.
fn install_own(
    session: &Session,
    call: Call<'_>,
    view: &str,
    listing: &Listing,
    manifest: &Manifest,
) -> Result<Vec<SourceColumn>> {
    let rows = Rows::of(Path::new(&listing.base), manifest).relation();
    session.batch(
        call,
        &format!("create or replace view {view} as select * from {rows}"),
    )?;
    let column = |column: &Column| SourceColumn {
        name: column.name.clone(),
        source_type: column.logical_type.to_string(),
        logical_type: Some(column.logical_type),
        carrier: None,
        origin: column.origin.clone(),
        nullable: column.nullable,
        identity: None,
        histogram: Vec::new(),
    };
    Ok(manifest.columns.iter().map(column).collect())
}

/// How many rows there are, where the files say so.
pub(super) fn rows(session: &Session, listing: &Listing) -> Result<Option<u64>> {
    if let Some(manifest) = &listing.manifest {
        return Ok(Some(manifest.rows()));
    }
    if listing.format != FileFormat::Parquet {
        return Ok(None);
    }
    let rows = session.query(Call::new("count the rows of files"), &footer_count(listing))?;
    Ok(rows
        .first()
        .and_then(|row| row.integer(0))
        .and_then(|rows| u64::try_from(rows).ok()))
}

/// What the ends of Parquet files say, added up.
pub(super) fn footer_count(listing: &Listing) -> String {
    format!(
        "select coalesce(sum(num_rows), 0)::bigint as rows from parquet_file_metadata({})",
        names(listing)
    )
}

/// The files as a relation.
fn source(session: &Session, listing: &Listing, delimiter: Option<char>) -> Result<String> {
    let names = names(listing);
    let read = match listing.format {
        FileFormat::Parquet => format!("read_parquet({names}, union_by_name = true"),
        // Nothing is guessed from a sample: what a guess gets wrong in row 100,000 is lost in silence. A field that is
        // empty is NULL, and one in quotes is an empty text.
        FileFormat::Csv => format!(
            "read_csv({names}, all_varchar = true, header = true, delim = {}, quote = '\"', escape = '\"', skip = 0, \
             nullstr = '', allow_quoted_nulls = false, union_by_name = true, {LINES}",
            literal(&delimiter.unwrap_or_else(|| usual_delimiter(listing)).to_string()),
        ),
        FileFormat::Json => format!(
            "read_json({names}, columns = {}, auto_detect = false, format = 'auto'",
            json::columns(session, &names)?,
        ),
    };
    let folders = partitions(session, listing, &read)?;
    Ok(format!("{read}, {folders})"))
}

fn usual_delimiter(listing: &Listing) -> char {
    let tabs = listing
        .files
        .keys()
        .all(|name| name.to_ascii_lowercase().contains(".tsv"));
    if tabs { '\t' } else { ',' }
}

/// Every file, as itself and not as a pattern.
fn names(listing: &Listing) -> String {
    let names: Vec<String> = listing.files.keys().map(|name| plain_path(name)).collect();
    format!("[{}]", names.join(", "))
}

/// How partitions in the names of folders are read: as text, unless the files have a column of that name themselves, which
/// the engine would put the folder's value over.
fn partitions(session: &Session, listing: &Listing, read: &str) -> Result<&'static str> {
    let as_they_are = "hive_partitioning = false";
    let Some(first) = listing
        .files
        .keys()
        .next()
        .filter(|_| !partition_keys(listing).is_empty())
    else {
        return Ok(as_they_are);
    };
    let sql = format!("select column_name from (describe select * from {read}, {as_they_are}))");
    let inside = session.query(Call::new("read the columns of files"), &sql)?;
    // The engine takes folders above the table's for columns too, and names in capitals for the same.
    let mut keys = first
        .split('/')
        .rev()
        .skip(1)
        .filter_map(|folder| folder.split_once('='));
    let repeated = keys.any(|(key, _)| {
        let mut names = inside.iter().filter_map(|row| row.text(0));
        names.any(|name| name.eq_ignore_ascii_case(key))
    });
    Ok(match repeated {
        true => as_they_are,
        false => "hive_partitioning = true, hive_types_autocast = false",
    })
}

/// The columns that all files have in the names of their folders: `day` of `day=2026-11-21/`.
fn partition_keys(listing: &Listing) -> Vec<&str> {
    let keys_of = |name: &'_ str| -> Vec<String> {
        let inside = name.strip_prefix(&listing.base).unwrap_or(name);
        let folders = inside.split('/').rev().skip(1);
        let keys = folders
            .filter_map(|folder| folder.split_once('='))
            .map(|(key, _)| key);
        keys.map(str::to_owned).collect()
    };
    let mut names = listing.files.keys();
    let Some(first) = names.next() else {
        return Vec::new();
    };
    let keys = keys_of(first);
    if !names.all(|name| keys_of(name) == keys) {
        return Vec::new();
    }
    let inside = first.strip_prefix(&listing.base).unwrap_or(first);
    let folders = inside.split('/').rev().skip(1);
    folders
        .filter_map(|folder| folder.split_once('='))
        .map(|(key, _)| key)
        .collect()
}

/// Refuses files that disagree on the type of a column: the engine would bring them to a common one, with loss.
fn check_types(session: &Session, table: &TableName, listing: &Listing) -> Result<()> {
    // Names that occur more than once in a file belong to nested columns.
    let sql = format!(
        "with found as (
           select file_name, name, duckdb_type, count(*) over (partition by file_name, name) as same
           from parquet_schema({})
           where duckdb_type is not null)
         select name, string_agg(distinct duckdb_type, ' and ' order by duckdb_type)
         from found
         where same = 1
         group by name
         having count(distinct duckdb_type) > 1
            and count(*) filter (where duckdb_type not in ('TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT')) > 0
         order by name
         limit 1",
        names(listing)
    );
    let rows = session.query(Call::new("read the columns of files"), &sql)?;
    match rows.first() {
        None => Ok(()),
        Some(row) => Err(Error::refused(
            ErrorKind::Invalid,
            format!(
                "the files of table \"{table}\" do not agree on column \"{}\": it is {}",
                row.text(0).unwrap_or_default(),
                row.text(1).unwrap_or_default().to_lowercase()
            ),
            "Read them as tables of their own, with a pattern for each.",
        )),
    }
}
