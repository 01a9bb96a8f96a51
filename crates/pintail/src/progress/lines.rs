//! Lines for where there is no terminal: enough for a log to follow a run, few enough to read it later.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use pintail_model::ErrorKind;
use pintail_sync::{Phase, Progress};

use crate::numbers;
use crate::terminal;

/// How often the rows are told.
const INTERVAL: Duration = Duration::from_secs(10);

/// Up to so many partitions each get a line of their own.
const PARTITIONS_MAX: usize = 20;

/// What stands between the label and the number of a partition in such a line. The demo waits for it.
pub(crate) const PARTITION: &str = ": partition ";

/// The lines of one run.
pub(super) struct Lines {
    label: String,
    stand: Mutex<Stand>,
}

/// Where the run stands.
struct Stand {
    started_at: Instant,
    told_at: Instant,
    expected: Option<u64>,
    partitions: usize,
    done: usize,
}

impl Lines {
    pub(super) fn new(label: &str) -> Self {
        let now = Instant::now();
        let stand = Stand {
            started_at: now,
            told_at: now,
            expected: None,
            partitions: 0,
            done: 0,
        };
        Self {
            label: label.to_owned(),
            stand: Mutex::new(stand),
        }
    }
}

impl Progress for Lines {
    fn started(&self, rows: Option<u64>, partitions: usize, done: usize) {
        let now = Instant::now();
        *self.stand.lock().expect("no holder of this lock panics") = Stand {
            started_at: now,
            told_at: now,
            expected: rows,
            partitions,
            done,
        };
        if partitions == 0 {
            return;
        }
        let partitions = numbers::counted(partitions as u64, "partition");
        let what = match rows {
            Some(rows) => format!("about {} in {partitions}", numbers::counted(rows, "row")),
            None => partitions,
        };
        let skipped = if done == 0 {
            String::new()
        } else {
            format!(", {done} of them in already")
        };
        terminal::say(format_args!("{}: reading {what}{skipped}", self.label));
    }

    fn rows(&self, rows: u64) {
        let mut stand = self.stand.lock().expect("no holder of this lock panics");
        if stand.told_at.elapsed() < INTERVAL {
            return;
        }
        stand.told_at = Instant::now();
        let pace = rows as f64 / stand.started_at.elapsed().as_secs_f64();
        let left = match stand.expected {
            Some(expected) if expected > rows && rows > 0 => {
                format!(", {} left", numbers::seconds((expected - rows) as f64 / pace))
            }
            _ => String::new(),
        };
        let (read, pace) = (numbers::counted(rows, "row"), numbers::count(pace as u64));
        terminal::say(format_args!("{}: {read}, {pace} rows/s{left}", self.label));
    }

    fn partition_done(&self, _id: &str, rows: u64) {
        let mut stand = self.stand.lock().expect("no holder of this lock panics");
        stand.done += 1;
        let (done, partitions) = (stand.done, stand.partitions);
        if 1 < partitions && partitions <= PARTITIONS_MAX {
            stand.told_at = Instant::now();
            let rows = numbers::counted(rows, "row");
            terminal::say(format_args!(
                "{}{PARTITION}{done} of {partitions} done, {rows}",
                self.label
            ));
        }
    }

    fn retries(&self, phase: Phase, kind: ErrorKind, wait: Duration) {
        terminal::say(format_args!(
            "{}: {}",
            self.label,
            super::trying_again(phase, kind, wait)
        ));
    }

    fn phase(&self, phase: Phase) {
        tracing::debug!(?phase, "phase began");
    }
}
