//! Quoting for SQL that DuckDB reads. Every identifier and every text that goes into a statement passes here.

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

/// Several identifiers, separated by commas.
#[must_use]
pub fn identifiers<S: AsRef<str>>(names: &[S]) -> String {
    names
        .iter()
        .map(|name| identifier(name.as_ref()))
        .collect::<Vec<_>>()
        .join(", ")
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
