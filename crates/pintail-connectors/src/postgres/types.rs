//! Which types of Postgres have a home in the lake, and in which form a column travels.
//!
//! | Postgres | lake |
//! |---|---|
//! | `boolean`, `smallint`, `integer`, `bigint`, `real`, `double precision` | the same |
//! | `numeric(p,s)`, 0 ≤ s ≤ p ≤ 38 | `decimal(p,s)` |
//! | `text`, `varchar`, `char(n)` | `varchar`; the padding of `char(n)` is no part of the value |
//! | `bytea`, `date`, `time`, `timestamp`, `timestamptz`, `uuid` | the same |
//! | `json`, `jsonb` | `json`, as Postgres writes it |
//! | anything else | nothing, unless a column is declared `text`: then as `::text` gives it |

use pintail_lake::connector::SourceColumn;
use pintail_model::LogicalType;

/// How a column comes out of Postgres and becomes what the destination wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// As its own type, which DuckDB knows; cast by DuckDB if the destination wants another one.
    Native(LogicalType),
    /// As `::text`, and that is what is wanted.
    AsText,
    /// As `::text`, from which DuckDB reads an exact number.
    Number,
}

/// The lossless home of a type, named as `format_type` does.
pub(super) fn home(source_type: &str) -> Option<LogicalType> {
    let (name, modifiers) = split_modifiers(source_type);
    Some(match name.as_str() {
        "boolean" => LogicalType::Boolean,
        "smallint" => LogicalType::Int16,
        "integer" => LogicalType::Int32,
        "bigint" => LogicalType::Int64,
        "real" => LogicalType::Float32,
        "double precision" => LogicalType::Float64,
        "numeric" => return decimal(&modifiers),
        "text" | "character varying" | "character" | "bpchar" => LogicalType::Text,
        "bytea" => LogicalType::Bytes,
        "date" => LogicalType::Date,
        "time without time zone" => LogicalType::Time,
        "timestamp without time zone" => LogicalType::Timestamp,
        "timestamp with time zone" => LogicalType::TimestampTz,
        "uuid" => LogicalType::Uuid,
        "json" | "jsonb" => LogicalType::Json,
        _ => return None,
    })
}

/// The way from a column to `wanted`; `None` if there is none without silent loss.
pub(super) fn route(column: &SourceColumn, wanted: LogicalType) -> Option<Route> {
    use LogicalType as T;
    let Some(home) = home(&column.source_type) else {
        let numeric = split_modifiers(&column.source_type).0 == "numeric";
        return match wanted {
            T::Text => Some(Route::AsText),
            T::Decimal { .. } if numeric => Some(Route::Number),
            _ => None,
        };
    };
    match (home, wanted) {
        _ if home == wanted => Some(Route::Native(home)),
        (_, T::Text) => Some(Route::AsText),
        // DuckDB refuses an integer that does not fit.
        (T::Int16 | T::Int32 | T::Int64, T::Int16 | T::Int32 | T::Int64 | T::Decimal { .. })
        | (T::Int16, T::Float32)
        | (T::Int16 | T::Int32 | T::Float32, T::Float64) => Some(Route::Native(home)),
        (
            T::Decimal { precision, scale },
            T::Decimal {
                precision: wide,
                scale: fine,
            },
        ) => {
            let widens = fine >= scale && wide.saturating_sub(fine) >= precision - scale;
            Some(if widens {
                Route::Native(home)
            } else {
                Route::Number
            })
        }
        _ => None,
    }
}

fn decimal(modifiers: &[i32]) -> Option<LogicalType> {
    let [precision, scale] = modifiers else {
        return None;
    };
    let (precision, scale) = (u8::try_from(*precision).ok()?, u8::try_from(*scale).ok()?);
    (precision <= 38 && scale <= precision).then_some(LogicalType::Decimal { precision, scale })
}

/// `timestamp(3) with time zone` is a `timestamp with time zone` with the modifier 3.
fn split_modifiers(source_type: &str) -> (String, Vec<i32>) {
    let Some((name, rest)) = source_type.split_once('(') else {
        return (source_type.to_owned(), Vec::new());
    };
    let Some((modifiers, tail)) = rest.split_once(')') else {
        return (source_type.to_owned(), Vec::new());
    };
    // An array of a type is another type: `numeric(12,2)[]` keeps its brackets as part of the name.
    let modifiers = modifiers
        .split(',')
        .filter_map(|part| part.trim().parse().ok())
        .collect();
    (format!("{name}{tail}"), modifiers)
}
