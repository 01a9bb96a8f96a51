//! PostgreSQL as a destination.
//!
//! Everything happens in one transaction, tables included: Postgres takes back what defines tables, too. Only the side table
//! of a large load is filled before it: [`side_by_side`].
//!
//! - **A full load** fills a side table and puts it in the place of the old one, so that nobody waits while it is filled.
//!   Where others refer to the old table (views, foreign keys, grants, …) its rows are exchanged instead: [`replace`].
//! - **A delta** copies the staged rows into a table of their own, and from there into the table by key: [`upsert`], which makes
//!   [`room`] for rows that exchange unique values.
//!
//! Rows travel as binary COPY, written by the engine ([`documents`] says how those with `jsonb` do). Helping tables lie in the schema `pintail`, beside the ledger.

mod array;
mod columns;
mod documents;
mod exchange;
mod ledger;
mod replace;
mod room;
mod side_by_side;
mod upsert;

use std::path::Path;
use std::time::Duration;

use pintail_config::Datastore;
use pintail_lake::commit::Change;
use pintail_lake::connector::{Attachment, Connector, SourceColumn};
use pintail_lake::database::{Brought, DatabaseWriter, Incoming};
use pintail_lake::quote::{self, identifier, identifiers, literal};
use pintail_lake::{Call, Error, Result, Session};
use pintail_model::checksum::bytes_word;
use pintail_model::{Column, ErrorKind, LogicalType, NativeType, RunId, TableName};

use super::PostgresSource;
use super::scan::{qualified, query};
use super::snapshot::SETTINGS;

/// The schema of tables that are named without one.
const SCHEMA: &str = "public";

/// Bytes of a name: a server cuts longer ones without an error.
const NAME_BYTES_MAX: usize = 63;

/// The schema of the ledger and of helping tables.
const OWN_SCHEMA: &str = "pintail";

/// When the server ends a session that holds a lock and does nothing: a stopped process wakes up without its transaction.
const IDLE: &str = "set local idle_in_transaction_session_timeout = '5min'";

/// A Postgres database that is written to.
#[derive(Debug)]
pub struct PostgresDestination {
    reader: PostgresSource,
}

impl PostgresDestination {
    /// The database that `datastore` names. Nothing is connected yet.
    #[must_use]
    pub fn new(datastore: &Datastore) -> Self {
        Self {
            reader: PostgresSource::new(datastore),
        }
    }
}

impl DatabaseWriter for PostgresDestination {
    fn reader(&self) -> &dyn Connector {
        &self.reader
    }

    fn attachment(&self, alias: &str) -> Attachment {
        self.reader.connection.writing(alias)
    }

    fn resolve(&self, table: &TableName) -> TableName {
        let schema = table.schema.as_ref().or(self.reader.schema.as_ref());
        TableName {
            schema: Some(schema.map_or(SCHEMA, String::as_str).to_owned()),
            ..table.clone()
        }
    }

    fn keeps(&self, origin: &NativeType) -> bool {
        origin.system == self.reader.system()
    }

    fn refuses_name(&self, name: &str) -> Option<String> {
        (name.len() > NAME_BYTES_MAX).then(|| {
            format!(
                "Postgres cuts names after {NAME_BYTES_MAX} bytes, and this one has {}",
                name.len()
            )
        })
    }

    fn tells_copies_apart(&self) -> bool {
        true
    }

    fn column_type(&self, column: &Column) -> String {
        columns::column_type(self.reader.system(), column)
    }

    fn takes(&self, found: &SourceColumn, wanted: &Column) -> bool {
        columns::takes(self.reader.system(), found, wanted)
    }

    fn read_as(&self, logical_type: LogicalType) -> LogicalType {
        columns::read_as(logical_type)
    }

    fn first_row(&self, alias: &str, table: &TableName) -> String {
        let sql = format!("select 1 as found from {} limit 1", qualified(table));
        format!("from {}", query(alias, &sql))
    }

    fn add_column(&self, session: &Session, alias: &str, table: &TableName, column: &Column) -> Result<()> {
        let label = format!("add column `{}` to table \"{table}\"", column.name);
        let sql = format!(
            "alter table {} add column if not exists {} {}",
            qualified(table),
            identifier(&column.name),
            self.column_type(column)
        );
        execute(session, alias, &label, &sql)
    }

    fn ledger(&self) -> TableName {
        TableName::new(OWN_SCHEMA, "ledger")
    }

    fn install_ledger(&self, session: &Session, alias: &str) -> Result<()> {
        ledger::install(session, alias)
    }

    fn lock(
        &self,
        session: &Session,
        alias: &str,
        table: &TableName,
        patience: Option<Duration>,
    ) -> Result<()> {
        let number = bytes_word(format!("pintail {}", qualified(table)).as_bytes()).cast_signed();
        let label = format!("wait for the right to commit to table \"{table}\"");
        // 0 is for ever.
        let patience = patience.map_or(0, |patience| patience.as_millis());
        let sql = format!(
            "{SETTINGS}; {IDLE}; set local lock_timeout = {patience}; \
             select pg_catalog.pg_advisory_xact_lock(({number})::bigint); set local lock_timeout = 0"
        );
        execute(session, alias, &label, &sql)
    }

    fn prepare(&self, incoming: &Incoming<'_>) -> Result<()> {
        if !side_by_side::is_large(incoming) {
            return Ok(());
        }
        let loads = columns::Loads::of(incoming, self)?;
        match side_by_side::applies(incoming, &loads) {
            true => replace::prepare(incoming, &loads),
            false => Ok(()),
        }
    }

    fn bring_in(&self, incoming: &Incoming<'_>) -> Result<Brought> {
        let columns = columns::Loads::of(incoming, self)?;
        match incoming.change {
            Change::ReplaceAll => replace::bring_in(incoming, &columns),
            Change::Append => replace::append(incoming, &columns),
            Change::Exchange => {
                let deleted = exchange::remove(incoming, self)?;
                let brought = replace::append(incoming, &columns)?;
                Ok(Brought { deleted, ..brought })
            }
            Change::Upsert { newer, .. } => {
                let deleted = upsert::remove(incoming, self)?;
                let brought = upsert::bring_in(incoming, &columns, newer.as_deref())?;
                Ok(Brought { deleted, ..brought })
            }
        }
    }

    fn finish(&self, incoming: &Incoming<'_>, brought: &Brought) -> Result<()> {
        match incoming.change {
            Change::ReplaceAll => replace::finish(incoming, brought),
            Change::Append | Change::Exchange => replace::finish_append(incoming),
            Change::Upsert { .. } => upsert::finish(incoming),
        }
    }

    fn clean_up(&self, incoming: &Incoming<'_>) -> Result<()> {
        match side_by_side::is_large(incoming) {
            true => side_by_side::clean_up(incoming),
            false => Ok(()),
        }
    }

    fn sweep(&self, session: &Session, alias: &str, runs: &[RunId]) -> Result<()> {
        side_by_side::sweep(session, alias, runs)
    }

    fn shown(
        &self,
        alias: &str,
        table: &TableName,
        columns: &[Column],
        change: &Change,
        file: &str,
    ) -> Vec<String> {
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let (values, from) = (identifiers(&names), quote::parquet([Path::new(file)]));
        let copy_into = |table: &TableName| columns::copy(alias, table, &names, &values, &from);
        let copy = |into: &str| copy_into(&TableName::new(OWN_SCHEMA, into));
        let mut statements = vec!["begin transaction".to_owned()];
        match change {
            Change::ReplaceAll => statements.extend([
                copy("side_<n>"),
                format!("drop table {}", qualified(table)),
                format!(
                    "alter table pintail.side_<n> rename to {}",
                    identifier(&table.table)
                ),
            ]),
            Change::Append => statements.push(copy_into(table)),
            Change::Exchange => {
                statements.push(copy("stage_<n>_gone"));
                statements.push(format!(
                    "delete from {} where (tableoid, ctid) in (<rows that are gone>)",
                    qualified(table)
                ));
                statements.push(copy_into(table));
            }
            Change::Upsert { key, newer } => {
                let stage = TableName::new(OWN_SCHEMA, "stage_<n>");
                statements.push(copy("stage_<n>"));
                statements.extend(
                    newer
                        .as_ref()
                        .map(|newer| upsert::drop_stale(&stage, table, key, newer)),
                );
                statements.push(upsert::merge(&stage, table, &names, key));
            }
        }
        statements.push("insert into pintail.ledger …".to_owned());
        statements.push("commit".to_owned());
        statements
    }
}

/// Has the server run statements in the transaction of the session.
fn execute(session: &Session, alias: &str, label: &str, sql: &str) -> Result<()> {
    session.batch(
        Call::new(label),
        &format!("call postgres_execute({}, {})", literal(alias), literal(sql)),
    )
}

/// One number that the server is asked for.
fn number(session: &Session, alias: &str, label: &str, sql: &str) -> Result<u64> {
    let rows = session.query(Call::new(label), &format!("from {}", query(alias, sql)))?;
    let number = rows.first().and_then(|row| row.integer(0));
    number
        .and_then(|number| u64::try_from(number).ok())
        .ok_or_else(|| Error::Refused {
            kind: ErrorKind::Internal,
            message: format!("cannot {label}: the server answered without a number"),
            hint: None,
        })
}

/// A helping table of one attempt.
fn helper(kind: &str, incoming: &Incoming<'_>) -> TableName {
    TableName::new(OWN_SCHEMA, format!("{kind}_{}", incoming.attempt))
}
