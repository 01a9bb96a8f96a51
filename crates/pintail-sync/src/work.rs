//! What every stage of a run needs: both sides, the plan, and where to write down what happens.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use jiff::Timestamp;
use pintail_lake::connector::Connector;
use pintail_lake::{Destination, DestinationPlace, StageFolder};
use pintail_model::{Clock, PartitionKey, RunId};

use crate::error::{Error, Result};
use crate::log::RunLog;
use crate::plan::{PartitionPlan, PipelinePlan, PlanKind};
use crate::progress::{Meter, Progress};
use crate::report::{Commits, Drift, Parity, PartitionTime};
use crate::retry::Retries;
use crate::state::{State, StoredWatermark};
use crate::stop::StopSignal;

/// One run under way.
pub(crate) struct Work<'a> {
    pub(crate) connector: &'a dyn Connector,
    pub(crate) place: &'a dyn DestinationPlace,
    pub(crate) destination: &'a dyn Destination,
    pub(crate) plan: &'a PipelinePlan,
    pub(crate) run: &'a RunId,
    pub(crate) stage: &'a StageFolder,
    pub(crate) state: &'a Mutex<State>,
    pub(crate) log: &'a RunLog,
    pub(crate) meter: &'a Meter,
    pub(crate) progress: &'a dyn Progress,
    pub(crate) retries: &'a Retries<'a>,
    pub(crate) stop: &'a StopSignal,
    pub(crate) clock: &'a dyn Clock,
    /// When the run is to pause.
    pub(crate) until: Option<Timestamp>,
    /// The address and table of the source, as watermarks remember it.
    pub(crate) source_identity: &'a str,
    /// The newest entry of the destination's ledger for the table, before this run.
    pub(crate) newest_key: Option<&'a PartitionKey>,
    /// Files that no commit was offered yet: they go with a run that ends early.
    pub(crate) loose: &'a Mutex<Vec<PathBuf>>,
}

/// What a run has done until now. It is reported however the run ends.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) rows_processed: u64,
    pub(crate) rows_inserted: u64,
    pub(crate) rows_updated: u64,
    pub(crate) rows_deleted: u64,
    pub(crate) partitions_processed: u64,
    pub(crate) bytes_staged: u64,
    pub(crate) snapshot: Option<i64>,
    pub(crate) commits: Commits,
    pub(crate) parity: Parity,
    pub(crate) drift: Option<Drift>,
    pub(crate) partition_times: Vec<PartitionTime>,
    pub(crate) notes: Vec<String>,
    /// Partitions that are in the lake and were not compared.
    pub(crate) uncompared: u64,
    /// What an earlier attempt had staged was thrown away.
    pub(crate) restarted: bool,
    /// The watermark as it stands.
    pub(crate) watermark: Option<StoredWatermark>,
}

impl Tally {
    /// What of it holds for a run that goes on after its connections were made anew: all that a delta has committed,
    /// and nothing of what a full load or a comparison had read, which is read or taken up again.
    pub(crate) fn carried(self, kind: PlanKind) -> Self {
        match kind {
            PlanKind::Delta => self,
            PlanKind::Full | PlanKind::Groups | PlanKind::Hash | PlanKind::Deletes | PlanKind::Verify => {
                Self {
                    commits: self.commits,
                    bytes_staged: self.bytes_staged,
                    notes: self.notes,
                    ..Self::default()
                }
            }
        }
    }
}

impl Work<'_> {
    /// The state, which threads take turns with.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of the state panics")
    }

    /// Ends the run here if somebody asked for it.
    pub(crate) fn check_stop(&self) -> Result<()> {
        if self.stop.stopped() {
            return Err(Error::Stopped {
                pipeline: self.plan.pipeline.clone(),
            });
        }
        Ok(())
    }

    /// Pauses the run here if its time is up. To be asked between partitions, after at least one of them: every run gets
    /// further, however short its time.
    pub(crate) fn check_time(&self) -> Result<()> {
        match self.until {
            Some(until) if self.clock.now() >= until => Err(Error::TimeUp {
                pipeline: self.plan.pipeline.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// The key of a partition in the ledger.
    pub(crate) fn key(&self, partition: &PartitionPlan) -> PartitionKey {
        PartitionKey::new(&self.plan.pipeline, self.run, &partition.id)
    }

    /// Notes a file that is about to be written.
    pub(crate) fn loosen(&self, path: &Path) {
        self.loose_files().push(path.to_path_buf());
    }

    /// Notes that a file is offered to a commit, or to the next run: from now on only a sweep may decide about it.
    pub(crate) fn offer(&self, path: &Path) {
        self.loose_files().retain(|loose| loose != path);
    }

    /// Removes a file that is not wanted any more.
    pub(crate) fn discard(&self, path: &Path) {
        self.destination.discard(path);
        self.offer(path);
    }

    /// Removes every file that no commit was offered.
    pub(crate) fn discard_loose(&self) {
        for path in std::mem::take(&mut *self.loose_files()) {
            self.destination.discard(&path);
        }
        self.remove_empty_folder();
    }

    /// Removes the run's folder if nothing is in it.
    pub(crate) fn remove_empty_folder(&self) {
        let _ = std::fs::remove_dir(&self.stage.path);
    }

    fn loose_files(&self) -> MutexGuard<'_, Vec<PathBuf>> {
        self.loose.lock().expect("no holder of this lock panics")
    }
}
