//! What a run shows while it works: one bar a pipeline on a terminal, a line now and then elsewhere.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use pintail_sync::{Phase, Progress};

use crate::numbers;
use crate::terminal;

/// How often a line is written where there is no terminal: rarely enough for a log of a long run.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Up to so many partitions each get a line of their own.
const LINES_MAX: usize = 20;

/// What stands between the pipeline and the number of a partition in such a line. The demo waits for it.
pub(crate) const PARTITION_IS_IN: &str = ": partition ";

/// Shows the progress of one run on stderr.
pub(crate) struct Display {
    pipeline: String,
    bar: Option<ProgressBar>,
    lines: Mutex<Lines>,
}

/// Where the lines of a run stand.
struct Lines {
    started_at: Instant,
    last_at: Instant,
    expected: Option<u64>,
    partitions: usize,
    done: usize,
}

impl Display {
    pub(crate) fn new(pipeline: &str) -> Self {
        let now = Instant::now();
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            bar.set_style(spinner());
            bar.set_prefix(pipeline.to_owned());
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        let lines = Mutex::new(Lines {
            started_at: now,
            last_at: now,
            expected: None,
            partitions: 0,
            done: 0,
        });
        Self {
            pipeline: pipeline.to_owned(),
            bar,
            lines,
        }
    }

    /// Says how many rows are to come, where no plan does.
    pub(crate) fn expect(&self, rows: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(rows.max(1));
            bar.set_style(counted());
        }
    }

    /// Takes the bar away, so that the summary stands in its place.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Progress for Display {
    fn started(&self, rows: Option<u64>, partitions: usize, done: usize) {
        if self.bar.is_some() {
            rows.into_iter().for_each(|rows| self.expect(rows));
            return;
        }
        let mut lines = self.lines.lock().expect("no holder of this lock panics");
        lines.expected = rows;
        lines.partitions = partitions;
        lines.done = done;
        lines.started_at = Instant::now();
        lines.last_at = lines.started_at;
        if partitions == 0 {
            return;
        }
        let rows = rows.map_or_else(String::new, |rows| {
            format!(" about {} of", numbers::counted(rows, "row"))
        });
        let partitions = numbers::counted(partitions as u64, "partition");
        let skipped = if done == 0 {
            String::new()
        } else {
            format!(", {done} of them in already")
        };
        terminal::say(format_args!(
            "{}: reading{rows} {partitions}{skipped}",
            self.pipeline
        ));
    }

    fn rows(&self, rows: u64) {
        if let Some(bar) = &self.bar {
            // The length was an estimate.
            if bar.length().is_some_and(|length| length < rows) {
                bar.set_length(rows);
            }
            bar.set_position(rows);
            return;
        }
        let mut lines = self.lines.lock().expect("no holder of this lock panics");
        if lines.last_at.elapsed() < LINE_INTERVAL {
            return;
        }
        lines.last_at = Instant::now();
        let seconds = lines.started_at.elapsed().as_secs_f64();
        let pace = rows as f64 / seconds;
        let left = match lines.expected {
            Some(expected) if expected > rows && rows > 0 => {
                format!(", {} left", numbers::seconds((expected - rows) as f64 / pace))
            }
            _ => String::new(),
        };
        let (read, pace) = (numbers::counted(rows, "row"), numbers::count(pace as u64));
        terminal::say(format_args!("{}: {read}, {pace} rows/s{left}", self.pipeline));
    }

    fn partition_done(&self, _id: &str, rows: u64) {
        if self.bar.is_some() {
            return;
        }
        let mut lines = self.lines.lock().expect("no holder of this lock panics");
        lines.done += 1;
        let (done, partitions) = (lines.done, lines.partitions);
        if 1 < partitions && partitions <= LINES_MAX {
            lines.last_at = Instant::now();
            let rows = numbers::counted(rows, "row");
            terminal::say(format_args!(
                "{}{PARTITION_IS_IN}{done} of {partitions} is in, {rows}",
                self.pipeline
            ));
        }
    }

    fn phase(&self, phase: Phase) {
        if let Some(bar) = &self.bar {
            bar.set_message(word(phase));
        }
    }
}

fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Planning => "planning",
        Phase::Reading => "reading",
        Phase::Committing => "committing",
        Phase::Comparing => "comparing both sides",
    }
}

fn spinner() -> ProgressStyle {
    styled("{prefix}  {spinner} {msg}  {human_pos} rows  {pace}")
}

fn counted() -> ProgressStyle {
    styled("{prefix}  {bar:24}  {human_pos}/{human_len} rows  {pace}  {left}  {msg}")
}

fn styled(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("the templates of this file are well formed")
        .progress_chars("━╸─")
        .with_key("pace", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{} rows/s", numbers::count(state.per_sec() as u64));
        })
        .with_key("left", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{} left", numbers::duration(state.eta()));
        })
}
