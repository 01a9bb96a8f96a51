//! The steps of a run, as they are written down.

use jiff::Timestamp;
use pintail_model::{CursorValue, Range, RunId};
use rusqlite::{Transaction, params};

use super::{RunStatus, StagedRecord, State, StoredWatermark, split};
use crate::error::Result;

/// Runs of a pipeline that the state remembers; metrics files keep all of them.
const RUNS_KEPT: u32 = 100;

/// A run that is about to begin.
#[derive(Debug, Clone)]
pub struct NewRun<'a> {
    /// The pipeline.
    pub pipeline: &'a str,
    /// Its id.
    pub run: &'a RunId,
    /// The strategy's name.
    pub strategy: &'a str,
    /// `full` or `delta`.
    pub kind: &'a str,
    /// The hash of the plan.
    pub plan_hash: &'a str,
    /// When it begins.
    pub started_at: Timestamp,
    /// The cursor below which everything is visible.
    pub bound: Option<CursorValue>,
}

/// A partition that is frozen with it.
#[derive(Debug, Clone)]
pub struct NewPartition<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its rows.
    pub range: &'a Range,
    /// How many are expected.
    pub expected_rows: Option<u64>,
    /// The watermark once it is in.
    pub watermark: Option<CursorValue>,
    /// Whether only rows that differ from the lake's are applied.
    pub changed_only: bool,
}

/// A partition that is in.
#[derive(Debug, Clone, Copy)]
pub struct CommittedRecord {
    /// Rows that were read.
    pub rows: u64,
    /// Whether there was nothing to commit, so that the ledger does not know it.
    pub empty: bool,
    /// When.
    pub at: Timestamp,
}

impl State {
    /// Freezes a plan. Every earlier run of the pipeline that did not end is abandoned.
    pub fn begin_run(&mut self, run: &NewRun<'_>, partitions: &[NewPartition<'_>]) -> Result<()> {
        self.transaction("write", |transaction| {
            transaction.execute(
                "update runs set status = 'abandoned' where pipeline = ? and status in ('running', 'failed', 'interrupted', 'paused')",
                [run.pipeline],
            )?;
            let (bound_type, bound) = split(run.bound);
            transaction.execute(
                "insert into runs (run_id, pipeline, strategy, kind, status, plan_hash, started_at, bound_type, bound)
                 values (?, ?, ?, ?, 'running', ?, ?, ?, ?)",
                params![
                    run.run.as_str(),
                    run.pipeline,
                    run.strategy,
                    run.kind,
                    run.plan_hash,
                    run.started_at.to_string(),
                    bound_type,
                    bound
                ],
            )?;
            insert_partitions(transaction, run.pipeline, run.run, 0, partitions)
        })
    }

    /// Marks an unfinished run as running again, with more partitions from position `first` on.
    pub fn resume_run(
        &mut self,
        pipeline: &str,
        run: &RunId,
        first: usize,
        more: &[NewPartition<'_>],
    ) -> Result<()> {
        self.transaction("write", |transaction| {
            transaction.execute(
                "update runs set status = 'running', error = null where pipeline = ? and run_id = ?",
                params![pipeline, run.as_str()],
            )?;
            insert_partitions(transaction, pipeline, run, first, more)
        })
    }

    /// Forgets what an unfinished run staged, and its partitions from position `first` on: it begins again with
    /// another bound.
    pub fn restart_run(
        &mut self,
        pipeline: &str,
        run: &RunId,
        first: usize,
        bound: Option<CursorValue>,
    ) -> Result<()> {
        self.transaction("write", |transaction| {
            let (bound_type, bound) = split(bound);
            transaction.execute(
                "update runs set bound_type = ?, bound = ? where pipeline = ? and run_id = ?",
                params![bound_type, bound, pipeline, run.as_str()],
            )?;
            transaction.execute(
                "delete from partitions where pipeline = ? and run_id = ? and position >= ?",
                params![pipeline, run.as_str(), first],
            )?;
            transaction.execute(
                "update partitions set status = 'planned', file = null where pipeline = ? and run_id = ?",
                params![pipeline, run.as_str()],
            )?;
            Ok(())
        })
    }

    /// How often a partition was staged.
    pub fn attempt_of(&self, pipeline: &str, run: &RunId, position: usize) -> Result<u32> {
        let failed = self.failed("read");
        self.connection
            .query_row(
                "select attempts from partitions where pipeline = ? and run_id = ? and position = ?",
                params![pipeline, run.as_str(), position],
                |row| row.get(0),
            )
            .map_err(failed)
    }

    /// Counts an attempt at a partition before its file is written, so that no name is used twice. Returns its number.
    pub fn attempt(&mut self, pipeline: &str, run: &RunId, position: usize) -> Result<u32> {
        let mut attempts = 0;
        self.transaction("write", |transaction| {
            attempts = transaction.query_row(
                "update partitions set attempts = attempts + 1, status = 'planned', file = null
                 where pipeline = ? and run_id = ? and position = ?
                 returning attempts",
                params![pipeline, run.as_str(), position],
                |row| row.get(0),
            )?;
            Ok(())
        })?;
        Ok(attempts)
    }

    /// Records a staged file, which is safe on disk.
    pub fn staged(
        &mut self,
        pipeline: &str,
        run: &RunId,
        position: usize,
        staged: &StagedRecord,
    ) -> Result<()> {
        self.transaction("write", |transaction| {
            transaction.execute(
                "update partitions set status = 'staged', file = ?, rows = ?, bytes = ?, checksum = ?
                 where pipeline = ? and run_id = ? and position = ?",
                params![
                    staged.path.to_string_lossy(),
                    staged.rows,
                    staged.bytes,
                    staged.checksum,
                    pipeline,
                    run.as_str(),
                    position
                ],
            )?;
            Ok(())
        })
    }

    /// Records that a partition is in the lake, or that it had no rows; moves the watermark with it. Its file stays
    /// on record until it is [compared](State::compared).
    pub fn committed(
        &mut self,
        pipeline: &str,
        run: &RunId,
        position: usize,
        record: CommittedRecord,
        watermark: Option<&StoredWatermark>,
    ) -> Result<()> {
        self.transaction("write", |transaction| {
            transaction.execute(
                "update partitions
                 set status = ?1, rows = ?2, completed_at = ?3, file = case when ?1 = 'committed' then file end
                 where pipeline = ?4 and run_id = ?5 and position = ?6",
                params![
                    if record.empty { "empty" } else { "committed" },
                    record.rows,
                    record.at.to_string(),
                    pipeline,
                    run.as_str(),
                    position
                ],
            )?;
            match watermark {
                Some(watermark) => move_watermark(transaction, pipeline, watermark, record.at),
                None => Ok(()),
            }
        })
    }

    /// Records that the lake gives back what a partition brought.
    pub fn compared(&mut self, pipeline: &str, run: &RunId, position: usize) -> Result<()> {
        self.transaction("write", |transaction| {
            transaction.execute(
                "update partitions set file = null where pipeline = ? and run_id = ? and position = ?",
                params![pipeline, run.as_str(), position],
            )?;
            Ok(())
        })
    }

    /// Remembers that a comparison found a difference, until a full load has settled it. The watermark stays, for a
    /// delta that somebody insists on.
    pub fn remember_difference(&mut self, pipeline: &str) -> Result<()> {
        self.transaction("write", |transaction| {
            transaction.execute(
                "insert into pipelines (pipeline, start_fresh) values (?, 'the last comparison found a difference')
                 on conflict (pipeline) do update set start_fresh = excluded.start_fresh",
                [pipeline],
            )?;
            transaction.execute("delete from baselines where pipeline = ?", [pipeline])?;
            Ok(())
        })
    }

    /// Sets the watermark of a full load: whatever spoke against going on from it is settled.
    pub fn set_watermark(
        &mut self,
        pipeline: &str,
        watermark: &StoredWatermark,
        at: Timestamp,
    ) -> Result<()> {
        self.transaction("write", |transaction| {
            move_watermark(transaction, pipeline, watermark, at)?;
            transaction.execute(
                "update pipelines set start_fresh = null where pipeline = ?",
                [pipeline],
            )?;
            Ok(())
        })
    }

    /// Stores a watermark that did not move: the newest entry of the ledger is another one.
    pub fn keep_watermark(
        &mut self,
        pipeline: &str,
        watermark: &StoredWatermark,
        at: Timestamp,
    ) -> Result<()> {
        self.transaction("write", |transaction| {
            move_watermark(transaction, pipeline, watermark, at)
        })
    }

    /// Forgets the watermark: a full load is in that set none.
    pub fn forget_watermark(&mut self, pipeline: &str) -> Result<()> {
        self.transaction("write", |transaction| {
            transaction.execute(
                "insert or replace into pipelines (pipeline, start_fresh) values (?, 'the last load set no watermark')",
                [pipeline],
            )?;
            Ok(())
        })
    }

    /// Forgets runs that are over and whose files were swept, and all but the newest of the others.
    pub fn prune(&mut self, pipeline: &str) -> Result<()> {
        self.transaction("write", |transaction| {
            transaction.execute(
                "delete from runs
                 where pipeline = ?1
                   and (status = 'abandoned'
                        or run_id not in (
                            select run_id from runs where pipeline = ?1 order by started_at desc, run_id desc limit ?2
                        ))",
                params![pipeline, RUNS_KEPT],
            )?;
            transaction.execute(
                "delete from partitions
                 where pipeline = ?1 and run_id not in (select run_id from runs where pipeline = ?1)",
                [pipeline],
            )?;
            Ok(())
        })
    }

    /// Ends a run.
    pub fn finish_run(
        &mut self,
        pipeline: &str,
        run: &RunId,
        status: RunStatus,
        at: Timestamp,
        error: Option<&str>,
    ) -> Result<()> {
        self.transaction("write", |transaction| {
            transaction.execute(
                "update runs set status = ?, completed_at = ?, error = ? where pipeline = ? and run_id = ?",
                params![status.as_str(), at.to_string(), error, pipeline, run.as_str()],
            )?;
            Ok(())
        })
    }

    pub(super) fn transaction(
        &mut self,
        action: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<()> {
        let failed = self.failed(action);
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .map_err(&failed)?;
        work(&transaction)
            .and_then(|()| transaction.commit())
            .map_err(failed)
    }
}

/// Writes partitions down; one that was there keeps its attempts, so that no name of a file is used twice.
fn insert_partitions(
    transaction: &Transaction<'_>,
    pipeline: &str,
    run: &RunId,
    first: usize,
    partitions: &[NewPartition<'_>],
) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare(
        "insert into partitions
             (pipeline, run_id, position, partition_id, range, expected_rows, watermark_type, watermark, changed_only)
         values (?, ?, ?, ?, ?, ?, ?, ?, ?)
         on conflict (pipeline, run_id, position) do update
         set partition_id = excluded.partition_id, range = excluded.range, status = 'planned', file = null",
    )?;
    for (position, partition) in partitions.iter().enumerate() {
        let (watermark_type, watermark) = split(partition.watermark);
        let range = serde_json::to_string(partition.range).expect("a range has a JSON form");
        insert.execute(params![
            pipeline,
            run.as_str(),
            first + position,
            partition.id,
            range,
            partition.expected_rows,
            watermark_type,
            watermark,
            partition.changed_only
        ])?;
    }
    Ok(())
}

fn move_watermark(
    transaction: &Transaction<'_>,
    pipeline: &str,
    watermark: &StoredWatermark,
    at: Timestamp,
) -> rusqlite::Result<()> {
    let (watermark_type, value) = split(Some(watermark.value));
    transaction.execute(
        "insert into pipelines
             (pipeline, strategy, cursor_column, watermark_type, watermark, last_key, table_id, source, moved_at)
         values (?, ?, ?, ?, ?, ?, ?, ?, ?)
         on conflict (pipeline) do update
         set strategy = excluded.strategy, cursor_column = excluded.cursor_column,
             watermark_type = excluded.watermark_type, watermark = excluded.watermark, last_key = excluded.last_key,
             table_id = excluded.table_id, source = excluded.source, moved_at = excluded.moved_at",
        params![
            pipeline,
            watermark.strategy,
            watermark.column,
            watermark_type,
            value,
            watermark.last_key.as_ref().map(|key| key.as_str().to_owned()),
            watermark.table_id,
            watermark.source,
            at.to_string()
        ],
    )?;
    Ok(())
}
