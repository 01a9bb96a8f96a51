//! Bounds that cut a table into parts of about as many rows, from a sample of its rows: statistics know single columns, and
//! no order of texts but the system's own.
//!
//! Each system takes a sample in its own words, and orders it by the very expression that its ranges compare: bounds
//! that ascend in another order would make ranges overlap. How a sample is cut is the same for all.

use pintail_lake::Row;
use pintail_lake::connector::SourceColumn;
use pintail_model::{CursorType, CursorValue, KeyValue, LogicalType};

/// Rows of a sample for each part, and of all of it at most.
const ROWS: u64 = 1_000;
const ROWS_MAX: u64 = 200_000;

/// Letters of a text that a bound takes: a bound need not be a value that exists.
pub(crate) const LETTERS: u32 = 64;

/// What bounds a column has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Number(CursorType),
    Text,
    Uuid,
}

/// A column of a key in a sample. But for `picked`, its parts name it as [`name`] does.
pub(crate) struct Column {
    pub(crate) kind: Kind,
    /// What is taken from the table.
    pub(crate) picked: String,
    /// What it is ordered by, as ranges compare it.
    pub(crate) order: String,
    /// Whether a value can be a bound.
    pub(crate) usable: String,
    /// The value of a bound: a number of its unit, or a text.
    pub(crate) shown: String,
}

impl Kind {
    /// The kind of a column that ranges can compare.
    pub(crate) fn of(column: &SourceColumn) -> Option<Self> {
        match column.logical_type? {
            kind if kind.is_integer() => Some(Self::Number(CursorType::Integer)),
            LogicalType::Date => Some(Self::Number(CursorType::Date)),
            LogicalType::Timestamp => Some(Self::Number(CursorType::Timestamp)),
            LogicalType::TimestampTz => Some(Self::Number(CursorType::TimestampTz)),
            LogicalType::Text => Some(Self::Text),
            LogicalType::Uuid => Some(Self::Uuid),
            _ => None,
        }
    }

    fn value(self, row: &Row, index: usize) -> Option<KeyValue> {
        let text = || row.text(index).map(str::to_owned);
        match self {
            Self::Number(kind) => {
                let number = row
                    .integer(index)
                    .map(|number| CursorValue::from_number(kind, number));
                // Where a time is a text, texts are compared: only those in our form are in our order.
                let written = || {
                    let value = CursorValue::parse(kind, row.text(index)?)?;
                    (Some(value.text().as_str()) == row.text(index)).then_some(value)
                };
                number.or_else(written).map(KeyValue::Number)
            }
            Self::Text => text().map(KeyValue::Text),
            Self::Uuid => text().map(KeyValue::Uuid),
        }
    }
}

/// Rows of a sample that is to be cut into `parts`.
pub(crate) fn rows(parts: u64) -> u64 {
    parts.saturating_mul(ROWS).min(ROWS_MAX)
}

/// Rows of a sample, in percent of a table of `total` rows.
pub(crate) fn percent(parts: u64, total: u64) -> f64 {
    (100.0 * rows(parts) as f64 / total.max(1) as f64).clamp(0.001, 100.0)
}

/// The name of a column in a sample: its own could be one of ours.
pub(crate) fn name(index: usize) -> String {
    format!("k{index}")
}

/// The columns of a sample, as a SELECT picks them.
pub(crate) fn picked(columns: &[Column]) -> String {
    let named = columns.iter().enumerate();
    let named: Vec<String> = named
        .map(|(index, column)| format!("{} as {}", column.picked, name(index)))
        .collect();
    named.join(", ")
}

/// The statement that cuts a sample into `parts`, in words that all systems share. `sample` is a SELECT of [`picked`].
pub(crate) fn cut(columns: &[Column], sample: &str, parts: u64) -> String {
    let list = |part: fn(&Column) -> &String, between| {
        let parts: Vec<&str> = columns.iter().map(|column| part(column).as_str()).collect();
        parts.join(between)
    };
    let shown: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| format!("{} as {}", column.shown, name(index)))
        .collect();
    format!(
        "with picked as ({sample}), \
         numbered as (select picked.*, row_number() over (order by {order}) as n, count(*) over () as total \
         from picked where {usable}) \
         select {shown} from numbered where n = 1 or n < total and n * {parts} % total < {parts} order by n",
        order = list(|column| &column.order, ", "),
        usable = list(|column| &column.usable, " and "),
        shown = shown.join(", "),
    )
}

/// The bounds that [`cut`] found.
pub(crate) fn bounds(columns: &[Column], found: &[Row]) -> Vec<Vec<KeyValue>> {
    let bound = |row: &Row| -> Option<Vec<KeyValue>> {
        let values = columns.iter().enumerate();
        values
            .map(|(index, column)| column.kind.value(row, index))
            .collect()
    };
    let mut bounds: Vec<Vec<KeyValue>> = found.iter().filter_map(bound).collect();
    bounds.dedup();
    // The smallest value that is known would leave nothing below it.
    bounds.into_iter().skip(1).collect()
}
