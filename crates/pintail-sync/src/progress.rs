//! What a run tells whoever watches it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pintail_lake::Tap;
use pintail_model::ErrorKind;
use serde::Serialize;

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It looks at both sides and makes its plan.
    Planning,
    /// It reads the source.
    Reading,
    /// It commits to the lake.
    Committing,
    /// It compares both sides.
    Comparing,
}

impl Phase {
    /// The word in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planning => "planning",
            Self::Reading => "reading",
            Self::Committing => "committing",
            Self::Comparing => "comparing",
        }
    }
}

/// A watcher of one run. Calls come from several threads and must return soon.
pub trait Progress: Sync {
    /// The plan is made: about how many rows, in how many partitions, how many of which are in already.
    fn started(&self, rows: Option<u64>, partitions: usize, done: usize) {
        let _ = (rows, partitions, done);
    }

    /// How many rows were read until now.
    fn rows(&self, rows: u64) {
        let _ = rows;
    }

    /// A partition was read, or, in a delta, committed.
    fn partition_done(&self, id: &str, rows: u64) {
        let _ = (id, rows);
    }

    /// The run does something else now.
    fn phase(&self, phase: Phase) {
        let _ = phase;
    }

    /// An error of that kind came in the way, and the run tries again after `wait`.
    fn retries(&self, phase: Phase, kind: ErrorKind, wait: Duration) {
        let _ = (phase, kind, wait);
    }
}

/// Nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Progress for Unwatched {}

/// A watcher, and the phase that it was told of last.
pub(crate) struct Watched<'a> {
    watcher: &'a dyn Progress,
    phase: Mutex<Phase>,
}

impl<'a> Watched<'a> {
    pub(crate) fn new(watcher: &'a dyn Progress) -> Self {
        Self {
            watcher,
            phase: Mutex::new(Phase::Planning),
        }
    }

    /// What the run does now.
    pub(crate) fn now(&self) -> Phase {
        *self.phase.lock().expect("no holder of this lock panics")
    }
}

impl Progress for Watched<'_> {
    fn started(&self, rows: Option<u64>, partitions: usize, done: usize) {
        self.watcher.started(rows, partitions, done);
    }

    fn rows(&self, rows: u64) {
        self.watcher.rows(rows);
    }

    fn partition_done(&self, id: &str, rows: u64) {
        self.watcher.partition_done(id, rows);
    }

    fn phase(&self, phase: Phase) {
        *self.phase.lock().expect("no holder of this lock panics") = phase;
        self.watcher.phase(phase);
    }

    fn retries(&self, phase: Phase, kind: ErrorKind, wait: Duration) {
        self.watcher.retries(phase, kind, wait);
    }
}

/// Counts rows while statements run.
#[derive(Default)]
pub(crate) struct Meter {
    done: AtomicU64,
    running: Mutex<Vec<Arc<Tap>>>,
}

impl Meter {
    /// Counts what passes through `tap` from now on.
    pub(crate) fn watch(&self, tap: &Arc<Tap>) {
        self.running
            .lock()
            .expect("no holder of this lock panics")
            .push(Arc::clone(tap));
    }

    /// Counts `rows` for good, in place of what passed through `tap`.
    pub(crate) fn settle(&self, tap: &Arc<Tap>, rows: u64) {
        let mut running = self.running.lock().expect("no holder of this lock panics");
        running.retain(|other| !Arc::ptr_eq(other, tap));
        self.done.fetch_add(rows, Ordering::Relaxed);
    }

    /// Rows until now.
    pub(crate) fn rows(&self) -> u64 {
        let running = self.running.lock().expect("no holder of this lock panics");
        self.done.load(Ordering::Relaxed) + running.iter().map(|tap| tap.rows()).sum::<u64>()
    }

    /// Reports to `progress` until the other end of `ended` is dropped.
    pub(crate) fn report(&self, progress: &dyn Progress, ended: &Receiver<()>) {
        const INTERVAL: Duration = Duration::from_millis(100);
        let mut shown = 0;
        loop {
            let last = ended.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Timeout);
            let rows = self.rows();
            if rows != shown {
                progress.rows(rows);
                shown = rows;
            }
            if last {
                return;
            }
        }
    }
}
