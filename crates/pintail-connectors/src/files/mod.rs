//! Files, as a source and as a [destination](FilesPlace): Parquet, CSV and JSON, in a folder of this machine or in a bucket that speaks S3.
//!
//! ```text
//! describe ─▶ list (names, sizes, tags) ─▶ a view over exactly these files ─▶ scan, count
//!                     ▲                                                          │
//!                     └──────────── snapshot_held: still the same list? ◀────────┘
//! ```
//!
//! **What is promised.** The files are read and nothing else is. A table is the files that were listed when it was
//! described: a file that comes later is for the next run. If one of them changes or goes while it is read, the run fails
//! before it commits anything: sizes and times (in a bucket: tags) are compared before and after.
//!
//! **Values.** Parquet has types, and they are kept; all files of a table must agree on them. CSV has none: every column
//! is text as it stands there, unless the pipeline declares what it is, and a value that does not fit then fails the
//! scan. JSON has a few: see [`json`].
//!
//! A folder that Pintail wrote is read by its [manifest], in the types that were written.
//!
//! **Joins, filters and expressions** are SQL of the engine, over tables of the same folder. Columns of CSV are texts there.
//!
//! **Limits.** No key can be told, so a delta needs `unique_column`. A range costs a pass over the files.

mod codec;
mod destination;
mod json;
mod layout;
mod listing;
mod manifest;
mod relation;
mod rows;
mod scan;
mod table;
mod types;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use pintail_config::{Datastore, FileFormat, Place};
use pintail_lake::bucket;
use pintail_lake::connector::{
    Attachment, Capabilities, Connector, ListedTable, OldestTransaction, ReadPoint, Scan, ScanRequest,
    SnapshotId, SourceColumn, TableDescription,
};
use pintail_lake::extension::HTTPFS;
use pintail_lake::quote::identifier;
use pintail_lake::relation::Relation;
use pintail_lake::{Call, Error, Result, Session};
use pintail_model::{CursorType, ErrorKind, KeyValue, LogicalType, Range, Secret, TableName, checksum};
use pintail_storage::{BucketSettings, Store};

pub use self::destination::{FilesMaintenance, FilesPlace};
use self::listing::{Listing, Shelf};
pub(crate) use self::table::only_table;
use crate::bucket::settings;
use crate::duckdb::sample;
use crate::expressions;
use crate::sample::Kind;

/// What stands in for a snapshot, for the report.
const NO_SNAPSHOT: &str =
    "files have no snapshot: they are the same as before they were read, by size, time and tag";

/// Files in a folder or in a bucket.
#[derive(Debug)]
pub struct FilesSource {
    system: &'static str,
    place: Place,
    format: Option<FileFormat>,
    delimiter: Option<char>,
    bucket: Option<BucketSettings>,
    address: String,
    identity: String,
    /// What was listed, by table: a snapshot consists of these files and no others.
    listed: Mutex<BTreeMap<TableName, Listing>>,
}

impl FilesSource {
    /// The files that `datastore` names, under the name that the registry knows. Nothing is opened yet.
    #[must_use]
    pub fn new(system: &'static str, datastore: &Datastore) -> Self {
        let files = datastore.files();
        let place = files.map_or_else(
            || Place::Local(datastore.base.clone()),
            |files| files.place.clone(),
        );
        let bucket = match &place {
            Place::Bucket(bucket) => Some(settings(bucket)),
            Place::Local(_) => None,
        };
        Self {
            system,
            place,
            format: files.and_then(|files| files.format),
            delimiter: files.and_then(|files| files.delimiter),
            bucket,
            address: datastore.to_string(),
            identity: datastore.identity(),
            listed: Mutex::default(),
        }
    }

    fn shelf(&self) -> Result<Shelf> {
        match (&self.place, &self.bucket) {
            (Place::Bucket(bucket), Some(settings)) => Ok(Shelf::Bucket {
                store: Store::new(settings)?,
                prefix: bucket.prefix.clone(),
            }),
            (Place::Local(path), _) => Ok(Shelf::Folder(path.clone())),
            (Place::Bucket(_), None) => Err(internal("a bucket without settings")),
        }
    }

    fn remembered(&self, table: &TableName) -> Option<Listing> {
        let listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        listed.get(table).cloned()
    }

    fn remember(&self, table: &TableName, listing: Listing) {
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        listed.insert(table.clone(), listing);
    }

    /// Fails if the files of a table are not those that were listed.
    fn check_unchanged(&self, session: &Session) -> Result<()> {
        let listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (table, before) in listed {
            let now = table::list(session, &self.shelf()?, self.format, &table, &self.address)?;
            if let Some(change) = before.difference(&now) {
                return Err(Error::refused(
                    ErrorKind::Conflict,
                    format!("the files of table \"{table}\" changed while they were read: {change}"),
                    "Run again. Files that are written under new names and never changed can be read at any time.",
                ));
            }
        }
        Ok(())
    }
}

impl Connector for FilesSource {
    fn system(&self) -> &'static str {
        self.system
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
            range_pushdown: false,
            key_ranges: false,
            shared_snapshot: false,
            oldest_transaction: false,
            own_catalogue: false,
            parallel_scans: true,
        }
    }

    fn attachment(&self, alias: &str) -> Attachment {
        let attach = Secret::new(format!("attach ':memory:' as {}", identifier(alias)));
        match &self.bucket {
            None => Attachment {
                extensions: Vec::new(),
                statements: vec![attach],
                secrets: Vec::new(),
            },
            Some(settings) => Attachment {
                extensions: vec![HTTPFS],
                statements: bucket::statements(settings).into_iter().chain([attach]).collect(),
                secrets: settings.secrets(),
            },
        }
    }

    fn tables(&self, _session: &Session, _alias: &str) -> Result<Vec<ListedTable>> {
        table::tables(&self.shelf()?, self.format)
    }

    fn describe(&self, session: &Session, alias: &str, table: &TableName) -> Result<TableDescription> {
        let listing = table::list(session, &self.shelf()?, self.format, table, &self.address)?;
        let columns = relation::install(session, alias, table, &listing, self.delimiter)?;
        let rows = relation::rows(session, &listing)?;
        let description = TableDescription {
            name: table.clone(),
            identity: None,
            columns,
            key: Vec::new(),
            rows,
            pages: None,
            bytes: Some(listing.bytes()),
            storage_identity: Some(format!(
                "{:016x}",
                checksum::bytes_word(listing.text().as_bytes())
            )),
            indexed: Vec::new(),
        };
        self.remember(table, listing);
        Ok(description)
    }

    fn reads_as(&self, column: &SourceColumn, wanted: LogicalType) -> bool {
        types::reads_as(column.logical_type, wanted)
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
        expressions::types(session, &relation::from(alias, relation), relation, types::home)
    }

    fn bounds(
        &self,
        session: &Session,
        alias: &str,
        relation: &Relation,
        columns: &[SourceColumn],
        parts: u64,
    ) -> Result<Vec<Vec<KeyValue>>> {
        let total = match self.remembered(&relation.table) {
            Some(listing) => relation::rows(session, &listing)?,
            None => None,
        };
        let view = relation::view(alias, &relation.table);
        let typed =
            |column: &SourceColumn| Some(scan::comparable(&identifier(&column.name), Kind::of(column)?));
        sample::bounds(session, &view, total, columns, parts, &typed)
    }

    fn read_point(
        &self,
        session: &Session,
        alias: &str,
        relation: &Relation,
        (cursor, cursor_type): (&str, CursorType),
        now: Timestamp,
    ) -> Result<ReadPoint> {
        let cursor_max = match cursor_type {
            CursorType::Integer => {
                let sql = scan::largest(alias, relation, cursor);
                let rows = session.query(Call::new("read the largest value of the cursor"), &sql)?;
                rows.first().and_then(|row| row.integer(0))
            }
            _ => None,
        };
        Ok(ReadPoint {
            now,
            zone_offset_micros: 0,
            time_zone: Some("UTC".to_owned()),
            oldest: OldestTransaction::Unknown {
                reason: "files do not tell who is about to add one".to_owned(),
            },
            cursor_max,
            seen_at: now,
        })
    }

    fn begin_snapshot(&self, session: &Session, _alias: &str) -> Result<Option<SnapshotId>> {
        self.check_unchanged(session)?;
        session.begin()?;
        Ok(None)
    }

    fn join_snapshot(&self, _session: &Session, _alias: &str, _snapshot: &SnapshotId) -> Result<()> {
        Err(internal("cannot join a snapshot: files cannot share one"))
    }

    fn snapshot_held(&self, session: &Session, _alias: &str) -> Result<Option<String>> {
        self.check_unchanged(session)?;
        Ok(Some(NO_SNAPSHOT.to_owned()))
    }

    fn scan(&self, alias: &str, request: &ScanRequest) -> Scan {
        scan::scan(alias, request)
    }

    fn count(&self, alias: &str, relation: &Relation, range: &Range) -> String {
        let listing = self.remembered(&relation.table);
        scan::count(alias, relation, range, listing.as_ref())
    }
}

fn internal(message: &str) -> Error {
    Error::Refused {
        kind: ErrorKind::Internal,
        message: message.to_owned(),
        hint: None,
    }
}
