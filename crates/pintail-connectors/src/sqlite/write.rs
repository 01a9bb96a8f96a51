//! A SQLite file as a destination.
//!
//! **What is promised.** Rows, the table that holds them and the ledger change in one transaction; readers in WAL mode see
//! the state before it until its end. One process writes at a time: others wait for the file's lock.
//!
//! **Limits.** SQLite has no NaN and no lists. It keeps a `decimal` of more than 15 digits as text.
//!
//! The engine's own `create table` knows five types of SQLite. So tables are made beforehand, by SQLite itself, with the
//! types that [`super::types`] reads back; under a name of their own, and empty, until rows come in.

use std::path::PathBuf;
use std::time::Duration;

use pintail_config::Datastore;
use pintail_lake::commit::Change;
use pintail_lake::connector::{Attachment, Connector, SourceColumn};
use pintail_lake::database::{Brought, DatabaseWriter, Incoming};
use pintail_lake::extension::SQLITE;
use pintail_lake::quote::{self, identifier, identifiers, literal};
use pintail_lake::{Call, Error, Result, Session};
use pintail_model::{Column, ErrorKind, LogicalType, NativeType, RunId, Secret, TableName};
use rusqlite::Connection;

use super::scan::{qualified, query};
use super::{BUSY_TIMEOUT_MS, SqliteSource, types};
use crate::engine_tables;

/// The schema that the engine gives to all tables of a file.
const SCHEMA: &str = "main";

/// Tables of the ledger and of attempts, which nobody else names so. The latter bear the name of their run.
const LEDGER: &str = "pintail_ledger";
const SIDE: &str = "pintail_side_";

/// A SQLite file that is written to.
#[derive(Debug)]
pub struct SqliteDestination {
    reader: SqliteSource,
    path: PathBuf,
}

impl SqliteDestination {
    /// The file that `datastore` names. It is made by the first run, if it does not exist.
    #[must_use]
    pub fn new(datastore: &Datastore) -> Self {
        Self {
            reader: SqliteSource::new(datastore),
            path: datastore.path().map(PathBuf::from).unwrap_or_default(),
        }
    }

    /// Has SQLite itself define something, in a transaction of its own.
    fn define(&self, what: &str, sql: &str) -> Result<()> {
        self.ask(what, |connection| {
            connection.execute_batch(&format!("begin immediate; {sql}; commit"))
        })
    }

    /// Names of tables that begin so.
    fn tables_that_begin(&self, what: &str, begins: &str) -> Result<Vec<String>> {
        self.ask(what, |connection| {
            let sql =
                "select name from sqlite_schema where type = 'table' and substr(name, 1, length(?1)) = ?1";
            let mut statement = connection.prepare(sql)?;
            let names = statement.query_map([begins], |row| row.get(0))?;
            names.collect()
        })
    }

    /// Asks SQLite itself.
    fn ask<T>(&self, what: &str, ask: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let answer = Connection::open(&self.path).and_then(|connection| {
            connection.busy_timeout(std::time::Duration::from_millis(BUSY_TIMEOUT_MS.into()))?;
            ask(&connection)
        });
        answer.map_err(|error| Error::Refused {
            kind: match error.sqlite_error_code() {
                Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::CannotOpen) => {
                    ErrorKind::Unavailable
                }
                _ => ErrorKind::Invalid,
            },
            message: format!("cannot {what} in {}: {}", self.reader.address(), reason(&error)),
            hint: None,
        })
    }
}

/// What SQLite says, which names tables and columns and no values.
fn reason(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(text)) => text.clone(),
        other => other.to_string(),
    }
}

impl DatabaseWriter for SqliteDestination {
    fn reader(&self) -> &dyn Connector {
        &self.reader
    }

    fn attachment(&self, alias: &str) -> Attachment {
        // The mode of a file that is there is its owner's to choose.
        let mode = if self.path.exists() {
            ""
        } else {
            ", journal_mode 'WAL'"
        };
        let attach = format!(
            "attach {} as {} (type sqlite, busy_timeout {BUSY_TIMEOUT_MS}{mode})",
            literal(&self.path.to_string_lossy()),
            identifier(alias)
        );
        Attachment {
            extensions: vec![SQLITE],
            statements: vec![Secret::new(attach)],
            secrets: Vec::new(),
        }
    }

    fn first_row(&self, alias: &str, table: &TableName) -> String {
        let sql = format!("select 1 as found from {} limit 1", qualified(table));
        format!("from {}", query(alias, &sql))
    }

    fn exists(&self) -> bool {
        self.path.exists()
    }

    fn resolve(&self, table: &TableName) -> TableName {
        table.clone()
    }

    fn keeps(&self, _origin: &NativeType) -> bool {
        // A declaration of SQLite is a wish, and says nothing of values that have no home.
        false
    }

    fn column_type(&self, column: &Column) -> String {
        match &column.origin {
            Some(origin)
                if origin.system == self.reader.system() && holds(&origin.name, column.logical_type) =>
            {
                origin.name.clone()
            }
            _ => declared(column.logical_type),
        }
    }

    fn refuses(&self, column: &Column) -> Option<String> {
        matches!(column.logical_type, LogicalType::List { .. })
            .then(|| format!("SQLite has no `{}`", column.logical_type))
    }

    fn read_as(&self, logical_type: LogicalType) -> LogicalType {
        use LogicalType as T;
        match logical_type {
            kind if kind.is_integer() => T::Int64,
            T::UInt64 => T::Text,
            T::Float32 => T::Float64,
            T::Decimal { precision, .. } if precision > types::EXACT_DIGITS => T::Text,
            other => other,
        }
    }

    fn takes(&self, found: &SourceColumn, wanted: &Column) -> bool {
        let made = self.column_type(wanted);
        found.source_type.eq_ignore_ascii_case(&made)
            || found.logical_type.is_some()
                && found.logical_type == types::home(&made)
                && holds(&found.source_type, wanted.logical_type)
    }

    fn add_column(&self, _session: &Session, _alias: &str, table: &TableName, column: &Column) -> Result<()> {
        let what = format!("add column `{}` to table \"{table}\"", column.name);
        let sql = format!(
            "alter table {} add column {} {}",
            identifier(&table.table),
            identifier(&column.name),
            self.column_type(column)
        );
        self.define(&what, &sql)
    }

    fn ledger(&self) -> TableName {
        TableName::bare(LEDGER)
    }

    fn install_ledger(&self, _session: &Session, _alias: &str) -> Result<()> {
        self.define(
            "make the ledger",
            &format!(
                "create table if not exists {LEDGER} (
                   partition_key text primary key not null, pipeline text not null, strategy text not null,
                   run_id text not null, target text not null, row_count bigint not null, checksum text not null,
                   source text not null, cursor_column text, watermark_type text, watermark text,
                   fence bigint not null, position bigint not null, committed_at text not null)"
            ),
        )
    }

    fn lock(
        &self,
        session: &Session,
        alias: &str,
        _table: &TableName,
        _patience: Option<Duration>,
    ) -> Result<()> {
        // Whoever writes holds the file's lock until the end; what is read afterwards is what others left. The statement
        // is SQLite's own: the engine would find that there is nothing to do.
        let touch = format!("update {LEDGER} set fence = fence where false returning fence");
        let sql = format!("from {}", super::scan::query(alias, &touch));
        session
            .query(Call::new("wait for the right to write to the file"), &sql)
            .map(drop)
    }

    fn prepare(&self, incoming: &Incoming<'_>) -> Result<()> {
        refuse_floats(incoming)?;
        if incoming.fits || *incoming.change != Change::ReplaceAll {
            return Ok(());
        }
        let side = side(incoming);
        let mut parts: Vec<String> = incoming
            .columns
            .iter()
            .map(|column| {
                let not_null = if column.nullable { "" } else { " not null" };
                format!(
                    "{} {}{not_null}",
                    identifier(&column.name),
                    self.column_type(column)
                )
            })
            .collect();
        if !incoming.key.is_empty() {
            parts.push(format!("unique ({})", identifiers(incoming.key)));
        }
        let what = format!("make table \"{}\"", incoming.table);
        let name = identifier(&side.table);
        self.define(
            &what,
            &format!(
                "drop table if exists {name}; create table {name} ({})",
                parts.join(", ")
            ),
        )
    }

    fn bring_in(&self, incoming: &Incoming<'_>) -> Result<Brought> {
        let side = side(incoming);
        let prepared = (!incoming.fits).then_some(&side);
        engine_tables::bring_in(incoming, SCHEMA, prepared)
    }

    fn clean_up(&self, incoming: &Incoming<'_>) -> Result<()> {
        if incoming.fits || *incoming.change != Change::ReplaceAll {
            return Ok(());
        }
        self.define(
            "remove a side table",
            &format!("drop table if exists {}", identifier(&side(incoming).table)),
        )
    }

    fn sweep(&self, _session: &Session, _alias: &str, runs: &[RunId]) -> Result<()> {
        let what = "look for side tables of runs that are over";
        for run in runs {
            let begins = format!("{SIDE}{run}_");
            for table in self.tables_that_begin(what, &begins)? {
                tracing::info!(table, "a side table of a run that is over was dropped");
                let name = identifier(&table);
                self.define("remove a side table", &format!("drop table if exists {name}"))?;
            }
        }
        Ok(())
    }

    fn shown(
        &self,
        alias: &str,
        table: &TableName,
        columns: &[Column],
        change: &Change,
        file: &str,
    ) -> Vec<String> {
        let table = quote::table(alias, table, SCHEMA);
        engine_tables::shown(&table, LEDGER, columns, change, file)
    }
}

/// The table that one attempt fills.
fn side(incoming: &Incoming<'_>) -> TableName {
    TableName::bare(format!("{SIDE}{}_{}", incoming.run, incoming.attempt))
}

/// Whether a column declared so keeps values of that type as they are written. SQLite takes a text that looks like a
/// number for one, unless the declaration speaks of text; and the engine takes what is declared as a time for one
/// without a zone.
fn holds(declared: &str, logical_type: LogicalType) -> bool {
    use LogicalType as T;
    let declared = declared.to_lowercase();
    match logical_type {
        T::Json | T::TimestampTz | T::Time | T::Uuid => ["text", "char", "clob"]
            .iter()
            .any(|part| declared.contains(part)),
        // The engine writes a number into such a column as a float.
        T::Decimal { precision, .. } if precision > types::EXACT_DIGITS => false,
        _ => types::home(&declared) == Some(logical_type),
    }
}

/// The declaration that is read back as that type.
fn declared(logical_type: LogicalType) -> String {
    use LogicalType as T;
    match logical_type {
        T::Boolean => "boolean".to_owned(),
        kind if kind.is_integer() => kind.to_string(),
        T::Float32 | T::Float64 => "double".to_owned(),
        T::Decimal { precision, scale } if precision <= types::EXACT_DIGITS => {
            format!("decimal({precision},{scale})")
        }
        T::Bytes => "blob".to_owned(),
        // Without the word `text`, SQLite would take `1.0` for the number 1, and the engine a zone away.
        T::TimestampTz => "timestamptz text".to_owned(),
        T::Date | T::Time | T::Timestamp | T::Uuid | T::Json => format!("{logical_type} text"),
        // Numbers of more digits than a float has.
        _ => "text".to_owned(),
    }
}

/// SQLite would keep a NaN as NULL, and -0.0 as 0, in silence.
fn refuse_floats(incoming: &Incoming<'_>) -> Result<()> {
    let floats = incoming
        .columns
        .iter()
        .filter(|column| matches!(column.logical_type, LogicalType::Float32 | LogicalType::Float64));
    for column in floats.filter(|_| !incoming.files.is_empty()) {
        let name = identifier(&column.name);
        let sql = format!(
            "select count(*) filter (where isnan({name})), count(*) filter (where {name} = 0 and signbit({name})) from {}",
            incoming.staged()
        );
        let rows = incoming
            .session
            .query(Call::new("look for numbers that SQLite cannot hold"), &sql)?;
        let none = |index| rows.first().and_then(|row| row.integer(index)) == Some(0);
        let what = match (none(0), none(1)) {
            (false, _) => "NaN, which SQLite cannot hold",
            (_, false) => "-0.0, of which SQLite would make 0",
            _ => continue,
        };
        return Err(Error::refused(
            ErrorKind::Data,
            format!(
                "column `{}` of table \"{}\" holds {what}",
                column.name, incoming.table
            ),
            "Declare the column `data_type: text` in `column_map`.",
        ));
    }
    Ok(())
}
