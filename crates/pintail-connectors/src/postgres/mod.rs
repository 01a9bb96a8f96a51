//! PostgreSQL 13 to 17, as a source.
//!
//! **Permissions.** CONNECT, USAGE on the schema and SELECT on the table are enough to copy it. `pg_read_all_stats`
//! (or the role that writes) lets a delta see the oldest open transaction; without it a declared lag stands in. Rows
//! that a row-level policy hides from the role do not exist for Pintail.
//!
//! **What is promised.** The attachment is read-only, and so is every transaction. All reads of a snapshot see one
//! state, also those of DuckDB's parallel scanner. Text arrives in UTF-8 whatever the database's encoding.
//!
//! **Limits.** Page ranges need Postgres 14 (before, each would read the whole table) and heap storage. Columns that
//! differ only in case cannot be told apart by the engine: such a table is refused. Two-phase transactions hold the
//! watermark of a delta where it is. A connection pooler has to work in session mode.
//!
//! ```text
//! config ─▶ attach          catalog ─▶ describe          read_point, snapshot ─▶ scan (types, predicate)
//! ```

mod array;
mod catalog;
mod config;
mod describe;
mod digest;
mod expressions;
mod predicate;
mod quote;
mod read_point;
mod sample;
mod scan;
mod snapshot;
mod statistics;
mod types;
mod versions;
mod write;

use std::net::SocketAddr;

use jiff::Timestamp;
use pintail_config::Datastore;
use pintail_lake::connector::{
    Attachment, Capabilities, Connector, DoubtfulScan, Endpoint, ListedTable, ReadPoint, Scan, ScanRequest,
    SnapshotId, SourceColumn, TableDescription,
};
use pintail_lake::digest::{Digest, DigestLeaves, DigestRequest, Lineage};
use pintail_lake::quote::literal;
use pintail_lake::{Relation, Result, Session};
use pintail_model::{CursorType, KeyValue, LogicalType, Range, Secret, TableName};

use self::config::Connection;
pub(crate) use self::config::catalogue;
pub use self::write::PostgresDestination;

/// A Postgres database.
#[derive(Debug)]
pub struct PostgresSource {
    connection: Connection,
    address: String,
    identity: String,
    schema: Option<String>,
}

impl PostgresSource {
    /// The database that `datastore` names. Nothing is connected yet.
    #[must_use]
    pub fn new(datastore: &Datastore) -> Self {
        Self {
            connection: Connection::of(datastore),
            address: datastore.to_string(),
            identity: datastore.identity(),
            schema: datastore.schema.clone(),
        }
    }
}

impl Connector for PostgresSource {
    fn system(&self) -> &'static str {
        "postgres"
    }

    fn address(&self) -> String {
        self.address.clone()
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            page_ranges: true,
            range_pushdown: true,
            key_ranges: true,
            shared_snapshot: true,
            oldest_transaction: true,
            own_catalogue: true,
            parallel_scans: true,
        }
    }

    fn attachment(&self, alias: &str) -> Attachment {
        self.connection.attachment(alias)
    }

    fn cap_connections(&self, alias: &str, attachment: Attachment, connections: u32) -> Option<Attachment> {
        // Parallel scans make do with what is left. A session that finds nothing left waits for another one.
        let cap = format!(
            "from postgres_configure_pool(catalog_name = {}, max_connections = {connections}, acquire_mode = 'wait')",
            literal(alias)
        );
        let mut capped = attachment;
        capped.statements.push(Secret::new(cap));
        Some(capped)
    }

    fn endpoint(&self) -> std::result::Result<Endpoint, &'static str> {
        self.connection.endpoint()
    }

    fn attachment_through(&self, alias: &str, relay: SocketAddr) -> Attachment {
        self.connection.attachment_through(alias, relay)
    }

    fn tables(&self, session: &Session, alias: &str) -> Result<Vec<ListedTable>> {
        catalog::tables(session, alias, self.schema.as_deref())
    }

    fn describe(&self, session: &Session, alias: &str, table: &TableName) -> Result<TableDescription> {
        let table = TableName {
            schema: table.schema.clone().or_else(|| self.schema.clone()),
            ..table.clone()
        };
        describe::describe(session, alias, &self.address, &table)
    }

    fn hides_rows(&self, session: &Session, alias: &str, table: &TableName) -> Result<Option<String>> {
        let hidden = catalog::row_security(session, alias, table)?;
        Ok(hidden.then(|| format!("row-level security of table \"{table}\" applies to this user")))
    }

    fn reads_as(&self, column: &SourceColumn, wanted: LogicalType) -> bool {
        types::route(column, wanted).is_some()
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
        expressions::types(session, alias, relation)
    }

    fn bounds(
        &self,
        session: &Session,
        alias: &str,
        relation: &Relation,
        columns: &[SourceColumn],
        parts: u64,
    ) -> Result<Vec<Vec<KeyValue>>> {
        sample::bounds(session, alias, relation, columns, parts)
    }

    fn read_point(
        &self,
        session: &Session,
        alias: &str,
        relation: &Relation,
        cursor: (&str, CursorType),
        _now: Timestamp,
    ) -> Result<ReadPoint> {
        read_point::read(session, alias, relation, cursor)
    }

    fn begin_snapshot(&self, session: &Session, alias: &str) -> Result<Option<SnapshotId>> {
        snapshot::begin(session, alias).map(Some)
    }

    fn join_snapshot(&self, session: &Session, alias: &str, snapshot: &SnapshotId) -> Result<()> {
        snapshot::join(session, alias, snapshot)
    }

    fn scan(&self, alias: &str, request: &ScanRequest) -> Scan {
        scan::scan(alias, request)
    }

    fn doubtful_scan(&self, alias: &str, request: &ScanRequest) -> Option<DoubtfulScan> {
        scan::doubtful_scan(alias, request)
    }

    fn confirm(
        &self,
        alias: &str,
        relation: &Relation,
        range: &Range,
        column: &str,
        keys: Option<(&str, &[i64])>,
    ) -> String {
        scan::confirm(alias, relation, range, column, keys)
    }

    fn digest(&self, alias: &str, request: &DigestRequest) -> std::result::Result<Digest, String> {
        digest::digest(alias, request)
    }

    fn row_versions(&self, alias: &str, request: &DigestRequest) -> std::result::Result<Digest, String> {
        versions::sums(alias, request)
    }

    fn lineage(&self, session: &Session, alias: &str) -> Result<std::result::Result<Lineage, String>> {
        versions::lineage(session, alias)
    }

    fn scan_leaves(
        &self,
        alias: &str,
        request: &ScanRequest,
        leaves: &DigestLeaves,
        wanted: &[i64],
    ) -> Option<Scan> {
        let among = digest::among(leaves, wanted).ok()?;
        Some(scan::scan_where(alias, request, &among))
    }

    fn count(&self, alias: &str, relation: &Relation, range: &Range) -> String {
        scan::count(alias, relation, range)
    }
}
