//! A run from beginning to end.
//!
//! ```text
//! lock ─▶ state ─▶ survey ─▶ plan ─▶ freeze ─▶ strategy ─▶ sweep ─▶ report
//!                                                 │ error or stop
//!                                                 └▶ loose files go ─▶ report
//! ```
//!
//! Whatever ends a run, its report is written, and the next run goes on from what the lake's ledger says.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use pintail_lake::connector::Connector;
use pintail_lake::{Access, Callers, Destination, DestinationPlace, Engine, EngineSettings, SweepPolicy};
use pintail_model::{Clock, ErrorKind, RunId};
use serde_json::json;

use crate::attempt::Attempt;
use crate::error::{Error, Result};
use crate::lock::PipelineLock;
use crate::log::{Level, RunLog};
use crate::plan::{self, Asked, Candidates, Facts, PipelinePlan};
use crate::progress::{Phase, Progress};
use crate::report::{Commits, Endpoint, Failure, Parity, SyncReport};
use crate::resources::Resources;
use crate::spec::PipelineSpec;
use crate::state::{History, Reset, RunStatus, State, UnfinishedRun};
use crate::stop::StopSignal;
use crate::survey::survey;
use crate::work::Tally;

/// One run, as asked for.
pub struct SyncRequest {
    /// The pipeline.
    pub spec: PipelineSpec,
    /// Its source.
    pub source: Box<dyn Connector>,
    /// Where it writes.
    pub destination: Box<dyn DestinationPlace>,
    /// The folder of `state.db`, `metrics/`, `logs/` and `locks/`.
    pub data_dir: PathBuf,
    /// The strategy, by name; `None` lets the plan choose.
    pub strategy: Option<String>,
    /// Forces that many partitions of a full load.
    pub partitions: Option<u32>,
    /// Whether both sides are compared.
    pub parity: bool,
    /// What the engine may use.
    pub engine: EngineSettings,
    /// How much the run's log says.
    pub log_level: Level,
    /// Where "now" comes from.
    pub clock: Arc<dyn Clock>,
    /// A random number, for the run's id.
    pub random: u32,
}

impl SyncRequest {
    /// A report in which nothing has happened yet.
    pub(crate) fn blank_report(&self, run: &RunId, started_at: Timestamp) -> SyncReport {
        SyncReport {
            run_id: run.clone(),
            pipeline: self.spec.name.clone(),
            strategy: self.strategy.clone().unwrap_or_default(),
            status: RunStatus::Completed,
            started_at,
            completed_at: started_at,
            duration_seconds: 0.0,
            rows_processed: 0,
            rows_inserted: 0,
            rows_updated: 0,
            rows_deleted: 0,
            partitions_total: 0,
            partitions_processed: 0,
            partitions_skipped: 0,
            errors: 0,
            watermark: None,
            parity: Parity::default(),
            resources: Resources::default(),
            kind: String::new(),
            reason: String::new(),
            source: Endpoint {
                address: self.source.address(),
                table: self.spec.source.table.to_string(),
            },
            destination: Endpoint {
                address: self.destination.address(),
                table: self.spec.destination.table.to_string(),
            },
            resumed: false,
            snapshot: None,
            commits: Commits::default(),
            bytes_staged: 0,
            partition_times: Vec::new(),
            notes: Vec::new(),
            error: None,
        }
    }

    fn asked(&self) -> Asked {
        Asked {
            strategy: self.strategy.clone(),
            partitions: self.partitions,
            parity: self.parity,
        }
    }
}

/// Makes the plan of a run, and changes nothing.
///
/// # Errors
/// Everything that would end the run before it reads.
pub fn plan(request: &SyncRequest) -> Result<PipelinePlan> {
    let history = match State::look(&request.data_dir)? {
        Some(state) => state.history(&request.spec.name)?,
        None => History::default(),
    };
    let asked = request.asked();
    let engine = Engine::open(&request.engine)?;
    let _alone = engine.callers(usize::MAX)?;
    let mut survey = survey(request, &asked, &engine, Access::ReadOnly, history)?;
    survey.facts.settle(&request.spec.name);
    let unproven = asked.parity.then(|| survey.facts.require_checksums()).flatten();
    let candidates = Candidates::of(&request.spec, &asked)?;
    let mut plan = plan::make(
        &request.spec,
        &asked,
        &candidates,
        &survey.facts,
        request.source.as_ref(),
        request.destination.as_ref(),
    )?;
    plan.notes.extend(unproven);
    Ok(plan)
}

/// Runs a pipeline once.
///
/// A request to stop interrupts reads at once and waits for a commit under way; the run then ends as `Cancelled`.
///
/// # Errors
/// [`Error::AlreadyRunning`] at once if another run of the pipeline is under way. After any error the lake holds whole
/// partitions only, and the next run goes on from there. A difference between the two sides is not an error: see
/// [`SyncReport::parity`].
pub fn run(request: &SyncRequest, progress: &dyn Progress, stop: &StopSignal) -> Result<SyncReport> {
    let (started_at, before) = (request.clock.now(), Resources::now());
    let pipeline = &request.spec.name;
    let _lock = PipelineLock::take(&request.data_dir, pipeline, started_at)?;
    let mut state = State::open(&request.data_dir)?;

    progress.phase(Phase::Planning);
    let prepared = prepare(request, &mut state, stop).map_err(|error| stopped(error, request, stop));
    let resumed = prepared
        .as_ref()
        .ok()
        .and_then(|prepared| prepared.plan.resumes.clone());
    let run = resumed.unwrap_or_else(|| RunId::new(started_at, request.random));
    let clock = Arc::clone(&request.clock);
    let log = RunLog::open(&request.data_dir, pipeline, &run, request.log_level, clock)?;
    let end = |report: SyncReport, error: Option<&Error>| {
        let completed_at = request.clock.now();
        let report = SyncReport {
            status: error.map_or(report.status, status_of),
            completed_at,
            duration_seconds: completed_at.duration_since(started_at).as_secs_f64(),
            errors: u64::from(error.is_some()),
            error: error.map(Failure::of),
            resources: Resources::now().since(before),
            ..report
        };
        log_end(&log, &report);
        let written = report.write(&request.data_dir);
        written.map(|_| report)
    };
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            // The first error counts, whether its report could be written or not.
            let _ = end(request.blank_report(&run, started_at), Some(&error));
            return Err(error);
        }
    };

    let Prepared {
        plan,
        facts,
        destination,
        notes,
        repaired,
        ..
    } = &prepared;
    log_start(&log, plan);
    let attempt = Attempt {
        request,
        plan,
        facts,
        destination: destination.as_ref(),
        run: &run,
        log: &log,
        progress,
        stop,
    };
    if let Err(error) = attempt.freeze(&mut state, started_at) {
        let _ = end(attempt.report(Tally::default(), started_at), Some(&error));
        return Err(error);
    }
    let mut tally = attempt.new_tally(notes);
    tally.commits.repaired = u64::from(*repaired);
    let state = Mutex::new(state);
    let result = attempt
        .execute(&state, &mut tally)
        .map_err(|error| stopped(error, request, stop));
    let mut state = state.into_inner().expect("no holder of the state panics");

    let report = end(attempt.report(tally, started_at), result.as_ref().err());
    let status = result
        .as_ref()
        .err()
        .map(status_of)
        .or(report.as_ref().ok().map(|report| report.status));
    let message = result.as_ref().err().map(|error| Failure::of(error).message);
    let status = status.unwrap_or(RunStatus::Completed);
    let finished = state.finish_run(pipeline, &run, status, request.clock.now(), message.as_deref());
    result?;
    finished?;
    report
}

/// Forgets a pipeline, or what one of its strategies did, by its name or type, so that the next run is a full load.
///
/// # Errors
/// [`Error::AlreadyRunning`] if a run of the pipeline is under way; `NotFound` if the strategy has no run.
pub fn reset(data_dir: &Path, pipeline: &str, strategy: Option<&str>, clock: &dyn Clock) -> Result<Reset> {
    let _lock = PipelineLock::take(data_dir, pipeline, clock.now())?;
    let mut state = State::open(data_dir)?;
    let strategy = strategy.map(|name| state.strategy(pipeline, name)).transpose()?;
    state.reset(pipeline, strategy.as_deref())
}

/// Everything that is known before a run writes.
struct Prepared {
    plan: PipelinePlan,
    facts: Facts,
    destination: Box<dyn Destination>,
    notes: Vec<String>,
    _alone: Callers,
    /// Files of the lake that were put back.
    repaired: u32,
}

fn prepare(request: &SyncRequest, state: &mut State, stop: &StopSignal) -> Result<Prepared> {
    let (asked, pipeline) = (request.asked(), &request.spec.name);
    let history = state.history(pipeline)?;
    let engine = Engine::open(&request.engine)?;
    stop.reaches(engine.stopper());
    // Most statements are look-ups; those that are not ask for the engine's threads.
    let alone = engine.callers(usize::MAX)?;
    let survey = survey(request, &asked, &engine, Access::ReadWrite, history)?;
    let mut facts = survey.facts;
    let destination = survey
        .destination
        .expect("a destination that is written to is made where it is missing");
    let mut notes = Vec::new();
    if let Some(over) = facts.settle(pipeline) {
        sweep_after(destination.as_ref(), request, &over.run)?;
        state.finish_run(pipeline, &over.run, RunStatus::Completed, facts.now, None)?;
        notes.push(brought_in(&over));
    }
    if asked.parity {
        notes.extend(facts.require_checksums());
    }
    if survey.repaired > 0 {
        notes.push(format!(
            "an earlier run did not learn that its last commit is in: {} files of it were put back",
            survey.repaired
        ));
    }
    let candidates = Candidates::of(&request.spec, &asked)?;
    let plan = plan::make(
        &request.spec,
        &asked,
        &candidates,
        &facts,
        request.source.as_ref(),
        request.destination.as_ref(),
    )?;
    Ok(Prepared {
        plan,
        facts,
        destination,
        notes,
        _alone: alone,
        repaired: survey.repaired,
    })
}

/// Removes what a run had staged and did not commit before it was cut off. Once it counts as completed, nobody knows
/// that these files were its own: then they stay until they are old.
fn sweep_after(destination: &dyn Destination, request: &SyncRequest, run: &RunId) -> Result<()> {
    let policy = SweepPolicy {
        own_runs: vec![run.clone()],
        older_than: None,
    };
    match destination.sweep(&request.spec.destination.table, &policy) {
        // It does not count as completed yet: the next run sweeps.
        Err(error) if error.kind() == ErrorKind::Cancelled => Err(error.into()),
        Err(error) => {
            tracing::warn!(%run, %error, "what a run left behind could not be swept");
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}

/// What is said of a run that only did not get to say that it was over.
fn brought_in(run: &UnfinishedRun) -> String {
    let said = format!("run {} had brought everything in before it was cut off", run.run);
    match run.uncompared() {
        0 => said,
        open => format!(
            "{said}, and {open} of its {} partitions were not compared: a full load settles that",
            run.partitions.len()
        ),
    }
}

fn log_start(log: &RunLog, plan: &PipelinePlan) {
    log.info(
        "sync started",
        json!({
            "pipeline": plan.pipeline,
            "strategy": plan.strategy,
            "kind": plan.kind,
            "reason": plan.reason,
            "partitions": plan.partitions.len(),
            "resumed": plan.resumes.is_some(),
        }),
    );
}

fn log_end(log: &RunLog, report: &SyncReport) {
    let level = if report.status == RunStatus::Completed {
        Level::Info
    } else {
        Level::Error
    };
    log.write(
        level,
        "sync ended",
        json!({
            "status": report.status,
            "rows": report.rows_processed,
            "seconds": report.duration_seconds,
            "error": report.error.as_ref().map(|error| &error.message),
        }),
    );
}

fn status_of(error: &Error) -> RunStatus {
    match error.kind() {
        ErrorKind::Cancelled => RunStatus::Interrupted,
        _ => RunStatus::Failed,
    }
}

/// An interrupted statement of a run that was asked to stop is no failure.
fn stopped(error: Error, request: &SyncRequest, stop: &StopSignal) -> Error {
    match error {
        Error::Lake(inner) if stop.stopped() && inner.kind() == ErrorKind::Cancelled => Error::Stopped {
            pipeline: request.spec.name.clone(),
        },
        Error::Partition { source, .. } if stop.stopped() && source.kind() == ErrorKind::Cancelled => {
            Error::Stopped {
                pipeline: request.spec.name.clone(),
            }
        }
        other => other,
    }
}
