//! A bar on a terminal, with rows per second and the time that is left.

use std::fmt::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use pintail_model::ErrorKind;
use pintail_sync::{Phase, Progress};

use crate::numbers;

/// The bar of one run.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new(label: &str) -> Self {
        let bar =
            ProgressBar::new_spinner().with_style(style("{prefix}  {spinner}  {human_pos} rows  {msg}"));
        bar.set_prefix(label.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Progress for Bar {
    fn started(&self, rows: Option<u64>, _partitions: usize, _done: usize) {
        let Some(rows) = rows else { return };
        self.0.set_length(rows.max(1));
        self.0.set_style(style(
            "{prefix}  {bar:20}  {human_pos}/{human_len} rows  {pace}  {left}{msg}",
        ));
        self.0.reset_elapsed();
    }

    fn rows(&self, rows: u64) {
        // The length was an estimate.
        if self.0.length().is_some_and(|length| length < rows) {
            self.0.set_length(rows);
        }
        self.0.set_position(rows);
    }

    fn retries(&self, phase: Phase, kind: ErrorKind, wait: Duration) {
        self.0.set_message(super::trying_again(phase, kind, wait));
    }

    fn phase(&self, phase: Phase) {
        self.0.set_message(match phase {
            Phase::Planning => "planning",
            // The time that is left stands in its place.
            Phase::Reading => "",
            Phase::Committing => "committing",
            Phase::Comparing => "comparing both sides",
        });
    }
}

fn style(template: &str) -> ProgressStyle {
    let pace = |state: &ProgressState, out: &mut dyn Write| {
        // The bar has nobody to tell about an error of its own.
        let _ = write!(out, "{} rows/s", numbers::count(state.per_sec() as u64));
    };
    let left = |state: &ProgressState, out: &mut dyn Write| {
        if state.len().is_some_and(|length| state.pos() < length) {
            let _ = write!(out, "{} left  ", numbers::duration(state.eta()));
        }
    };
    ProgressStyle::with_template(template)
        .expect("the templates of this file are well formed")
        .progress_chars("━╸─")
        .with_key("pace", pace)
        .with_key("left", left)
}
