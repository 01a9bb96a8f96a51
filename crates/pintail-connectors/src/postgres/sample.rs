//! Bounds from a sample of a table's pages.

use pintail_lake::connector::SourceColumn;
use pintail_lake::quote::identifier;
use pintail_lake::{Relation, Result, Session};
use pintail_model::{CursorType, KeyValue};

use super::catalog::{self, rows};
use super::predicate::text_key;
use super::scan::qualified;
use crate::sample::{self, Column, Kind, LETTERS};

pub(super) fn bounds(
    session: &Session,
    alias: &str,
    relation: &Relation,
    columns: &[SourceColumn],
    parts: u64,
) -> Result<Vec<Vec<KeyValue>>> {
    let columns = columns.iter().enumerate();
    let Some(columns) = columns
        .map(|(index, column)| sampled(column, &sample::name(index)))
        .collect::<Option<Vec<_>>>()
    else {
        return Ok(Vec::new());
    };
    let Some(table) = catalog::relation(session, alias, &relation.table)? else {
        return Ok(Vec::new());
    };
    let storage = catalog::storage(session, alias, &table)?;
    let (Some(total), Some(_)) = (storage.rows.filter(|rows| *rows > 0), &storage.identity) else {
        // Views and foreign tables have no pages to take a sample of.
        return Ok(Vec::new());
    };
    let taken = format!(
        "select {} from {} tablesample system ({}) repeatable (1)",
        sample::picked(&columns),
        qualified(&relation.table),
        sample::percent(parts, total)
    );
    let sql = sample::cut(&columns, &taken, parts);
    let found = rows(session, alias, "take a sample of a table", &sql)?;
    Ok(sample::bounds(&columns, &found))
}

fn sampled(column: &SourceColumn, at: &str) -> Option<Column> {
    let kind = Kind::of(column)?;
    let name = identifier(&column.name);
    let (picked, order) = match kind {
        Kind::Text => (format!("left({name}::text, {LETTERS})"), text_key(at)),
        Kind::Number(_) | Kind::Uuid => (name, at.to_owned()),
    };
    let (usable, shown) = match kind {
        Kind::Number(CursorType::Integer) => (format!("{at} is not null"), format!("{at}::bigint")),
        Kind::Number(CursorType::Date) => (
            format!("isfinite({at})"),
            format!("({at} - date '1970-01-01')::bigint"),
        ),
        Kind::Number(CursorType::Timestamp | CursorType::TimestampTz) => (
            format!("isfinite({at})"),
            format!("round(extract(epoch from {at}) * 1000000)::bigint"),
        ),
        Kind::Text | Kind::Uuid => (format!("{at} is not null"), format!("{at}::text")),
    };
    Some(Column {
        kind,
        picked,
        order,
        usable,
        shown,
    })
}
