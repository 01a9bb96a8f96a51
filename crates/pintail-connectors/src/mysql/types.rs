//! Which types of MySQL have a home in the lake, and in which form a column travels.
//!
//! | MySQL, MariaDB | lake |
//! |---|---|
//! | `tinyint` to `bigint`, signed and `unsigned`, `tinyint(1)` too | the integer of that size |
//! | `float`, `double` | the same |
//! | `decimal(p,s)`, p ≤ 38 | `decimal(p,s)` |
//! | `char`, `varchar`, `text` of all sizes, `enum`, `set`, `inet4`, `inet6` | `varchar` |
//! | `binary`, `varbinary`, `blob` of all sizes, `bit(n)`, n > 1, `geometry` and its kinds | `blob` |
//! | `bit(1)` | `boolean` |
//! | `date`, `datetime`, `timestamp` | `date`, `timestamp`, `timestamptz`; a zero date is a data error |
//! | `datetime` with the comment `instants in UTC`, as Pintail makes it | `timestamptz` |
//! | `time` | `time`; from 00:00 to 23:59:59.999999, anything else is a data error |
//! | `year` | `smallint` |
//! | `uuid`, `json` | the same |
//! | `decimal(p,s)`, p > 38; anything else | nothing, unless a column is declared `text` |

use pintail_model::LogicalType;

/// A column of instants: `timestamp` ends in 2038. The comment tells it from times without a zone.
pub(super) const INSTANTS: &str = "datetime(6) comment 'instants in UTC'";

/// The comment of [`INSTANTS`].
pub(super) const INSTANTS_COMMENT: &str = "instants in UTC";

/// How a column comes out of MySQL and becomes what the destination wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// As DuckDB's scanner delivers it, in this type; cast by DuckDB if the destination wants another one.
    Scanned(LogicalType),
    /// As text that MySQL writes, and that is what is wanted.
    AsText,
    /// As text that MySQL writes, from which DuckDB reads an exact number.
    Number,
}

/// The lossless home of a type, named as `information_schema` does.
pub(super) fn home(source_type: &str) -> Option<LogicalType> {
    Some(match name(source_type) {
        "timestamp" => LogicalType::TimestampTz,
        "datetime" if source_type == INSTANTS => LogicalType::TimestampTz,
        "time" => LogicalType::Time,
        "year" => LogicalType::Int16,
        "uuid" => LogicalType::Uuid,
        "json" => LogicalType::Json,
        _ => return scanned(source_type),
    })
}

/// The type in which DuckDB's scanner delivers a column exactly.
pub(super) fn scanned(source_type: &str) -> Option<LogicalType> {
    use LogicalType as T;
    let unsigned = source_type.contains(" unsigned");
    let integer = |signed, without| if unsigned { without } else { signed };
    Some(match name(source_type) {
        "tinyint" => integer(T::Int8, T::UInt8),
        "smallint" => integer(T::Int16, T::UInt16),
        "mediumint" | "int" => integer(T::Int32, T::UInt32),
        "bigint" => integer(T::Int64, T::UInt64),
        "float" => T::Float32,
        "double" => T::Float64,
        "decimal" => return decimal(source_type),
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set" | "inet4"
        | "inet6" | "time" | "uuid" | "json" => T::Text,
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" | "geometry" | "point"
        | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon" | "geomcollection"
        | "geometrycollection" => T::Bytes,
        "bit" if source_type == "bit(1)" => T::Boolean,
        "bit" => T::Bytes,
        "date" => T::Date,
        "datetime" | "timestamp" => T::Timestamp,
        "year" => T::Int32,
        _ => return None,
    })
}

/// Whether a value of the type is a date, or has one in it: MySQL has a zero for them, which DuckDB takes for NULL.
pub(super) fn has_date(source_type: &str) -> bool {
    matches!(name(source_type), "date" | "datetime" | "timestamp")
}

/// The way from a column to `wanted`; `None` if there is none without silent loss.
pub(super) fn route(source_type: &str, wanted: LogicalType) -> Option<Route> {
    use LogicalType as T;
    let Some(home) = home(source_type) else {
        return match wanted {
            T::Text => Some(Route::AsText),
            T::Decimal { .. } if name(source_type) == "decimal" => Some(Route::Number),
            _ => None,
        };
    };
    let scanned = Route::Scanned(scanned(source_type)?);
    match (home, wanted) {
        _ if home == wanted => Some(scanned),
        // Zero dates have a text, and a date that DuckDB has read none.
        (T::Date | T::Timestamp | T::TimestampTz, T::Text) => Some(Route::AsText),
        // Bytes are no text.
        (T::Bytes, _) => None,
        (_, T::Text) => Some(scanned),
        // DuckDB refuses a number that does not fit; of a boolean, the scan sees that it is one.
        (home, T::Boolean) if name(source_type) == "tinyint" && home.is_integer() => Some(scanned),
        (home, wanted) if whole(home) && (whole(wanted) || matches!(wanted, T::Decimal { .. })) => {
            Some(scanned)
        }
        (T::Int8 | T::UInt8 | T::Int16 | T::UInt16, T::Float32)
        | (T::Int8 | T::UInt8 | T::Int16 | T::UInt16 | T::Int32 | T::UInt32 | T::Float32, T::Float64)
        | (T::Decimal { .. }, T::Decimal { .. }) => Some(scanned),
        _ => None,
    }
}

fn whole(logical_type: LogicalType) -> bool {
    logical_type.is_integer() || logical_type == LogicalType::UInt64
}

fn decimal(source_type: &str) -> Option<LogicalType> {
    let (_, rest) = source_type.split_once('(')?;
    let (modifiers, _) = rest.split_once(')')?;
    let (precision, scale) = modifiers.split_once(',').unwrap_or((modifiers, "0"));
    let (precision, scale) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
    (precision <= 38 && scale <= precision).then_some(LogicalType::Decimal { precision, scale })
}

/// `bigint(20) unsigned` is a `bigint`.
pub(super) fn name(source_type: &str) -> &str {
    source_type
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .next()
        .unwrap_or_default()
}
