//! DuckDB files, as a source.
//!
//! **What is promised.** The file is opened read-only, by the engine itself: nothing stands between its values and the
//! lake. All reads of a snapshot see one state.
//!
//! **Limits.** DuckDB lets one process write or many read: while Pintail reads, no other process can write to the file, and
//! while one writes, Pintail is told that the file is held. So no transaction is ever open that a delta could miss.
//! Cursors without a zone are taken to be UTC.
//!
//! [`ducklake`](crate::ducklake) reads the tables of a lake in the same way.

pub(crate) mod catalog;
pub(crate) mod sample;
pub(crate) mod scan;
pub(crate) mod types;
mod write;

pub use self::write::DuckDbDestination;

use std::path::PathBuf;

use jiff::Timestamp;
use pintail_config::Datastore;
use pintail_lake::connector::{
    Attachment, Capabilities, Connector, ListedTable, OldestTransaction, ReadPoint, Scan, ScanRequest,
    SnapshotId, SourceColumn, TableDescription,
};
use pintail_lake::quote::{identifier, literal};
use pintail_lake::relation::Relation;
use pintail_lake::{Call, Error, Result, Session, database_file};
use pintail_model::{CursorType, KeyValue, LogicalType, Range, Secret, TableName};

use self::catalog::Catalog;
use crate::expressions;

/// A DuckDB file.
#[derive(Debug)]
pub struct DuckDbSource {
    path: PathBuf,
    address: String,
    identity: String,
    schema: Option<String>,
}

impl DuckDbSource {
    /// The file that `datastore` names. Nothing is opened yet.
    #[must_use]
    pub fn new(datastore: &Datastore) -> Self {
        Self {
            path: datastore
                .path()
                .map(std::path::Path::to_path_buf)
                .unwrap_or_default(),
            address: datastore.to_string(),
            identity: datastore.identity(),
            schema: datastore.schema.clone(),
        }
    }

    fn catalog<'a>(&'a self, session: &'a Session, alias: &'a str) -> Catalog<'a> {
        Catalog {
            session,
            alias,
            address: &self.address,
            remembers: false,
            hidden_schema: None,
        }
    }
}

impl Connector for DuckDbSource {
    fn system(&self) -> &'static str {
        "duckdb"
    }

    fn address(&self) -> String {
        self.address.clone()
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            page_ranges: false,
            range_pushdown: true,
            key_ranges: true,
            shared_snapshot: true,
            oldest_transaction: true,
            own_catalogue: false,
            parallel_scans: true,
        }
    }

    fn attachment(&self, alias: &str) -> Attachment {
        let attach = format!(
            "attach {} as {} (read_only)",
            literal(&self.path.to_string_lossy()),
            identifier(alias)
        );
        Attachment {
            extensions: Vec::new(),
            statements: vec![Secret::new(attach)],
            secrets: Vec::new(),
        }
    }

    fn explain(&self, error: Error) -> Error {
        database_file::explain(&self.address, error)
    }

    fn tables(&self, session: &Session, alias: &str) -> Result<Vec<ListedTable>> {
        self.catalog(session, alias).tables(self.schema.as_deref())
    }

    fn describe(&self, session: &Session, alias: &str, table: &TableName) -> Result<TableDescription> {
        let table = TableName {
            schema: table.schema.clone().or_else(|| self.schema.clone()),
            ..table.clone()
        };
        self.catalog(session, alias).describe(&table)
    }

    fn reads_as(&self, column: &SourceColumn, wanted: LogicalType) -> bool {
        types::read_as(column, wanted, "value").is_some()
    }

    fn reads_queries(&self) -> bool {
        true
    }

    fn expression_types(
        &self,
        session: &Session,
        alias: &str,
        relation: &Relation,
    ) -> Result<Vec<(String, Option<LogicalType>)>> {
        expressions::types(session, &scan::from(alias, relation), relation, types::home)
    }

    fn bounds(
        &self,
        session: &Session,
        alias: &str,
        relation: &Relation,
        columns: &[SourceColumn],
        parts: u64,
    ) -> Result<Vec<Vec<KeyValue>>> {
        self.catalog(session, alias).bounds(relation, columns, parts)
    }

    fn read_point(
        &self,
        session: &Session,
        alias: &str,
        relation: &Relation,
        cursor: (&str, CursorType),
        now: Timestamp,
    ) -> Result<ReadPoint> {
        // Whoever writes has the file to itself.
        let oldest = OldestTransaction::None;
        self.catalog(session, alias)
            .read_point(relation, cursor, now, oldest)
    }

    fn begin_snapshot(&self, session: &Session, alias: &str) -> Result<Option<SnapshotId>> {
        begin(session, alias)?;
        // Nobody can write while the file is attached: every transaction sees the same.
        Ok(Some(SnapshotId("the file".to_owned())))
    }

    fn join_snapshot(&self, session: &Session, alias: &str, _snapshot: &SnapshotId) -> Result<()> {
        begin(session, alias)
    }

    fn scan(&self, alias: &str, request: &ScanRequest) -> Scan {
        scan::scan(alias, request)
    }

    fn count(&self, alias: &str, relation: &Relation, range: &Range) -> String {
        scan::count(alias, relation, range)
    }
}

/// Begins a transaction that has seen the attached database.
pub(crate) fn begin(session: &Session, alias: &str) -> Result<()> {
    session.begin()?;
    let look = format!(
        "select count(*) from duckdb_tables() where database_name = {}",
        literal(alias)
    );
    session
        .query(Call::new("open a snapshot of the source"), &look)
        .map(|_| ())
        .inspect_err(|_| session.rollback())
}
