//! SQLite files, as a source.
//!
//! **What is promised.** The file is opened read-only. In WAL mode SQLite makes the empty files `-wal` and `-shm`
//! beside it when they are not there; nothing else is written. All reads of a snapshot see one state. A value that is
//! not of its column's declared kind fails the scan.
//!
//! **Limits.** One connection reads, for a snapshot cannot be shared. A range costs a pass over the table. SQLite does
//! not tell when a transaction began, so a delta leaves a declared lag. Texts that `CURRENT_TIMESTAMP` writes are UTC,
//! and so are cursors without a zone taken to be. Outside of WAL mode a reader keeps writers from committing.
//!
//! **Transactions.** Scans and counts run in a session that [`begin_snapshot`](Connector::begin_snapshot) prepared, and
//! nowhere else: without a transaction DuckDB closes the file between preparing a statement and running it.
//!
//! **Locks.** SQLite's locks belong to the process, and closing *any* handle of the file gives all of them up. So
//! nothing in a process may open the file beside the engine: not even to read its first bytes.

mod catalog;
mod describe;
mod range;
mod sample;
mod scan;
mod types;
mod value;
mod write;

pub use self::write::SqliteDestination;

use std::path::PathBuf;

use jiff::Timestamp;
use pintail_config::Datastore;
use pintail_lake::connector::{
    Attachment, Capabilities, Connector, ListedTable, OldestTransaction, ReadPoint, Scan, ScanRequest,
    SnapshotId, SourceColumn, TableDescription,
};
use pintail_lake::extension::SQLITE;
use pintail_lake::quote::{identifier, literal};
use pintail_lake::{Error, Relation, Result, Session};
use pintail_model::{CursorType, ErrorKind, KeyValue, LogicalType, Range, Secret, TableName};

/// How long a reader waits for a writer that is just committing.
const BUSY_TIMEOUT_MS: u32 = 10_000;

/// A SQLite file.
#[derive(Debug)]
pub struct SqliteSource {
    path: PathBuf,
    address: String,
    identity: String,
}

impl SqliteSource {
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
        }
    }

    /// Asks for the file without opening it: SQLite's own answer does not say that it is missing.
    fn check_file(&self) -> Result<()> {
        let failed = |source| Error::File {
            action: "open",
            path: self.path.clone(),
            source,
        };
        match std::fs::metadata(&self.path) {
            Ok(found) if found.is_file() => Ok(()),
            Ok(_) => Err(failed(std::io::ErrorKind::IsADirectory.into())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Error::refused(
                ErrorKind::NotFound,
                format!("cannot open {}: there is no such file", self.address),
                "Check the path: Pintail does not make databases that it is to read.",
            )),
            Err(error) => Err(failed(error)),
        }
    }
}

impl Connector for SqliteSource {
    fn system(&self) -> &'static str {
        "sqlite"
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
            range_pushdown: false,
            key_ranges: true,
            shared_snapshot: false,
            oldest_transaction: false,
            own_catalogue: false,
            parallel_scans: true,
        }
    }

    fn attachment(&self, alias: &str) -> Attachment {
        let attach = format!(
            "attach {} as {} (type sqlite, read_only, busy_timeout {BUSY_TIMEOUT_MS})",
            literal(&self.path.to_string_lossy()),
            identifier(alias)
        );
        Attachment {
            extensions: vec![SQLITE],
            statements: vec![Secret::new(attach)],
            secrets: Vec::new(),
        }
    }

    fn tables(&self, session: &Session, alias: &str) -> Result<Vec<ListedTable>> {
        self.check_file()?;
        catalog::reading(session, || catalog::tables(session, alias))
    }

    fn describe(&self, session: &Session, alias: &str, table: &TableName) -> Result<TableDescription> {
        self.check_file()?;
        catalog::reading(session, || {
            describe::describe(session, alias, &self.address, table)
        })
    }

    fn reads_as(&self, _column: &SourceColumn, wanted: LogicalType) -> bool {
        types::readable(wanted)
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
        (cursor, cursor_type): (&str, CursorType),
        now: Timestamp,
    ) -> Result<ReadPoint> {
        self.check_file()?;
        let cursor_max = match cursor_type {
            CursorType::Integer => catalog::reading(session, || largest(session, alias, relation, cursor))?,
            _ => None,
        };
        Ok(ReadPoint {
            now,
            zone_offset_micros: 0,
            time_zone: Some("UTC".to_owned()),
            oldest: OldestTransaction::Unknown {
                reason: "SQLite does not tell when a transaction began".to_owned(),
            },
            cursor_max,
            seen_at: now,
        })
    }

    fn begin_snapshot(&self, session: &Session, alias: &str) -> Result<Option<SnapshotId>> {
        self.check_file()?;
        session.begin()?;
        // The first read pins the state.
        catalog::rows(
            session,
            alias,
            "open a snapshot of the source",
            "select count(*) as n from sqlite_master",
        )
        .inspect_err(|_| session.rollback())?;
        Ok(None)
    }

    fn join_snapshot(&self, _session: &Session, _alias: &str, _snapshot: &SnapshotId) -> Result<()> {
        Err(Error::Refused {
            kind: ErrorKind::Internal,
            message: "cannot join a snapshot: SQLite cannot share one".to_owned(),
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

/// The largest number of a column. Texts and blobs sort after all numbers, and are left to the scan to refuse.
fn largest(session: &Session, alias: &str, relation: &Relation, column: &str) -> Result<Option<i64>> {
    let column = format!("t.{}", identifier(column));
    let from = scan::from(relation, &Range::Whole);
    let sql =
        format!("select {column} as largest from {from} where {column} < '' order by {column} desc limit 1");
    let rows = catalog::rows(session, alias, "read the largest value of the cursor", &sql)?;
    Ok(rows.first().and_then(|row| catalog::number(row, 0)))
}
