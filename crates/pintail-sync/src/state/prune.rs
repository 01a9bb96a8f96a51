//! Forgetting runs that are over, and pipelines that are gone.

use jiff::Timestamp;
use pintail_model::RunId;
use rusqlite::params;

use super::State;
use crate::error::Result;

impl State {
    /// Runs of `pipeline` that are over and began before `limit`, oldest first. The newest of each strategy is not among
    /// them, and neither is one that the next run may go on with.
    pub fn over_before(&self, pipeline: &str, limit: Timestamp) -> Result<Vec<RunId>> {
        let failed = self.failed("read");
        let mut statement = self
            .connection
            .prepare(
                "select run_id, started_at
                 from runs
                 where pipeline = ?1
                   and status in ('completed', 'parity_mismatch', 'abandoned')
                   and (started_at, run_id) <> (
                       select started_at, run_id from runs as newest
                       where newest.pipeline = ?1 and newest.strategy = runs.strategy
                       order by started_at desc, run_id desc
                       limit 1
                   )
                 order by started_at, run_id",
            )
            .map_err(&failed)?;
        let rows: Vec<(String, String)> = statement
            .query_map([pipeline], |row| Ok((row.get(0)?, row.get(1)?)))
            .and_then(Iterator::collect)
            .map_err(&failed)?;
        let old = |started_at: &str| started_at.parse().is_ok_and(|at: Timestamp| at < limit);
        Ok(rows
            .into_iter()
            .filter(|(_, started_at)| old(started_at))
            .map(|(run, _)| RunId::from_stored(run))
            .collect())
    }

    /// All runs that are known of `pipeline`.
    pub fn runs(&self, pipeline: &str) -> Result<Vec<RunId>> {
        let failed = self.failed("read");
        let mut statement = self
            .connection
            .prepare("select run_id from runs where pipeline = ?")
            .map_err(&failed)?;
        statement
            .query_map([pipeline], |row| Ok(RunId::from_stored(row.get::<_, String>(0)?)))
            .and_then(Iterator::collect)
            .map_err(&failed)
    }

    /// Forgets runs. What the pipeline goes on from stays.
    pub fn forget_runs(&mut self, pipeline: &str, runs: &[RunId]) -> Result<()> {
        self.transaction("write", |transaction| {
            for run in runs {
                for table in ["partitions", "runs"] {
                    transaction.execute(
                        &format!("delete from {table} where pipeline = ? and run_id = ?"),
                        params![pipeline, run.as_str()],
                    )?;
                }
            }
            Ok(())
        })
    }

    /// Forgets everything of `pipeline`, as if it had never been.
    pub fn forget_pipeline(&mut self, pipeline: &str) -> Result<()> {
        self.transaction("write", |transaction| {
            for table in ["partitions", "runs", "pipelines", "baselines", "comparisons"] {
                transaction.execute(&format!("delete from {table} where pipeline = ?"), [pipeline])?;
            }
            Ok(())
        })
    }
}
