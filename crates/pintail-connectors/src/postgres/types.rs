//! Which types of Postgres have a home in the lake, and in which form a column travels.
//!
//! | Postgres | lake |
//! |---|---|
//! | `boolean`, `smallint`, `integer`, `bigint`, `real`, `double precision` | the same |
//! | `numeric(p,s)`, 0 ≤ s ≤ p ≤ 38 | `decimal(p,s)` |
//! | any other `numeric`, and arrays of such | nothing, unless a column is declared `text` or, but for arrays, `decimal` |
//! | `text`, `varchar`, `char(n)` | `varchar`; the padding of `char(n)` is no part of the value |
//! | `bytea`, `date`, `time`, `timestamp`, `timestamptz`, `uuid` | the same |
//! | `json`, `jsonb` | `json`, as Postgres writes it |
//! | arrays of these, but not of JSON | lists; of the depth that the column declares |
//! | domains | what their base type becomes |
//! | anything else: enums, ranges, `inet`, `interval`, `bit`, composites, … | `varchar`, as `::text` gives it |

use pintail_lake::connector::SourceColumn;
use pintail_model::{Element, LogicalType};

/// How a column comes out of Postgres and becomes what the destination wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// As its own type, which DuckDB knows; cast by DuckDB if the destination wants another one.
    Native(LogicalType),
    /// As `::text`, and that is what is wanted.
    AsText,
    /// As `::text`, from which DuckDB reads an exact number.
    Number,
    /// As an array, which DuckDB knows if it has one dimension.
    Array(Element),
    /// As JSON of the texts of its elements: arrays of more dimensions, and of bytes.
    Nested {
        /// What it holds.
        element: Element,
        /// Its dimensions.
        depth: u8,
    },
}

/// The lossless home of a type, named as `format_type` does. `dimensions` are those that a column of arrays declares, which
/// Postgres itself does not enforce; 0 if it does not say.
pub(super) fn home(base_type: &str, dimensions: i64) -> Option<LogicalType> {
    let (name, modifiers) = split_modifiers(base_type);
    let element = name.trim_end_matches("[]");
    if element.len() == name.len() {
        return scalar(&name, &modifiers);
    }
    let brackets = i64::try_from((name.len() - element.len()) / 2).unwrap_or(1);
    match element_type(scalar(element, &modifiers)?) {
        // Only texts that are texts in Postgres, too: an array of anything else is a text as a whole.
        Some(Element::Text) if !plain_text(element) => Some(LogicalType::Text),
        Some(element) => Some(LogicalType::List {
            element,
            depth: u8::try_from(dimensions.max(brackets)).ok()?,
        }),
        None => Some(LogicalType::Text),
    }
}

fn scalar(name: &str, modifiers: &[i32]) -> Option<LogicalType> {
    Some(match name {
        "boolean" => LogicalType::Boolean,
        "smallint" => LogicalType::Int16,
        "integer" => LogicalType::Int32,
        "bigint" => LogicalType::Int64,
        "real" => LogicalType::Float32,
        "double precision" => LogicalType::Float64,
        "numeric" => return decimal(modifiers),
        "bytea" => LogicalType::Bytes,
        "date" => LogicalType::Date,
        "time without time zone" => LogicalType::Time,
        "timestamp without time zone" => LogicalType::Timestamp,
        "timestamp with time zone" => LogicalType::TimestampTz,
        "uuid" => LogicalType::Uuid,
        "json" | "jsonb" => LogicalType::Json,
        // Nobody knows.
        "" => return None,
        _ => LogicalType::Text,
    })
}

/// The home of a column whose texts are texts in Postgres, too; `None` of any other whose home is text, for it does not take
/// every text.
pub(super) fn plain_home(source_type: &str, home: Option<LogicalType>) -> Option<LogicalType> {
    home.filter(|home| *home != LogicalType::Text || plain_text(source_type))
}

/// Whether the engine copies values into a column of that type in binary, as it does if every column is of such a type.
pub(super) fn copied_in_binary(source_type: &str) -> bool {
    let (name, modifiers) = split_modifiers(source_type);
    match name.as_str() {
        // Without a precision it is a double to the engine.
        "numeric" => !modifiers.is_empty(),
        "json" | "text" | "character varying" => true,
        name => {
            let element = name.strip_suffix("[]").unwrap_or(name);
            matches!(
                element,
                "smallint"
                    | "integer"
                    | "bigint"
                    | "real"
                    | "double precision"
                    | "boolean"
                    | "bytea"
                    | "date"
                    | "time without time zone"
                    | "timestamp without time zone"
                    | "timestamp with time zone"
                    | "uuid"
            )
        }
    }
}

/// Texts that DuckDB's scanner delivers as they are.
fn plain_text(base_type: &str) -> bool {
    let (name, _) = split_modifiers(base_type);
    matches!(
        name.as_str(),
        "text" | "character varying" | "character" | "bpchar"
    )
}

/// Whether the text of a type is made from the value alone. Nobody can know that of a type that somebody made; the label of
/// an enum can be renamed.
pub(super) fn written_by_itself(source_type: &str) -> bool {
    const TYPES: &[&str] = &[
        "bit",
        "bit varying",
        "cidr",
        "inet",
        "interval",
        "macaddr",
        "macaddr8",
        "money",
        "numeric",
        "oid",
        "pg_lsn",
        "point",
        "time with time zone",
        "tsvector",
        "xml",
    ];
    let (name, _) = split_modifiers(source_type);
    scalar(&name, &[]).is_some_and(|home| home != LogicalType::Text)
        || plain_text(&name)
        || TYPES.contains(&name.as_str())
}

fn element_type(logical_type: LogicalType) -> Option<Element> {
    use LogicalType as T;
    Some(match logical_type {
        T::Boolean => Element::Boolean,
        T::Int16 => Element::Int16,
        T::Int32 => Element::Int32,
        T::Int64 => Element::Int64,
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
        _ => return None,
    })
}

/// Whether DuckDB's scanner, which sees the types of the catalogue, delivers the column as its home. Of a domain it makes
/// a text; a query sees the base type of a domain.
pub(super) fn known_to_scanner(column: &SourceColumn) -> bool {
    let own = home(&column.source_type, 0);
    own == column.logical_type && (own != Some(LogicalType::Text) || plain_text(&column.source_type))
}

/// The way from a column to `wanted`; `None` if there is none without silent loss.
pub(super) fn route(column: &SourceColumn, wanted: LogicalType) -> Option<Route> {
    use LogicalType as T;
    let home = match home(&column.source_type, 0) {
        // What only the catalogue knows: the base type of a domain, the dimensions of an array.
        Some(T::Text | T::List { .. }) => column.logical_type,
        own => own,
    };
    // Only numbers without an end have no home.
    let Some(home) = home else {
        let array = column.source_type.ends_with("[]");
        return match wanted {
            T::Text => Some(Route::AsText),
            T::Decimal { .. } if !array => Some(Route::Number),
            _ => None,
        };
    };
    match (home, wanted) {
        (T::Text, T::Text) if !plain_text(&column.source_type) => Some(Route::AsText),
        (T::List { element, depth }, _) if home == wanted => Some(match element {
            // DuckDB sees text in the array of a query's result.
            Element::Bytes => Route::Nested { element, depth },
            _ if depth == 1 => Route::Array(element),
            _ => Route::Nested { element, depth },
        }),
        _ if home == wanted => Some(Route::Native(home)),
        // DuckDB's scanner delivers JSON as text.
        (T::Json, T::Text) => Some(Route::Native(home)),
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

/// `timestamp(3) with time zone[]` is an array of `timestamp with time zone` with the modifier 3.
fn split_modifiers(source_type: &str) -> (String, Vec<i32>) {
    let Some((name, rest)) = source_type.split_once('(') else {
        return (source_type.to_owned(), Vec::new());
    };
    let Some((modifiers, tail)) = rest.split_once(')') else {
        return (source_type.to_owned(), Vec::new());
    };
    let modifiers = modifiers
        .split(',')
        .filter_map(|part| part.trim().parse().ok())
        .collect();
    (format!("{name}{tail}"), modifiers)
}
