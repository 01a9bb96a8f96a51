//! What happened, in numbers: for people, for programs, and for the metrics folder.
//!
//! ```text
//! data/metrics/<pipeline>/<run_id>.json              the newest attempt at a run
//!                         <run_id>.attempt-1.json    its first attempt, if it was cut off and goes on
//!                         latest_run.json            the newest attempt of all
//! ```
//!
//! A report counts what its own attempt did.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use pintail_model::{ErrorKind, RunId};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::file_name::file_name;
use crate::plan::PlanKind;
use crate::progress::Phase;
use crate::resources::Resources;
use crate::state::RunStatus;

/// The newest report of a run that compared both sides and changed neither, beside the others of its pipeline.
pub const LATEST_PROOF: &str = "latest_proof.json";

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SyncReport {
    /// The run. A resumed run keeps its id.
    pub run_id: RunId,
    /// The pipeline.
    pub pipeline: String,
    /// The strategy's name.
    pub strategy: String,
    /// How it ended.
    pub status: RunStatus,
    /// When this attempt began.
    pub started_at: Timestamp,
    /// When it ended.
    pub completed_at: Timestamp,
    /// Seconds between the two.
    pub duration_seconds: f64,
    /// Rows read from the source.
    pub rows_processed: u64,
    /// Rows that are new in the lake.
    pub rows_inserted: u64,
    /// Rows of the lake that were replaced.
    pub rows_updated: u64,
    /// Rows of the lake that went.
    pub rows_deleted: u64,
    /// Partitions of the plan.
    pub partitions_total: u64,
    /// Those that this attempt brought in.
    pub partitions_processed: u64,
    /// Those that were in before it.
    pub partitions_skipped: u64,
    /// Errors that ended it.
    pub errors: u64,
    /// How far the source is provably read.
    pub watermark: Option<String>,
    /// Whether both sides are the same.
    pub parity: Parity,
    /// What it cost.
    pub resources: Resources,
    /// `full` or `delta`.
    pub kind: String,
    /// Why this strategy.
    pub reason: String,
    /// How both sides were compared, and why so, where that was a choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compare: Option<String>,
    /// What was read, without secrets.
    pub source: Endpoint,
    /// What was written, without secrets.
    pub destination: Endpoint,
    /// Whether it went on where another attempt ended.
    pub resumed: bool,
    /// The newest snapshot of the lake that holds its rows; absent if nothing was committed.
    pub snapshot: Option<i64>,
    /// What the commits needed.
    pub commits: Commits,
    /// What was tried again.
    pub retries: Retried,
    /// Bytes of the files that it staged.
    pub bytes_staged: u64,
    /// In what both sides differ, after they were only compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
    /// What each partition took.
    pub partition_times: Vec<PartitionTime>,
    /// What one should know about it.
    pub notes: Vec<String>,
    /// The pass that looked for deleted rows after it: see [`DetectDeletes`](crate::spec::DetectDeletes).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_pass: Option<Box<SyncReport>>,
    /// The error that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// One side of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    /// The system's address, without secrets.
    pub address: String,
    /// The table.
    pub table: String,
}

/// Both sides compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Parity {
    /// What came out.
    pub status: ParityStatus,
    /// Where the source's checksums come from; absent without a comparison.
    pub source: Option<ParitySource>,
    /// Leaves that were compared.
    pub leaves: u64,
    /// Leaves that differ.
    pub mismatched: u64,
    /// Rows by the source's own count.
    pub rows_counted: u64,
    /// Rows as they were read.
    pub rows_read: u64,
    /// Rows as the lake gives them back.
    pub rows_committed: u64,
    /// Both sums over all rows as they were read, in hexadecimal.
    pub checksum: Option<String>,
    /// The first leaves that differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mismatches: Vec<String>,
}

/// What a comparison says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ParityStatus {
    /// Both sides are the same.
    Ok,
    /// They are not.
    Mismatch,
    /// Nobody looked at some of the rows, or at any.
    #[default]
    Unproven,
    /// There was nothing to read, and so nothing to compare.
    Unchanged,
}

/// Where the checksums of the source come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ParitySource {
    /// From the rows as they were read.
    Streamed,
    /// Some or all of them from the rows that an earlier attempt had staged, read again.
    Rescanned,
    /// Some or all of them from an earlier comparison: the source says that these rows are as they were then.
    Stored,
}

/// In what both sides differ.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// Keys that the source has and the destination has not.
    pub missing: u64,
    /// Keys of both whose rows are not the same.
    pub changed: u64,
    /// Keys that the destination has and the source has not.
    pub extra: u64,
    /// Rows of the source that changed after it was last read: they are for the next run, and no drift.
    pub pending: u64,
    /// The first of the keys, if they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<DriftingKey>,
}

/// A key whose rows differ. Never more than the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DriftingKey {
    /// How: `missing`, `changed` or `extra`.
    pub what: &'static str,
    /// The values of the key's columns, in their order.
    pub key: Vec<Option<String>>,
}

/// What the commits of a run needed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Commits {
    /// Commits.
    pub count: u64,
    /// Times that an error was answered by asking the ledger.
    pub asked: u64,
    /// Files that were put back after a lost answer.
    pub repaired: u64,
}

/// What was tried again because a connection broke or nobody answered.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Retried {
    /// How often.
    pub count: u64,
    /// Seconds that were waited before.
    pub waited_seconds: f64,
    /// What, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub of: Vec<RetriedStep>,
}

/// One sort of what was tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RetriedStep {
    /// What the run did.
    pub phase: Phase,
    /// The kind of the error that came in the way.
    pub kind: ErrorKind,
    /// How often.
    pub times: u64,
}

impl Retried {
    /// Adds one attempt.
    pub(crate) fn add(&mut self, phase: Phase, kind: ErrorKind, wait: Duration) {
        self.count += 1;
        self.waited_seconds += wait.as_secs_f64();
        match self
            .of
            .iter_mut()
            .find(|step| (step.phase, step.kind) == (phase, kind))
        {
            Some(step) => step.times += 1,
            None => self.of.push(RetriedStep {
                phase,
                kind,
                times: 1,
            }),
        }
    }
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartitionTime {
    /// Its id.
    pub partition_id: String,
    /// Rows read.
    pub rows: u64,
    /// Seconds until its rows were staged.
    pub read_seconds: f64,
    /// Seconds of its commit; absent where all partitions are committed as one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit_seconds: Option<f64>,
}

/// The error that ended a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// What to do about it.
    pub kind: String,
    /// What happened.
    pub message: String,
    /// The way out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Failure {
    /// An error and its causes in one line.
    #[must_use]
    pub fn of(error: &Error) -> Self {
        let mut message = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(inner) = cause {
            message.push_str(": ");
            message.push_str(&inner.to_string());
            cause = inner.source();
        }
        Self {
            kind: error.kind().to_string(),
            message,
            hint: error.hint(),
        }
    }
}

impl SyncReport {
    /// Where the metrics of a pipeline lie, below the folder of all of them.
    #[must_use]
    pub fn folder(metrics: &Path, pipeline: &str) -> PathBuf {
        metrics.join(file_name(pipeline))
    }

    /// Writes the metrics file of the run below the folder of all metrics, and `latest_run.json` beside it. What an earlier attempt wrote is kept.
    pub fn write(&self, metrics: &Path) -> Result<PathBuf> {
        let folder = Self::folder(metrics, &self.pipeline);
        let path = folder.join(format!("{}.json", self.run_id));
        let mut text = serde_json::to_string_pretty(self).expect("a report has a JSON form");
        text.push('\n');
        std::fs::create_dir_all(&folder).map_err(|source| Error::File {
            action: "create folder",
            path: folder.clone(),
            source,
        })?;
        let earlier = (1..)
            .map(|attempt| folder.join(format!("{}.attempt-{attempt}.json", self.run_id)))
            .find(|earlier| !earlier.exists())
            .expect("numbers do not end");
        match std::fs::rename(&path, &earlier) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::File {
                    action: "write",
                    path: earlier,
                    source,
                });
            }
            _ => {}
        }
        let proves = self.kind == PlanKind::Verify.as_str() && self.error.is_none();
        let proof = proves.then(|| folder.join(LATEST_PROOF));
        for path in [&path, &folder.join("latest_run.json")].into_iter().chain(&proof) {
            // A reader sees the old report or the new one.
            let fresh = path.with_extension("json.new");
            std::fs::write(&fresh, &text)
                .and_then(|()| std::fs::rename(&fresh, path))
                .map_err(|source| Error::File {
                    action: "write",
                    path: path.clone(),
                    source,
                })?;
        }
        Ok(path)
    }
}
