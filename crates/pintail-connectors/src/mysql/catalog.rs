//! What `information_schema` says, as plain rows. All queries run through the engine, and return numbers and texts only.

use pintail_lake::connector::{ListedTable, TableKind};
use pintail_lake::{Call, Result, Row, Session};
use pintail_model::TableName;

use super::quote::{literal, plain_text, query};
use super::server::Flavour;
use super::types;

/// A table or view.
#[derive(Debug)]
pub(super) struct Relation {
    /// `None` for a view.
    pub(super) engine: Option<String>,
    /// Whether that engine has transactions.
    pub(super) transactional: bool,
    pub(super) rows: Option<u64>,
    pub(super) bytes: Option<u64>,
}

/// A column.
#[derive(Debug)]
pub(super) struct ColumnFacts {
    pub(super) name: String,
    pub(super) source_type: String,
    pub(super) nullable: bool,
}

/// A column of an index.
#[derive(Debug)]
pub(super) struct IndexColumn {
    pub(super) index: String,
    /// Position in the index, from 1.
    pub(super) position: i64,
    /// `None` for an expression.
    pub(super) column: Option<String>,
    /// Whether the index holds the whole column, which is never NULL, and no two rows have the same columns.
    pub(super) identifies: bool,
}

/// Databases of the server itself.
const OWN: &str = "('mysql', 'information_schema', 'performance_schema', 'sys')";

/// Names of tables, with their databases, that the engine cannot tell from `table`. Itself is one of them, if it exists.
pub(super) fn namesakes(session: &Session, alias: &str, table: &TableName) -> Result<Vec<TableName>> {
    let sql = format!(
        "select {} as db, {} as name from information_schema.tables \
         where lower(table_schema) = lower({}) and lower(table_name) = lower({})",
        plain_text("table_schema"),
        plain_text("table_name"),
        literal(table.schema_or("")),
        literal(&table.table)
    );
    let rows = rows(session, alias, "look a table up", &sql)?;
    Ok(rows.iter().filter_map(name).collect())
}

pub(super) fn relation(session: &Session, alias: &str, table: &TableName) -> Result<Option<Relation>> {
    let sql = format!(
        "select {} as engine, \
         cast(coalesce((select max(e.transactions = 'YES') from information_schema.engines e \
         where e.engine = t.engine), 0) as signed) as transactional, \
         cast(t.table_rows as signed) as number, cast(t.data_length as signed) as bytes \
         from information_schema.tables t where {}",
        plain_text("t.engine"),
        named("t", table)
    );
    let rows = rows(session, alias, "look up the size of a table", &sql)?;
    let number = |row: &Row, index| row.integer(index).and_then(|number| u64::try_from(number).ok());
    Ok(rows.first().map(|row| Relation {
        engine: row.text(0).map(str::to_owned),
        transactional: row.integer(1) == Some(1),
        rows: number(row, 2),
        bytes: number(row, 3),
    }))
}

/// Names of tables that a misspelt name may have meant.
pub(super) fn known_tables(session: &Session, alias: &str) -> Result<Vec<TableName>> {
    let sql = format!(
        "select {} as db, {} as name from information_schema.tables where table_schema not in {OWN} \
         order by 1, 2 limit 10000",
        plain_text("table_schema"),
        plain_text("table_name")
    );
    let rows = rows(session, alias, "list the tables", &sql)?;
    Ok(rows.iter().filter_map(name).collect())
}

/// What can be copied, of one database or of all.
pub(super) fn tables(session: &Session, alias: &str, database: Option<&str>) -> Result<Vec<ListedTable>> {
    let database = database
        .map(|database| format!("and table_schema = {}", literal(database)))
        .unwrap_or_default();
    let sql = format!(
        "select {} as db, {} as name, table_type like '%VIEW' as is_view from information_schema.tables \
         where table_schema not in {OWN} and table_type in ('BASE TABLE', 'VIEW', 'SYSTEM VERSIONED') {database} \
         order by 1, 2",
        plain_text("table_schema"),
        plain_text("table_name")
    );
    let rows = rows(session, alias, "list the tables", &sql)?;
    let listed = |row: &Row| {
        Some(ListedTable {
            name: name(row)?,
            kind: match row.integer(2) {
                Some(0) => TableKind::Table,
                _ => TableKind::View,
            },
        })
    };
    Ok(rows.iter().filter_map(listed).collect())
}

pub(super) fn columns(
    session: &Session,
    alias: &str,
    flavour: Flavour,
    table: &TableName,
) -> Result<Vec<ColumnFacts>> {
    // MariaDB writes JSON as text, with a check.
    let json = match flavour {
        Flavour::MySql => "0".to_owned(),
        Flavour::MariaDb => format!(
            "(select count(*) from information_schema.check_constraints k \
             where k.constraint_schema = {} and k.table_name = {} \
             and k.check_clause = concat('json_valid(`', replace(c.column_name, '`', '``'), '`)'))",
            literal(table.schema_or("")),
            literal(&table.table)
        ),
    };
    let sql = format!(
        "select {} as name, {} as type, c.is_nullable = 'YES' as nullable, cast({json} as signed) as checked, \
         c.column_comment = {} as instants \
         from information_schema.columns c where {} order by c.ordinal_position",
        plain_text("c.column_name"),
        plain_text("c.column_type"),
        literal(types::INSTANTS_COMMENT),
        named("c", table)
    );
    let rows = rows(session, alias, "look up the columns of a table", &sql)?;
    let facts = |row: &Row| {
        let declared = row.text(1)?;
        let source_type = match declared {
            "longtext" if row.integer(3) > Some(0) => "json",
            "datetime(6)" if row.integer(4) > Some(0) => types::INSTANTS,
            declared => declared,
        };
        Some(ColumnFacts {
            name: row.text(0)?.to_owned(),
            source_type: source_type.to_owned(),
            nullable: row.integer(2) != Some(0),
        })
    };
    Ok(rows.iter().filter_map(facts).collect())
}

/// Columns of all indexes that can answer comparisons: those of the primary key first, then those of small indexes.
pub(super) fn index_columns(session: &Session, alias: &str, table: &TableName) -> Result<Vec<IndexColumn>> {
    let sql = format!(
        "select {} as name, cast(i.seq_in_index as signed) as position, {} as col, \
         i.non_unique = 0 and i.nullable = '' and i.sub_part is null as identifies \
         from information_schema.statistics i where {} and i.index_type in ('BTREE', 'HASH') \
         order by i.index_name <> 'PRIMARY', \
         (select count(*) from information_schema.statistics s where {} and s.index_name = i.index_name), \
         i.index_name, i.seq_in_index",
        plain_text("i.index_name"),
        plain_text("i.column_name"),
        named("i", table),
        named("s", table)
    );
    let rows = rows(session, alias, "look up the indexes of a table", &sql)?;
    let column = |row: &Row| {
        Some(IndexColumn {
            index: row.text(0)?.to_owned(),
            position: row.integer(1)?,
            column: row.text(2).map(str::to_owned),
            identifies: row.integer(3) == Some(1),
        })
    };
    Ok(rows.iter().filter_map(column).collect())
}

/// The rows of `information_schema` about one table.
fn named(view: &str, table: &TableName) -> String {
    format!(
        "{view}.table_schema = {} and {view}.table_name = {}",
        literal(table.schema_or("")),
        literal(&table.table)
    )
}

fn name(row: &Row) -> Option<TableName> {
    Some(TableName::new(row.text(0)?, row.text(1)?))
}

/// Lets the engine look at the server anew: its scanner remembers which tables and columns there are for as long as the
/// attachment lasts.
pub(super) fn forget(session: &Session) -> Result<()> {
    session.batch(Call::new("look at the source anew"), "call mysql_clear_cache()")
}

/// Looks something up in a transaction of its own. `mysql_query` asks the server when it is prepared, and the answer goes
/// with the connection when the transaction ends; without one, that is before it is read, and a crash.
pub(super) fn reading<T>(session: &Session, work: impl FnOnce() -> Result<T>) -> Result<T> {
    session.begin()?;
    let result = work();
    session.rollback();
    result
}

/// All rows of a small result. The session is in a transaction.
pub(super) fn rows(session: &Session, alias: &str, label: &str, sql: &str) -> Result<Vec<Row>> {
    session.query(Call::new(label), &format!("from {}", query(alias, sql)))
}
