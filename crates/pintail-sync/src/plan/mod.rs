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
mod json;
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

use pintail_lake::connector::{Connector, DoubtfulScan, Scan, ScanRequest};
use pintail_lake::{DestinationPlace, Relation};
use pintail_model::{CursorValue, ErrorKind, Range, RunId, TableName, checksum};
use serde::Serialize;

pub use choose::{ASKED_FOR, Candidate, Candidates, Choice, Chosen, choose};
pub use cut::{Bounds, Wish};
pub use facts::{Asked, Facts, Task, Versions};
pub use groups::Changed;
pub use reuse::Reuse;
pub use show::{Side, Statement};
pub use way::{Comparison, Keep, Sums, Way};

use crate::error::{Error, Result};
use crate::memberships::Memberships;
use crate::partition;
use crate::report::Endpoint;
use crate::shape::Shape;
use crate::spec::{DeletePolicy, DeletesSpec, DeltaSpec, DetectDeletes, LimitsSpec, PipelineSpec};
use crate::state::{StagedRecord, UnfinishedRun};

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

/// Makes a plan.
///
/// # Errors
/// As [`choose`]; `Invalid` for an unknown time zone.
pub fn make(
    spec: &PipelineSpec,
    asked: &Asked,
    candidates: &Candidates<'_>,
    facts: &Facts,
    connector: &dyn Connector,
    place: &dyn DestinationPlace,
) -> Result<PipelinePlan> {
    refuse_marking(spec, facts)?;
    let mut choice = choose(spec, candidates, facts)?;
    let draft = Draft {
        spec,
        asked,
        facts,
        connector,
    };
    if facts.relation.grouped()
        && matches!(choice.kind, Chosen::Delta { .. })
        && let Some(obstacle) = groups::obstacle(&draft)
    {
        choice = choose::all_groups(&choice.strategy, format!("all groups are compared: {obstacle}"));
    }
    if matches!(choice.kind, Chosen::Hash(_)) {
        refuse_ignoring(spec, facts)?;
    }
    if let (Chosen::Full(_), Some(false)) = (&choice.kind, spec.destination.supports_update) {
        refuse_replacing(spec, facts, &choice)?;
    }
    if matches!(choice.kind, Chosen::Full(_)) && !candidates.asks_for_full() {
        refuse_forgetting(spec, facts, &choice)?;
    }
    let mut plan = match choice.kind.clone() {
        Chosen::Full(settings) => full::plan(&draft, choice, &settings, candidates.delta_spec()),
        Chosen::Delta { spec, low } if facts.relation.grouped() => groups::plan(&draft, choice, &spec, low)?,
        Chosen::Delta { spec, low } => delta::plan(&draft, choice, &spec, low)?,
        Chosen::Verify => verify::plan(&draft, choice, candidates.delta_spec()),
        Chosen::Hash(settings) => hash::plan(&draft, choice, &settings, candidates.delta_spec())?,
        Chosen::Deletes => hash::plan_deletes(&draft, choice, candidates.delta_spec()),
    };
    if matches!(plan.kind, PlanKind::Delta | PlanKind::Groups) && facts.history.start_fresh.is_some() {
        let note = "the last comparison found a difference, which only a full load settles";
        plan.notes.push(note.to_owned());
    }
    let follows = matches!(plan.kind, PlanKind::Delta | PlanKind::Groups) && asked.task == Task::Sync;
    if follows && spec.detect_deletes == DetectDeletes::AfterDeltas {
        let note = "a pass by keys follows, which looks for rows that are gone from the source";
        plan.notes.push(note.to_owned());
    }
    if let (Some(mark), true) = (plan.shape.marked(), facts.adds_mark) {
        plan.notes.push(format!(
            "column `{mark}` is added to the {}'s table, which does not have it yet",
            facts.noun
        ));
    }
    if let Some(left) = facts
        .history
        .unfinished
        .as_ref()
        .filter(|run| plan.resumes.as_ref() != Some(&run.run))
    {
        plan.notes.push(left_behind(left));
    }
    plan.shown = plan.shown_at(place);
    Ok(plan)
}

/// A full load puts other rows in the place of those that are there.
fn refuse_replacing(spec: &PipelineSpec, facts: &Facts, choice: &Choice) -> Result<()> {
    let Some(found) = facts.found.as_ref().filter(|found| found.rows > 0) else {
        return Ok(());
    };
    Err(Error::refused(
        ErrorKind::Conflict,
        format!(
            "a full load would replace the {} rows of table \"{}\", and `supports_update: false` says that rows are only \
             ever added to it; a full load would run because {}",
            found.rows, spec.destination.table, choice.reason
        ),
        "Empty the table first, name another one, or take `supports_update: false` out of the pipeline.",
    ))
}

/// A row that is gone can only be found again by its key.
fn refuse_marking(spec: &PipelineSpec, facts: &Facts) -> Result<()> {
    if spec.deletes.mark().is_none() || !facts.shape.key.is_empty() {
        return Ok(());
    }
    Err(Error::refused(
        ErrorKind::Invalid,
        format!(
            "`policy: soft` in `deletes` marks the rows of table \"{}\" that are gone from the source, and its rows have no key",
            facts.table.name
        ),
        "Name the key with `roles: [unique_column]` in `column_map`, or take `policy: hard`.",
    ))
}

/// Of rows without a key nobody can say which one of them changed and which one is gone.
fn refuse_ignoring(spec: &PipelineSpec, facts: &Facts) -> Result<()> {
    if spec.deletes.policy != DeletePolicy::Ignore || !facts.shape.key.is_empty() {
        return Ok(());
    }
    Err(Error::refused(
        ErrorKind::Invalid,
        format!(
            "table \"{}\" cannot be compared with `policy: ignore` in `deletes`: its rows have no key, so nobody can tell one \
             that is gone from one that changed",
            facts.table.name
        ),
        "Name the key with `roles: [unique_column]` in `column_map`, or take `policy: hard`.",
    ))
}

/// A full load that nobody asked for must not take away what is to stay.
fn refuse_forgetting(spec: &PipelineSpec, facts: &Facts, choice: &Choice) -> Result<()> {
    let Some(found) = facts.found.as_ref().filter(|found| found.rows > 0) else {
        return Ok(());
    };
    match spec.deletes.policy {
        DeletePolicy::Hard => return Ok(()),
        // They are carried over.
        DeletePolicy::Soft { .. } if found.fits => return Ok(()),
        DeletePolicy::Soft { .. } | DeletePolicy::Ignore => {}
    }
    Err(Error::refused(
        ErrorKind::Conflict,
        format!(
            "a full load would replace table \"{}\", and `policy: {}` in `deletes` says that rows which are gone from the \
             source stay; a full load would run because {}",
            spec.destination.table,
            spec.deletes.policy.word(),
            choice.reason
        ),
        "If they may go, ask for it with `--strategy full`.",
    ))
}

/// What is said of an unfinished run that the plan does not go on with.
fn left_behind(run: &UnfinishedRun) -> String {
    let staged = run
        .partitions
        .iter()
        .filter(|partition| partition.staged.is_some())
        .count();
    let id = &run.run;
    if run.kind == PlanKind::Full.as_str() && staged > 0 {
        return format!(
            "run {id} ended before its commit: its {staged} staged partitions belong to a snapshot of the source that \
             is gone, and cannot be proven to fit to this run"
        );
    }
    format!("run {id}, which did not end, is left behind: this run does other work")
}

/// What both kinds of plan are made from.
struct Draft<'a> {
    spec: &'a PipelineSpec,
    asked: &'a Asked,
    facts: &'a Facts,
    connector: &'a dyn Connector,
}

/// Partitions that are read at once where nothing is said: more connections bring little on one network, and
/// every one of them is a burden for the source.
const CONCURRENCY: u32 = 2;

impl Draft<'_> {
    /// Gives a plan the one partition in which both sides are compared.
    fn compare(&self, plan: &mut PipelinePlan) {
        let (facts, shape) = (self.facts, plan.shape.read_for_hashes(&plan.compared));
        let partition = PartitionPlan::new(
            self.connector,
            &facts.relation,
            &shape,
            Range::Whole,
            facts.table.rows,
        );
        plan.partitions.push(partition);
    }

    /// A plan without partitions.
    fn plan(&self, choice: Choice, kind: PlanKind, hash: String) -> PipelinePlan {
        let Self {
            spec, asked, facts, ..
        } = self;
        let shared = facts.capabilities.shared_snapshot;
        let wanted = spec.max_concurrent_partitions.unwrap_or(CONCURRENCY);
        let wanted = wanted.min(spec.limits.source_connections.unwrap_or(u32::MAX));
        PipelinePlan {
            pipeline: spec.name.clone(),
            strategy: choice.strategy,
            kind,
            reason: choice.reason,
            notes: Vec::new(),
            resumes: None,
            source: Endpoint {
                address: facts.source_address.clone(),
                table: facts.table.name.to_string(),
            },
            destination: Endpoint {
                address: facts.destination_address.clone(),
                table: spec.destination.table.to_string(),
            },
            source_table: facts.table.name.clone(),
            relation: facts.relation.clone(),
            table: spec.destination.table.clone(),
            shape: facts.shape.clone(),
            compared: facts.shape.compared.clone(),
            comparison: Comparison::default(),
            table_rows: facts.table.rows,
            table_bytes: facts.table.bytes,
            low: None,
            again: None,
            watermark: None,
            null_rows: NullRows::Unaffected,
            null_count: None,
            whole_count: None,
            changed: None,
            members: groups::memberships(self),
            reuse: None,
            append_only: spec.destination.supports_update == Some(false),
            deletes: Deletes {
                spec: spec.deletes.clone(),
                allowed_for_once: asked.allow_deletes,
                hidden: facts.hidden.clone(),
                carries: spec.deletes.mark().is_some()
                    && facts.found.as_ref().is_some_and(|table| table.fits),
            },
            keys_named: match asked.task {
                Task::Verify { keys_named } => keys_named,
                Task::Sync | Task::Deletes => 0,
            },
            parity: asked.parity || asked.task != Task::Sync,
            caps: Caps::of(&spec.limits),
            concurrency: if shared { wanted.max(1) as usize } else { 1 },
            partitions: Vec::new(),
            hash,
            shown: Shown::default(),
        }
    }

    fn partition(&self, range: Range, expected_rows: Option<u64>) -> PartitionPlan {
        let (facts, connector) = (self.facts, self.connector);
        PartitionPlan::new(connector, &facts.relation, &facts.shape, range, expected_rows)
    }

    /// A name for what a resumed run must find unchanged.
    fn hash(&self, kind: PlanKind, strategy: &str, delta: Option<&DeltaSpec>) -> String {
        let shape = &self.facts.shape;
        let columns: Vec<_> = shape
            .columns
            .iter()
            .map(|read| {
                (
                    &read.source.name,
                    &read.source.source_type,
                    &read.source.identity,
                    &read.column,
                )
            })
            .collect();
        let cursor = shape.followed();
        let table = self.spec.destination.table.to_string();
        let storage = (kind == PlanKind::Full).then_some(&self.facts.table.storage_identity);
        let source = &self.facts.source_identity;
        // A frozen delta knows nothing of a policy that was changed since.
        let settings = delta.map(|delta| format!("{delta:?}"));
        let text = serde_json::to_string(&(
            1, kind, strategy, source, table, columns, &shape.key, cursor, storage, settings,
        ))
        .expect("names and numbers have a JSON form");
        format!("{:016x}", checksum::bytes_word(text.as_bytes()))
    }
}
