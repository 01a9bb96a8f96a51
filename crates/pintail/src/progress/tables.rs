//! A bar of tables or files, for snapshots.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use pintail_snapshot::{Progress, Step};

/// A bar on a terminal, nothing elsewhere. It goes when it is dropped.
pub(crate) struct TableBar(ProgressBar);

impl TableBar {
    pub(crate) fn new(label: &str) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let style = ProgressStyle::with_template("{prefix}  {bar:20}  {pos}/{len}  {elapsed}  {msg}")
            .expect("the template is well formed")
            .progress_chars("━╸─");
        let bar = ProgressBar::new(1).with_style(style);
        bar.set_prefix(label.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }
}

impl Drop for TableBar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Progress for TableBar {
    fn began(&self, tables: u64) {
        self.0.set_length(tables.max(1));
    }

    fn step(&self, step: Step, table: &str) {
        self.0.set_message(format!("{} {table}", step.as_str()));
    }

    fn done(&self, _table: &str) {
        self.0.inc(1);
    }
}
