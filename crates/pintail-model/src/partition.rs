//! The part of a source table that one partition reads.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::cursor::CursorValue;

/// A closed description of rows: the same range always names the same rows of one source snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Range {
    /// Every row.
    Whole,
    /// Rows that lie on the pages `first..end` of the table's storage. `None` as `end` means "to the last page".
    /// Only meaningful under one snapshot: rows move between pages when they are updated.
    Pages {
        /// First page, counted from 0.
        first: u64,
        /// Page after the last one.
        end: Option<u64>,
    },
    /// Rows whose integer `column` lies in `low..high`; an open end has no bound.
    Key {
        /// Column that is compared.
        column: String,
        /// Smallest value that belongs to the range.
        low: Option<i64>,
        /// Smallest value that no longer belongs to it.
        high: Option<i64>,
        /// Whether rows without a key (NULL) belong to this range.
        with_null: bool,
    },
    /// Rows whose cursor lies in `low..high` (half open, so that equal values never straddle two ranges).
    Cursor {
        /// Column that is compared.
        column: String,
        /// Smallest value that belongs to the range; `None` reads from the beginning.
        low: Option<CursorValue>,
        /// Smallest value that no longer belongs to it.
        high: CursorValue,
    },
    /// Rows whose cursor is NULL.
    CursorNull {
        /// Column that is compared.
        column: String,
    },
    /// Rows whose `columns`, compared one after the other, lie in `low..high`; an open end has no bound. A bound has one
    /// value for each column, and neighbours share theirs.
    Keys {
        /// Columns that are compared, the one that counts most first.
        columns: Vec<String>,
        /// Smallest values that belong to the range.
        low: Option<Vec<KeyValue>>,
        /// Smallest values that no longer belong to it.
        high: Option<Vec<KeyValue>>,
        /// Whether rows with NULL in any of the columns belong to this range.
        with_null: bool,
    },
    /// Rows whose integer `column` has one of these values. Never empty.
    Listed {
        /// Column that is compared.
        column: String,
        /// The values, each of them once.
        values: Vec<i64>,
    },
}

/// One value of a bound. What it is compared with has its type.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyValue {
    /// An integer, date or time.
    Number(CursorValue),
    /// A text. Texts compare by their bytes in UTF-8, whatever the order of the source's own is.
    Text(String),
    /// A UUID in its usual form.
    Uuid(String),
}

/// Bounds of texts come from rows: they are in statements and in the state, and never shown.
impl fmt::Display for KeyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(_) | Self::Uuid(_) => f.write_str("…"),
        }
    }
}

impl Range {
    /// The range with texts left out, for statements that are shown.
    #[must_use]
    pub fn shown(&self) -> Self {
        let hide = |value: &KeyValue| match value {
            KeyValue::Number(number) => KeyValue::Number(*number),
            KeyValue::Text(_) => KeyValue::Text("…".to_owned()),
            KeyValue::Uuid(_) => KeyValue::Uuid("…".to_owned()),
        };
        match self {
            Self::Keys {
                columns,
                low,
                high,
                with_null,
            } => {
                let hide_all = |bound: &Option<Vec<KeyValue>>| {
                    bound.as_ref().map(|values| values.iter().map(hide).collect())
                };
                Self::Keys {
                    columns: columns.clone(),
                    low: hide_all(low),
                    high: hide_all(high),
                    with_null: *with_null,
                }
            }
            Self::Listed { column, .. } => Self::Listed {
                column: column.clone(),
                values: Vec::new(),
            },
            other => other.clone(),
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => f.write_str("all rows"),
            Self::Pages {
                first,
                end: Some(end),
            } => write!(f, "pages {first}..{end}"),
            Self::Pages { first, end: None } => write!(f, "pages {first}.."),
            Self::Key {
                column, low, high, ..
            } => {
                write!(f, "{column} {}..{}", text(low.as_ref()), text(high.as_ref()))
            }
            Self::Cursor { column, low, high } => write!(f, "{column} {}..{high}", text(low.as_ref())),
            Self::CursorNull { column } => write!(f, "{column} is null"),
            Self::Keys {
                columns, low, high, ..
            } => {
                let bound = |values: &Option<Vec<KeyValue>>| values.as_deref().map(list).unwrap_or_default();
                write!(f, "{} {}..{}", list(columns), bound(low), bound(high))
            }
            // Values of rows are never shown.
            Self::Listed { column, values } => write!(f, "{} values of {column}", values.len()),
        }
    }
}

/// One thing as it is, several in parentheses.
fn list(items: &[impl ToString]) -> String {
    match items {
        [only] => only.to_string(),
        several => {
            let texts: Vec<String> = several.iter().map(ToString::to_string).collect();
            format!("({})", texts.join(", "))
        }
    }
}

fn text(bound: Option<&impl ToString>) -> String {
    bound.map(ToString::to_string).unwrap_or_default()
}
