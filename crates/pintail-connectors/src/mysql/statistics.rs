//! Values that cut a column into parts of about equal row counts, without looking at rows.
//!
//! MySQL keeps no distribution that every user may read. But its optimizer looks into the index for every range that it
//! is asked to plan, and EXPLAIN says how many rows it thinks are there. So a column is laid out in cells, and what holds
//! many rows is laid out again: gaps of 10^9 and hot spots show after a few rounds.

use pintail_lake::{Call, Result, Session};
use pintail_model::{CursorType, CursorValue, LogicalType, TableName};

use super::catalog::rows;
use super::predicate::Reader;
use super::quote::{identifier, query, table as qualified};
use crate::distribution::{Mass, PARTS, cut};

/// Cells that are asked about in one statement.
const CELLS: i64 = 128;

/// How often heavy cells are laid out again.
const ROUNDS: usize = 6;

/// A table of fewer rows is not cut.
const ROWS_MIN: u64 = 10_000;

/// A range of values, and how many rows may be in it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Cell {
    low: i64,
    /// The first value after it.
    end: i64,
    rows: f64,
}

/// Ascending values of an indexed column; empty if it cannot be cut.
pub(super) fn histogram(
    session: &Session,
    alias: &str,
    table: &TableName,
    column: &str,
    logical_type: LogicalType,
    table_rows: Option<u64>,
) -> Result<Vec<i64>> {
    let Some(cursor_type) = cursor_type(logical_type) else {
        return Ok(Vec::new());
    };
    let ask = Question {
        session,
        alias,
        table,
        column,
        cursor_type,
    };
    let Some((least, most)) = ask.bounds()? else {
        return Ok(Vec::new());
    };
    if table_rows.unwrap_or(0) < ROWS_MIN || least == most {
        return Ok(vec![least, most]);
    }
    let mut cells = vec![Cell {
        low: least,
        end: most.saturating_add(1),
        rows: 1.0,
    }];
    for _ in 0..ROUNDS {
        let total: f64 = cells.iter().map(|cell| cell.rows).sum();
        let heavy = |cell: &Cell| cell.end - cell.low > 1 && cell.rows > total / PARTS;
        let (split, kept): (Vec<Cell>, Vec<Cell>) = cells.iter().partition(|cell| heavy(cell));
        if split.is_empty() {
            break;
        }
        let parts = (CELLS / i64::try_from(split.len()).unwrap_or(CELLS)).max(2);
        let finer = split.iter().flat_map(|cell| laid_out(*cell, parts)).collect();
        cells = kept;
        cells.extend(ask.rows(finer)?);
    }
    cells.sort_by_key(|cell| cell.low);
    let begin = Mass {
        value: least,
        share: 0.0,
    };
    let masses = cells.iter().map(|cell| Mass {
        value: cell.end - 1,
        share: cell.rows,
    });
    Ok(cut([begin].into_iter().chain(masses).collect()))
}

fn cursor_type(logical_type: LogicalType) -> Option<CursorType> {
    match logical_type {
        integer if integer.is_integer() => Some(CursorType::Integer),
        LogicalType::Date => Some(CursorType::Date),
        LogicalType::Timestamp => Some(CursorType::Timestamp),
        LogicalType::TimestampTz => Some(CursorType::TimestampTz),
        _ => None,
    }
}

/// A value as a number of its unit, in the words of MySQL.
pub(super) fn number(cursor_type: CursorType, value: &str) -> String {
    match cursor_type {
        CursorType::Integer => format!("cast({value} as signed)"),
        CursorType::Date => format!("timestampdiff(day, date '1970-01-01', {value})"),
        CursorType::Timestamp | CursorType::TimestampTz => {
            format!("timestampdiff(microsecond, timestamp '1970-01-01 00:00:00', {value})")
        }
    }
}

/// A cell in `parts` parts of about the same width.
fn laid_out(cell: Cell, parts: i64) -> Vec<Cell> {
    let (low, width) = (i128::from(cell.low), i128::from(cell.end) - i128::from(cell.low));
    let parts = i128::from(parts).min(width);
    let bound = |part: i128| i64::try_from(low + width * part / parts).unwrap_or(cell.end);
    (0..parts)
        .map(|part| Cell {
            low: bound(part),
            end: bound(part + 1),
            rows: 0.0,
        })
        .collect()
}

/// A column that is asked about.
struct Question<'a> {
    session: &'a Session,
    alias: &'a str,
    table: &'a TableName,
    column: &'a str,
    cursor_type: CursorType,
}

impl Question<'_> {
    /// The smallest and the largest value, which an index knows.
    fn bounds(&self) -> Result<Option<(i64, i64)>> {
        let column = identifier(self.column);
        let sql = format!(
            "select {} as least, {} as most from {}",
            number(self.cursor_type, &format!("min({column})")),
            number(self.cursor_type, &format!("max({column})")),
            qualified(self.table)
        );
        let rows = rows(self.session, self.alias, "look up the bounds of a column", &sql)?;
        let row = rows.first();
        let number = |index| row.and_then(|row| row.integer(index));
        Ok(number(0).zip(number(1)))
    }

    /// The cells with the rows that the optimizer expects in them.
    fn rows(&self, mut cells: Vec<Cell>) -> Result<Vec<Cell>> {
        let column = identifier(self.column);
        let bound = |number| Reader::MySql.value(CursorValue::from_number(self.cursor_type, number));
        let parts: Vec<String> = cells
            .iter()
            .map(|cell| {
                format!(
                    "select 1 from {} where {column} >= {} and {column} < {}",
                    qualified(self.table),
                    bound(cell.low),
                    bound(cell.end)
                )
            })
            .collect();
        let sql = format!("explain {}", parts.join(" union all "));
        let label = "estimate the rows in parts of a table";
        let explained = format!(
            "select id::bigint, try_cast(\"rows\" as bigint) from {}",
            query(self.alias, &sql)
        );
        for row in self.session.query(Call::new(label), &explained)? {
            // Parts are numbered from 1. The union itself has no number, and a part without rows may have no estimate.
            let part = row.integer(0).and_then(|part| usize::try_from(part - 1).ok());
            if let Some(cell) = part.and_then(|part| cells.get_mut(part)) {
                cell.rows = row.integer(1).unwrap_or(0) as f64;
            }
        }
        Ok(cells)
    }
}
