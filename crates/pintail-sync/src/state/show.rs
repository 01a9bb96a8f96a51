//! The state as people and programs see it, and the way to start over.

use pintail_config::nearest::did_you_mean;
use pintail_model::{CursorValue, ErrorKind, RunId};
use rusqlite::{OptionalExtension, params};
use serde::Serialize;

use super::{State, unite};
use crate::error::{Error, Result};

/// The newest run of one strategy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StrategyState {
    /// The pipeline.
    pub pipeline_id: String,
    /// The strategy.
    pub strategy: String,
    /// The run.
    pub run_id: String,
    /// Where it stands.
    pub status: String,
    /// When it began.
    pub started_at: String,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<String>,
    /// The last partition that is in.
    pub last_completed_partition: Option<LastPartition>,
    /// How far it is.
    pub progress: Progress,
    /// How far the pipeline's source is provably read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark: Option<String>,
    /// What ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The last partition that is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastPartition {
    /// Its id.
    pub partition_id: String,
    /// When it came in.
    pub completed_at: String,
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Partitions of the plan.
    pub total_partitions: u64,
    /// Those that are in.
    pub completed_partitions: u64,
    /// Those that an error ended.
    pub failed_partitions: u64,
    /// Rows of those that are in or staged.
    pub rows_processed: u64,
}

/// Why the next run starts afresh after a reset.
pub const RESET: &str = "the state was reset";

/// What a reset took away.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Reset {
    /// Runs that were forgotten.
    pub runs: u64,
    /// Whether the next run starts with a full load.
    pub starts_fresh: bool,
}

impl State {
    /// The pipelines that this state knows, by name.
    pub fn pipelines(&self) -> Result<Vec<String>> {
        let failed = self.failed("read");
        let mut statement = self
            .connection
            .prepare("select pipeline from runs union select pipeline from pipelines order by 1")
            .map_err(&failed)?;
        statement
            .query_map([], |row| row.get(0))
            .and_then(Iterator::collect)
            .map_err(&failed)
    }

    /// The newest run of every strategy of `pipeline`, or of one of them, by the strategy's name.
    pub fn show(&self, pipeline: &str, strategy: Option<&str>) -> Result<Vec<StrategyState>> {
        let failed = self.failed("read");
        let watermark = self
            .connection
            .query_row(
                "select watermark_type, watermark from pipelines where pipeline = ?",
                [pipeline],
                |row| Ok(unite(row.get(0)?, row.get(1)?)),
            )
            .optional()
            .map_err(&failed)?
            .flatten();
        let mut statement = self
            .connection
            .prepare(
                "select strategy, run_id, status, started_at, completed_at, error
                 from runs
                 where pipeline = ?1
                   and (?2 is null or strategy = ?2)
                   and (started_at, run_id) = (
                       select started_at, run_id from runs as newest
                       where newest.pipeline = ?1 and newest.strategy = runs.strategy
                       order by started_at desc, run_id desc
                       limit 1
                   )
                 order by strategy",
            )
            .map_err(&failed)?;
        let runs: Vec<StrategyState> = statement
            .query_map(params![pipeline, strategy], |row| {
                Ok(StrategyState {
                    pipeline_id: pipeline.to_owned(),
                    strategy: row.get(0)?,
                    run_id: row.get(1)?,
                    status: row.get(2)?,
                    started_at: row.get(3)?,
                    completed_at: row.get(4)?,
                    last_completed_partition: None,
                    progress: Progress {
                        total_partitions: 0,
                        completed_partitions: 0,
                        failed_partitions: 0,
                        rows_processed: 0,
                    },
                    watermark: watermark.map(CursorValue::text),
                    error: row.get(5)?,
                })
            })
            .and_then(Iterator::collect)
            .map_err(&failed)?;
        runs.into_iter().map(|run| self.with_progress(run)).collect()
    }

    fn with_progress(&self, run: StrategyState) -> Result<StrategyState> {
        let failed = self.failed("read");
        let key = params![run.pipeline_id, run.run_id];
        let (total, completed, staged, rows): (u64, u64, u64, u64) = self
            .connection
            .query_row(
                "select count(*),
                        count(*) filter (where status in ('committed', 'empty')),
                        count(*) filter (where status = 'staged'),
                        coalesce(sum(rows) filter (where status in ('committed', 'empty', 'staged')), 0)
                 from partitions
                 where pipeline = ? and run_id = ?",
                key,
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
            )
            .map_err(&failed)?;
        let last = self
            .connection
            .query_row(
                "select partition_id, completed_at
                 from partitions
                 where pipeline = ? and run_id = ? and status in ('committed', 'empty')
                 order by completed_at desc, position desc
                 limit 1",
                key,
                |row| {
                    Ok(LastPartition {
                        partition_id: row.get(0)?,
                        completed_at: row.get(1)?,
                    })
                },
            )
            .optional()
            .map_err(&failed)?;
        // An error ends a run at its first partition that could not be brought in.
        let stuck = run.status == "failed" && completed + staged < total;
        let progress = Progress {
            total_partitions: total,
            completed_partitions: completed,
            failed_partitions: u64::from(stuck),
            rows_processed: rows,
        };
        Ok(StrategyState {
            last_completed_partition: last,
            progress,
            ..run
        })
    }

    /// The strategy of `pipeline` that is called `name`, or is of that type: of several the one that ran last.
    ///
    /// # Errors
    /// `NotFound` if none of them has a run here.
    pub fn strategy(&self, pipeline: &str, name: &str) -> Result<String> {
        let failed = self.failed("read");
        let mut statement = self
            .connection
            .prepare(
                "select strategy, kind from runs where pipeline = ? order by started_at desc, run_id desc",
            )
            .map_err(&failed)?;
        let mut known: Vec<(String, String)> = statement
            .query_map([pipeline], |row| Ok((row.get(0)?, row.get(1)?)))
            .and_then(Iterator::collect)
            .map_err(&failed)?;
        known.sort_unstable();
        known.dedup();
        let by_name = known.iter().find(|(strategy, _)| strategy == name);
        let found = by_name.or_else(|| known.iter().find(|(_, kind)| kind == name));
        match found {
            Some((strategy, _)) => Ok(strategy.clone()),
            None => Err(Error::Refused {
                kind: ErrorKind::NotFound,
                message: format!("pipeline `{pipeline}` has no run of strategy `{name}`"),
                hint: did_you_mean(name, known.iter().map(|(strategy, _)| strategy.as_str())),
            }),
        }
    }

    /// Forgets `pipeline`, or what one of its strategies did: the next run starts with a full load.
    pub fn reset(&mut self, pipeline: &str, strategy: Option<&str>) -> Result<Reset> {
        let failed = self.failed("reset");
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .map_err(&failed)?;
        let reset = (|| {
            transaction.execute(
                "delete from partitions
                 where pipeline = ?1
                   and run_id in (select run_id from runs where pipeline = ?1 and (?2 is null or strategy = ?2))",
                params![pipeline, strategy],
            )?;
            let runs = transaction.execute(
                "delete from runs where pipeline = ?1 and (?2 is null or strategy = ?2)",
                params![pipeline, strategy],
            )?;
            transaction.execute("delete from baselines where pipeline = ?", [pipeline])?;
            // The lake's ledger still has a watermark: the row that is left says that it is not wanted.
            let forgot = transaction.execute(
                "insert into pipelines (pipeline, start_fresh) values (?1, ?4)
                 on conflict (pipeline) do update
                 set start_fresh = excluded.start_fresh, strategy = null, cursor_column = null, watermark_type = null,
                     watermark = null, last_key = null, table_id = null, source = null, moved_at = null
                 where ?2 is null or strategy is null or strategy = ?2 or ?3 > 0",
                params![pipeline, strategy, runs, RESET],
            )?;
            Ok(Reset {
                runs: runs as u64,
                starts_fresh: forgot > 0,
            })
        })();
        reset
            .and_then(|reset| transaction.commit().map(|()| reset))
            .map_err(failed)
    }

    /// The runs of `pipeline` that did not end well, and may have left staged files behind.
    pub fn staged_runs(&self, pipeline: &str) -> Result<Vec<RunId>> {
        let failed = self.failed("read");
        let mut statement = self
            .connection
            .prepare("select run_id from runs where pipeline = ? and status <> 'completed'")
            .map_err(&failed)?;
        statement
            .query_map([pipeline], |row| Ok(RunId::from_stored(row.get::<_, String>(0)?)))
            .and_then(Iterator::collect)
            .map_err(&failed)
    }
}
