//! How values stand in CSV and JSON files that Pintail writes, and how they become the very same values again.
//!
//! | type | CSV | JSON |
//! |---|---|---|
//! | booleans, integers | as text | as they are |
//! | floats | shortest text; `nan`, `inf`, `-inf` | numbers; what JSON has no number for as a text |
//! | decimals, dates, times, instants in UTC, UUID | text | text: a number would be read as a double |
//! | text | as it is; NULL is an empty field, and an empty text is `""` | as it is; NULL is `null` |
//! | bytes | Base64 | Base64 |
//! | JSON | its text | its text, as a text: so it keeps its spaces, and `null` in it is not NULL |
//! | lists | a JSON list | a list |
//!
//! Who writes files reads them again with [`decode`] and compares: whatever of this a file does not carry is no silent loss.

use pintail_config::FileFormat;
use pintail_lake::quote::literal;
use pintail_model::LogicalType;

/// A value as it goes into a file. SQL of the engine.
pub(super) fn encode(format: FileFormat, value: &str, logical_type: LogicalType) -> String {
    match (format, logical_type) {
        (FileFormat::Parquet, _) => value.to_owned(),
        (FileFormat::Json, LogicalType::List { element, depth }) => {
            each(value, depth, &|inner| json_value(inner, element.logical_type()))
        }
        (FileFormat::Csv, LogicalType::List { element, depth }) => {
            let list = each(value, depth, &|inner| json_value(inner, element.logical_type()));
            format!("to_json({list})::varchar")
        }
        (FileFormat::Json, scalar) => json_value(value, scalar),
        (FileFormat::Csv, scalar) => text(value, scalar),
    }
}

/// The type in which the engine reads a column of a file.
pub(super) fn read_as(format: FileFormat, logical_type: LogicalType) -> String {
    match (format, logical_type) {
        (FileFormat::Parquet, kept) => kept.to_string(),
        (FileFormat::Csv, _) => "varchar".to_owned(),
        (FileFormat::Json, LogicalType::List { element, depth }) => list_type(element.logical_type(), depth),
        (FileFormat::Json, scalar) => json_type(scalar),
    }
}

/// A value of a file as what it was.
pub(super) fn decode(format: FileFormat, value: &str, logical_type: LogicalType) -> String {
    match (format, logical_type) {
        (FileFormat::Parquet, _) => value.to_owned(),
        (FileFormat::Csv, LogicalType::List { element, depth }) => {
            let element = element.logical_type();
            let shape = format!(
                "{}\"{}\"{}",
                "[".repeat(depth.into()),
                json_type(element),
                "]".repeat(depth.into())
            );
            each(&format!("from_json({value}, '{shape}')"), depth, &|inner| {
                typed(inner, element)
            })
        }
        (FileFormat::Json, LogicalType::List { element, depth }) => {
            each(value, depth, &|inner| typed(inner, element.logical_type()))
        }
        (_, scalar) => typed(value, scalar),
    }
}

/// A value as the text that stands in CSV, and in the name of a folder.
pub(super) fn text(value: &str, logical_type: LogicalType) -> String {
    match logical_type {
        LogicalType::Text => value.to_owned(),
        LogicalType::Bytes => format!("base64({value})"),
        _ => format!("{value}::varchar"),
    }
}

/// What [`text`] or [`json_value`] wrote, as what it was.
pub(super) fn typed(value: &str, logical_type: LogicalType) -> String {
    match logical_type {
        LogicalType::Text => value.to_owned(),
        LogicalType::Bytes => format!("from_base64({value})"),
        other => format!("{value}::{other}"),
    }
}

/// The text of a value of folders as a literal. A statement ends at a NUL, so that is put in by a function.
pub(super) fn value_literal(value: Option<&str>) -> String {
    match value {
        Some(text) => text
            .split('\0')
            .map(literal)
            .collect::<Vec<_>>()
            .join(" || chr(0) || "),
        None => "null::varchar".to_owned(),
    }
}

/// A value that is written into JSON.
fn json_value(value: &str, logical_type: LogicalType) -> String {
    match logical_type {
        kind if plain(kind) => value.to_owned(),
        LogicalType::Float32 | LogicalType::Float64 => format!(
            "case when isfinite({value}) then to_json({value}::double) else to_json({value}::varchar) end"
        ),
        other => text(value, other),
    }
}

/// The type in which a value of JSON is read.
fn json_type(logical_type: LogicalType) -> String {
    match logical_type {
        kind if plain(kind) => kind.to_string(),
        // A float stands there with all digits of the double that it is.
        LogicalType::Float32 | LogicalType::Float64 => "double".to_owned(),
        _ => "varchar".to_owned(),
    }
}

fn list_type(element: LogicalType, depth: u8) -> String {
    format!("{}{}", json_type(element), "[]".repeat(depth.into()))
}

/// Whether JSON has values of that type.
fn plain(logical_type: LogicalType) -> bool {
    logical_type.is_integer()
        || matches!(
            logical_type,
            LogicalType::Boolean | LogicalType::UInt64 | LogicalType::Text
        )
}

/// A list whose innermost elements are changed.
fn each(list: &str, depth: u8, change: &dyn Fn(&str) -> String) -> String {
    if change("e") == "e" {
        return list.to_owned();
    }
    let element = format!("e{depth}");
    let changed = match depth {
        1 => change(&element),
        _ => each(&element, depth - 1, change),
    };
    format!("list_transform({list}, lambda {element}: {changed})")
}
