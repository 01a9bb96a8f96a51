//! A DuckDB file as a destination.
//!
//! **What is promised.** Rows, the table that holds them and the ledger change in one transaction of the file.
//!
//! **Limits.** One process at a time can open the file. A table that Pintail makes has no primary key: the index of one
//! is kept in memory, and an upsert replaces rows by key without it.

use std::path::PathBuf;
use std::time::Duration;

use pintail_config::Datastore;
use pintail_lake::commit::Change;
use pintail_lake::connector::{Attachment, Connector, SourceColumn};
use pintail_lake::database::{Brought, DatabaseWriter, Incoming};
use pintail_lake::quote::{self, identifier, identifiers, literal};
use pintail_lake::{Call, Result, Session};
use pintail_model::{Column, NativeType, Secret, TableName};

use super::{DuckDbSource, types};
use crate::engine_tables;

/// The schema of tables that are named without one.
const SCHEMA: &str = "main";

/// The schema of the ledger and of side tables.
const OWN_SCHEMA: &str = "pintail";

/// A DuckDB file that is written to.
#[derive(Debug)]
pub struct DuckDbDestination {
    reader: DuckDbSource,
    path: PathBuf,
}

impl DuckDbDestination {
    /// The file that `datastore` names. It is made by the first run, if it does not exist.
    #[must_use]
    pub fn new(datastore: &Datastore) -> Self {
        Self {
            reader: DuckDbSource::new(datastore),
            path: datastore.path().map(PathBuf::from).unwrap_or_default(),
        }
    }

    /// Makes the table that is to hold the rows, where there is none that does.
    fn make(&self, incoming: &Incoming<'_>) -> Result<()> {
        let definitions: Vec<String> = incoming
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
        let schema = incoming.table.schema_or(SCHEMA);
        let sql = format!(
            "create schema if not exists {}.{}; create table {} ({})",
            identifier(incoming.alias),
            identifier(schema),
            quote::table(incoming.alias, &side(incoming), SCHEMA),
            definitions.join(", ")
        );
        let label = format!("make table \"{}\"", incoming.table);
        incoming.session.batch(Call::new(&label), &sql)
    }
}

impl DatabaseWriter for DuckDbDestination {
    fn reader(&self) -> &dyn Connector {
        &self.reader
    }

    fn attachment(&self, alias: &str) -> Attachment {
        let attach = format!(
            "attach {} as {}",
            literal(&self.path.to_string_lossy()),
            identifier(alias)
        );
        Attachment {
            extensions: Vec::new(),
            statements: vec![Secret::new(attach)],
            secrets: Vec::new(),
        }
    }

    fn first_row(&self, alias: &str, table: &TableName) -> String {
        format!(
            "select 1 as found from {} limit 1",
            quote::table(alias, table, "main")
        )
    }

    fn exists(&self) -> bool {
        self.path.exists()
    }

    fn parallel(&self) -> bool {
        true
    }

    fn resolve(&self, table: &TableName) -> TableName {
        TableName {
            schema: Some(table.schema_or(SCHEMA).to_owned()),
            ..table.clone()
        }
    }

    fn keeps(&self, origin: &NativeType) -> bool {
        origin.system == self.reader.system()
    }

    fn column_type(&self, column: &Column) -> String {
        match &column.origin {
            Some(origin) if self.keeps(origin) => origin.name.clone(),
            _ => column.logical_type.to_string(),
        }
    }

    fn takes(&self, found: &SourceColumn, wanted: &Column) -> bool {
        let made = self.column_type(wanted);
        found.source_type.eq_ignore_ascii_case(&made)
            || types::home(&found.source_type) == Some(wanted.logical_type)
    }

    fn add_column(&self, session: &Session, alias: &str, table: &TableName, column: &Column) -> Result<()> {
        let label = format!("add column `{}` to table \"{table}\"", column.name);
        let sql = format!(
            "alter table {} add column if not exists {} {}",
            quote::table(alias, table, SCHEMA),
            identifier(&column.name),
            self.column_type(column)
        );
        session.batch(Call::new(&label), &sql)
    }

    fn ledger(&self) -> TableName {
        TableName::new(OWN_SCHEMA, "ledger")
    }

    fn install_ledger(&self, session: &Session, alias: &str) -> Result<()> {
        let alias = identifier(alias);
        session.batch(
            Call::new("make the ledger of the database").protected(),
            &format!(
                "create schema if not exists {alias}.{OWN_SCHEMA};
                 create table if not exists {alias}.{OWN_SCHEMA}.ledger (
                   partition_key varchar primary key, pipeline varchar not null, strategy varchar not null,
                   run_id varchar not null, target varchar not null, row_count bigint not null,
                   checksum varchar not null, source varchar not null, cursor_column varchar,
                   watermark_type varchar, watermark varchar, fence bigint not null, position bigint not null,
                   committed_at varchar not null)"
            ),
        )
    }

    fn lock(
        &self,
        _session: &Session,
        _alias: &str,
        _table: &TableName,
        _patience: Option<Duration>,
    ) -> Result<()> {
        // The file has one process. Of two transactions that write the same key of the ledger, DuckDB refuses one.
        Ok(())
    }

    fn bring_in(&self, incoming: &Incoming<'_>) -> Result<Brought> {
        let new = !incoming.fits && *incoming.change == Change::ReplaceAll;
        if new {
            self.make(incoming)?;
        } else {
            wake_indexes(incoming)?;
        }
        let side = side(incoming);
        engine_tables::bring_in(incoming, SCHEMA, new.then_some(&side))
    }

    fn shown(
        &self,
        alias: &str,
        table: &TableName,
        columns: &[Column],
        change: &Change,
        file: &str,
    ) -> Vec<String> {
        let ledger = quote::table(alias, &self.ledger(), SCHEMA);
        let table = quote::table(alias, table, SCHEMA);
        engine_tables::shown(&table, &ledger, columns, change, file)
    }
}

/// Lets the transaction know of the table's indexes. One that was read from the file stays asleep until somebody asks for it,
/// and a row that is deleted meanwhile still has its unique value for those that are added later. An insert of no rows asks.
fn wake_indexes(incoming: &Incoming<'_>) -> Result<()> {
    let names: Vec<&str> = incoming
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    let names = identifiers(&names);
    let table = quote::table(incoming.alias, incoming.table, SCHEMA);
    let sql = format!("insert into {table} ({names}) select {names} from {table} limit 0");
    let label = format!("look at the indexes of table \"{}\"", incoming.table);
    incoming.session.execute(Call::new(&label), &sql).map(drop)
}

/// The table that takes the place of one that does not fit, in the same schema.
fn side(incoming: &Incoming<'_>) -> TableName {
    TableName::new(
        incoming.table.schema_or(SCHEMA),
        format!("pintail_side_{}", incoming.attempt),
    )
}
