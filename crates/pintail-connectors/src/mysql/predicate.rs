//! Ranges as conditions, in the words of MySQL and in those of the engine.

use pintail_lake::quote;
use pintail_model::{CursorType, CursorValue, KeyValue, Range};

use crate::keys::{Compared, Form, Keys};

/// Who evaluates a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    MySql,
    /// The engine, whose scanner hands comparisons with constants on to MySQL.
    Engine,
}

/// The condition of a range, or `None` if it takes every row. `nullable` says whether the first
/// column of a key can be NULL.
pub(super) fn condition(range: &Range, reader: Reader, nullable: bool) -> Option<String> {
    match range {
        // Pages are no capability of MySQL, and the planner reads capabilities.
        Range::Whole | Range::Pages { .. } => None,
        Range::Key {
            column,
            low,
            high,
            with_null,
        } => {
            let column = reader.column(column);
            let bounds: Vec<String> = [(">=", low), ("<", high)]
                .into_iter()
                .filter_map(|(operator, bound)| {
                    Some(format!("{column} {operator} {}", reader.integer((*bound)?)))
                })
                .collect();
            let bounds = bounds.join(" and ");
            match (bounds.is_empty(), *with_null && nullable) {
                (true, false) if nullable => Some(format!("{column} is not null")),
                (true, _) => None,
                (false, true) => Some(format!("({bounds} or {column} is null)")),
                (false, false) => Some(bounds),
            }
        }
        Range::Cursor { column, low, high } => {
            let column = reader.column(column);
            let low = low.map(|low| format!("{column} >= {}", reader.value(low)));
            let parts: Vec<String> = low
                .into_iter()
                .chain([format!("{column} < {}", reader.value(*high))])
                .collect();
            Some(parts.join(" and "))
        }
        Range::CursorNull { column } => Some(format!("{} is null", reader.column(column))),
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
                // Beside bounds, a question about NULL keeps the scanner from handing them on.
                with_null: *with_null && (nullable || low.is_none() && high.is_none()),
            };
            let name = |column: &str| reader.column(column);
            keys.condition(
                Form::Steps,
                &|column, value| reader.compared(column, value),
                &name,
            )
        }
        Range::Listed { column, values } => {
            let values: Vec<String> = values.iter().map(|value| reader.integer(*value)).collect();
            Some(format!("{} in ({})", reader.column(column), values.join(", ")))
        }
    }
}

impl Reader {
    fn column(self, name: &str) -> String {
        match self {
            Self::MySql => super::quote::identifier(name),
            Self::Engine => format!("s.{}", quote::identifier(name)),
        }
    }

    fn integer(self, number: i64) -> String {
        match self {
            // A plain number takes the type of its column, and only a comparison within one type is handed on. The
            // engine reads the smallest one as minus a number that no bigint holds.
            Self::Engine if number == i64::MIN => format!("'{number}'::bigint"),
            Self::MySql | Self::Engine => number.to_string(),
        }
    }

    /// A column beside a bound. Texts compare by their bytes, whatever order the column has.
    fn compared(self, column: &str, value: &KeyValue) -> Compared {
        let name = self.column(column);
        let (column, value) = match value {
            KeyValue::Number(number) => (name, self.value(*number)),
            KeyValue::Text(text) | KeyValue::Uuid(text) => (
                format!("cast(convert({name} using utf8mb4) as binary)"),
                format!("cast({} as binary)", super::quote::literal(text)),
            ),
        };
        Compared { column, value }
    }

    /// A value of a cursor. An instant is the wall clock of UTC, which is that of the session.
    pub(super) fn value(self, value: CursorValue) -> String {
        let text = value.text();
        let text = text.trim_end_matches("+00");
        // MySQL has no years before 0, so every date comes after this one.
        let text = if text.starts_with('-') { "0000-01-01" } else { text };
        match (self, value.cursor_type()) {
            (_, CursorType::Integer) => self.integer(value.number()),
            (Self::MySql, CursorType::Date) => format!("date '{text}'"),
            (Self::Engine, CursorType::Date) => format!("'{text}'::date"),
            (Self::MySql, _) if text.len() == 10 => format!("timestamp '{text} 00:00:00'"),
            (Self::MySql, _) => format!("timestamp '{text}'"),
            (Self::Engine, _) => format!("'{text}'::timestamp"),
        }
    }
}
