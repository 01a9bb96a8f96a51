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
        }
    }
}

fn text(bound: Option<&impl ToString>) -> String {
    bound.map(ToString::to_string).unwrap_or_default()
}
