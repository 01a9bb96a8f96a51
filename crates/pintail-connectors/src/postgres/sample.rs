//! Bounds that cut a table into parts of about as many rows, from a sample of its pages: statistics know single columns
//! and no order of texts but the database's own.

use pintail_lake::connector::SourceColumn;
use pintail_lake::quote::identifier;
use pintail_lake::{Relation, Result, Row, Session};
use pintail_model::{CursorType, CursorValue, KeyValue, LogicalType};

use super::catalog::{self, rows};
use super::predicate::text_key;
use super::scan::qualified;

/// Rows of the sample for each part, and of all of it at most.
const SAMPLE_ROWS: u64 = 1_000;
const SAMPLE_ROWS_MAX: u64 = 200_000;
/// Letters of a text that a bound takes: a bound need not be a value that exists.
const LETTERS: u32 = 64;

pub(super) fn bounds(
    session: &Session,
    alias: &str,
    relation: &Relation,
    columns: &[SourceColumn],
    parts: u64,
) -> Result<Vec<Vec<KeyValue>>> {
    let Some(keys) = columns.iter().map(Key::of).collect::<Option<Vec<_>>>() else {
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
    let wanted = (parts * SAMPLE_ROWS).min(SAMPLE_ROWS_MAX);
    let percent = (100.0 * wanted as f64 / total as f64).clamp(0.001, 100.0);
    let list = |part: fn(&Key) -> &String| keys.iter().map(part).cloned().collect::<Vec<_>>().join(", ");
    let sql = format!(
        "with picked as (select {} from {} tablesample system ({percent}) repeatable (1)), \
         numbered as (select picked.*, row_number() over (order by {}) as n, count(*) over () as total \
         from picked where {}) \
         select {} from numbered where n = 1 or n < total and n * {parts} / total > (n - 1) * {parts} / total order by n",
        list(|key| &key.picked),
        qualified(&relation.table),
        list(|key| &key.order),
        keys.iter()
            .map(|key| key.usable.as_str())
            .collect::<Vec<_>>()
            .join(" and "),
        list(|key| &key.shown),
    );
    let found = rows(session, alias, "take a sample of a table", &sql)?;
    let bound = |row: &Row| -> Option<Vec<KeyValue>> {
        let values = keys.iter().enumerate();
        values.map(|(index, key)| key.value(row, index)).collect()
    };
    let mut bounds: Vec<Vec<KeyValue>> = found.iter().filter_map(bound).collect();
    bounds.dedup();
    // The smallest value that is known would leave nothing below it.
    Ok(bounds.into_iter().skip(1).collect())
}

/// A column that ranges can compare.
struct Key {
    cursor_type: Option<CursorType>,
    uuid: bool,
    picked: String,
    order: String,
    usable: String,
    shown: String,
}

impl Key {
    fn of(column: &SourceColumn) -> Option<Self> {
        let name = identifier(&column.name);
        let (cursor_type, shown) = match column.logical_type? {
            kind if kind.is_integer() => (Some(CursorType::Integer), format!("{name}::bigint")),
            LogicalType::Date => (
                Some(CursorType::Date),
                format!("({name} - date '1970-01-01')::bigint"),
            ),
            LogicalType::Timestamp => (Some(CursorType::Timestamp), micros(&name)),
            LogicalType::TimestampTz => (Some(CursorType::TimestampTz), micros(&name)),
            LogicalType::Text | LogicalType::Uuid => (None, format!("{name}::text")),
            _ => return None,
        };
        let text = column.logical_type == Some(LogicalType::Text);
        let (picked, order) = match text {
            true => (
                format!("left({name}::text, {LETTERS}) as {name}"),
                text_key(&name),
            ),
            false => (name.clone(), name.clone()),
        };
        let usable = match cursor_type {
            None | Some(CursorType::Integer) => format!("{name} is not null"),
            Some(_) => format!("isfinite({name})"),
        };
        Some(Self {
            cursor_type,
            uuid: column.logical_type == Some(LogicalType::Uuid),
            picked,
            order,
            usable,
            shown: format!("{shown} as {name}"),
        })
    }

    fn value(&self, row: &Row, index: usize) -> Option<KeyValue> {
        match self.cursor_type {
            Some(kind) => Some(KeyValue::Number(CursorValue::from_number(
                kind,
                row.integer(index)?,
            ))),
            None if self.uuid => Some(KeyValue::Uuid(row.text(index)?.to_owned())),
            None => Some(KeyValue::Text(row.text(index)?.to_owned())),
        }
    }
}

fn micros(name: &str) -> String {
    format!("round(extract(epoch from {name}) * 1000000)::bigint")
}
