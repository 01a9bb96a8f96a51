//! Which types of files have a home in the lake, and what a column may be read as.

use pintail_model::{Element, LogicalType};

/// The home of a type in the engine's spelling.
pub(super) fn home(engine_type: &str) -> Option<LogicalType> {
    let name = engine_type.to_ascii_lowercase();
    if let Some(element) = name.strip_suffix("[]") {
        let depth = name.matches("[]").count();
        let element = element.trim_end_matches("[]");
        return Some(LogicalType::List {
            element: element_of(home(element)?)?,
            depth: u8::try_from(depth).ok()?,
        });
    }
    Some(match name.as_str() {
        "boolean" => LogicalType::Boolean,
        "tinyint" => LogicalType::Int8,
        "smallint" => LogicalType::Int16,
        "integer" => LogicalType::Int32,
        "bigint" => LogicalType::Int64,
        "utinyint" => LogicalType::UInt8,
        "usmallint" => LogicalType::UInt16,
        "uinteger" => LogicalType::UInt32,
        "ubigint" => LogicalType::UInt64,
        "float" => LogicalType::Float32,
        "double" => LogicalType::Float64,
        "varchar" => LogicalType::Text,
        "blob" => LogicalType::Bytes,
        "date" => LogicalType::Date,
        "time" => LogicalType::Time,
        "timestamp" => LogicalType::Timestamp,
        "timestamp with time zone" => LogicalType::TimestampTz,
        "uuid" => LogicalType::Uuid,
        "json" => LogicalType::Json,
        _ => return decimal(&name),
    })
}

fn decimal(name: &str) -> Option<LogicalType> {
    let inside = name.strip_prefix("decimal(")?.strip_suffix(')')?;
    let (precision, scale) = inside.split_once(',')?;
    Some(LogicalType::Decimal {
        precision: precision.trim().parse().ok()?,
        scale: scale.trim().parse().ok()?,
    })
}

fn element_of(logical_type: LogicalType) -> Option<Element> {
    Some(match logical_type {
        LogicalType::Boolean => Element::Boolean,
        LogicalType::Int16 => Element::Int16,
        LogicalType::Int32 => Element::Int32,
        LogicalType::Int64 => Element::Int64,
        LogicalType::Float32 => Element::Float32,
        LogicalType::Float64 => Element::Float64,
        LogicalType::Decimal { precision, scale } => Element::Decimal { precision, scale },
        LogicalType::Text => Element::Text,
        LogicalType::Bytes => Element::Bytes,
        LogicalType::Date => Element::Date,
        LogicalType::Time => Element::Time,
        LogicalType::Timestamp => Element::Timestamp,
        LogicalType::TimestampTz => Element::TimestampTz,
        LogicalType::Uuid => Element::Uuid,
        _ => return None,
    })
}

/// Whether a column of type `from` can be read as `wanted` without silent loss. Integers are checked by the engine, texts
/// by conditions of the scan. A column without a home can only be text.
pub(super) fn reads_as(from: Option<LogicalType>, wanted: LogicalType) -> bool {
    use LogicalType as T;

    let Some(from) = from else {
        return wanted == T::Text;
    };
    let whole = |kind: T| kind.is_integer() || kind == T::UInt64;
    match (from, wanted) {
        (from, wanted) if from == wanted => true,
        (T::List { .. }, _) | (_, T::List { .. }) => wanted == T::Text,
        (T::Bytes, _) | (_, T::Bytes) => false,
        (_, T::Text) => true,
        (T::Text, T::Float32 | T::Float64) => true,
        (T::Text, _) => true,
        (from, wanted) if whole(from) && whole(wanted) => true,
        (from, T::Decimal { .. }) if whole(from) => true,
        (T::Decimal { scale, .. }, T::Decimal { scale: kept, .. }) => scale <= kept,
        (T::Float32, T::Float64) => true,
        _ => false,
    }
}
