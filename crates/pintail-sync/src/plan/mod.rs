//! What will happen: a plan is a pure function of what was asked and what is so.
//!
//! ```text
//! spec ─┐
//! facts ┴▶ candidates ─▶ choose ─┬▶ full:  whole table, ranges of pages or of keys, one commit
//!                                └▶ delta: low ≤ cursor < bound, in ranges that are committed one by one
//! ```
//!
//! The same inputs give the same plan, statement by statement; [`PipelinePlan`] prints itself for `--plan`.

mod auto;
mod choose;
mod cut;
mod delta;
mod facts;
mod full;
mod groups;
mod hash;
mod inert;
mod json;
mod make;
mod mark;
mod pace;
mod reuse;
mod show;
mod standing;
pub mod statement;
mod stored;
mod verify;
mod way;

use std::path::PathBuf;

use pintail_lake::Relation;
use pintail_lake::connector::{Connector, DoubtfulScan, Scan, ScanRequest};
use pintail_model::{CursorValue, Range, RunId, TableName};
use serde::Serialize;

pub use choose::{ASKED_FOR, Candidate, Candidates, Choice, Chosen, choose};
pub use cut::{Bounds, Wish};
pub use facts::{Asked, Facts, Task, Versions};
pub use groups::Changed;
pub use make::make;
pub use reuse::Reuse;
pub use show::{Side, Statement};
pub use way::{Comparison, Keep, Sums, Way};

use self::make::Draft;
use crate::memberships::Memberships;
use crate::partition;
use crate::report::Endpoint;
use crate::shape::Shape;
use crate::spec::{DeletesSpec, LimitsSpec};
use crate::state::StagedRecord;

/// The name under which a source is attached.
pub const SOURCE: &str = "source";

/// What a run does to the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanKind {
    /// Replaces it.
    Full,
    /// Brings it up to date.
    Delta,
    /// Computes the groups of rows that changed anew.
    Groups,
    /// Compares it with the source, and brings in what differs.
    Hash,
    /// Compares the keys of both sides, and takes away what the source does not have.
    Deletes,
    /// Compares it with the source, and does nothing about it.
    Verify,
}

impl PlanKind {
    /// The word in state and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Delta => "delta",
            Self::Groups => "groups",
            Self::Hash => "hash",
            Self::Deletes => "deletes",
            Self::Verify => "verify",
        }
    }
}

/// What one run will do.
#[derive(Debug, Clone, PartialEq)]
pub struct PipelinePlan {
    /// The pipeline.
    pub pipeline: String,
    /// The strategy's name.
    pub strategy: String,
    /// What it does.
    pub kind: PlanKind,
    /// Why it runs.
    pub reason: String,
    /// What one should know about it.
    pub notes: Vec<String>,
    /// The unfinished run that goes on.
    pub resumes: Option<RunId>,
    /// What is read.
    pub source: Endpoint,
    /// What is written.
    pub destination: Endpoint,
    /// The table of the source, with its schema.
    pub source_table: TableName,
    /// What is read: that table as it is, or a query over it.
    pub relation: Relation,
    /// The table of the lake.
    pub table: TableName,
    /// Columns, key, cursor and leaves.
    pub shape: Shape,
    /// The columns by which both sides are compared, where they are: the key at least.
    pub compared: Vec<String>,
    /// How they are compared.
    pub comparison: Comparison,
    /// Rows of the source, by its statistics.
    pub table_rows: Option<u64>,
    /// Bytes of its table, as it is stored.
    pub table_bytes: Option<u64>,
    /// Where a delta begins.
    pub low: Option<CursorValue>,
    /// From where on it reads again what lies below that.
    pub again: Option<CursorValue>,
    /// The watermark when everything is in; `None` if it is not known or stays.
    pub watermark: Option<CursorValue>,
    /// What rows without a cursor mean for this run.
    pub null_rows: NullRows,
    /// How the source counts them, where that decides something.
    pub null_count: Option<String>,
    /// How the source counts the whole table, for a full load that is compared.
    pub whole_count: Option<String>,
    /// How the rows are found whose groups are computed anew.
    pub changed: Option<Changed>,
    /// What is kept of rows and the groups that they belong to, where a delta may follow.
    pub members: Option<Memberships>,
    /// How the staged partitions of the unfinished full load are used.
    pub reuse: Option<Reuse>,
    /// Whether rows of the destination may neither be changed nor removed.
    pub append_only: bool,
    /// What becomes of rows that are gone from the source.
    pub deletes: Deletes,
    /// How many keys of rows that differ are to be named, where nothing but that is wanted.
    pub keys_named: u64,
    /// Whether both sides are compared.
    pub parity: bool,
    /// Partitions that may be read at once.
    pub concurrency: usize,
    /// What the source is spared, and when the run pauses.
    pub caps: Caps,
    /// The partitions, in the order in which they are committed.
    pub partitions: Vec<PartitionPlan>,
    /// A name for everything that a resumed run must find unchanged.
    pub hash: String,
    /// What happens at the destination, for people.
    pub shown: Shown,
}

/// The limits of a run that its plan shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Caps {
    /// Connections to the source, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_connections: Option<u32>,
    /// Bytes that are read from the source in a second, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_bytes_per_second: Option<u64>,
    /// How long the run begins new partitions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_for_seconds: Option<u64>,
}

impl Caps {
    fn of(limits: &LimitsSpec) -> Self {
        Self {
            source_connections: limits.source_connections,
            source_bytes_per_second: limits.source_bandwidth.map(|bandwidth| bandwidth.0),
            run_for_seconds: limits.run_for.map(|time| time.as_secs()),
        }
    }
}

/// What becomes of rows that are gone from the source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deletes {
    /// As the pipeline says.
    pub spec: DeletesSpec,
    /// Whether somebody looked and lets this run delete what it wants.
    pub allowed_for_once: bool,
    /// Why the source may not show all of its rows to this user.
    pub hidden: Option<String>,
    /// Whether a full load carries rows over that are gone from the source.
    pub carries: bool,
}

/// What a plan shows of its destination.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shown {
    /// What the destination is called.
    pub noun: &'static str,
    /// The statements of a commit, with the file [`Shown::file`] of partition `<partition>`.
    pub commit: Vec<String>,
    /// The table's rows as they are before a commit.
    pub rows: String,
    /// The table's rows as a commit leaves them.
    pub rows_after: String,
    /// The folder of the run's staged files.
    pub stage: PathBuf,
    /// Options of the engine for staged files.
    pub stage_options: &'static str,
}

impl PipelinePlan {
    /// Whether what this run stages can be used by the next one if it does not end.
    #[must_use]
    pub fn keeps_staged(&self) -> bool {
        let bounded = self.watermark.is_some() || self.reuse.is_some();
        self.kind == PlanKind::Full && bounded && self.shape.followed().is_some() && !self.relation.grouped()
    }
}

/// Rows without a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NullRows {
    /// There can be none, or they are read with all others.
    Unaffected,
    /// If there are any, the run ends.
    Fail,
    /// They are counted and left out.
    Skip,
    /// They are a partition of their own.
    Include,
}

/// One partition.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionPlan {
    /// Its id, the same for the same bounds.
    pub id: String,
    /// Its rows.
    pub range: Range,
    /// How many they are, by the source's statistics.
    pub expected_rows: Option<u64>,
    /// The watermark once it is in.
    pub watermark: Option<CursorValue>,
    /// Whether only rows that differ from the lake's are applied: rows that are read again with every run.
    pub changed_only: bool,
    /// Whether it is in already.
    pub done: bool,
    /// Whether it was compared after its commit.
    pub compared: bool,
    /// What an earlier attempt staged of it, to be used again, or to be compared if it is in.
    pub staged: Option<StagedRecord>,
    /// How it is read.
    pub scan: Scan,
    /// The same for people: without texts of rows that it is cut by. `None` if there are none.
    pub shown_scan: Option<Scan>,
    /// What has to be asked of the source once it is staged.
    pub questions: Vec<Question>,
    /// How the source counts it.
    pub count: String,
}

impl PartitionPlan {
    /// How `range` of a relation is read and counted.
    pub(crate) fn new(
        connector: &dyn Connector,
        relation: &Relation,
        shape: &Shape,
        range: Range,
        expected_rows: Option<u64>,
    ) -> Self {
        let request = ScanRequest {
            relation: relation.clone(),
            columns: shape.read_columns().cloned().collect(),
            range,
        };
        let DoubtfulScan { mut scan, doubts } =
            connector.doubtful_scan(SOURCE, &request).unwrap_or_else(|| {
                let scan = connector.scan(SOURCE, &request);
                DoubtfulScan {
                    scan,
                    doubts: Vec::new(),
                }
            });
        let questions = doubts.into_iter().map(|doubt| {
            let read = request
                .columns
                .iter()
                .find(|read| read.column.name == doubt.column)
                .expect("a doubt is about a column of the request");
            let column = read.source.name.clone();
            let ask = |range: &Range| connector.confirm(SOURCE, &request.relation, range, &column, None);
            Question {
                all: ask(&request.range),
                shown: ask(&request.range.shown()),
                column: column.clone(),
                suspicious: doubt.suspicious,
                reason: doubt.reason,
            }
        });
        let questions = questions.collect();
        let count = connector.count(SOURCE, &request.relation, &request.range);
        let shown = request.range.shown();
        let mut shown_scan = (shown != request.range).then(|| {
            let request = ScanRequest {
                range: shown,
                ..request.clone()
            };
            connector.scan(SOURCE, &request)
        });
        if let Some(hash) = shape.hashed() {
            for scan in [Some(&mut scan), shown_scan.as_mut()].into_iter().flatten() {
                scan.sql = statement::with_row_hash(&scan.sql, shape, hash);
            }
        }
        if let Some(mark) = shape.marked() {
            for scan in [Some(&mut scan), shown_scan.as_mut()].into_iter().flatten() {
                scan.sql = statement::with_mark(&scan.sql, mark);
            }
        }
        Self {
            id: partition::id(&request.range),
            range: request.range,
            expected_rows,
            watermark: None,
            changed_only: false,
            done: false,
            compared: false,
            staged: None,
            scan,
            shown_scan,
            questions,
            count,
        }
    }
}

/// What is asked of the source if staged rows met a [doubt](pintail_lake::connector::Doubt).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The column in the source.
    pub column: String,
    /// Which staged rows are in doubt: a condition of the engine.
    pub suspicious: String,
    /// Whether the doubt is right for any row of the partition.
    pub all: String,
    /// The same for people.
    pub shown: String,
    /// Why a row is refused then.
    pub reason: String,
}
