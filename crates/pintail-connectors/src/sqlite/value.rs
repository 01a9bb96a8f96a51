//! One column on its way from SQLite into the engine.
//!
//! DuckDB's scanner is not used for rows: in a DATE column it drops the time of a text, it ignores the zone of a
//! text in a DATETIME column, takes Julian days for seconds, cuts fractions, writes floats into BLOBs with 15 digits
//! and lets text through that is not UTF-8. `sqlite_query` delivers what SQLite itself makes of a value as text, so
//! SQLite is asked for a text that is exact, and whether the value is of the kind that the column promises.

use pintail_lake::quote::identifier;
use pintail_model::LogicalType;

use crate::guard::Guards;
use crate::text::misread;

/// Integers up to here are exact in a double.
const EXACT_INTEGER: &str = "9007199254740992";

/// A column to read as a type.
pub(super) struct Value<'a> {
    /// The column in SQLite, qualified: SQLite takes an unknown name in double quotes for a text.
    pub(super) column: String,
    /// The column's name, for people.
    pub(super) name: &'a str,
    pub(super) wanted: LogicalType,
}

impl<'a> Value<'a> {
    pub(super) fn new(name: &'a str, wanted: LogicalType) -> Self {
        Self {
            column: format!("t.{}", identifier(name)),
            name,
            wanted,
        }
    }

    /// Whether it is the same column, read as the same type.
    pub(super) fn same(&self, other: &Value<'_>) -> bool {
        self.column == other.column && self.wanted == other.wanted
    }

    /// The value as SQLite should write it.
    pub(super) fn in_sqlite(&self) -> String {
        let v = &self.column;
        match self.wanted {
            // 17 digits name a double, but SQLite rounds the last of them wrong in one of a thousand; 19 are safe.
            // Of NULL, `printf` and `hex` make a value.
            LogicalType::Float64 | LogicalType::Float32 => {
                format!("case when {v} is not null then printf('%!.19g', {v}) end")
            }
            LogicalType::Decimal { scale, .. } => {
                format!("case typeof({v}) when 'real' then printf('%.{scale}f', {v}) else {v} end")
            }
            // The usual 15 digits where they are enough.
            LogicalType::Text => format!(
                "case when typeof({v}) <> 'real' or cast(cast({v} as text) as real) = {v} then {v} \
                 else printf('%!.19g', {v}) end"
            ),
            LogicalType::Bytes => format!("case when {v} is not null then hex({v}) end"),
            _ => v.clone(),
        }
    }

    /// A condition of SQLite that is true for a value that the column must not hold.
    pub(super) fn refused_by_sqlite(&self) -> String {
        let v = &self.column;
        let accepted = match self.wanted {
            kind if kind.is_integer() => format!("typeof({v}) = 'integer'"),
            LogicalType::Boolean => format!("typeof({v}) = 'integer' and {v} in (0, 1)"),
            LogicalType::Float32 | LogicalType::Float64 => format!(
                "typeof({v}) = 'real' or typeof({v}) = 'integer' and {v} between -{EXACT_INTEGER} and {EXACT_INTEGER}"
            ),
            // The value is the double next to a number of that many digits.
            LogicalType::Decimal { scale, .. } => format!(
                "typeof({v}) = 'integer' or typeof({v}) = 'real' and abs({v}) <= {EXACT_INTEGER} \
                 and cast(printf('%.{scale}f', {v}) as real) = {v}"
            ),
            LogicalType::Text => format!("typeof({v}) <> 'blob'"),
            LogicalType::Bytes => format!("typeof({v}) = 'blob'"),
            LogicalType::Json => format!("typeof({v}) in ('text', 'integer')"),
            LogicalType::Date
            | LogicalType::Time
            | LogicalType::Timestamp
            | LogicalType::TimestampTz
            | LogicalType::Uuid => format!("typeof({v}) = 'text'"),
            // `types` offers no other way to read a column.
            _ => "false".to_owned(),
        };
        format!("{v} is not null and not ({accepted})")
    }

    /// Why a value is refused, without the value.
    pub(super) fn reason(&self) -> String {
        format!(
            "column \"{}\" holds a value that is no {}",
            self.name, self.wanted
        )
    }

    /// The value in the engine, from the text that SQLite wrote. What the engine would read as something else fails.
    pub(super) fn in_engine(&self, text: &str, guards: &mut Guards) -> String {
        if let Some(refused) = misread(text, self.wanted) {
            guards.fail_if(refused, self.reason());
        }
        match self.wanted {
            LogicalType::Boolean => format!("{text} = '1'"),
            LogicalType::Bytes => format!("unhex({text})"),
            // SQLite does not check that text is UTF-8; decoding does.
            LogicalType::Text => format!("decode(encode({text}))"),
            wanted => format!("{text}::{wanted}"),
        }
    }
}
