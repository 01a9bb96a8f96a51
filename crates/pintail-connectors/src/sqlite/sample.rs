//! Bounds from a sample of a table's rows. SQLite knows nothing of how values are spread, so it looks at every key once and
//! keeps some.

use pintail_lake::connector::SourceColumn;
use pintail_lake::quote::identifier;
use pintail_lake::{Relation, Result, Session};
use pintail_model::{CursorType, KeyValue};

use super::catalog;
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
        .map(|(index, column)| Some(sampled(Kind::of(column)?, &column.name, &sample::name(index))))
        .collect::<Option<Vec<_>>>()
    else {
        return Ok(Vec::new());
    };
    let Some(table) = catalog::relation(session, alias, &relation.table)? else {
        return Ok(Vec::new());
    };
    // What is asked of a view may take for ever.
    if table.view {
        return Ok(Vec::new());
    }
    let sql = format!("select count(*) as rows from {}", qualified(&table.name));
    let rows = catalog::rows(session, alias, "count the rows of a table", &sql)?;
    let total = rows.first().and_then(|row| catalog::number(row, 0)).unwrap_or(0);
    let total = u64::try_from(total).unwrap_or(0);
    let one_of = (total / sample::rows(parts)).max(1);
    let taken = format!(
        "select {} from {} as t where random() % {one_of} = 0",
        sample::picked(&columns),
        qualified(&table.name)
    );
    let sql = sample::cut(&columns, &taken, parts);
    let found = catalog::rows(session, alias, "take a sample of a table", &sql)?;
    Ok(sample::bounds(&columns, &found))
}

/// A column, of which values of other kinds than its own are no bounds: see `range::compared` for where they belong.
fn sampled(kind: Kind, name: &str, at: &str) -> Column {
    let name = format!("t.{}", identifier(name));
    let of_type =
        |storage: &str, value: &str| format!("case when typeof({name}) = '{storage}' then {value} end");
    let (picked, order) = match kind {
        Kind::Number(CursorType::Integer) => (of_type("integer", &name), at.to_owned()),
        Kind::Number(_) => (of_type("text", &name), format!("{at} collate binary")),
        Kind::Text | Kind::Uuid => (
            of_type("text", &format!("substr({name}, 1, {LETTERS})")),
            format!("{at} collate binary"),
        ),
    };
    Column {
        kind,
        picked,
        order,
        // A statement cannot hold the letter 0.
        usable: format!("{at} is not null and instr({at}, char(0)) = 0"),
        shown: at.to_owned(),
    }
}
