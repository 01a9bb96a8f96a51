//! One attempt at a plan: freeze it, carry it out, clean up, report.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use jiff::Timestamp;
use pintail_lake::{Destination, StageFolder, SweepPolicy};
use pintail_model::{ErrorKind, RunId};
use serde_json::json;

use crate::error::Result;
use crate::log::RunLog;
use crate::plan::{Facts, PipelinePlan, PlanKind};
use crate::progress::{Meter, Progress};
use crate::report::{ParityStatus, SyncReport};
use crate::retry::Retries;
use crate::run::SyncRequest;
use crate::state::{NewPartition, NewRun, RunStatus, State, StoredWatermark};
use crate::stop::StopSignal;
use crate::strategy;
use crate::work::{Tally, Work};

/// Files that nobody knows are swept when they are older than any run or stopped process can be.
const FORGOTTEN: Duration = Duration::from_hours(7 * 24);

/// A run after its plan was made.
pub(crate) struct Attempt<'a> {
    pub(crate) request: &'a SyncRequest,
    pub(crate) plan: &'a PipelinePlan,
    pub(crate) facts: &'a Facts,
    pub(crate) destination: &'a dyn Destination,
    pub(crate) run: &'a RunId,
    pub(crate) log: &'a RunLog,
    pub(crate) progress: &'a dyn Progress,
    pub(crate) retries: &'a Retries<'a>,
    pub(crate) stop: &'a StopSignal,
    /// When the run is to pause.
    pub(crate) until: Option<Timestamp>,
}

impl Attempt<'_> {
    /// Writes the plan down before work starts.
    pub(crate) fn freeze(&self, state: &mut State, started_at: Timestamp) -> Result<()> {
        let plan = self.plan;
        if plan.kind == PlanKind::Verify {
            // It writes nothing, so it leaves nothing that a later run could go on with.
            return Ok(());
        }
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

    /// A tally with what was known before, and what earlier attempts of this very run did.
    pub(crate) fn new_tally(&self, notes: &[String], carried: Tally) -> Tally {
        let (plan, facts) = (self.plan, self.facts);
        let watermark = plan
            .low
            .zip(plan.shape.followed())
            .map(|(value, cursor)| StoredWatermark {
                value,
                column: cursor.source.clone(),
                strategy: plan.strategy.clone(),
                last_key: facts.ledger.as_ref().map(|entry| entry.key.clone()),
                table_id: facts.found.as_ref().map(|table| table.table_id),
                source: facts.source_identity.clone(),
            });
        let notes = carried
            .notes
            .iter()
            .chain(notes)
            .chain(&plan.notes)
            .cloned()
            .collect();
        Tally {
            watermark,
            notes,
            ..carried
        }
    }

    /// Carries the plan out, and cleans up.
    pub(crate) fn execute(&self, state: &Mutex<State>, tally: &mut Tally) -> Result<()> {
        let (meter, loose) = (Meter::default(), Mutex::default());
        let stage = match self.plan.kind {
            PlanKind::Verify => StageFolder {
                path: std::path::PathBuf::new(),
            },
            _ => self.destination.stage(&self.plan.table, self.run)?,
        };
        let work = Work {
            connector: self.request.source.as_ref(),
            place: self.request.destination.as_ref(),
            destination: self.destination,
            plan: self.plan,
            run: self.run,
            stage: &stage,
            state,
            log: self.log,
            meter: &meter,
            progress: self.progress,
            retries: self.retries,
            stop: self.stop,
            clock: self.request.clock.as_ref(),
            until: self.until,
            source_identity: &self.facts.source_identity,
            newest_key: self.facts.ledger.as_ref().map(|entry| &entry.key),
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
        if self.plan.kind == PlanKind::Verify {
            return result;
        }
        work.discard_loose();
        result.and_then(|()| self.sweep(state, tally))
    }

    /// Removes what this run and earlier ones left behind.
    ///
    /// # Errors
    /// A request to stop: then the run is not over, and the next one sweeps. Any other failure is logged, and what is
    /// left goes when it is old.
    fn sweep(&self, state: &Mutex<State>, tally: &Tally) -> Result<()> {
        let pipeline = &self.plan.pipeline;
        let mut state = state.lock().expect("no holder of the state panics");
        let left = state.staged_runs(pipeline).unwrap_or_default();
        let only_this = left.iter().all(|run| run == self.run);
        let nothing_written =
            tally.commits.count == 0 && tally.commits.repaired == 0 && tally.bytes_staged == 0;
        if only_this && nothing_written && self.plan.resumes.is_none() {
            return Ok(());
        }
        let policy = SweepPolicy {
            own_runs: left,
            older_than: Some(FORGOTTEN),
        };
        match self.destination.sweep(&self.plan.table, &policy) {
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
            Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error.into()),
            Err(error) => self
                .log
                .warn("sweep failed", json!({ "error": error.to_string() })),
        }
        Ok(())
    }

    /// What there is to say, beside how it ended.
    pub(crate) fn report(&self, mut tally: Tally, started_at: Timestamp) -> SyncReport {
        let plan = self.plan;
        if tally.parity.status == ParityStatus::Ok && tally.uncompared > 0 {
            tally.parity.status = ParityStatus::Unproven;
        }
        let mismatch = tally.parity.status == ParityStatus::Mismatch;
        let skipped = plan
            .partitions
            .iter()
            .filter(|partition| partition.done || partition.staged.is_some());
        let partitions_skipped = match &plan.reuse {
            // What was staged was thrown away after all.
            Some(_) if tally.restarted => 0,
            Some(_) => skipped.count() as u64,
            // An attempt of this very run may have brought some of them in.
            None => (plan.partitions.len() as u64)
                .saturating_sub(tally.partitions_processed)
                .min(skipped.count() as u64),
        };
        let mut notes: Vec<String> = Vec::new();
        for note in tally.notes {
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
        SyncReport {
            strategy: plan.strategy.clone(),
            rows_processed: tally.rows_processed,
            rows_inserted: tally.rows_inserted,
            rows_updated: tally.rows_updated,
            rows_deleted: tally.rows_deleted,
            partitions_total: plan.partitions.len() as u64,
            partitions_processed: tally.partitions_processed,
            partitions_skipped,
            watermark: tally.watermark.map(|watermark| watermark.value.text()),
            parity: tally.parity,
            kind: plan.kind.as_str().to_owned(),
            reason: plan.reason.clone(),
            compare: (plan.kind == PlanKind::Hash).then(|| plan.comparison.to_string()),
            source: plan.source.clone(),
            resumed: plan.resumes.is_some(),
            snapshot: tally.snapshot,
            commits: tally.commits,
            bytes_staged: tally.bytes_staged,
            drift: tally.drift,
            partition_times: tally.partition_times,
            notes,
            status: if mismatch {
                RunStatus::ParityMismatch
            } else {
                RunStatus::Completed
            },
            ..self.request.blank_report(self.run, started_at)
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
