//! A run from beginning to end.
//!
//! ```text
//! lock ─▶ state ─▶ survey ─▶ plan ─▶ freeze ─▶ strategy ─▶ sweep ─▶ report
//!                ▲                                │ error or stop
//!                └── a connection broke ── loose files go ─▶ report
//! ```
//!
//! Whatever ends a run, its report is written, and the next run goes on from what the lake's ledger says.

use std::path::Path;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use pintail_lake::connector::Connector;
use pintail_lake::{Access, DestinationPlace, Engine, EngineSettings};
use pintail_model::{Clock, ErrorKind, RunId};
use serde_json::json;

use crate::attempt::Attempt;
use crate::error::{Error, Result};
use crate::folders::DataFolders;
use crate::lock::PipelineLock;
use crate::log::{Level, RunLog};
use crate::plan::{self, Asked, Candidates, PartitionPlan, PipelinePlan, PlanKind, Task};
use crate::prepare::{Prepared, prepare};
use crate::progress::{Phase, Progress, Watched};
use crate::report::{Commits, Endpoint, Failure, Parity, ParityStatus, Retried, SyncReport};
use crate::resources::Resources;
use crate::retry::Retries;
use crate::spec::{DeletePolicy, DetectDeletes, PipelineSpec};
use crate::state::{History, Reset, RunStatus, State, UnfinishedRun};
use crate::stop::StopSignal;
use crate::survey::survey;
use crate::work::Tally;

/// How often both sides are compared by one run, where others commit to the table meanwhile.
const COMPARISONS_MAX: u64 = 4;

/// One run, as asked for.
pub struct SyncRequest {
    /// The pipeline.
    pub spec: PipelineSpec,
    /// Its source.
    pub source: Box<dyn Connector>,
    /// Where it writes.
    pub destination: Box<dyn DestinationPlace>,
    /// The folders of its state, its logs and its metrics.
    pub data: DataFolders,
    /// The strategy, by name; `None` lets the plan choose.
    pub strategy: Option<String>,
    /// Forces that many partitions of a full load.
    pub partitions: Option<u32>,
    /// Whether both sides are compared.
    pub parity: bool,
    /// Whether somebody looked at what would be deleted, and turns the guard off for this run.
    pub allow_deletes: bool,
    /// What the run is for.
    pub task: Task,
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
            compare: None,
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
            retries: Retried::default(),
            bytes_staged: 0,
            drift: None,
            partition_times: Vec::new(),
            notes: Vec::new(),
            delete_pass: None,
            error: None,
        }
    }

    pub(crate) fn asked(&self) -> Asked {
        Asked {
            strategy: self.strategy.clone(),
            partitions: self.partitions,
            parity: self.parity,
            allow_deletes: self.allow_deletes,
            task: self.task,
            as_copies: None,
        }
    }
}

/// Makes the plan of a run, and changes nothing.
///
/// # Errors
/// Everything that would end the run before it reads.
pub fn plan(request: &SyncRequest) -> Result<PipelinePlan> {
    let history = match State::look(&request.data.state)? {
        Some(state) => state.history(&request.spec.name)?,
        None => History::default(),
    };
    let asked = request.asked();
    let engine = Engine::open_own(&request.engine)?;
    let _alone = engine.callers(usize::MAX)?;
    let mut survey = survey(request, &asked, &engine, Access::ReadOnly, history)?;
    if !matches!(asked.task, Task::Verify { .. }) {
        survey.facts.settle(&request.spec.name);
    }
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
/// A request to stop interrupts reads at once and waits for a commit under way; the run then ends as `Cancelled`. Where
/// a connection breaks, the run goes on as the next one would: see [`crate::retry`].
///
/// # Errors
/// [`Error::AlreadyRunning`] at once if another run of the pipeline is under way. After any error the lake holds whole
/// partitions only, and the next run goes on from there. A difference between the two sides is not an error: see
/// [`SyncReport::parity`].
pub fn run(request: &SyncRequest, progress: &dyn Progress, stop: &StopSignal) -> Result<SyncReport> {
    let pipeline = &request.spec.name;
    let _lock = PipelineLock::take(&request.data.state, pipeline, request.clock.now())?;
    let asked = request.asked();
    let report = run_once(request, &asked, request.random, progress, stop)?;
    if !delete_pass_follows(request, &report) {
        return Ok(report);
    }
    let asked = Asked {
        strategy: None,
        partitions: None,
        task: Task::Deletes,
        ..asked
    };
    let random = fastrand::Rng::with_seed(request.random.into()).u32(..);
    let pass = run_once(request, &asked, random, progress, stop)?;
    Ok(SyncReport {
        delete_pass: Some(Box::new(pass)),
        ..report
    })
}

/// Whether rows that are gone from the source are looked for after a run, because a delta does not see them.
fn delete_pass_follows(request: &SyncRequest, report: &SyncReport) -> bool {
    let followed = [PlanKind::Delta, PlanKind::Groups];
    request.spec.detect_deletes == DetectDeletes::AfterDeltas
        && request.task == Task::Sync
        && report.status == RunStatus::Completed
        && followed.iter().any(|kind| kind.as_str() == report.kind)
}

/// One run, under the pipeline's lock.
fn run_once(
    request: &SyncRequest,
    asked: &Asked,
    random: u32,
    progress: &dyn Progress,
    stop: &StopSignal,
) -> Result<SyncReport> {
    let (started_at, before) = (request.clock.now(), Resources::now());
    let pipeline = &request.spec.name;
    let state = Mutex::new(State::open(&request.data.state)?);
    let progress = Watched::new(progress);
    let retries = Retries::new(pipeline, &request.spec.retries, random, &progress, stop);
    let course = Course {
        request,
        asked,
        random,
        progress: &progress,
        stop,
        retries: &retries,
        started_at,
        state: &state,
    };
    let mut log = None;
    let Ended { report, result } = course.run(&mut log);
    let error = result.as_ref().err();
    let completed_at = request.clock.now();
    let report = SyncReport {
        status: error.map_or(report.status, status_of),
        completed_at,
        duration_seconds: completed_at.duration_since(started_at).as_secs_f64(),
        errors: u64::from(error.is_some()),
        error: error.map(Failure::of),
        retries: retries.retried(),
        resources: Resources::now().since(before),
        ..report
    };
    if let Some(log) = &log {
        log_end(log, &report);
    }
    let written = report.write(&request.data.metrics);
    let message = report.error.as_ref().map(|error| error.message.as_str());
    let mut state = state.into_inner().expect("no holder of the state panics");
    let changed = report.rows_inserted + report.rows_updated + report.rows_deleted;
    let remembered = state.remember_changes(pipeline, &report.run_id, changed);
    let finished = state.finish_run(pipeline, &report.run_id, report.status, completed_at, message);
    // The first error counts, whether its report could be written or not.
    result?;
    remembered?;
    finished?;
    written.map(|_| report)
}

/// How a run ended.
struct Ended {
    report: SyncReport,
    result: Result<()>,
}

/// A run with all its attempts.
struct Course<'a> {
    request: &'a SyncRequest,
    asked: &'a Asked,
    /// A random number, for the run's id.
    random: u32,
    progress: &'a Watched<'a>,
    stop: &'a StopSignal,
    retries: &'a Retries<'a>,
    started_at: Timestamp,
    state: &'a Mutex<State>,
}

impl Course<'_> {
    /// Makes attempts until one comes through, or fails in a way that is not worth another.
    fn run(&self, log: &mut Option<RunLog>) -> Ended {
        let request = self.request;
        let mut asked = self.asked.clone();
        let prepared = self.prepare(&asked);
        let resumed = prepared
            .as_ref()
            .ok()
            .and_then(|prepared| prepared.plan.resumes.clone());
        let resumes = resumed.is_some();
        let mut run = resumed.unwrap_or_else(|| RunId::new(self.started_at, self.random));
        let mut report = request.blank_report(&run, self.started_at);
        let ended = |report, result| Ended { report, result };
        let opened = self.open_log(&run).map(|opened| *log = Some(opened));
        let mut prepared = match prepared.and_then(|prepared| opened.map(|()| prepared)) {
            Ok(prepared) => prepared,
            Err(error) => return ended(report, Err(error)),
        };
        let (mut carried, mut waits, mut durable) = (Tally::default(), self.retries.waits(), 0);
        let mut overtaken = 0;
        loop {
            let kept = kept(&prepared.plan);
            if kept > durable {
                // What is kept is not lost to the next failure either.
                (waits, durable) = (self.retries.waits(), kept);
            }
            let kind = prepared.plan.kind;
            let log_of_run = log.as_ref().expect("the log was opened with the run");
            let (attempted, tally, result) = self.attempt(&prepared, &run, log_of_run, carried);
            report = SyncReport {
                resumed: resumes,
                ..attempted
            };
            let error = match result.map_err(|error| self.stopped(error)) {
                Ok(()) => return ended(report, Ok(())),
                Err(Error::TimeUp { .. }) => return ended(paused(report, &prepared.plan), Ok(())),
                Err(error) => error,
            };
            // The engine goes before the next one comes, and with it every connection.
            drop(prepared);
            let why = match &error {
                error if error.overtaken() => Again::Overtaken,
                Error::GroupsWithoutValue { .. } if self.takes_copies(&asked) => Again::AsCopies,
                _ => Again::Broken,
            };
            overtaken += u64::from(why == Again::Overtaken);
            let goes_on = match why {
                Again::Overtaken => self.look_again(overtaken),
                Again::AsCopies => {
                    asked.as_copies = Some(report.strategy.clone());
                    Ok(())
                }
                Again::Broken => self.retries.wait_after(error, &mut waits).map(drop),
            };
            if let Err(error) = goes_on {
                return ended(report, Err(error));
            }
            carried = tally.carried(kind);
            prepared = match self.prepare(&asked) {
                Ok(prepared) => prepared,
                Err(error) => return ended(report, Err(error)),
            };
            if let Some(over) = prepared.settled.as_ref().filter(|over| over.run == run) {
                return ended(settled(report, over, &prepared.notes), Ok(()));
            }
            if prepared.plan.resumes.as_ref() != Some(&run) {
                let number = overtaken + u64::from(asked.as_copies.is_some());
                let number = self.retries.number(self.random, number);
                let again = RunId::new(request.clock.now(), number);
                carried.notes.push(match why {
                    Again::Overtaken => looked_again(&run, &again),
                    Again::AsCopies => compared_as_copies(&run, &again),
                    Again::Broken => started_again(&run, &again),
                });
                prepared
                    .plan
                    .notes
                    .retain(|note| !note.starts_with(&format!("run {run}")));
                run = again;
                *log = match self.open_log(&run) {
                    Ok(log) => Some(log),
                    Err(error) => return ended(report, Err(error)),
                };
            }
        }
    }

    /// Whether a comparison that another run's commit made worthless is to be made again, for the `times`th time.
    fn look_again(&self, times: u64) -> Result<()> {
        let spec = &self.request.spec;
        if self.stop.stopped() {
            return Err(Error::Stopped {
                pipeline: spec.name.clone(),
            });
        }
        if times < COMPARISONS_MAX {
            return Ok(());
        }
        Err(Error::refused(
            ErrorKind::Conflict,
            format!(
                "both sides of table \"{}\" were compared {times} times, and each time another run committed to it meanwhile: \
                 nothing was committed",
                spec.destination.table
            ),
            "Run it when the pipelines that write to this table are at rest, or give each of them a table of its own.",
        ))
    }

    /// Whether groups may be compared as copies of rows: what is gone goes then.
    fn takes_copies(&self, asked: &Asked) -> bool {
        asked.as_copies.is_none() && self.request.spec.deletes.policy == DeletePolicy::Hard
    }

    fn prepare(&self, asked: &Asked) -> Result<Prepared> {
        self.progress.phase(Phase::Planning);
        let prepared = self.retries.run(|| {
            let mut state = self.state.lock().expect("no holder of the state panics");
            prepare(self.request, asked, &mut state, self.stop)
        });
        prepared.map_err(|error| self.stopped(error))
    }

    /// When the run is to pause.
    fn until(&self) -> Option<Timestamp> {
        let time = self.request.spec.limits.run_for?;
        // A time beyond the end of the calendar is no limit.
        self.started_at.checked_add(time).ok()
    }

    fn open_log(&self, run: &RunId) -> Result<RunLog> {
        let request = self.request;
        let clock = Arc::clone(&request.clock);
        RunLog::open(
            &request.data.logs,
            &request.spec.name,
            run,
            request.log_level,
            clock,
        )
    }

    /// Carries a plan out, and says how far that came.
    fn attempt(
        &self,
        prepared: &Prepared,
        run: &RunId,
        log: &RunLog,
        carried: Tally,
    ) -> (SyncReport, Tally, Result<()>) {
        let Prepared {
            plan,
            facts,
            destination,
            notes,
            repaired,
            ..
        } = prepared;
        log_start(log, plan);
        let attempt = Attempt {
            request: self.request,
            plan,
            facts,
            destination: destination.as_ref(),
            run,
            log,
            progress: self.progress,
            retries: self.retries,
            stop: self.stop,
            until: self.until(),
        };
        let mut tally = attempt.new_tally(notes, carried);
        tally.commits.repaired += u64::from(*repaired);
        let frozen = {
            let mut state = self.state.lock().expect("no holder of the state panics");
            attempt.freeze(&mut state, self.started_at)
        };
        let result = frozen.and_then(|()| attempt.execute(self.state, &mut tally));
        (attempt.report(tally.clone(), self.started_at), tally, result)
    }

    /// An interrupted statement of a run that was asked to stop is no failure.
    fn stopped(&self, error: Error) -> Error {
        let cancelled = match &error {
            Error::Lake(inner) | Error::Partition { source: inner, .. } => {
                inner.kind() == ErrorKind::Cancelled
            }
            _ => false,
        };
        if self.stop.stopped() && cancelled {
            return Error::Stopped {
                pipeline: self.request.spec.name.clone(),
            };
        }
        error
    }
}

/// Why another attempt is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    /// Somebody else committed meanwhile.
    Overtaken,
    /// A group has no value.
    AsCopies,
    /// A connection broke.
    Broken,
}

/// How many partitions of a plan need no more work, or none but to be put together.
fn kept(plan: &PipelinePlan) -> usize {
    let kept = |partition: &&PartitionPlan| partition.done || partition.staged.is_some();
    plan.partitions.iter().filter(kept).count()
}

/// The report of a run whose time was up.
fn paused(report: SyncReport, plan: &PipelinePlan) -> SyncReport {
    let mut notes = report.notes;
    notes.push(match (plan.kind, plan.keeps_staged()) {
        (PlanKind::Delta, _) => "the time of the run was up: the next one goes on behind the last commit".to_owned(),
        (PlanKind::Full, true) => {
            "the time of the run was up before the load was complete: the next one goes on with what is staged".to_owned()
        }
        (PlanKind::Full, false) | (PlanKind::Groups | PlanKind::Hash | PlanKind::Deletes | PlanKind::Verify, _) => {
            "the time of the run was up before the load was complete, and without a cursor the next one begins anew: give it \
             more time"
                .to_owned()
        }
    });
    SyncReport {
        status: RunStatus::Paused,
        notes,
        ..report
    }
}

/// The report of a run whose last commit was in when nobody knew.
fn settled(report: SyncReport, over: &UnfinishedRun, notes: &[String]) -> SyncReport {
    let mut parity = report.parity;
    if over.uncompared() > 0 && parity.status == ParityStatus::Ok {
        parity.status = ParityStatus::Unproven;
    }
    SyncReport {
        parity,
        status: RunStatus::Completed,
        notes: report.notes.into_iter().chain(notes.iter().cloned()).collect(),
        ..report
    }
}

fn looked_again(run: &RunId, again: &RunId) -> String {
    format!(
        "another run committed to the table while run {run} compared both sides: they were compared again, as run {again}"
    )
}

fn compared_as_copies(run: &RunId, again: &RunId) -> String {
    format!(
        "run {run} met a group without a value, which no key tells from others: all groups were compared as copies of rows, as \
         run {again}, and one that changed counts as gone and come"
    )
}

fn started_again(run: &RunId, again: &RunId) -> String {
    format!(
        "a connection broke, and with it the source's snapshot: what run {run} had read cannot be proven to fit to what is \
         there now, and the load started again as run {again}"
    )
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
    let level = match report.status {
        RunStatus::Completed | RunStatus::Paused => Level::Info,
        _ => Level::Error,
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
