//! Which declared types of SQLite have a home in the lake.
//!
//! SQLite stores what it is given: a declared type is a wish. So the declaration only chooses the type of the lake,
//! and every value is checked on its way (see [`super::value`]).
//!
//! | declared as | lake |
//! |---|---|
//! | `BOOL`, `BOOLEAN` | `boolean`: 0 and 1 |
//! | anything with `INT` | `bigint` |
//! | `DECIMAL(p,s)`, `NUMERIC(p,s)`, p ≤ 15 | `decimal(p,s)`: a float keeps 15 digits and no more |
//! | `DECIMAL(p)`, `NUMERIC(p)`, p ≤ 18 | `decimal(p,0)` |
//! | anything with `REAL`, `FLOA`, `DOUB` | `double` |
//! | `DATE`; `DATETIME`, `TIMESTAMP`; `TIMESTAMPTZ`, `TIMESTAMP WITH TIME ZONE` | `date`; `timestamp`; `timestamptz` |
//! | `TIME` | `time` |
//! | `JSON`, `UUID` | the same |
//! | `DATE TEXT`, `TIME TEXT`, `TIMESTAMP TEXT`, `TIMESTAMPTZ TEXT`, `JSON TEXT`, `UUID TEXT` | what stands before `TEXT`: tables that Pintail made |
//! | anything else with `CHAR`, `CLOB`, `TEXT` | `varchar` |
//! | `BLOB` | `blob` |
//! | anything else, or nothing | nothing, unless the pipeline declares what it is |

use pintail_model::LogicalType;

/// Decimal digits that a double carries without loss.
pub(super) const EXACT_DIGITS: u8 = 15;

/// Decimal digits of which every integer of 64 bits is made.
const INTEGER_DIGITS: u8 = 18;

/// The home of a declared type.
pub(super) fn home(declared: &str) -> Option<LogicalType> {
    let (name, modifiers) = split_modifiers(&declared.to_lowercase());
    let has = |part: &str| name.contains(part);
    // Tables that Pintail makes say so where a value is a text: SQLite then keeps it as it is written.
    Some(match name.strip_suffix(" text").unwrap_or(&name) {
        "bool" | "boolean" => LogicalType::Boolean,
        "decimal" | "numeric" => return decimal(&modifiers),
        "date" => LogicalType::Date,
        "datetime" | "timestamp" | "timestamp without time zone" => LogicalType::Timestamp,
        "timestamptz" | "timestamp with time zone" => LogicalType::TimestampTz,
        "time" | "time without time zone" => LogicalType::Time,
        "json" => LogicalType::Json,
        "uuid" => LogicalType::Uuid,
        "blob" => LogicalType::Bytes,
        // The order and the parts are those of SQLite itself: https://www.sqlite.org/datatype3.html#determination_of_column_affinity
        _ if has("int") => LogicalType::Int64,
        _ if has("char") || has("clob") || has("text") => LogicalType::Text,
        _ if has("real") || has("floa") || has("doub") => LogicalType::Float64,
        _ => return None,
    })
}

/// Whether a column can be read as `wanted`. Values are checked, so this only refuses what no check can save.
pub(super) fn readable(wanted: LogicalType) -> bool {
    match wanted {
        LogicalType::Float32 | LogicalType::List { .. } => false,
        LogicalType::Decimal { precision, scale } => scale == 0 || precision <= EXACT_DIGITS,
        _ => true,
    }
}

fn decimal(modifiers: &[u8]) -> Option<LogicalType> {
    let (precision, scale) = match modifiers {
        [precision] => (*precision, 0),
        [precision, scale] => (*precision, *scale),
        _ => return None,
    };
    let digits_max = if scale == 0 { INTEGER_DIGITS } else { EXACT_DIGITS };
    let valid = precision > 0 && precision <= digits_max && scale <= precision;
    valid.then_some(LogicalType::Decimal { precision, scale })
}

/// `decimal (10, 2)` is `decimal` with 10 and 2.
fn split_modifiers(declared: &str) -> (String, Vec<u8>) {
    let Some((name, rest)) = declared.split_once('(') else {
        return (declared.trim().to_owned(), Vec::new());
    };
    let (modifiers, tail) = rest.split_once(')').unwrap_or((rest, ""));
    let modifiers = modifiers
        .split(',')
        .filter_map(|part| part.trim().parse().ok())
        .collect();
    let name = format!("{} {}", name.trim(), tail.trim());
    (name.trim().to_owned(), modifiers)
}
