//! What earlier runs left: the watermark, and a run that did not end.

use std::path::PathBuf;

use jiff::Timestamp;
use pintail_model::{CursorValue, PartitionKey, Range, RunId};
use rusqlite::{OptionalExtension, Row, params};

use super::{Baseline, Measured, Pace, State, unite};
use crate::error::Result;

/// What a plan needs to know of earlier runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// Why the next run is a full load, whatever the lake's ledger says.
    pub start_fresh: Option<String>,
    /// How far the source was read. Beside `start_fresh` if the last comparison found a difference.
    pub watermark: Option<StoredWatermark>,
    /// The newest run that did not end.
    pub unfinished: Option<UnfinishedRun>,
    /// What is kept of the last comparison that proved both sides equal.
    pub baseline: Option<Baseline>,
    /// The last comparison of each way, the newest first.
    pub comparisons: Vec<Measured>,
    /// How fast the source changes.
    pub pace: Option<Pace>,
    /// When the newest run began that looked at all rows.
    pub whole_at: Option<Timestamp>,
}

/// A watermark and what it holds for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredWatermark {
    /// The first value that was not read.
    pub value: CursorValue,
    /// The cursor's name in the source.
    pub column: String,
    /// The strategy that moved it.
    pub strategy: String,
    /// The newest entry of the lake's ledger with a watermark at that time.
    pub last_key: Option<PartitionKey>,
    /// The lake's number of the table.
    pub table_id: Option<i64>,
    /// What was read: the source's address and table.
    pub source: String,
}

/// A run that did not end.
#[derive(Debug, Clone, PartialEq)]
pub struct UnfinishedRun {
    /// Its id.
    pub run: RunId,
    /// Its strategy.
    pub strategy: String,
    /// `full` or `delta`.
    pub kind: String,
    /// The hash of its plan.
    pub plan_hash: String,
    /// When it began.
    pub started_at: Timestamp,
    /// The cursor below which everything was visible when it began to read.
    pub bound: Option<CursorValue>,
    /// Its partitions, in order.
    pub partitions: Vec<FrozenPartition>,
}

/// A partition as it was frozen.
#[derive(Debug, Clone, PartialEq)]
pub struct FrozenPartition {
    /// Its id.
    pub id: String,
    /// Its rows.
    pub range: Range,
    /// How many were expected.
    pub expected_rows: Option<u64>,
    /// The watermark once it is in.
    pub watermark: Option<CursorValue>,
    /// Whether only rows that differ from the lake's are applied.
    pub changed_only: bool,
    /// How often it was staged.
    pub attempts: u32,
    /// Whether it had nothing to commit, so that the ledger does not know it.
    pub empty: bool,
    /// Whether it was compared after its commit.
    pub compared: bool,
    /// The file that holds its rows, if it was staged and not compared yet.
    pub staged: Option<StagedRecord>,
}

/// A staged file as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedRecord {
    /// Where it lies.
    pub path: PathBuf,
    /// Rows in it.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// The checksum of its rows, in hexadecimal; absent if none was taken.
    pub checksum: Option<String>,
}

impl UnfinishedRun {
    /// Partitions with rows that were not compared after their commit, as far as this state knows.
    #[must_use]
    pub fn uncompared(&self) -> usize {
        let open = |partition: &&FrozenPartition| !partition.empty && !partition.compared;
        self.partitions.iter().filter(open).count()
    }
}

impl State {
    /// What earlier runs of `pipeline` left.
    pub fn history(&self, pipeline: &str) -> Result<History> {
        let failed = self.failed("read");
        let fresh: Option<Option<String>> = self
            .connection
            .query_row(
                "select start_fresh from pipelines where pipeline = ?",
                [pipeline],
                |row| row.get(0),
            )
            .optional()
            .map_err(&failed)?;
        let watermark = self
            .connection
            .query_row(
                "select watermark_type, watermark, cursor_column, strategy, last_key, table_id, source
                 from pipelines
                 where pipeline = ? and watermark is not null",
                [pipeline],
                stored_watermark,
            )
            .optional()
            .map_err(&failed)?
            .flatten();
        Ok(History {
            start_fresh: fresh.flatten(),
            watermark,
            unfinished: self.unfinished(pipeline)?,
            baseline: self.baseline(pipeline)?,
            comparisons: self.comparisons(pipeline)?,
            pace: self.pace(pipeline)?,
            whole_at: self.whole_at(pipeline)?,
        })
    }

    fn unfinished(&self, pipeline: &str) -> Result<Option<UnfinishedRun>> {
        let failed = self.failed("read");
        let run = self
            .connection
            .query_row(
                "select run_id, strategy, kind, plan_hash, started_at, bound_type, bound
                 from runs
                 where pipeline = ? and status in ('running', 'failed', 'interrupted', 'paused')
                 order by started_at desc, run_id desc
                 limit 1",
                [pipeline],
                |row| {
                    let started_at: String = row.get(4)?;
                    Ok(UnfinishedRun {
                        run: RunId::from_stored(row.get::<_, String>(0)?),
                        strategy: row.get(1)?,
                        kind: row.get(2)?,
                        plan_hash: row.get(3)?,
                        started_at: started_at.parse().unwrap_or(Timestamp::UNIX_EPOCH),
                        bound: unite(row.get(5)?, row.get(6)?),
                        partitions: Vec::new(),
                    })
                },
            )
            .optional()
            .map_err(&failed)?;
        let Some(run) = run else {
            return Ok(None);
        };
        let mut statement = self
            .connection
            .prepare(
                "select partition_id, range, expected_rows, watermark_type, watermark, changed_only, attempts,
                        status, file, rows, bytes, checksum
                 from partitions
                 where pipeline = ? and run_id = ?
                 order by position",
            )
            .map_err(&failed)?;
        let partitions = statement
            .query_map(params![pipeline, run.run.as_str()], frozen_partition)
            .and_then(Iterator::collect::<rusqlite::Result<Option<Vec<_>>>>)
            .map_err(&failed)?;
        // A plan that cannot be read is no plan: the run is left behind like one whose plan has changed.
        Ok(Some(UnfinishedRun {
            partitions: partitions.unwrap_or_default(),
            ..run
        }))
    }
}

fn stored_watermark(row: &Row<'_>) -> rusqlite::Result<Option<StoredWatermark>> {
    let Some(value) = unite(row.get(0)?, row.get(1)?) else {
        return Ok(None);
    };
    Ok(Some(StoredWatermark {
        value,
        column: row.get(2)?,
        strategy: row.get(3)?,
        last_key: row.get::<_, Option<String>>(4)?.map(PartitionKey::from_stored),
        table_id: row.get(5)?,
        source: row.get(6)?,
    }))
}

fn frozen_partition(row: &Row<'_>) -> rusqlite::Result<Option<FrozenPartition>> {
    let range: String = row.get(1)?;
    let Ok(range) = serde_json::from_str(&range) else {
        return Ok(None);
    };
    let status: String = row.get(7)?;
    let file: Option<String> = row.get(8)?;
    let compared = status == "committed" && file.is_none();
    let staged = match file.filter(|_| matches!(status.as_str(), "staged" | "committed")) {
        Some(file) => Some(StagedRecord {
            path: PathBuf::from(file),
            rows: row.get(9)?,
            bytes: row.get(10)?,
            checksum: row.get(11)?,
        }),
        None => None,
    };
    Ok(Some(FrozenPartition {
        id: row.get(0)?,
        range,
        expected_rows: row.get(2)?,
        watermark: unite(row.get(3)?, row.get(4)?),
        changed_only: row.get(5)?,
        attempts: row.get(6)?,
        empty: status == "empty",
        compared,
        staged,
    }))
}
