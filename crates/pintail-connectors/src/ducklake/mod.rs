//! DuckLakes, as a source: whatever the kind of their catalogue.
//!
//! **What is promised.** The lake is attached read-only. All reads of a snapshot see one state, which is a snapshot of the
//! lake, and others may commit meanwhile. A column that came from another system remembers which type it had there
//! (see [`pintail_lake::origin`]), so that a system of that kind gets it again.
//!
//! **Limits.** One session reads, with all threads of the engine. A lake has no keys: a pipeline that follows changes has to
//! name the key. It does not tell when a transaction began, so a delta leaves a declared lag. Snapshots that expire while
//! they are read take their files with them.

use jiff::Timestamp;
use pintail_config::Datastore;
use pintail_lake::connector::{
    Attachment, Capabilities, Connector, ListedTable, OldestTransaction, ReadPoint, Scan, ScanRequest,
    SnapshotId, SourceColumn, TableDescription,
};
use pintail_lake::location::LakeLocation;
use pintail_lake::relation::Relation;
use pintail_lake::{Error, Result, Session};
use pintail_model::{CursorType, ErrorKind, KeyValue, LogicalType, Range, TableName};

use crate::duckdb::catalog::Catalog;
use crate::duckdb::{begin, scan, types};
use crate::expressions;

/// The schema of Pintail's own tables in a lake.
const OWN_SCHEMA: &str = "pintail";

/// A lake.
#[derive(Debug)]
pub struct LakeSource {
    location: LakeLocation,
    address: String,
    identity: String,
    schema: Option<String>,
}

impl LakeSource {
    /// The lake that `datastore` names, which lies at `location`. Nothing is opened yet.
    #[must_use]
    pub fn new(datastore: &Datastore, location: LakeLocation) -> Self {
        Self {
            location,
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
            remembers: true,
            hidden_schema: Some(OWN_SCHEMA),
        }
    }
}

impl Connector for LakeSource {
    fn system(&self) -> &'static str {
        "ducklake"
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
            shared_snapshot: false,
            oldest_transaction: false,
            own_catalogue: false,
            parallel_scans: true,
        }
    }

    fn attachment(&self, alias: &str) -> Attachment {
        self.location.reading(alias)
    }

    fn explain(&self, error: Error) -> Error {
        self.location.explain(error)
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
        let oldest = OldestTransaction::Unknown {
            reason: "a lake does not tell when a transaction began".to_owned(),
        };
        self.catalog(session, alias)
            .read_point(relation, cursor, now, oldest)
    }

    fn begin_snapshot(&self, session: &Session, alias: &str) -> Result<Option<SnapshotId>> {
        // The first look at a lake pins its snapshot until the transaction ends.
        begin(session, alias).map(|()| None)
    }

    fn join_snapshot(&self, _session: &Session, _alias: &str, _snapshot: &SnapshotId) -> Result<()> {
        Err(Error::Refused {
            kind: ErrorKind::Internal,
            message: "cannot join a snapshot: a transaction of a lake cannot be shared".to_owned(),
            hint: None,
        })
    }

    fn scan(&self, alias: &str, request: &ScanRequest) -> Scan {
        scan::scan(alias, request)
    }

    fn count(&self, alias: &str, relation: &Relation, range: &Range) -> String {
        scan::count(alias, relation, range)
    }
}
