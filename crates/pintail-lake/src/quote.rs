//! Quoting for SQL that DuckDB reads, and for what Postgres reads. Every identifier and every text that goes into a
//! statement passes here.

use std::path::Path;

use pintail_model::TableName;

/// An identifier in double quotes: `a "b"` becomes `"a ""b"""`.
#[must_use]
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text literal in single quotes: `it's` becomes `'it''s'`.
#[must_use]
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A text literal for SQL that Postgres reads, whatever its `standard_conforming_strings` says: with a backslash in it,
/// it is an `E''` literal.
#[must_use]
pub fn postgres_literal(text: &str) -> String {
    let doubled = literal(text);
    if doubled.contains('\\') {
        format!("E{}", doubled.replace('\\', "\\\\"))
    } else {
        doubled
    }
}

/// A value of a connection string of libpq: `it's` becomes `'it\'s'`.
#[must_use]
pub fn connection_value(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// A path as a literal for functions of DuckDB that would take it for a pattern: `a[1]*` names itself only.
#[must_use]
pub fn plain_path(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    for letter in path.chars() {
        match letter {
            '[' | '*' | '?' => plain.extend(['[', letter, ']']),
            _ => plain.push(letter),
        }
    }
    literal(&plain)
}

/// A list of paths: `['/a.parquet', '/b.parquet']`.
pub(crate) fn paths<'a>(paths: impl IntoIterator<Item = &'a Path>) -> String {
    let list: Vec<String> = paths
        .into_iter()
        .map(|path| literal(&path.to_string_lossy()))
        .collect();
    format!("[{}]", list.join(", "))
}

/// The rows of Parquet files as a relation: what stands in them, and nothing that DuckDB would read out of their paths.
pub fn parquet<'a>(files: impl IntoIterator<Item = &'a Path>) -> String {
    format!("read_parquet({}, hive_partitioning = false)", paths(files))
}

/// Several identifiers, separated by commas.
#[must_use]
pub fn identifiers<S: AsRef<str>>(names: &[S]) -> String {
    names
        .iter()
        .map(|name| identifier(name.as_ref()))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The condition that a row of `kept`, the table, and one of `staged` have the same key. No part of a key is NULL.
#[must_use]
pub fn same_key(key: &[String]) -> String {
    let pair = |column: &String| format!("kept.{0} = staged.{0}", identifier(column));
    key.iter().map(pair).collect::<Vec<_>>().join(" and ")
}

/// A table inside an attached database: `"alias"."schema"."table"`.
#[must_use]
pub fn table(alias: &str, name: &TableName, default_schema: &str) -> String {
    format!(
        "{}.{}.{}",
        identifier(alias),
        identifier(name.schema_or(default_schema)),
        identifier(&name.table)
    )
}
