//! What SQLite says about a table, and the errors that a file can answer with.

use pintail_lake::connector::{ListedTable, TableKind};
use pintail_lake::quote::literal;
use pintail_lake::{Call, Error, Result, Row, Session};
use pintail_model::{ErrorKind, TableName};

use super::scan::query;

/// A table or view.
#[derive(Debug)]
pub(super) struct Relation {
    /// As SQLite spells it.
    pub(super) name: TableName,
    pub(super) view: bool,
    pub(super) without_rowid: bool,
}

/// A column that can be read.
#[derive(Debug)]
pub(super) struct ColumnFacts {
    pub(super) name: String,
    /// As declared; empty if there is no declaration.
    pub(super) declared: String,
    pub(super) required: bool,
    /// Position in the primary key, from 1; 0 outside of it.
    pub(super) key_position: i64,
}

/// A column of an index.
#[derive(Debug)]
pub(super) struct IndexColumn {
    pub(super) index: String,
    pub(super) position: i64,
    /// `None` for an expression.
    pub(super) column: Option<String>,
    /// Unique over the whole table.
    pub(super) unique: bool,
    pub(super) primary: bool,
}

const READABLE: &str =
    "schema = 'main' and type in ('table', 'view', 'virtual') and name not like 'sqlite\\_%' escape '\\'";

/// SQLite does not tell names apart by case.
pub(super) fn relation(session: &Session, alias: &str, table: &TableName) -> Result<Option<Relation>> {
    if !table.schema_or("main").eq_ignore_ascii_case("main") {
        return Ok(None);
    }
    let sql = format!(
        "select name, type, wr from pragma_table_list where {READABLE} and name = {} collate nocase",
        literal(&table.table)
    );
    let rows = rows(session, alias, "look a table up", &sql)?;
    Ok(rows.first().and_then(|row| {
        Some(Relation {
            name: TableName::new("main", row.text(0)?),
            view: row.text(1)? != "table",
            without_rowid: row.text(2)? == "1",
        })
    }))
}

/// Names of tables that a misspelt name may have meant.
pub(super) fn known_tables(session: &Session, alias: &str) -> Result<Vec<TableName>> {
    let sql = format!("select name from pragma_table_list where {READABLE} order by name limit 10000");
    let rows = rows(session, alias, "list the tables", &sql)?;
    Ok(rows
        .iter()
        .filter_map(|row| Some(TableName::bare(row.text(0)?)))
        .collect())
}

/// What can be copied. SQLite's own tables, and those in which virtual tables keep their data, are not.
pub(super) fn tables(session: &Session, alias: &str) -> Result<Vec<ListedTable>> {
    let sql = format!("select name, type from pragma_table_list where {READABLE} order by name");
    let rows = rows(session, alias, "list the tables", &sql)?;
    let listed = |row: &Row| {
        let kind = match row.text(1)? {
            "view" => TableKind::View,
            _ => TableKind::Table,
        };
        Some(ListedTable {
            name: TableName::bare(row.text(0)?),
            kind,
        })
    };
    Ok(rows.iter().filter_map(listed).collect())
}

pub(super) fn columns(session: &Session, alias: &str, relation: &Relation) -> Result<Vec<ColumnFacts>> {
    // 1 marks the hidden columns of virtual tables; 2 and 3 are generated columns, which read like others.
    let sql = format!(
        "select name, type, \"notnull\", pk from pragma_table_xinfo({}) where hidden <> 1 order by cid",
        literal(&relation.name.table)
    );
    let rows = rows(session, alias, "look up the columns of a table", &sql)?;
    let facts = |row: &Row| {
        Some(ColumnFacts {
            name: row.text(0)?.to_owned(),
            declared: row.text(1).unwrap_or_default().to_owned(),
            required: row.text(2)? != "0",
            key_position: number(row, 3)?,
        })
    };
    Ok(rows.iter().filter_map(facts).collect())
}

/// Columns of all indexes that cover every row.
pub(super) fn index_columns(session: &Session, alias: &str, relation: &Relation) -> Result<Vec<IndexColumn>> {
    let sql = format!(
        "select l.name as index_name, i.seqno, i.name as column_name, l.\"unique\", l.origin \
         from pragma_index_list({}) as l, pragma_index_info(l.name) as i where l.partial = 0 order by l.seq, i.seqno",
        literal(&relation.name.table)
    );
    let rows = rows(session, alias, "look up the indexes of a table", &sql)?;
    let column = |row: &Row| {
        Some(IndexColumn {
            index: row.text(0)?.to_owned(),
            position: number(row, 1)?,
            column: row.text(2).map(str::to_owned),
            unique: row.text(3)? == "1",
            primary: row.text(4)? == "pk",
        })
    };
    Ok(rows.iter().filter_map(column).collect())
}

/// Looks something up in a transaction of its own. `sqlite_query` opens the file when it is prepared and keeps the
/// handle until the transaction ends; without one, that is before it runs.
pub(super) fn reading<T>(session: &Session, work: impl FnOnce() -> Result<T>) -> Result<T> {
    session.begin()?;
    let result = work();
    session.rollback();
    result
}

/// All rows of a small result. Every value is text. The session is in a transaction.
pub(super) fn rows(session: &Session, alias: &str, label: &str, sql: &str) -> Result<Vec<Row>> {
    session
        .query(Call::new(label), &format!("from {}", query(alias, sql)))
        .map_err(|error| explain(label, error))
}

/// SQLite's own words for what a file can be instead of a readable database.
fn explain(label: &str, error: Error) -> Error {
    let Error::Statement { source, .. } = &error else {
        return error;
    };
    let has = |part: &str| source.raw_text().contains(part);
    let (kind, what, hint) = if has("file is not a database") {
        (
            ErrorKind::Invalid,
            "the file is no SQLite database, or an encrypted one",
            "Check the path.",
        )
    } else if has("database is locked") {
        (
            ErrorKind::Unavailable,
            "another program holds the database",
            "Try again later, or switch it to WAL mode.",
        )
    } else if has("unable to open database") {
        let hint = "Check the permissions of the file and of its folder: in WAL mode even a reader needs the files \
                    `-wal` and `-shm` beside it.";
        (ErrorKind::Unavailable, "SQLite cannot open the file", hint)
    } else {
        return error;
    };
    Error::refused(kind, format!("cannot {label}: {what}"), hint)
}

/// An integer that SQLite wrote as text.
pub(super) fn number(row: &Row, index: usize) -> Option<i64> {
    row.text(index)?.parse().ok()
}
