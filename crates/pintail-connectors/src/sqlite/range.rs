//! Ranges, as far as SQLite can evaluate them.
//!
//! Integers and NULLs are compared by SQLite, exactly. Times are texts in SQLite, and texts of different forms do not
//! sort by time (`T` comes after a space, a shorter text before a longer one), so there SQLite only leaves out what lies
//! days outside of the range and the engine compares the rest. What is no time at all is never left out: it would
//! otherwise be missed for ever, and not refused.
//!
//! A count owes nothing to the engine's reading of texts: SQLite brings them into one form, and compares alone.

use pintail_lake::quote::{identifier, literal};
use pintail_model::{CursorType, CursorValue, KeyValue, LogicalType, Range};

use super::value::Value;
use crate::guard::Guards;
use crate::keys::{self, Compared, Form, Keys};

const MICROS_PER_DAY: i64 = 86_400_000_000;
/// 0000-01-01 and 9999-12-31 in days since 1970: what four digits of a year can say.
const DAYS: std::ops::RangeInclusive<i64> = -719_528..=2_932_896;

/// A range, divided between SQLite and the engine.
pub(super) struct Split<'a> {
    /// What SQLite evaluates; `None` takes every row.
    pub(super) in_sqlite: Option<String>,
    /// The cursor that has to be checked, and for times compared by the engine.
    pub(super) cursor: Option<Cursor<'a>>,
}

/// A cursor with its bounds.
pub(super) struct Cursor<'a> {
    pub(super) value: Value<'a>,
    low: Option<CursorValue>,
    high: CursorValue,
}

pub(super) fn split(range: &Range) -> Split<'_> {
    let plain = |condition: String| Split {
        in_sqlite: Some(condition),
        cursor: None,
    };
    match range {
        Range::Whole => Split {
            in_sqlite: None,
            cursor: None,
        },
        Range::Pages { first, end } => Split {
            in_sqlite: pages(*first, *end),
            cursor: None,
        },
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
            let name = |column: &str| format!("t.{}", identifier(column));
            Split {
                in_sqlite: keys.condition(Form::Rows, &compared, &name),
                cursor: None,
            }
        }
        Range::Key {
            column,
            low,
            high,
            with_null,
        } => {
            let column = format!("t.{}", identifier(column));
            let bounds: Vec<String> = [(">=", low), ("<", high)]
                .into_iter()
                .filter_map(|(operator, bound)| Some(format!("{column} {operator} {}", (*bound)?)))
                .collect();
            match (bounds.is_empty(), with_null) {
                (true, true) => Split {
                    in_sqlite: None,
                    cursor: None,
                },
                (true, false) => plain(format!("{column} is not null")),
                (false, true) => plain(format!("({} or {column} is null)", bounds.join(" and "))),
                (false, false) => plain(bounds.join(" and ")),
            }
        }
        Range::CursorNull { column } => plain(format!("t.{} is null", identifier(column))),
        Range::Listed { column, values } => {
            plain(format!("t.{} in ({})", identifier(column), keys::listed(values)))
        }
        Range::Cursor { column, low, high } => {
            let wanted = match high.cursor_type() {
                CursorType::Integer => LogicalType::Int64,
                CursorType::Date => LogicalType::Date,
                CursorType::Timestamp => LogicalType::Timestamp,
                CursorType::TimestampTz => LogicalType::TimestampTz,
            };
            let cursor = Cursor {
                value: Value::new(column, wanted),
                low: *low,
                high: *high,
            };
            Split {
                in_sqlite: Some(cursor.in_sqlite()),
                cursor: Some(cursor),
            }
        }
    }
}

/// SQLite tells nothing of where its pages lie. Instead, rows are told apart by their rowid, in blocks as wide as this:
/// each is a part of the table's own tree, found at once. The first takes the negative ones too.
pub(super) const PAGE_ROWS: i64 = 256;

/// The name by which the rowid is asked for: no column of a table that is cut so has it.
pub(super) const ROWID: &str = "rowid";

fn pages(first: u64, end: Option<u64>) -> Option<String> {
    let rowid = |page: u64| i64::try_from(page).unwrap_or(i64::MAX).saturating_mul(PAGE_ROWS);
    let low = (first > 0).then(|| format!("t.{ROWID} >= {}", rowid(first)));
    let high = end.map(|end| format!("t.{ROWID} < {}", rowid(end)));
    let bounds: Vec<String> = low.into_iter().chain(high).collect();
    (!bounds.is_empty()).then(|| bounds.join(" and "))
}

/// Numbers come before texts, and texts before blobs: whatever stands in a column belongs to one range.
fn compared(column: &str, value: &KeyValue) -> Compared {
    let name = format!("t.{}", identifier(column));
    let (column, value) = match value {
        KeyValue::Number(CursorValue::Integer(number)) => (name, number.to_string()),
        KeyValue::Number(other) => (format!("{name} collate binary"), literal(&other.text())),
        KeyValue::Text(text) | KeyValue::Uuid(text) => (format!("{name} collate binary"), literal(text)),
    };
    Compared { column, value }
}

impl Cursor<'_> {
    /// The rows of the range and perhaps more, and all rows whose cursor is of another kind.
    fn in_sqlite(&self) -> String {
        format!("({} or {})", self.near(), self.odd())
    }

    /// The rows of the range and perhaps more, in a form that an index serves.
    fn near(&self) -> String {
        let column = &self.value.column;
        if self.high.cursor_type() == CursorType::Integer {
            return between(column, self.low.map(CursorValue::text), self.high.text());
        }
        let low = self.low.map(|low| format!("'{}'", day(low, -1)));
        between(column, low, format!("'{}'", day(self.high, 2)))
    }

    /// The rows whose cursor has another form than almost all have: those that are no values at all, and the ends of time.
    pub(super) fn odd(&self) -> String {
        let column = &self.value.column;
        if self.high.cursor_type() == CursorType::Integer {
            // Texts and blobs sort after all numbers.
            return format!("{column} >= ''");
        }
        let form = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*";
        format!("{column} is not null and (typeof({column}) <> 'text' or {column} not glob '{form}')")
    }

    /// The rows of the range whose cursor is not [odd](Self::odd), compared by SQLite alone; `None` where it cannot: it
    /// does not know zones.
    pub(super) fn exactly(&self) -> Option<String> {
        let column = &self.value.column;
        // In one form, texts sort by time: the accepted ones differ in `T` and in what is left out at the end.
        let (time, form) = match self.high.cursor_type() {
            CursorType::Integer => return Some(self.near()),
            CursorType::TimestampTz => return None,
            CursorType::Date => (column.clone(), "0000-00-00"),
            CursorType::Timestamp => {
                let form = "0000-00-00 00:00:00.000000";
                let digits = form.len();
                let rest = format!("substr('{form}', length({column}) + 1)");
                let whole = format!("substr(replace({column}, 'T', ' ') || {rest}, 1, {digits})");
                (whole, form)
            }
        };
        let bound = |bound: CursorValue| {
            let text = bound.text();
            (text.len() == form.len()).then(|| format!("'{text}'"))
        };
        let low = match self.low {
            Some(low) => Some(bound(low)?),
            None => None,
        };
        Some(format!(
            "{} and {}",
            self.near(),
            between(&time, low, bound(self.high)?)
        ))
    }

    /// The exact condition, in the engine.
    pub(super) fn in_engine(&self, text: &str, guards: &mut Guards) -> String {
        let value = self.value.in_engine(text, guards);
        let bound = |bound: CursorValue| format!("'{}'::{}", bound.text(), self.value.wanted);
        let low = self
            .low
            .map(|low| format!("{value} >= {} and ", bound(low)))
            .unwrap_or_default();
        format!("{low}{value} < {}", bound(self.high))
    }
}

fn between(value: &str, low: Option<String>, high: String) -> String {
    let low = low
        .map(|low| format!("{value} >= {low} and "))
        .unwrap_or_default();
    format!("{low}{value} < {high}")
}

/// The day of a value, and some days on: a zone moves the day in a text by up to one.
fn day(value: CursorValue, on: i64) -> String {
    let days = match value.cursor_type() {
        CursorType::Date | CursorType::Integer => value.number(),
        CursorType::Timestamp | CursorType::TimestampTz => value.number().div_euclid(MICROS_PER_DAY),
    };
    let days = (days + on).clamp(*DAYS.start(), *DAYS.end());
    CursorValue::from_number(CursorType::Date, days).text()
}
