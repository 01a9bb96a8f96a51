//! A table, as SQLite describes it.

use pintail_lake::connector::{SourceColumn, TableDescription};
use pintail_lake::quote::identifier;
use pintail_lake::{Result, Session};
use pintail_model::{CursorType, CursorValue, LogicalType, TableName};

use super::catalog::{self, ColumnFacts, IndexColumn, Relation};
use super::range::{PAGE_ROWS, ROWID};
use super::scan::qualified;
use super::types::home;
use crate::missing::missing_table;

pub(super) fn describe(
    session: &Session,
    alias: &str,
    address: &str,
    table: &TableName,
) -> Result<TableDescription> {
    let Some(relation) = catalog::relation(session, alias, table)? else {
        return Err(missing_table(
            address,
            table,
            &catalog::known_tables(session, alias)?,
        ));
    };
    let facts = catalog::columns(session, alias, &relation)?;
    let indexes = catalog::index_columns(session, alias, &relation)?;
    let rowid = rowid_alias(&relation, &facts, &indexes);
    let leading = indexes
        .iter()
        .filter(|column| column.position == 0)
        .filter_map(|column| column.column.as_deref());
    let mut indexed: Vec<String> = rowid.into_iter().chain(leading).map(str::to_owned).collect();
    indexed.sort();
    indexed.dedup();
    let mut columns = Vec::new();
    for fact in &facts {
        let logical_type = home(&fact.declared);
        let histogram = match logical_type {
            Some(logical_type) if indexed.contains(&fact.name) => {
                extremes(session, alias, &relation, &fact.name, logical_type)?
            }
            _ => Vec::new(),
        };
        columns.push(SourceColumn {
            name: fact.name.clone(),
            source_type: fact.declared.clone(),
            logical_type,
            carrier: None,
            origin: None,
            nullable: !fact.required && rowid != Some(fact.name.as_str()),
            identity: None,
            histogram,
        });
    }
    let rows = estimate(session, alias, &relation, &facts)?;
    let pages = match rowid {
        // A key of its own has a name that people know.
        Some(_) => None,
        None => blocks(session, alias, &relation, &facts)?,
    };
    Ok(TableDescription {
        bytes: size(session, alias, rows)?,
        rows,
        key: key(rowid, &columns, &facts, &indexes),
        name: relation.name,
        identity: None,
        columns,
        pages,
        storage_identity: None,
        indexed,
    })
}

/// The column that is the rowid itself. It is declared exactly `INTEGER PRIMARY KEY`, and has no index of its own.
fn rowid_alias<'a>(
    relation: &Relation,
    facts: &'a [ColumnFacts],
    indexes: &[IndexColumn],
) -> Option<&'a str> {
    let mut keys = facts.iter().filter(|fact| fact.key_position > 0);
    let only = keys.next().filter(|_| keys.next().is_none())?;
    let alias = !relation.view
        && !relation.without_rowid
        && only.declared.eq_ignore_ascii_case("integer")
        && indexes.iter().all(|column| !column.primary);
    alias.then_some(only.name.as_str())
}

/// The primary key, or else the first unique index. SQLite lets NULL into both, unless a column forbids it.
fn key(
    rowid: Option<&str>,
    columns: &[SourceColumn],
    facts: &[ColumnFacts],
    indexes: &[IndexColumn],
) -> Vec<String> {
    if let Some(rowid) = rowid {
        return vec![rowid.to_owned()];
    }
    let required = |names: &[&str]| {
        !names.is_empty()
            && names.iter().all(|name| {
                columns
                    .iter()
                    .any(|column| column.name == *name && !column.nullable)
            })
    };
    let mut primary: Vec<&ColumnFacts> = facts.iter().filter(|fact| fact.key_position > 0).collect();
    primary.sort_by_key(|fact| fact.key_position);
    let primary: Vec<&str> = primary.into_iter().map(|fact| fact.name.as_str()).collect();
    let unique = indexes
        .iter()
        .filter(|column| column.unique && column.position == 0)
        .map(|first| {
            let columns = indexes.iter().filter(|column| column.index == first.index);
            columns
                .map(|column| column.column.as_deref().unwrap_or_default())
                .collect::<Vec<_>>()
        });
    let found = [primary].into_iter().chain(unique).find(|names| required(names));
    found.unwrap_or_default().into_iter().map(str::to_owned).collect()
}

/// The number of rows, exact only if no row was ever deleted: counting would read the whole table.
fn estimate(
    session: &Session,
    alias: &str,
    relation: &Relation,
    facts: &[ColumnFacts],
) -> Result<Option<u64>> {
    if relation.view {
        return Ok(None);
    }
    let table = qualified(&relation.name);
    let free = |name: &&&str| facts.iter().all(|fact| !fact.name.eq_ignore_ascii_case(name));
    let sql = match ["rowid", "_rowid_", "oid"].iter().find(free) {
        Some(rowid) if !relation.without_rowid => format!(
            "select (select max({rowid}) from {table}) - (select min({rowid}) from {table}) + 1 as rows"
        ),
        _ => format!("select count(*) as rows from {table}"),
    };
    let rows = catalog::rows(session, alias, "look up the size of a table", &sql)?;
    let Some(row) = rows.first() else { return Ok(None) };
    // An empty table has no largest rowid.
    Ok(u64::try_from(catalog::number(row, 0).unwrap_or(0)).ok())
}

/// How many blocks of rowids reach to the largest one; `None` for what has no rowid by that name.
fn blocks(session: &Session, alias: &str, relation: &Relation, facts: &[ColumnFacts]) -> Result<Option<u64>> {
    let taken = facts.iter().any(|fact| fact.name.eq_ignore_ascii_case(ROWID));
    if relation.view || relation.without_rowid || taken {
        return Ok(None);
    }
    let sql = format!("select max({ROWID}) as last from {}", qualified(&relation.name));
    let rows = catalog::rows(session, alias, "look up the size of a table", &sql)?;
    let last = rows.first().and_then(|row| catalog::number(row, 0)).unwrap_or(0);
    Ok(u64::try_from(last / PAGE_ROWS + 1).ok())
}

/// About the size of a table: at most that of the file, and at most a page for each row. What it is exactly only a walk
/// over its pages tells.
fn size(session: &Session, alias: &str, rows: Option<u64>) -> Result<Option<u64>> {
    let Some(rows) = rows else { return Ok(None) };
    let sql = "select page_count, page_size from pragma_page_count, pragma_page_size";
    let found = catalog::rows(session, alias, "look up the size of the file", sql)?;
    let number = |index| u64::try_from(catalog::number(found.first()?, index)?).ok();
    Ok(number(0)
        .zip(number(1))
        .map(|(pages, page_bytes)| pages.min(rows).saturating_mul(page_bytes)))
}

/// Smallest and largest value of an indexed column, which cost nothing.
fn extremes(
    session: &Session,
    alias: &str,
    relation: &Relation,
    column: &str,
    logical_type: LogicalType,
) -> Result<Vec<i64>> {
    let cursor_type = match logical_type {
        LogicalType::Int64 => CursorType::Integer,
        LogicalType::Date => CursorType::Date,
        LogicalType::Timestamp => CursorType::Timestamp,
        _ => return Ok(Vec::new()),
    };
    let (column, table) = (format!("t.{}", identifier(column)), qualified(&relation.name));
    let sql = format!(
        "select (select min({column}) from {table} as t) as low, (select max({column}) from {table} as t) as high"
    );
    let rows = catalog::rows(session, alias, "look up the bounds of a column", &sql)?;
    let bound = |index| {
        let text = rows.first()?.text(index)?;
        CursorValue::parse(cursor_type, text).map(CursorValue::number)
    };
    let mut bounds: Vec<i64> = [bound(0), bound(1)].into_iter().flatten().collect();
    bounds.dedup();
    Ok(bounds)
}
