//! Ranges as conditions that Postgres evaluates.

use pintail_lake::quote::identifier;
use pintail_model::{CursorType, CursorValue, KeyValue, Range};

use super::quote::literal;
use crate::keys::{self, Compared, Form, Keys};

/// The largest page number that a tuple id can hold.
const PAGE_MAX: u64 = u32::MAX as u64;

/// The condition of a range, or `None` if it takes every row. A bound is a typed literal, so that an index on the
/// column can answer it.
pub(super) fn condition(range: &Range) -> Option<String> {
    let parts = match range {
        Range::Whole => Vec::new(),
        Range::Pages { first, end } => {
            // No row has the position 0 on its page, so `(n,0)` lies between the pages n-1 and n.
            let tuple = |page: u64| format!("'({},0)'::tid", page.min(PAGE_MAX));
            let low = (*first > 0).then(|| format!("ctid >= {}", tuple(*first)));
            let high = end
                .filter(|end| *end <= PAGE_MAX)
                .map(|end| format!("ctid < {}", tuple(end)));
            low.into_iter().chain(high).collect()
        }
        Range::Key {
            column,
            low,
            high,
            with_null,
        } => {
            let column = identifier(column);
            let bounds: Vec<String> = [(">=", low), ("<", high)]
                .into_iter()
                .filter_map(|(operator, bound)| Some(format!("{column} {operator} '{}'::bigint", (*bound)?)))
                .collect();
            match (bounds.is_empty(), with_null) {
                (true, true) => Vec::new(),
                (true, false) => vec![format!("{column} is not null")],
                (false, true) => vec![format!("({} or {column} is null)", bounds.join(" and "))],
                (false, false) => bounds,
            }
        }
        Range::Cursor { column, low, high } => {
            let column = identifier(column);
            let low = low.map(|low| format!("{column} >= {}", bound(low)));
            low.into_iter()
                .chain([format!("{column} < {}", bound(*high))])
                .collect()
        }
        Range::CursorNull { column } => vec![format!("{} is null", identifier(column))],
        Range::Keys {
            columns,
            low,
            high,
            with_null,
        } => {
            let keys = Keys {
                columns,
                low: low.as_deref(),
                high: high.as_deref(),
                with_null: *with_null,
            };
            keys.condition(Form::Rows, &compared, &identifier)
                .into_iter()
                .collect()
        }
        // An array, and not a list of 2,000 constants, which the server would plan one by one.
        Range::Listed { column, values } => vec![format!(
            "{} = any('{{{}}}'::bigint[])",
            identifier(column),
            keys::listed(values)
        )],
    };
    (!parts.is_empty()).then(|| parts.join(" and "))
}

fn compared(column: &str, value: &KeyValue) -> Compared {
    let name = identifier(column);
    let (column, value) = match value {
        KeyValue::Number(number) => (name, bound(*number)),
        KeyValue::Text(text) => (text_key(&name), literal(text)),
        KeyValue::Uuid(uuid) => (name, format!("{}::uuid", literal(uuid))),
    };
    Compared { column, value }
}

/// A column of texts, by whose bytes rows are ordered. A collation of the database would order them by rules that
/// another server, or the next version of its library, does not share.
pub(super) fn text_key(name: &str) -> String {
    format!("{name}::text collate \"C\"")
}

fn bound(value: CursorValue) -> String {
    let type_name = match value.cursor_type() {
        CursorType::Integer => "bigint",
        CursorType::Date => "date",
        CursorType::Timestamp => "timestamp",
        CursorType::TimestampTz => "timestamptz",
    };
    format!("'{}'::{type_name}", value.text())
}
