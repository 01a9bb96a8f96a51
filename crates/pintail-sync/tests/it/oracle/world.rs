//! A source and its model, which change together: also in the middle of a run, at the moments that matter.

use std::sync::Mutex;

use pintail_sync::{Phase, Progress, StopSignal};

use super::history::{Change, Event, RunStep, StopAt};
use super::model::{Orders, SourceModel, Written};
use super::source::Source;

pub(super) struct World<'a> {
    pub(super) source: &'a mut dyn Source,
    pub(super) model: SourceModel,
    /// Cursors that became visible since somebody looked.
    pub(super) appeared: Vec<i64>,
    /// Transactions that ended after a run had begun while they were open.
    pub(super) late_commits: u64,
    /// Slots that were open when the last run looked at the source's transactions.
    waited_for: Vec<usize>,
}

impl<'a> World<'a> {
    pub(super) fn new(source: &'a mut dyn Source) -> Self {
        Self {
            source,
            model: SourceModel::default(),
            appeared: Vec::new(),
            late_commits: 0,
            waited_for: Vec::new(),
        }
    }

    pub(super) fn happen(&mut self, event: &Event) {
        match event {
            Event::Write(changes) => {
                let free = self.free(changes, None);
                let written = self.source.write(&free);
                self.commit(written);
            }
            Event::Begin { slot } => {
                if !self.model.open(*slot) {
                    self.source.begin(*slot);
                    self.model.begin(*slot);
                }
            }
            Event::WriteOpen { slot, changes } => {
                if self.model.open(*slot) {
                    let free = self.free(changes, Some(*slot));
                    self.model.lock(*slot, free.iter().map(|change| change.id));
                    self.source.write_open(*slot, &free);
                }
            }
            Event::End { slot, commits } => {
                if self.model.open(*slot) {
                    let written = self.source.end(*slot, *commits);
                    self.model.end(*slot);
                    self.late_commits += u64::from(self.waited_for.contains(slot) && !written.is_empty());
                    self.waited_for.retain(|waited_for| waited_for != slot);
                    self.commit(written);
                }
            }
        }
    }

    /// Ends everything that is open.
    pub(super) fn settle(&mut self) {
        for slot in 0..super::history::SLOTS {
            self.happen(&Event::End { slot, commits: true });
        }
    }

    /// Notes which transactions a run finds open.
    pub(super) fn run_begins(&mut self) {
        self.waited_for = (0..super::history::SLOTS)
            .filter(|slot| self.model.open(*slot))
            .collect();
    }

    /// Without those that would wait for another transaction's lock.
    fn free(&self, changes: &[Change], slot: Option<usize>) -> Vec<Change> {
        changes
            .iter()
            .filter(|change| !self.model.waits(change.id, slot))
            .cloned()
            .collect()
    }

    fn commit(&mut self, written: Written) {
        self.appeared
            .extend(written.iter().filter_map(|(_, row)| row.as_ref()?.cursor));
        self.model.commit(written);
    }
}

/// Lets things happen while a run is under way, and stops it.
pub(super) struct Watcher<'w, 'a> {
    stop: &'w StopSignal,
    stop_at: Option<StopAt>,
    inner: Mutex<Inner<'w, 'a>>,
}

struct Inner<'w, 'a> {
    world: &'w mut World<'a>,
    before_snapshot: &'w [Event],
    after_snapshot: &'w [Event],
    /// What the run's snapshot sees, once it has one.
    snapshot: Option<Orders>,
    partitions: usize,
}

impl<'w, 'a> Watcher<'w, 'a> {
    pub(super) fn new(world: &'w mut World<'a>, step: &'w RunStep, stop: &'w StopSignal) -> Self {
        world.run_begins();
        let inner = Inner {
            world,
            before_snapshot: &step.before_snapshot,
            after_snapshot: &step.after_snapshot,
            snapshot: None,
            partitions: 0,
        };
        Self {
            stop,
            stop_at: step.stop,
            inner: Mutex::new(inner),
        }
    }

    /// Lets happen what had no opportunity, and returns what the run's snapshot saw.
    pub(super) fn end(self) -> Option<Orders> {
        let mut inner = self.inner.into_inner().expect("no holder panics");
        let snapshot = inner.snapshot.take();
        inner.happen(true);
        inner.happen(false);
        snapshot
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner<'w, 'a>> {
        self.inner.lock().expect("no holder panics")
    }
}

impl Inner<'_, '_> {
    fn happen(&mut self, before: bool) {
        let events = if before {
            &mut self.before_snapshot
        } else {
            &mut self.after_snapshot
        };
        for event in std::mem::take(events) {
            self.world.happen(event);
        }
    }
}

impl Progress for Watcher<'_, '_> {
    fn started(&self, _: Option<u64>, _: usize, _: usize) {
        let mut inner = self.inner();
        // A load that starts again opens another snapshot.
        if inner.snapshot.is_some() {
            inner.happen(false);
            inner.snapshot = Some(inner.world.model.visible.clone());
        }
    }

    fn partition_done(&self, _: &str, _: u64) {
        let mut inner = self.inner();
        inner.partitions += 1;
        inner.happen(false);
        if self.stop_at == Some(StopAt::Partition(inner.partitions)) {
            self.stop.stop();
        }
    }

    fn phase(&self, phase: Phase) {
        let mut inner = self.inner();
        match phase {
            // The plan is made; the snapshot is opened next.
            Phase::Reading if inner.snapshot.is_none() => {
                inner.happen(true);
                inner.snapshot = Some(inner.world.model.visible.clone());
            }
            // From now on the snapshot is open, whatever the run does.
            Phase::Reading | Phase::Comparing | Phase::Committing => inner.happen(false),
            Phase::Planning => {}
        }
        if self.stop_at == Some(StopAt::Phase(phase)) {
            self.stop.stop();
        }
    }
}
