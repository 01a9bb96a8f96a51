//! What earlier runs measured: how long comparisons took, and how fast the source changes.

use jiff::Timestamp;
use pintail_model::RunId;
use rusqlite::params;

use super::State;
use crate::error::Result;

/// Runs that tell how fast a source changes.
const RUNS_COUNTED: u32 = 20;

/// The last comparison of one way.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The way, as in `compare:`.
    pub way: String,
    /// Rows of the source.
    pub rows: u64,
    /// Bytes of its table.
    pub bytes: Option<u64>,
    /// Rows that differed.
    pub differing: u64,
    /// How long it took to find them.
    pub seconds: f64,
    /// When it ended.
    pub at: Timestamp,
}

/// How fast a source changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Rows that changed in a second, over the last runs.
    pub rows_a_second: f64,
    /// When the last of them began.
    pub since: Timestamp,
}

impl State {
    /// The last comparison of each way, the newest first.
    pub fn comparisons(&self, pipeline: &str) -> Result<Vec<Measured>> {
        if self.version()? < 2 {
            return Ok(Vec::new());
        }
        let failed = self.failed("read");
        let mut statement = self
            .connection
            .prepare(
                "select way, rows, bytes, differing, seconds, at from comparisons where pipeline = ? order by at desc, way",
            )
            .map_err(&failed)?;
        statement
            .query_map([pipeline], |row| {
                let at: String = row.get(5)?;
                Ok(Measured {
                    way: row.get(0)?,
                    rows: row.get(1)?,
                    bytes: row.get(2)?,
                    differing: row.get(3)?,
                    seconds: row.get(4)?,
                    at: at.parse().unwrap_or(Timestamp::UNIX_EPOCH),
                })
            })
            .and_then(Iterator::collect)
            .map_err(&failed)
    }

    /// Remembers a comparison instead of the last one of its way.
    pub fn remember_comparison(&mut self, pipeline: &str, measured: &Measured) -> Result<()> {
        self.transaction("write", |transaction| {
            transaction.execute(
                "insert or replace into comparisons (pipeline, way, rows, bytes, differing, seconds, at)
                 values (?, ?, ?, ?, ?, ?, ?)",
                params![
                    pipeline,
                    measured.way,
                    measured.rows,
                    measured.bytes,
                    measured.differing,
                    measured.seconds,
                    measured.at.to_string()
                ],
            )?;
            Ok(())
        })
    }

    /// Remembers how many rows of the destination a run changed.
    pub fn remember_changes(&mut self, pipeline: &str, run: &RunId, rows: u64) -> Result<()> {
        self.transaction("write", |transaction| {
            transaction.execute(
                "update runs set rows_changed = ? where pipeline = ? and run_id = ?",
                params![rows, pipeline, run.as_str()],
            )?;
            Ok(())
        })
    }

    /// How fast the source of `pipeline` changes; `None` before two runs have followed it.
    pub fn pace(&self, pipeline: &str) -> Result<Option<Pace>> {
        if self.version()? < 2 {
            return Ok(None);
        }
        let failed = self.failed("read");
        let mut statement = self
            .connection
            .prepare(
                "select started_at, rows_changed, kind from runs
                 where pipeline = ? and status = 'completed' and kind in ('full', 'delta', 'hash')
                     and rows_changed is not null
                 order by started_at desc, run_id desc limit ?",
            )
            .map_err(&failed)?;
        let runs: Vec<(String, u64, String)> = statement
            .query_map(params![pipeline, RUNS_COUNTED], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .and_then(Iterator::collect)
            .map_err(&failed)?;
        Ok(pace(&runs))
    }

    /// When the newest run of `pipeline` began that came to its end and looked at all rows.
    pub fn whole_at(&self, pipeline: &str) -> Result<Option<Timestamp>> {
        let failed = self.failed("read");
        let began: Option<String> = self
            .connection
            .query_row(
                "select max(started_at) from runs
                 where pipeline = ? and status = 'completed' and kind in ('full', 'hash')",
                [pipeline],
                |row| row.get(0),
            )
            .map_err(failed)?;
        Ok(began.and_then(|began| began.parse().ok()))
    }
}

/// The pace of runs, the newest first. What a run brought had changed since the one before it; a full load brings what did
/// not change, too, so that nothing before it counts.
fn pace(runs: &[(String, u64, String)]) -> Option<Pace> {
    let began = |run: &(String, u64, String)| run.0.parse::<Timestamp>().ok();
    let since = began(runs.first()?)?;
    let mut changed = 0;
    let mut first = since;
    for pair in runs.windows(2) {
        let [run, before] = pair else { break };
        if run.2 == "full" {
            break;
        }
        changed += run.1;
        first = began(before)?;
    }
    let seconds = since.duration_since(first).as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    (seconds > 0.0).then(|| Pace {
        rows_a_second: changed as f64 / seconds,
        since,
    })
}
