//! What the system catalogue says, as plain rows. All queries run through the engine, and return numbers, texts and
//! booleans only.

use pintail_lake::connector::{ListedTable, TableKind};
use pintail_lake::{Call, Result, Row, Session};
use pintail_model::TableName;

use super::quote::literal;
use super::scan::query;

/// A table, view or the like, as `pg_class` has it.
#[derive(Debug)]
pub(super) struct Relation {
    pub(super) oid: i64,
    pub(super) name: TableName,
}

/// The storage of a relation and of everything that is part of it (partitions, children).
#[derive(Debug)]
pub(super) struct Storage {
    /// Relations that hold rows.
    pub(super) parts: i64,
    pub(super) rows: Option<u64>,
    /// Pages of the largest part; `None` where ranges of pages do not work.
    pub(super) pages: Option<u64>,
    pub(super) bytes: Option<u64>,
    pub(super) identity: Option<String>,
}

/// A column, as `pg_attribute` has it.
#[derive(Debug)]
pub(super) struct Attribute {
    pub(super) number: i64,
    pub(super) name: String,
    pub(super) source_type: String,
    pub(super) nullable: bool,
    /// The type that a domain stands for; of any other type, itself.
    pub(super) base_type: String,
    /// As declared, for arrays; 0 if that is not known.
    pub(super) dimensions: i64,
}

/// A column of an index.
#[derive(Debug)]
pub(super) struct IndexColumn {
    pub(super) index: i64,
    /// Position in the index, from 1.
    pub(super) position: i64,
    pub(super) column: String,
    pub(super) primary: bool,
    /// Unique over the whole table, by plain columns that hold no NULL.
    pub(super) unique: bool,
}

/// Kinds of relation that rows can be read from: tables, partitioned tables, views, materialized views, foreign ones.
const READABLE: &str = "c.relkind in ('r', 'p', 'v', 'm', 'f')";

/// Whether policies decide which rows of a table the user sees.
pub(super) fn row_security(session: &Session, alias: &str, table: &TableName) -> Result<bool> {
    let name = literal(&super::scan::qualified(table));
    let sql = format!("select pg_catalog.row_security_active({name}) as hidden");
    let rows = session.query(
        Call::new("ask whether all rows of a table can be seen"),
        &format!("from {}", query(alias, &sql)),
    )?;
    Ok(rows.first().is_some_and(|row| row.boolean(0)))
}

/// The relation of that name: in its schema, or else the first on the search path.
pub(super) fn relation(session: &Session, alias: &str, table: &TableName) -> Result<Option<Relation>> {
    let place = match &table.schema {
        Some(schema) => format!("n.nspname = {}", literal(schema)),
        None => "pg_catalog.pg_table_is_visible(c.oid)".to_owned(),
    };
    let sql = format!(
        "select c.oid::bigint as oid, n.nspname::text as schema, c.relname::text as name \
         from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
         where {READABLE} and c.relname = {} and {place}",
        literal(&table.table)
    );
    let rows = rows(session, alias, "look a table up", &sql)?;
    Ok(rows.first().and_then(|row| {
        Some(Relation {
            oid: row.integer(0)?,
            name: TableName::new(row.text(1)?, row.text(2)?),
        })
    }))
}

/// Names of tables that a misspelt name may have meant.
pub(super) fn known_tables(session: &Session, alias: &str) -> Result<Vec<TableName>> {
    let sql = format!(
        "select n.nspname::text as schema, c.relname::text as name \
         from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
         where {READABLE} and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\\_%' \
         order by not pg_catalog.pg_table_is_visible(c.oid), 1, 2 limit 10000"
    );
    let rows = rows(session, alias, "list the tables", &sql)?;
    Ok(rows
        .iter()
        .filter_map(|row| Some(TableName::new(row.text(0)?, row.text(1)?)))
        .collect())
}

/// What can be copied, of one schema or of all.
pub(super) fn tables(session: &Session, alias: &str, schema: Option<&str>) -> Result<Vec<ListedTable>> {
    let schema = schema
        .map(|schema| format!("and n.nspname = {}", literal(schema)))
        .unwrap_or_default();
    let sql = include_str!("tables.sql").replace("/* schema */", &schema);
    let rows = rows(session, alias, "list the tables", &sql)?;
    let listed = |row: &Row| {
        Some(ListedTable {
            name: TableName::new(row.text(0)?, row.text(1)?),
            kind: if row.boolean(2) {
                TableKind::View
            } else {
                TableKind::Table
            },
        })
    };
    Ok(rows.iter().filter_map(listed).collect())
}

pub(super) fn storage(session: &Session, alias: &str, relation: &Relation) -> Result<Storage> {
    let sql = include_str!("storage.sql").replace("/* oid */", &relation.oid.to_string());
    let rows = rows(session, alias, "look up the size of a table", &sql)?;
    let row = rows.first();
    let number = |index| {
        row.and_then(|row| row.integer(index))
            .and_then(|number| u64::try_from(number).ok())
    };
    Ok(Storage {
        parts: row.and_then(|row| row.integer(0)).unwrap_or(0),
        rows: number(1),
        pages: number(2),
        bytes: number(3),
        identity: row.and_then(|row| row.text(4)).map(str::to_owned),
    })
}

pub(super) fn attributes(session: &Session, alias: &str, relation: &Relation) -> Result<Vec<Attribute>> {
    let sql = include_str!("columns.sql").replace("/* oid */", &relation.oid.to_string());
    let rows = rows(session, alias, "look up the columns of a table", &sql)?;
    let attribute = |row: &Row| {
        Some(Attribute {
            number: row.integer(0)?,
            name: row.text(1)?.to_owned(),
            source_type: row.text(2)?.to_owned(),
            nullable: !row.boolean(3),
            base_type: row.text(4)?.to_owned(),
            dimensions: row.integer(5)?,
        })
    };
    Ok(rows.iter().filter_map(attribute).collect())
}

/// Columns of all usable indexes that cover every row, in the order of their positions.
pub(super) fn index_columns(session: &Session, alias: &str, relation: &Relation) -> Result<Vec<IndexColumn>> {
    let sql = include_str!("indexes.sql").replace("/* oid */", &relation.oid.to_string());
    let rows = rows(session, alias, "look up the indexes of a table", &sql)?;
    let column = |row: &Row| {
        Some(IndexColumn {
            index: row.integer(0)?,
            position: row.integer(1)?,
            column: row.text(2)?.to_owned(),
            primary: row.boolean(3),
            unique: row.boolean(4),
        })
    };
    Ok(rows.iter().filter_map(column).collect())
}

pub(super) fn rows(session: &Session, alias: &str, label: &str, sql: &str) -> Result<Vec<Row>> {
    session.query(Call::new(label), &format!("from {}", query(alias, sql)))
}
