//! Bounds from a sample that the engine takes itself: of tables of DuckDB files and lakes, and of files. It reads the
//! columns of the key and no others.

use pintail_lake::connector::SourceColumn;
use pintail_lake::{Call, Result, Session};
use pintail_model::{CursorType, KeyValue};

use crate::sample::{self, Column, Kind, LETTERS};

/// Bounds of the rows `from`, of which there are about `total`, if that is known. `typed` writes a column as ranges compare it.
pub(crate) fn bounds(
    session: &Session,
    from: &str,
    total: Option<u64>,
    columns: &[SourceColumn],
    parts: u64,
    typed: &dyn Fn(&SourceColumn) -> Option<String>,
) -> Result<Vec<Vec<KeyValue>>> {
    let columns = columns.iter().enumerate();
    let Some(columns) = columns
        .map(|(index, column)| Some(sampled(Kind::of(column)?, &typed(column)?, &sample::name(index))))
        .collect::<Option<Vec<_>>>()
    else {
        return Ok(Vec::new());
    };
    let method = match total {
        Some(total) => format!("bernoulli({}%)", sample::percent(parts, total)),
        None => format!("reservoir({} rows)", sample::rows(parts)),
    };
    let taken = format!(
        "select {} from {from} tablesample {method} repeatable (1)",
        sample::picked(&columns)
    );
    let sql = sample::cut(&columns, &taken, parts);
    let found = session.query(Call::new("take a sample of a table"), &sql)?;
    Ok(sample::bounds(&columns, &found))
}

/// A column whose value is `value`, and `at` in the sample.
fn sampled(kind: Kind, value: &str, at: &str) -> Column {
    let (picked, order) = match kind {
        // Whatever order the column has: see `scan::compared`.
        Kind::Text => (format!("left({value}, {LETTERS})"), format!("{at} collate \"C\"")),
        Kind::Number(_) | Kind::Uuid => (value.to_owned(), at.to_owned()),
    };
    let (usable, shown) = match kind {
        Kind::Number(CursorType::Integer) => (format!("{at} is not null"), format!("{at}::bigint")),
        Kind::Number(CursorType::Date) => (
            format!("isfinite({at})"),
            format!("({at} - date '1970-01-01')::bigint"),
        ),
        Kind::Number(CursorType::Timestamp | CursorType::TimestampTz) => {
            (format!("isfinite({at})"), format!("epoch_us({at})"))
        }
        // A statement cannot hold the letter 0.
        Kind::Text => (
            format!("{at} is not null and position(chr(0) in {at}) = 0"),
            at.to_owned(),
        ),
        Kind::Uuid => (format!("{at} is not null"), format!("{at}::varchar")),
    };
    Column {
        kind,
        picked,
        order,
        usable,
        shown,
    }
}
