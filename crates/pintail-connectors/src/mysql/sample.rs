//! Bounds from a sample of a table's rows. MySQL has no such thing as a sample, so it looks at every key once, in the smallest
//! index that has it, and hands some of them over; the engine puts them in order.

use pintail_lake::connector::SourceColumn;
use pintail_lake::{Call, Relation, Result, Session};
use pintail_model::{CursorType, KeyValue};

use super::catalog;
use super::quote::{identifier, plain_text, query, table as qualified};
use super::statistics::number;
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
        .map(|(index, column)| Some(sampled(Kind::of(column)?, &column.name, &sample::name(index))))
        .collect::<Option<Vec<_>>>()
    else {
        return Ok(Vec::new());
    };
    let total = catalog::relation(session, alias, &relation.table)?.and_then(|table| table.rows);
    // What is asked of a view may take for ever.
    let Some(total) = total else {
        return Ok(Vec::new());
    };
    let taken = format!(
        "select {} from {} where rand(1) < {} limit {}",
        sample::picked(&columns),
        qualified(&relation.table),
        sample::percent(parts, total) / 100.0,
        // An estimate may be far too small.
        sample::rows(parts).saturating_mul(2)
    );
    let sql = sample::cut(&columns, &format!("from {}", query(alias, &taken)), parts);
    let found = session.query(Call::new("take a sample of a table"), &sql)?;
    Ok(sample::bounds(&columns, &found))
}

/// A column: MySQL picks it, and the engine does the rest.
fn sampled(kind: Kind, name: &str, at: &str) -> Column {
    let name = identifier(name);
    let (picked, order, usable) = match kind {
        Kind::Number(CursorType::Integer) => (name, at.to_owned(), format!("{at} is not null")),
        Kind::Number(kind) => (number(kind, &name), at.to_owned(), format!("{at} is not null")),
        Kind::Text | Kind::Uuid => (
            format!("left({}, {LETTERS})", plain_text(&name)),
            // As `predicate::compared` does: by bytes, whatever order the column has.
            format!("{at} collate \"C\""),
            // A statement cannot hold the letter 0.
            format!("{at} is not null and position(chr(0) in {at}) = 0"),
        ),
    };
    let shown = match kind {
        Kind::Number(_) => format!("{at}::bigint"),
        Kind::Text | Kind::Uuid => at.to_owned(),
    };
    Column {
        kind,
        picked,
        order,
        usable,
        shown,
    }
}
