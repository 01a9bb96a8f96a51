//! Quoting for SQL that MySQL reads, whatever the server's `sql_mode` says about quotes and backslashes.

use pintail_lake::relation::{Dialect, Relation};
use pintail_model::TableName;

/// An identifier in backticks: a backslash has no meaning in it.
pub(super) fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text literal. One with a backslash is written by its bytes, since a mode decides what a backslash means.
pub(super) fn literal(text: &str) -> String {
    if text.contains('\\') {
        let digits: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        return format!("convert(x'{digits}' using utf8mb4)");
    }
    format!("'{}'", text.replace('\'', "''"))
}

/// A table as MySQL names it.
pub(super) fn table(name: &TableName) -> String {
    match &name.schema {
        Some(schema) => format!("{}.{}", identifier(schema), identifier(&name.table)),
        None => identifier(&name.table),
    }
}

/// A relation in the FROM of MySQL.
pub(super) fn from(relation: &Relation) -> String {
    let dialect = Dialect {
        identifier: &identifier,
        table: &table,
    };
    match relation.derived(&dialect, &[]) {
        Some(query) => format!("{query} as s"),
        None => table(&relation.table),
    }
}

/// Text that arrives as text. DuckDB takes text of a binary collation for bytes.
pub(super) fn plain_text(expression: &str) -> String {
    format!("convert({expression} using utf8mb4) collate utf8mb4_general_ci")
}

/// What DuckDB runs to get the result of a statement on the connection of its transaction. Without the option it takes
/// another connection, which sees another state. The whole result is held in memory, and the session has to be in a
/// transaction.
pub(super) fn query(alias: &str, sql: &str) -> String {
    use pintail_lake::quote::literal;
    format!(
        "mysql_query({}, {}, stream_results := false)",
        literal(alias),
        literal(sql)
    )
}
