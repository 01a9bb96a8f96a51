//! Which types of DuckDB have a home in the lake, and how a column becomes what is wanted.
//!
//! | DuckDB | lake |
//! |---|---|
//! | `boolean`, integers of up to 64 bits with and without a sign, `float`, `double`, `decimal(p,s)` | the same |
//! | `varchar`, `blob`, `date`, `time`, `timestamp`, `timestamptz`, `uuid`, `json` | the same |
//! | `timestamp_s`, `timestamp_ms` | `timestamp` |
//! | lists and arrays of these, but not of JSON | lists; of `tinyint`, `utinyint`, `usmallint`, `uinteger` as the next wider integer with a sign, of `ubigint` as `decimal(20,0)` |
//! | `interval`, `timetz`, `time_ns`, `timestamp_ns`, `bit`, enums, structs, maps, and lists of these | `varchar`, as DuckDB writes it |
//! | `hugeint`, `uhugeint`, `bignum`, and lists of these | nothing, unless a column is declared `text` or, but for lists, `decimal` |
//! | unions, `variant`, `geometry`, and what holds them | nothing, unless a column is declared `text`: the text does not tell all |
//!
//! Parquet keeps neither the microseconds of an `interval` nor the zone of a `timetz`, and a `hugeint` becomes a double
//! there: none of them ever travels as itself.

use pintail_lake::connector::SourceColumn;
use pintail_lake::quote::literal;
use pintail_model::{Element, LogicalType};

/// The lossless home of a type, as DuckDB writes it in its catalogue.
pub(crate) fn home(data_type: &str) -> Option<LogicalType> {
    let (inner, depth) = without_brackets(data_type);
    let scalar = scalar(inner)?;
    if depth == 0 {
        return Some(scalar);
    }
    Some(match element_type(scalar) {
        Some(element) if plain(inner) => LogicalType::List { element, depth },
        _ => LogicalType::Text,
    })
}

/// The value in DuckDB's SQL as `wanted`, or an error for what does not fit; `None` if there is no way without silent
/// loss.
pub(crate) fn read_as(column: &SourceColumn, wanted: LogicalType, value: &str) -> Option<String> {
    use LogicalType as T;
    let cast = Some(format!("{value}::{wanted}"));
    let own = column.logical_type;
    if own == Some(wanted) || wanted == T::Text {
        let same = column.source_type.eq_ignore_ascii_case(&wanted.to_string());
        return if same { Some(value.to_owned()) } else { cast };
    }
    let (name, _) = without_brackets(&column.source_type);
    let huge = ["HUGEINT", "UHUGEINT"].contains(&column.source_type.as_str());
    match (own, wanted) {
        // DuckDB refuses an integer that does not fit.
        (Some(T::UInt64), to) if to.is_integer() => cast,
        (Some(from), to) if from.is_integer() && (to.is_integer() || to == T::UInt64) => cast,
        (Some(from), T::Decimal { .. }) if from.is_integer() || from == T::UInt64 => cast,
        (None, T::Decimal { .. }) if huge => cast,
        (None, to) if huge && (to.is_integer() || to == T::UInt64) => cast,
        (None, T::Decimal { .. }) if name == "BIGNUM" && name == column.source_type => {
            Some(exact(column, value, &format!("{value}::varchar"), wanted))
        }
        (Some(T::Int8 | T::Int16 | T::UInt8 | T::UInt16), T::Float32 | T::Float64)
        | (Some(T::Int32 | T::UInt32 | T::Float32), T::Float64) => cast,
        // DuckDB would round.
        (Some(T::Decimal { .. }), T::Decimal { .. }) => {
            Some(exact(column, value, &format!("{value}::varchar"), wanted))
        }
        (Some(T::Text), T::Timestamp) if column.source_type == "TIMESTAMP_NS" => Some(unless(
            &format!("epoch_ns({value}) % 1000 <> 0"),
            &format!(
                "column \"{}\" holds nanoseconds, which a timestamp cannot hold",
                column.name
            ),
            &format!("{value}::{wanted}"),
        )),
        _ => None,
    }
}

/// A number from its text, if no digit is lost.
fn exact(column: &SourceColumn, value: &str, text: &str, wanted: LogicalType) -> String {
    let LogicalType::Decimal { scale, .. } = wanted else {
        return format!("{value}::{wanted}");
    };
    unless(
        &format!("not regexp_full_match({text}, '-?[0-9]*([.][0-9]{{0,{scale}}}0*)?')"),
        &format!(
            "column \"{}\" holds a number that {wanted} cannot hold exactly",
            column.name
        ),
        &format!("{text}::{wanted}"),
    )
}

/// `value`, or an error with `reason` where `condition` is true. In the list of columns and not in a filter, so that it
/// is asked of the rows of a range only.
fn unless(condition: &str, reason: &str, value: &str) -> String {
    format!(
        "case when {condition} then error({}) else {value} end",
        literal(reason)
    )
}

fn scalar(name: &str) -> Option<LogicalType> {
    let (word, modifiers) = name.split_once('(').unwrap_or((name, ""));
    // Also as a part of something else.
    if ["UNION(", "VARIANT", "GEOMETRY"]
        .iter()
        .any(|part| name.contains(part))
    {
        return None;
    }
    Some(match word {
        "BOOLEAN" => LogicalType::Boolean,
        "TINYINT" => LogicalType::Int8,
        "SMALLINT" => LogicalType::Int16,
        "INTEGER" => LogicalType::Int32,
        "BIGINT" => LogicalType::Int64,
        "UTINYINT" => LogicalType::UInt8,
        "USMALLINT" => LogicalType::UInt16,
        "UINTEGER" => LogicalType::UInt32,
        "UBIGINT" => LogicalType::UInt64,
        "FLOAT" => LogicalType::Float32,
        "DOUBLE" => LogicalType::Float64,
        "DECIMAL" => {
            let (precision, scale) = modifiers.trim_end_matches(')').split_once(',')?;
            LogicalType::Decimal {
                precision: precision.trim().parse().ok()?,
                scale: scale.trim().parse().ok()?,
            }
        }
        "VARCHAR" => LogicalType::Text,
        "BLOB" => LogicalType::Bytes,
        "DATE" => LogicalType::Date,
        "TIME" => LogicalType::Time,
        "TIMESTAMP" | "TIMESTAMP_S" | "TIMESTAMP_MS" => LogicalType::Timestamp,
        "TIMESTAMP WITH TIME ZONE" => LogicalType::TimestampTz,
        "UUID" => LogicalType::Uuid,
        "JSON" => LogicalType::Json,
        "INTERVAL"
        | "TIME WITH TIME ZONE"
        | "TIME_NS"
        | "TIMESTAMP_NS"
        | "BIT"
        | "ENUM"
        | "STRUCT"
        | "MAP" => LogicalType::Text,
        _ => return None,
    })
}

/// Whether lists of a type are lists of values, and not texts as a whole.
fn plain(name: &str) -> bool {
    scalar(name) != Some(LogicalType::Text) || name == "VARCHAR"
}

fn element_type(scalar: LogicalType) -> Option<Element> {
    use LogicalType as T;
    Some(match scalar {
        T::Boolean => Element::Boolean,
        T::Int8 | T::UInt8 | T::Int16 => Element::Int16,
        T::UInt16 | T::Int32 => Element::Int32,
        T::UInt32 | T::Int64 => Element::Int64,
        T::UInt64 => Element::Decimal {
            precision: 20,
            scale: 0,
        },
        T::Float32 => Element::Float32,
        T::Float64 => Element::Float64,
        T::Decimal { precision, scale } => Element::Decimal { precision, scale },
        T::Text => Element::Text,
        T::Bytes => Element::Bytes,
        T::Date => Element::Date,
        T::Time => Element::Time,
        T::Timestamp => Element::Timestamp,
        T::TimestampTz => Element::TimestampTz,
        T::Uuid => Element::Uuid,
        T::Json | T::List { .. } => return None,
    })
}

/// `INTEGER[3][]` is `INTEGER`, two levels deep.
fn without_brackets(data_type: &str) -> (&str, u8) {
    let (mut inner, mut depth) = (data_type, 0);
    while let Some((before, size)) = inner.strip_suffix(']').and_then(|rest| rest.rsplit_once('[')) {
        if !size.chars().all(|digit| digit.is_ascii_digit()) || depth == u8::MAX {
            break;
        }
        (inner, depth) = (before, depth + 1);
    }
    (inner, depth)
}
