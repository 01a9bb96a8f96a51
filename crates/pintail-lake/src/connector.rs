//! The contract between Pintail and the systems it reads: **connectors describe, the engine executes**.
//!
//! A connector says how to attach its system to an engine, looks at its catalogue through a [`Session`], and
//! writes the SELECT that reads a range of a table. It never decodes a row: DuckDB's own scanners read straight
//! into columns, and the types of the result are the types that the lake stores.
//!
//! ```text
//! attachment ─▶ describe ─▶ read_point ─▶ begin_snapshot ─┬▶ scan(range) ─▶ rows
//!                                                         └▶ count(range) ─▶ independent number
//! ```
//!
//! Guarantees that the conformance suite of `pintail-testkit` checks for every connector:
//! - Nothing is ever written to the source; attachments are read-only.
//! - All scans and counts under one snapshot see one state of the source.
//! - The ranges of a plan cover every row once: `Pages`, `Key`, `Keys` and `Cursor` ranges neither overlap nor leave gaps.
//! - A [`Relation`] that is a query is read, counted and asked as a table of its columns would be. A connector that does
//!   not do so yet says so with [`Connector::reads_queries`], and is never given one.
//! - A value arrives exactly as it is, or the statement fails; it never arrives as another value.
//! - `scan` and `count` are pure: the same request gives the same SQL, which contains no secret.

use std::net::SocketAddr;

use jiff::Timestamp;
use pintail_model::{Column, CursorType, KeyValue, LogicalType, NativeType, Range, Secret, TableName};

use crate::digest::{Digest, DigestLeaves, DigestRequest, Lineage};
use crate::error::{Error, Result};
use crate::extension::Extension;
use crate::relation::Relation;
use crate::session::Session;

/// What a system can do. The planner reads this and never a system's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Ranges of storage pages can be read, each at the cost of its own rows.
    pub page_ranges: bool,
    /// Key and cursor ranges are evaluated by the source, so that each costs about its own rows. Without it every
    /// range costs a scan of the table, and the planner keeps their number small.
    pub range_pushdown: bool,
    /// So do ranges of texts and of several columns, and they take no more memory either. Without it a table is cut by such
    /// only where somebody asks for it.
    pub key_ranges: bool,
    /// Several sessions can read under one snapshot at once.
    pub shared_snapshot: bool,
    /// The source can tell when its oldest open transaction began.
    pub oldest_transaction: bool,
    /// What is asked about a table the system answers itself. Without it the engine's catalogues are read, which list
    /// everything that is attached, so that nothing may be attached meanwhile.
    pub own_catalogue: bool,
    /// The engine's own scanner reads a table over several threads at once.
    pub parallel_scans: bool,
}

impl Capabilities {
    /// Whether the engine reads a scan over several threads. If not, any further thread of the engine would keep the one that
    /// reads waiting, and DuckDB waits without rest.
    #[must_use]
    pub fn reads_in_parallel(&self, scan: &Scan) -> bool {
        self.parallel_scans && scan.pushed_down.is_none()
    }
}

/// Where a system listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// A name, or an address.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// How a system is attached to an engine.
#[derive(Debug, Clone)]
pub struct Attachment {
    /// Extensions that the engine loads first.
    pub extensions: Vec<Extension>,
    /// Complete statements that make the database known under its alias, read-only. They hold credentials.
    pub statements: Vec<Secret>,
    /// Texts that must never be shown: the engine strikes them out of every error.
    pub secrets: Vec<Secret>,
}

/// A column as the source has it.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceColumn {
    /// Name, exactly as the source spells it.
    pub name: String,
    /// Type in the source's own words, as `numeric(12,2)`.
    pub source_type: String,
    /// The lossless home of the type, or `None` if there is none without a declaration.
    pub logical_type: Option<LogicalType>,
    /// The type in which values travel exactly to a destination that gives the column its own type again; `None` if
    /// there is none beside `logical_type`. As text, mostly.
    pub carrier: Option<LogicalType>,
    /// Where the column came from before, if the source is a place that remembers it; its own type otherwise.
    pub origin: Option<NativeType>,
    /// Whether NULL may stand in it.
    pub nullable: bool,
    /// What identifies the column even after it is renamed (an attribute number), where the source has that.
    pub identity: Option<String>,
    /// Ascending values from the source's statistics that cut the column into parts of about equal row counts,
    /// smallest and largest known value included; a value that fills several parts stands there as often. In the unit
    /// of `CursorValue::number` (integers as they are, days, microseconds). Empty if unknown. Estimates: rows may lie
    /// outside.
    pub histogram: Vec<i64>,
}

/// What the catalogue of a source says about a table. Numbers are estimates.
#[derive(Debug, Clone, PartialEq)]
pub struct TableDescription {
    /// The table, with its schema resolved.
    pub name: TableName,
    /// What identifies the table beyond its name (an object id), where the source has that: a table that was dropped
    /// and made anew, or that took the name of another one, has another.
    pub identity: Option<String>,
    /// Columns in the order of the source.
    pub columns: Vec<SourceColumn>,
    /// Columns of the primary key (or of a unique constraint without NULL), empty if there is none.
    pub key: Vec<String>,
    /// Estimated number of rows.
    pub rows: Option<u64>,
    /// Size of the table's storage in pages, for `Range::Pages`; `None` if page ranges cannot be used on it (views).
    pub pages: Option<u64>,
    /// Size of the table's storage in bytes.
    pub bytes: Option<u64>,
    /// Names the physical table: changes when its rows are written anew elsewhere (TRUNCATE, CLUSTER, VACUUM FULL).
    pub storage_identity: Option<String>,
    /// Whether equality on the column(s) of a cursor can be answered by an index, by column name.
    pub indexed: Vec<String>,
}

impl TableDescription {
    /// The column of that name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&SourceColumn> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// A table that [`Connector::tables`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedTable {
    /// Its name, in the form in which [`Connector::describe`] finds it: with the schema where the system has schemas.
    pub name: TableName,
    /// What it is.
    pub kind: TableKind,
}

/// What holds the rows of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    /// The table itself, partitioned or not, or another server's.
    Table,
    /// A query over other tables, whose result may be stored: no key can be told.
    View,
}

/// One column to read, and what it becomes.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnRead {
    /// The column of the relation.
    pub source: SourceColumn,
    /// Name and type in the destination.
    pub column: Column,
}

/// Rows to read.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanRequest {
    /// What is read.
    pub relation: Relation,
    /// Columns in the order of the destination.
    pub columns: Vec<ColumnRead>,
    /// Which rows.
    pub range: Range,
}

/// A SELECT for the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// DuckDB SQL that yields the requested columns, named and typed as in the destination.
    pub sql: String,
    /// The statement that the source itself gets to see, if it is written by us and not by DuckDB's scanner.
    pub pushed_down: Option<String>,
}

/// Rows of a scan that may have arrived as another value, and only the source can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// The column in the destination.
    pub column: String,
    /// True for every such row, in DuckDB's SQL over the columns of the destination.
    pub suspicious: String,
    /// Why a row is refused if the doubt is right. Holds no value.
    pub reason: String,
}

/// A scan that is cheaper than [`Connector::scan`], because it leaves questions open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoubtfulScan {
    /// The scan.
    pub scan: Scan,
    /// What has to be asked with [`Connector::confirm`] when rows met it, in the same snapshot.
    pub doubts: Vec<Doubt>,
}

/// What a source says about time, read in a short transaction of its own **before** the snapshot is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadPoint {
    /// The server's clock; for embedded sources this machine's, as passed in.
    pub now: Timestamp,
    /// How far the wall clock of the server's time zone is ahead of UTC, in microseconds, for cursors without a zone.
    pub zone_offset_micros: i64,
    /// The name of that zone, as the source knows it: it tells when clocks go back.
    pub time_zone: Option<String>,
    /// The oldest transaction that could still commit rows with an old cursor.
    pub oldest: OldestTransaction,
    /// For integer cursors: the largest value that was visible.
    pub cursor_max: Option<i64>,
    /// The server's clock after the state was fixed in which `cursor_max` is the largest: whoever began later takes
    /// greater numbers.
    pub seen_at: Timestamp,
}

/// When the oldest open transaction of a source began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OldestTransaction {
    /// No other transaction was open.
    None,
    /// It began at this instant.
    At(Timestamp),
    /// One exists whose begin cannot be told (a prepared transaction): the watermark must not move.
    Held {
        /// Why, for the report.
        reason: String,
    },
    /// The source cannot tell: a declared lag must stand in.
    Unknown {
        /// Why, for the report.
        reason: String,
    },
}

/// Names a snapshot that other sessions can join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotId(pub String);

/// A system that tables are read from.
pub trait Connector: Send + Sync {
    /// The system's name as in `type:` and in URLs.
    fn system(&self) -> &'static str;

    /// The address without secrets, for people.
    fn address(&self) -> String;

    /// One text for the place, however its address was written, without secrets: what is remembered of a source holds
    /// for this place alone.
    fn identity(&self) -> String;

    /// What the system can do.
    fn capabilities(&self) -> Capabilities;

    /// How to attach it under `alias`. The attachment is read-only. Attaching alone may not connect yet: the
    /// first statement reports an unreachable system or refused credentials.
    fn attachment(&self, alias: &str) -> Attachment;

    /// Says in its own words what the engine's refusal to attach it means, where a user can do something about it.
    fn explain(&self, error: Error) -> Error {
        error
    }

    /// The same attachment, with what keeps it from having more than `connections` of them open. Sessions then wait for
    /// each other. `None` for what needs no connections, as a file.
    fn cap_connections(
        &self,
        _alias: &str,
        _attachment: Attachment,
        _connections: u32,
    ) -> Option<Attachment> {
        None
    }

    /// Where the system listens, if it is reached over TCP and at one place, and if whoever is reached by way of a relay
    /// proves as much as whoever is reached directly.
    ///
    /// # Errors
    /// Why there is no such place, as the end of a sentence: "because …".
    fn endpoint(&self) -> std::result::Result<Endpoint, &'static str> {
        Err("it is not reached over a network")
    }

    /// The attachment that reaches [`Connector::endpoint`] by way of `relay`, which passes everything on, and still
    /// proves who answers there.
    fn attachment_through(&self, alias: &str, _relay: SocketAddr) -> Attachment {
        self.attachment(alias)
    }

    /// Lists what can be copied, in the order of its names: tables and views, and partitioned tables as a whole. Left
    /// out are the system's own tables, parts of a partitioned table, what belongs to an extension, and what the user
    /// may not read. Of a datastore that names a schema, only that schema.
    ///
    /// Every name that is listed can be given to [`Connector::describe`]. Reads the catalogue and no table.
    fn tables(&self, session: &Session, alias: &str) -> Result<Vec<ListedTable>>;

    /// Looks a table up.
    ///
    /// # Errors
    /// `NotFound` names the table, and near names if there are any.
    fn describe(&self, session: &Session, alias: &str, table: &TableName) -> Result<TableDescription>;

    /// Why this user may not see all rows of a table, in words, as far as the source tells: then what is not seen is not
    /// gone. `None` where everybody who may read a table sees all of it.
    fn hides_rows(&self, _session: &Session, _alias: &str, _table: &TableName) -> Result<Option<String>> {
        Ok(None)
    }

    /// Whether `column` can be read as `wanted` without silent loss. A value that does not fit then fails the
    /// scan. Pure.
    fn reads_as(&self, column: &SourceColumn, wanted: LogicalType) -> bool;

    /// Whether relations that are queries are read as tables are.
    fn reads_queries(&self) -> bool {
        false
    }

    /// The types of the [expressions](Relation::expressions) of a query, in the source's own words and in that order.
    /// Empty where the source cannot tell without running it: then their declared types are all there is.
    ///
    /// # Errors
    /// `Invalid` for a query that the source does not understand.
    fn expression_types(
        &self,
        _session: &Session,
        _alias: &str,
        _relation: &Relation,
    ) -> Result<Vec<(String, Option<LogicalType>)>> {
        Ok(Vec::new())
    }

    /// Values that cut a relation by `columns` into up to `parts` parts of about as many rows, in the order in which
    /// [`Range::Keys`] compares them. Estimates, at the price of a short query: fewer than were asked for where a
    /// frequent value cannot be divided, none where they cannot be told.
    fn bounds(
        &self,
        _session: &Session,
        _alias: &str,
        _relation: &Relation,
        _columns: &[SourceColumn],
        _parts: u64,
    ) -> Result<Vec<Vec<KeyValue>>> {
        Ok(Vec::new())
    }

    /// Reads the clock and the oldest open transaction, and `cursor`'s largest value if it is an integer. `now`
    /// stands in where the source has no clock of its own.
    fn read_point(
        &self,
        session: &Session,
        alias: &str,
        relation: &Relation,
        cursor: (&str, CursorType),
        now: Timestamp,
    ) -> Result<ReadPoint>;

    /// Begins a transaction in `session` whose reads of this source all see one state. The caller ends it with
    /// `session.rollback()`.
    ///
    /// Returns the id that other sessions can join, if `capabilities().shared_snapshot`.
    fn begin_snapshot(&self, session: &Session, alias: &str) -> Result<Option<SnapshotId>>;

    /// Begins a transaction in `session` that sees the state of `snapshot`.
    fn join_snapshot(&self, session: &Session, alias: &str, snapshot: &SnapshotId) -> Result<()>;

    /// Whether everything that was read since [`Connector::begin_snapshot`] was one state. Asked in a session of the
    /// snapshot when all is read, and before anything is committed. A source that has no transactions to promise it looks, and
    /// says for the report what it looked at.
    ///
    /// # Errors
    /// `Conflict` if what was read changed meanwhile.
    fn snapshot_held(&self, _session: &Session, _alias: &str) -> Result<Option<String>> {
        Ok(None)
    }

    /// The SELECT that reads `request`. Pure.
    fn scan(&self, alias: &str, request: &ScanRequest) -> Scan;

    /// A scan of `request` that is cheaper than [`Connector::scan`], for a caller that settles the doubts which come
    /// with it; `None` if there is none. Pure.
    fn doubtful_scan(&self, _alias: &str, _request: &ScanRequest) -> Option<DoubtfulScan> {
        None
    }

    /// DuckDB SQL that yields one number, which is not 0 if a doubt about `column` of the source is right: among the
    /// rows of `range` whose integer key is one of `keys`, or among all of `range`. Pure.
    fn confirm(
        &self,
        _alias: &str,
        _relation: &Relation,
        _range: &Range,
        _column: &str,
        _keys: Option<(&str, &[i64])>,
    ) -> String {
        "select 0".to_owned()
    }

    /// How the source sums rows up by itself, leaf by leaf, with the digests of [`crate::tap::row_digest`]. Pure.
    ///
    /// # Errors
    /// Why it cannot, as the end of a sentence: "because …".
    fn digest(&self, _alias: &str, _request: &DigestRequest) -> std::result::Result<Digest, String> {
        Err("the source has no function for that".to_owned())
    }

    /// How the source sums up the versions of its rows, leaf by leaf: a row that changed, came or went changes the sum of its
    /// leaf, as long as the [lineage](Connector::lineage) is one. Pure.
    ///
    /// # Errors
    /// Why it cannot, as the end of a sentence: "because …".
    fn row_versions(&self, _alias: &str, _request: &DigestRequest) -> std::result::Result<Digest, String> {
        Err("the source keeps no versions of its rows that can be asked for".to_owned())
    }

    /// What the versions of rows hold for, or why it cannot be told, as the end of a sentence.
    fn lineage(&self, _session: &Session, _alias: &str) -> Result<std::result::Result<Lineage, String>> {
        Ok(Err("the source keeps no versions of its rows".to_owned()))
    }

    /// A scan of those rows of `request` that belong to one of `wanted`, as [`Connector::doubtful_scan`] or else
    /// [`Connector::scan`] would read them; `None` where neither [`Connector::digest`] nor
    /// [`Connector::row_versions`] works. Pure.
    fn scan_leaves(
        &self,
        _alias: &str,
        _request: &ScanRequest,
        _leaves: &DigestLeaves,
        _wanted: &[i64],
    ) -> Option<Scan> {
        None
    }

    /// DuckDB SQL that yields one number: how many rows of `relation` lie in `range`, counted by the source itself and
    /// not through the path that [`Connector::scan`] takes. Pure.
    fn count(&self, alias: &str, relation: &Relation, range: &Range) -> String;
}
