//! MariaDB and MySQL as a destination.
//!
//! Rows and the ledger's row move in one transaction of InnoDB. Readers see the state before it until its end.
//!
//! ```text
//! lock ─▶ ledger ─▶ sweep ─▶ make helping tables and views ─▶ start transaction ─▶ rows ─▶ compare ─▶ ledger ─▶ COMMIT
//!  held by the session until after the end ──────────────────────────────────────────────────────────────▶
//! ```
//!
//! - **The lock** is `get_lock` with a name for the table: the session holds it, whatever its transactions do, and the
//!   server gives it back only after it has rolled back what a session left that is gone. Whoever holds it finds the
//!   ledger decided. So a statement that defines tables, and thereby ends a transaction, may stand between the look into
//!   the ledger and the first row: the transaction is begun anew after it.
//! - **A full load** into a table that is there deletes its rows and adds the staged ones: [`replace`]. A million rows:
//!   11.6 s. A side table and `insert … select` take 15.9 s. `rename table` takes 0.1 s after 9.8 s for a side table,
//!   but is no part of a transaction: the ledger would say what is not there yet, or not say what is.
//! - **A new table**, or one whose columns have changed, cannot be had without `rename table`. It comes before the
//!   ledger's row: a crash between them leaves a table with all rows that the ledger does not know of, and the next run
//!   loads it in full again. Nobody ever sees an empty or a half table.
//! - **A delta** goes through a helping table: [`upsert`], which makes [`room`] for rows that exchange unique values.
//! - **What a crash leaves behind** are helping tables and views, named `pintail_<what>_<table>_<attempt>`. They are only
//!   made by holders of the table's lock, so the next holder knows that all of them belong to the dead, and drops them.
//! - **Nothing is adjusted**: the session is strict whatever the server prefers, and what even strict sessions change in
//!   silence is looked for in the staged rows before: [`check`].
//!
//! Rows travel as INSERT statements of some 8 kB, written by the engine, 120,000 rows a second.

mod check;
mod columns;
mod exchange;
mod ledger;
mod replace;
mod room;
mod server;
mod stage;
mod temporary;
mod upsert;

use std::path::Path;
use std::time::Duration;

use pintail_config::Datastore;
use pintail_lake::commit::Change;
use pintail_lake::connector::{Attachment, Connector, SourceColumn};
use pintail_lake::database::{Brought, DatabaseWriter, Incoming};
use pintail_lake::quote;
use pintail_lake::{Error, Result, Session};
use pintail_model::{Column, ErrorKind, LogicalType, NativeType, TableName};

use self::columns::Loads;
use self::temporary::Helpers;
use super::describe::Purpose;
use super::quote::{query, table as qualified};
use super::{MySqlSource, names};

/// The ledger, in the database that the address names.
const LEDGER: &str = "pintail_ledger";

/// A database of a MySQL or MariaDB server that is written to.
#[derive(Debug)]
pub struct MySqlDestination {
    reader: MySqlSource,
    /// The database of the ledger, of helping tables, and of tables that are named without one.
    database: String,
}

impl MySqlDestination {
    /// The database that `datastore` names. Nothing is connected yet.
    ///
    /// # Errors
    /// `Invalid` if it names none, or one whose name the engine cannot write.
    pub fn new(datastore: &Datastore) -> Result<Self> {
        let reader = MySqlSource::made_for(datastore, Purpose::Write);
        let Some(database) = reader.database.clone() else {
            return Err(Error::refused(
                ErrorKind::Invalid,
                format!("cannot write to {datastore}: it names no database"),
                "Name a `database` in the address: the ledger lies there.",
            ));
        };
        if database.contains(['`', '\\']) {
            return Err(Error::refused(
                ErrorKind::Invalid,
                format!(
                    "cannot write to {datastore}: DuckDB's scanner cannot write the name of its database"
                ),
                "Name a database without a backtick or backslash.",
            ));
        }
        Ok(Self { reader, database })
    }

    fn helpers<'a>(&'a self, incoming: &'a Incoming<'a>) -> Helpers<'a> {
        Helpers {
            database: &self.database,
            incoming,
        }
    }
}

impl DatabaseWriter for MySqlDestination {
    fn reader(&self) -> &dyn Connector {
        &self.reader
    }

    fn attachment(&self, alias: &str) -> Attachment {
        self.reader.connection.writing(alias)
    }

    fn resolve(&self, table: &TableName) -> TableName {
        TableName {
            schema: Some(table.schema_or(&self.database).to_owned()),
            ..table.clone()
        }
    }

    fn keeps(&self, origin: &NativeType) -> bool {
        origin.system == self.reader.system()
    }

    fn column_type(&self, column: &Column) -> String {
        columns::column_type(self.reader.system(), column)
    }

    fn takes(&self, found: &SourceColumn, wanted: &Column) -> bool {
        columns::takes(self.reader.system(), found, wanted)
    }

    fn refuses(&self, column: &Column) -> Option<String> {
        if matches!(column.logical_type, LogicalType::List { .. }) {
            return Some(format!("MySQL has no `{}`", column.logical_type));
        }
        names::refused(&column.name)
    }

    fn first_row(&self, alias: &str, table: &TableName) -> String {
        let sql = format!("select 1 as found from {} limit 1", qualified(table));
        format!("from {}", query(alias, &sql))
    }

    fn add_column(&self, session: &Session, alias: &str, table: &TableName, column: &Column) -> Result<()> {
        let label = format!("add column `{}` to table \"{table}\"", column.name);
        let sql = format!(
            "alter table {} add column {} {} null",
            qualified(table),
            super::quote::identifier(&column.name),
            self.column_type(column)
        );
        server::execute(session, alias, &label, &sql)
    }

    fn ledger(&self) -> TableName {
        TableName::new(&self.database, LEDGER)
    }

    fn install_ledger(&self, session: &Session, alias: &str) -> Result<()> {
        ledger::install(session, alias, &self.ledger())
    }

    fn lock(
        &self,
        session: &Session,
        alias: &str,
        table: &TableName,
        patience: Option<Duration>,
    ) -> Result<()> {
        server::prepare_session(session, alias)?;
        server::lock(session, alias, table, patience)
    }

    fn prepare(&self, incoming: &Incoming<'_>) -> Result<()> {
        let loads = Loads::of(incoming, self);
        check::key(incoming, &loads)?;
        check::staged_rows(incoming, &loads)
    }

    fn bring_in(&self, incoming: &Incoming<'_>) -> Result<Brought> {
        check::unchanged(incoming)?;
        let (helpers, loads) = (self.helpers(incoming), Loads::of(incoming, self));
        helpers.sweep()?;
        match incoming.change {
            Change::ReplaceAll => replace::bring_in(&helpers, &loads),
            Change::Append => replace::append(&helpers, &loads),
            Change::Exchange => exchange::bring_in(&helpers, &loads),
            Change::Upsert { newer, .. } => {
                let key_columns = incoming.key_columns();
                let going = incoming.going(&key_columns, incoming.attempt);
                let keys = Loads::of(&going, self);
                upsert::bring_in(&helpers, &loads, (&going, &keys), newer.as_deref())
            }
        }
    }

    fn finish(&self, incoming: &Incoming<'_>, _brought: &Brought) -> Result<()> {
        match incoming.change {
            Change::ReplaceAll if !incoming.fits => replace::finish(&self.helpers(incoming)),
            _ => Ok(()),
        }
    }

    fn clean_up(&self, incoming: &Incoming<'_>) -> Result<()> {
        self.helpers(incoming).drop_own()
    }

    fn shown(
        &self,
        _alias: &str,
        table: &TableName,
        columns: &[Column],
        change: &Change,
        file: &str,
    ) -> Vec<String> {
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let from = quote::parquet([Path::new(file)]);
        let add = |into: &str| {
            format!(
                "insert into {into} ({}) select … from {from}",
                upsert::list(&names)
            )
        };
        let stage = TableName::bare("pintail_stage_<n>");
        let mut statements = vec!["start transaction".to_owned()];
        match change {
            Change::ReplaceAll => {
                statements.push(format!("delete from {}", qualified(table)));
                statements.push(add(&qualified(table)));
            }
            Change::Append => statements.push(add(&qualified(table))),
            Change::Exchange => {
                statements.push(add("`pintail_gone_<n>`"));
                statements.push(format!(
                    "delete kept from {} as kept join `pintail_gone_<n>` as staged on …",
                    qualified(table)
                ));
                statements.push(add(&qualified(table)));
            }
            Change::Upsert { key, newer } => {
                statements.push(add(&qualified(&stage)));
                let found = upsert::Found { table, unique: true };
                let key: Vec<(&str, &str)> = key.iter().map(|name| (name.as_str(), name.as_str())).collect();
                statements.extend(
                    newer
                        .as_ref()
                        .map(|newer| upsert::drop_stale(&stage, found, &key, (newer, newer))),
                );
                let pairs: Vec<(&str, &str)> = names.iter().map(|name| (*name, *name)).collect();
                statements.push(upsert::merge(&stage, table, &pairs, &key));
            }
        }
        statements.push(format!("insert into {} …", qualified(&self.ledger())));
        statements.push("commit".to_owned());
        statements
    }
}
