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
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use pintail_lake::connector::Connector;
use pintail_lake::{Access, Engine, EngineSettings, Lake, LakeLocation, SweepPolicy};
use pintail_model::{Clock, ErrorKind, RunId};
use serde_json::json;

use crate::error::{Error, Result};
use crate::lock::PipelineLock;
use crate::log::{Level, RunLog};
use crate::plan::{self, Asked, Candidates, Facts, PipelinePlan};
use crate::progress::{Meter, Phase, Progress};
use crate::report::{Failure, ParityStatus, SyncReport};
use crate::resources::Resources;
use crate::spec::PipelineSpec;
use crate::state::{History, NewPartition, NewRun, Reset, RunStatus, State, StoredWatermark};
use crate::stop::StopSignal;
use crate::strategy;
use crate::survey::survey;
use crate::work::{Tally, Work};

/// Files that nobody knows are swept when they are older than any run or stopped process can be.
const FORGOTTEN: Duration = Duration::from_hours(7 * 24);

/// One run, as asked for.
pub struct SyncRequest {
    /// The pipeline.
    pub spec: PipelineSpec,
    /// Its source.
    pub source: Box<dyn Connector>,
    /// Its lake.
    pub destination: LakeLocation,
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
    let mut survey = survey(request, &asked, &engine, Access::ReadOnly, history)?;
    survey.facts.settle(&request.spec.name);
    let candidates = Candidates::of(&request.spec, &asked)?;
    plan::make(
        &request.spec,
        &asked,
        &candidates,
        &survey.facts,
        request.source.as_ref(),
    )
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
    let started_at = request.clock.now();
    let before = Resources::now();
    let pipeline = &request.spec.name;
    let _lock = PipelineLock::take(&request.data_dir, pipeline, started_at)?;
    let mut state = State::open(&request.data_dir)?;
    let history = state.history(pipeline)?;

    progress.phase(Phase::Planning);
    let asked = request.asked();
    let engine = Engine::open(&request.engine)?;
    stop.reaches(engine.stopper());
    let prepared = prepare(request, &asked, &engine, &mut state, history)
        .map_err(|error| stopped(error, request, stop))?;
    let Prepared {
        plan,
        facts,
        lake,
        notes,
    } = &prepared;

    let run = plan
        .resumes
        .clone()
        .unwrap_or_else(|| RunId::new(started_at, request.random));
    let log = RunLog::open(
        &request.data_dir,
        pipeline,
        &run,
        request.log_level,
        Arc::clone(&request.clock),
    )?;
    log.info(
        "sync started",
        json!({
            "pipeline": pipeline,
            "strategy": plan.strategy,
            "kind": plan.kind,
            "reason": plan.reason,
            "partitions": plan.partitions.len(),
            "resumed": plan.resumes.is_some(),
        }),
    );
    let attempt = Attempt {
        request,
        plan,
        facts,
        lake,
        run: &run,
        log: &log,
        progress,
        stop,
    };
    attempt.freeze(&mut state, started_at)?;
    let mut tally = attempt.new_tally(notes);
    let state = Mutex::new(state);
    let result = attempt
        .execute(&state, &mut tally)
        .map_err(|error| stopped(error, request, stop));
    let mut state = state.into_inner().expect("no holder of the state panics");

    let completed_at = request.clock.now();
    let status = status_of(&result, &tally);
    let failure = result.as_ref().err().map(Failure::of);
    let message = failure.as_ref().map(|failure| failure.message.as_str());
    let finished = state.finish_run(pipeline, &run, status, completed_at, message);
    let report = attempt.report(
        tally,
        status,
        failure,
        (started_at, completed_at),
        Resources::now().since(before),
    );
    log.write(
        if status == RunStatus::Completed {
            Level::Info
        } else {
            Level::Error
        },
        "sync ended",
        json!({
            "status": status,
            "rows": report.rows_processed,
            "seconds": report.duration_seconds,
            "error": report.error.as_ref().map(|error| &error.message),
        }),
    );
    let written = report.write(&request.data_dir);
    result.and(finished)?;
    written?;
    Ok(report)
}

/// Forgets a pipeline, or what one of its strategies did, so that the next run is a full load.
///
/// # Errors
/// [`Error::AlreadyRunning`] if a run of the pipeline is under way.
pub fn reset(data_dir: &Path, pipeline: &str, strategy: Option<&str>, clock: &dyn Clock) -> Result<Reset> {
    let _lock = PipelineLock::take(data_dir, pipeline, clock.now())?;
    State::open(data_dir)?.reset(pipeline, strategy)
}

/// Everything that is known before a run writes.
struct Prepared {
    plan: PipelinePlan,
    facts: Facts,
    lake: Lake,
    notes: Vec<String>,
}

fn prepare(
    request: &SyncRequest,
    asked: &Asked,
    engine: &Engine,
    state: &mut State,
    history: History,
) -> Result<Prepared> {
    let pipeline = &request.spec.name;
    let survey = survey(request, asked, engine, Access::ReadWrite, history)?;
    let mut facts = survey.facts;
    let lake = survey
        .lake
        .expect("a lake that is written to is made where it is missing");
    let mut notes = Vec::new();
    if let Some(over) = facts.settle(pipeline) {
        state.finish_run(pipeline, &over.run, RunStatus::Completed, facts.now, None)?;
        notes.push(format!(
            "run {} had brought everything in before it was cut off",
            over.run
        ));
    }
    let candidates = Candidates::of(&request.spec, asked)?;
    let plan = plan::make(&request.spec, asked, &candidates, &facts, request.source.as_ref())?;
    Ok(Prepared {
        plan,
        facts,
        lake,
        notes,
    })
}

/// A run after its plan was made.
struct Attempt<'a> {
    request: &'a SyncRequest,
    plan: &'a PipelinePlan,
    facts: &'a Facts,
    lake: &'a Lake,
    run: &'a RunId,
    log: &'a RunLog,
    progress: &'a dyn Progress,
    stop: &'a StopSignal,
}

impl Attempt<'_> {
    /// Writes the plan down before work starts.
    fn freeze(&self, state: &mut State, started_at: Timestamp) -> Result<()> {
        let plan = self.plan;
        let partitions: Vec<NewPartition<'_>> = plan
            .partitions
            .iter()
            .map(|partition| NewPartition {
                id: &partition.id,
                range: &partition.range,
                expected_rows: partition.expected_rows,
                watermark: partition.watermark,
                changed_only: partition.changed_only,
            })
            .collect();
        if plan.resumes.is_some() {
            let first = plan
                .reuse
                .as_ref()
                .map_or(partitions.len(), |reuse| reuse.first_catch_up);
            return state.resume_run(&plan.pipeline, self.run, first, &partitions[first..]);
        }
        let run = NewRun {
            pipeline: &plan.pipeline,
            run: self.run,
            strategy: &plan.strategy,
            kind: plan.kind.as_str(),
            plan_hash: &plan.hash,
            started_at,
            bound: plan.watermark,
        };
        state.begin_run(&run, &partitions)
    }

    /// A tally with what was known before.
    fn new_tally(&self, notes: &[String]) -> Tally {
        let (plan, facts) = (self.plan, self.facts);
        let watermark = plan
            .low
            .zip(plan.shape.followed())
            .map(|(value, cursor)| StoredWatermark {
                value,
                column: cursor.source.clone(),
                strategy: plan.strategy.clone(),
                last_key: facts.ledger.as_ref().map(|entry| entry.key.clone()),
                table_id: facts.lake_table.as_ref().map(|table| table.table_id),
                source: facts.source_identity.clone(),
            });
        let notes = notes.iter().chain(&plan.notes).cloned().collect();
        Tally {
            watermark,
            notes,
            ..Tally::default()
        }
    }

    /// Carries the plan out, and cleans up.
    fn execute(&self, state: &Mutex<State>, tally: &mut Tally) -> Result<()> {
        let (meter, loose) = (Meter::default(), Mutex::default());
        let stage = self.lake.stage(&self.plan.table, self.run)?;
        let work = Work {
            connector: self.request.source.as_ref(),
            lake: self.lake,
            plan: self.plan,
            run: self.run,
            stage: &stage,
            state,
            log: self.log,
            meter: &meter,
            progress: self.progress,
            stop: self.stop,
            clock: self.request.clock.as_ref(),
            source_identity: &self.facts.source_identity,
            loose: &loose,
        };
        let done = self
            .plan
            .partitions
            .iter()
            .filter(|partition| partition.done)
            .count();
        self.progress
            .started(expected_rows(self.plan), self.plan.partitions.len(), done);
        let (ended, end) = channel();
        let (work_ref, meter_ref, tally_ref) = (&work, &meter, &mut *tally);
        let result = std::thread::scope(move |scope| {
            scope.spawn(move || meter_ref.report(self.progress, &end));
            let result = strategy::execute(work_ref, tally_ref);
            drop(ended);
            result
        });
        work.discard_loose();
        if result.is_ok() {
            self.sweep(state, tally);
        }
        result
    }

    /// Removes what this run and earlier ones left behind. A sweep that fails is tried again by the next run.
    fn sweep(&self, state: &Mutex<State>, tally: &Tally) {
        let pipeline = &self.plan.pipeline;
        let mut state = state.lock().expect("no holder of the state panics");
        let left = state.staged_runs(pipeline).unwrap_or_default();
        let only_this = left.iter().all(|run| run == self.run);
        let nothing_staged = tally.commits.count == 0 && tally.bytes_staged == 0;
        if only_this && nothing_staged && self.plan.resumes.is_none() {
            return;
        }
        let policy = SweepPolicy {
            own_runs: left,
            older_than: Some(FORGOTTEN),
        };
        match self.lake.sweep(&self.plan.table, &policy) {
            Ok(swept) => {
                if swept.files > 0 {
                    self.log.info(
                        "unreferenced files swept",
                        json!({ "files": swept.files, "bytes": swept.bytes }),
                    );
                }
                if let Err(error) = state.prune(pipeline) {
                    self.log
                        .warn("state could not be pruned", json!({ "error": error.to_string() }));
                }
            }
            Err(error) => self
                .log
                .warn("sweep failed", json!({ "error": error.to_string() })),
        }
    }

    fn report(
        &self,
        tally: Tally,
        status: RunStatus,
        error: Option<Failure>,
        (started_at, completed_at): (Timestamp, Timestamp),
        resources: Resources,
    ) -> SyncReport {
        let plan = self.plan;
        let skipped = plan
            .partitions
            .iter()
            .filter(|partition| partition.done || partition.staged.is_some());
        let partitions_skipped = match &plan.reuse {
            // What was staged was thrown away after all.
            Some(_) if tally.restarted => 0,
            _ => skipped.count() as u64,
        };
        SyncReport {
            run_id: self.run.clone(),
            pipeline: plan.pipeline.clone(),
            strategy: plan.strategy.clone(),
            status,
            started_at,
            completed_at,
            duration_seconds: completed_at.duration_since(started_at).as_secs_f64(),
            rows_processed: tally.rows_processed,
            rows_inserted: tally.rows_inserted,
            rows_updated: tally.rows_updated,
            rows_deleted: tally.rows_deleted,
            partitions_total: plan.partitions.len() as u64,
            partitions_processed: tally.partitions_processed,
            partitions_skipped,
            errors: u64::from(error.is_some()),
            watermark: tally.watermark.map(|watermark| watermark.value.text()),
            parity: tally.parity,
            resources,
            kind: plan.kind.as_str().to_owned(),
            reason: plan.reason.clone(),
            source: plan.source.clone(),
            destination: plan.destination.clone(),
            resumed: plan.resumes.is_some(),
            snapshot: tally.snapshot,
            commits: tally.commits,
            bytes_staged: tally.bytes_staged,
            partition_times: tally.partition_times,
            notes: tally.notes,
            error,
        }
    }
}

/// Rows that are expected in what is left to read; `None` if nobody knows.
fn expected_rows(plan: &PipelinePlan) -> Option<u64> {
    plan.partitions
        .iter()
        .filter(|partition| !partition.done)
        .map(|partition| partition.expected_rows)
        .sum()
}

fn status_of(result: &Result<()>, tally: &Tally) -> RunStatus {
    match result {
        Err(error) if error.kind() == ErrorKind::Cancelled => RunStatus::Interrupted,
        Err(_) => RunStatus::Failed,
        Ok(()) if tally.parity.status == ParityStatus::Mismatch => RunStatus::ParityMismatch,
        Ok(()) => RunStatus::Completed,
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
