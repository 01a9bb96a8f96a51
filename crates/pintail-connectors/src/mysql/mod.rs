//! MariaDB and MySQL, as a source; as a destination, see [`write`].
//!
//! **Permissions.** SELECT on the table is enough to copy it. PROCESS lets a delta see the oldest open transaction;
//! without it a declared lag stands in.
//!
//! **What is promised.** The attachment is read-only, and so is every transaction. All reads of a snapshot see one state
//! of the tables of InnoDB, whatever isolation level the server prefers. Text arrives in UTF-8 whatever the column's
//! character set, and instants in UTC whatever the server's time zone.
//!
//! **Limits.** One session holds a snapshot, which others cannot join: a table is read over one connection. Tables of
//! engines without transactions, and names of tables that differ only in case, are refused. MySQL itself has to grant
//! REPEATABLE READ to the session.
//!
//! ```text
//! config ─▶ attach          catalog ─▶ describe          read_point, snapshot ─▶ scan (types, predicate)
//! ```

mod catalog;
mod config;
mod describe;
mod names;
mod predicate;
mod quote;
mod read_point;
mod sample;
mod scan;
mod server;
mod snapshot;
mod statistics;
mod types;
mod write;

use std::net::SocketAddr;

use jiff::Timestamp;
use pintail_config::Datastore;
use pintail_lake::connector::{
    Attachment, Capabilities, Connector, DoubtfulScan, Endpoint, ListedTable, ReadPoint, Scan, ScanRequest,
    SnapshotId, SourceColumn, TableDescription,
};
use pintail_lake::{Error, Relation, Result, Session};
use pintail_model::{CursorType, ErrorKind, KeyValue, LogicalType, Range, TableName};

use self::config::Connection;
use self::describe::Purpose;
pub use self::write::MySqlDestination;

/// A database of a MySQL or MariaDB server.
#[derive(Debug)]
pub struct MySqlSource {
    connection: Connection,
    address: String,
    identity: String,
    /// The database of tables that are named without one.
    database: Option<String>,
    purpose: Purpose,
}

impl MySqlSource {
    /// The database that `datastore` names. Nothing is connected yet.
    #[must_use]
    pub fn new(datastore: &Datastore) -> Self {
        Self::made_for(datastore, Purpose::Read)
    }

    fn made_for(datastore: &Datastore, purpose: Purpose) -> Self {
        let named = datastore.options().and_then(|options| options.text("database"));
        Self {
            connection: Connection::of(datastore),
            address: datastore.to_string(),
            identity: datastore.identity(),
            database: datastore.schema.clone().or_else(|| named.map(str::to_owned)),
            purpose,
        }
    }

    /// The table with its database. Without one it cannot be found, and nobody knows which is meant.
    fn resolved(&self, table: &TableName) -> Result<TableName> {
        let schema = table.schema.clone().or_else(|| self.database.clone());
        let Some(schema) = schema else {
            return Err(Error::refused(
                ErrorKind::Invalid,
                format!("cannot tell in which database table \"{table}\" is"),
                "Name a `database` in the address, or write the table as `database.table`.",
            ));
        };
        Ok(TableName::new(schema, table.table.clone()))
    }
}

impl Connector for MySqlSource {
    fn system(&self) -> &'static str {
        "mysql"
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
            key_ranges: false,
            shared_snapshot: false,
            oldest_transaction: true,
            own_catalogue: true,
            parallel_scans: false,
        }
    }

    fn attachment(&self, alias: &str) -> Attachment {
        self.connection.attachment(alias)
    }

    fn cap_connections(&self, _alias: &str, attachment: Attachment, connections: u32) -> Option<Attachment> {
        Some(config::capped(attachment, connections))
    }

    fn endpoint(&self) -> std::result::Result<Endpoint, &'static str> {
        self.connection.endpoint()
    }

    fn attachment_through(&self, alias: &str, relay: SocketAddr) -> Attachment {
        self.connection.attachment_through(alias, relay)
    }

    fn tables(&self, session: &Session, alias: &str) -> Result<Vec<ListedTable>> {
        catalog::reading(session, || {
            catalog::tables(session, alias, self.database.as_deref())
        })
    }

    fn describe(&self, session: &Session, alias: &str, table: &TableName) -> Result<TableDescription> {
        let resolved = self.resolved(table)?;
        names::check_table(&resolved)?;
        if self.purpose == Purpose::Read {
            catalog::forget(session)?;
        }
        catalog::reading(session, || {
            describe::describe(session, alias, (&self.address, self.purpose), table, &resolved)
        })
    }

    fn reads_as(&self, column: &SourceColumn, wanted: LogicalType) -> bool {
        types::route(&column.source_type, wanted).is_some()
    }

    fn reads_queries(&self) -> bool {
        true
    }

    fn bounds(
        &self,
        session: &Session,
        alias: &str,
        relation: &Relation,
        columns: &[SourceColumn],
        parts: u64,
    ) -> Result<Vec<Vec<KeyValue>>> {
        catalog::reading(session, || {
            sample::bounds(session, alias, relation, columns, parts)
        })
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
        snapshot::begin(session, alias)?;
        Ok(None)
    }

    fn join_snapshot(&self, _session: &Session, _alias: &str, _snapshot: &SnapshotId) -> Result<()> {
        Err(Error::refused(
            ErrorKind::Invalid,
            "cannot join a snapshot of another session: MySQL has no such thing",
            "Read over one session.",
        ))
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

    fn count(&self, alias: &str, relation: &Relation, range: &Range) -> String {
        scan::count(alias, relation, range)
    }
}
