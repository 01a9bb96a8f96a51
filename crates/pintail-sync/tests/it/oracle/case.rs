//! One history, carried out on a real source and a real destination, and compared with the model after every run.

use pintail_model::{CursorType, CursorValue, ErrorKind, PartitionKey, Range};
use pintail_sync::StopSignal;
use pintail_sync::spec::NullCursor;
use pintail_sync::state::{FrozenPartition, History as Memory, State};

use super::course::{Stage, Subject};
use super::expected::{Bound, Doing, Expected};
use super::history::{End, RunStep};
use super::kept::{Apply, Counts, LakeModel, later};
use super::model::{Order, Orders, same};
use super::request::Asked;
use super::rows;
use super::world::Watcher;
use crate::served::described;

pub(super) struct Case<'a> {
    stage: Stage<'a>,
    lake: LakeModel,
}

impl<'a> Subject<'a> for Case<'a> {
    fn new(stage: Stage<'a>) -> Self {
        let lake = LakeModel::new(stage.setting.soft);
        Self { stage, lake }
    }

    fn stage(&mut self) -> &mut Stage<'a> {
        &mut self.stage
    }

    /// What becomes visible after a watermark was set must not lie below it, or below what is read again where stamps
    /// are rounded: no later delta would read it.
    fn look(&mut self) -> Result<(), String> {
        let appeared = std::mem::take(&mut self.stage.world.appeared);
        let watermark = self
            .lake
            .watermark
            .map(|watermark| match self.stage.setting.whole_seconds {
                true => self.stage.setting.again(watermark),
                false => watermark,
            });
        match (watermark, appeared.into_iter().min()) {
            (Some(watermark), Some(least)) if least < watermark => Err(format!(
                "a row came late with cursor {least}, and the watermark is {watermark}"
            )),
            _ => Ok(()),
        }
    }

    /// Follows the source until nothing is left to read.
    fn end(&mut self) -> Result<(), String> {
        // The policy is to stop: somebody corrects the source, or loads it in full.
        let fails = self.stage.setting.nulls == Some(NullCursor::Fail)
            && self.stage.world.model.visible.values().any(Order::unstamped);
        let full = self.stage.setting.end == End::Full || fails;
        let last = RunStep {
            strategy: full.then_some("full"),
            ..RunStep::default()
        };
        // A resumed run reads up to the bound of its first attempt.
        let resumes = self.memory()?.unfinished.is_some();
        self.run(&last)?;
        if resumes && !full {
            self.run(&last)?;
        }
        self.compare_sides(full)?;
        match self.stage.setting.end {
            End::Passes => self.pass(),
            End::Delta | End::Full => Ok(()),
        }
    }

    fn run(&mut self, step: &RunStep) -> Result<(), String> {
        self.stage.runs += 1;
        let before = self.memory()?;
        let left = self.left(&before);
        let planned = self.stage.world.model.visible.clone();
        let busy = self.stage.world.model.busy() && !self.stage.world.source.traits().own_clock;
        let asked = Asked {
            scene: self.stage.scene,
            setting: &self.stage.setting,
            source: &*self.stage.world.source,
            step,
            number: self.stage.runs,
            there: self.lake.rows.is_some(),
        };
        let request = asked.orders();
        let (stop, earlier) = (StopSignal::new(), self.lake.clone());
        let watcher = Watcher::new(&mut self.stage.world, step, &stop);
        let result = pintail_sync::run(&request, &watcher, &stop);
        let snapshot = watcher.end().unwrap_or_else(|| planned.clone());
        let after = self.memory()?;
        let largest = planned.values().filter_map(|row| row.cursor).max();
        let set_back = self.stage.setting.cursor == CursorType::Integer
            && self
                .lake
                .watermark
                .is_some_and(|low| largest.is_none_or(|largest| largest < low - 1));
        let doing = Doing::of(step, &self.lake, &before, set_back);
        let full = doing.whole();
        self.stage.tally.runs += 1;
        self.stage.tally.deltas += u64::from(!full);
        self.stage.tally.compared += u64::from(doing.compares());
        match result {
            Ok(report) => {
                if report.kind != doing.word() {
                    return Err(format!(
                        "a {} run was expected: {} ({})",
                        doing.word(),
                        report.kind,
                        report.reason
                    ));
                }
                self.stage.tally.resumed += u64::from(report.resumed);
                self.stage.tally.partitions += report.partitions_total;
                self.stage.tally.rows += report.rows_processed;
                let bound = Bound::of(&self.stage.setting, &report, &before, &planned, busy);
                let counts = match report.resumed && !full {
                    true => self.resume(&snapshot, &left),
                    false => self.advance(doing, &snapshot, &bound),
                };
                let expected = Expected {
                    doing,
                    step,
                    counts,
                    bound: &bound,
                    cursor: self.stage.setting.cursor,
                    lake: &self.lake,
                };
                expected.check(&report)?;
                self.lake.watermark = watermark(&after);
            }
            Err(error) if stop.stopped() && error.kind() == ErrorKind::Cancelled => {
                self.stage.tally.stopped += 1;
                self.stopped(doing, &snapshot, &before, &left, &after)?;
            }
            Err(error) => {
                let unstamped = snapshot.values().any(Order::unstamped);
                let refused =
                    error.kind() == ErrorKind::Data && self.stage.setting.nulls == Some(NullCursor::Fail);
                if full || !refused || !unstamped {
                    return Err(format!("a run failed: {}", described(&error)));
                }
            }
        }
        if let (Some(earlier), Some(now)) = (earlier.watermark, self.lake.watermark)
            && now < earlier
            && !full
        {
            return Err(format!("the watermark went back from {earlier} to {now}"));
        }
        self.compare_lake()
    }
}

impl Case<'_> {
    /// A delta and a pass for deleted rows give what the source has, and a comparison finds no more than what a delta does
    /// not promise.
    fn pass(&mut self) -> Result<(), String> {
        self.run(&RunStep {
            deletes: true,
            ..RunStep::default()
        })?;
        self.compare_sides(false)?;
        let source = &self.stage.world.model.visible;
        let gone = |id: &&i64| !source.contains_key(id);
        if let Some(id) = self.lake.rows.iter().flat_map(Orders::keys).find(gone) {
            return Err(format!(
                "row {id} is not in the source, and a pass for deleted rows left it"
            ));
        }
        self.run(&RunStep {
            strategy: Some("hash"),
            ..RunStep::default()
        })?;
        self.compare_sides(true)
    }

    /// Both sides hold the same, but for what a delta does not promise.
    fn compare_sides(&mut self, full: bool) -> Result<(), String> {
        let lake = self.lake.rows.clone().unwrap_or_default();
        let source = &self.stage.world.model.visible;
        if full {
            return same(source, &lake, "after a last full load or comparison, the source");
        }
        let left_out = |row: &Order| self.stage.setting.nulls == Some(NullCursor::Skip) && row.unstamped();
        for (id, row) in source {
            let kept = lake.get(id);
            // One that is marked stays so for a delta, if the cursor of then is later.
            let known = kept.or(self.lake.marked.get(id));
            let newer = known.is_some_and(|known| later(known.cursor, row.cursor));
            if kept != Some(row) && !left_out(row) && !newer {
                return Err(format!(
                    "row {id} is {row:?} in the source and {kept:?} in the lake"
                ));
            }
        }
        Ok(())
    }

    /// The partitions of the unfinished delta that are not in the lake yet.
    fn left(&self, before: &Memory) -> Vec<FrozenPartition> {
        let Some(run) = before.unfinished.as_ref().filter(|run| run.kind == "delta") else {
            return Vec::new();
        };
        let key =
            |partition: &FrozenPartition| PartitionKey::new(self.stage.scene.name, &run.run, &partition.id);
        let keys: Vec<PartitionKey> = run.partitions.iter().map(key).collect();
        let committed = self.stage.scene.target.committed(&keys);
        let done = |partition: &FrozenPartition| partition.empty || committed.contains(&key(partition));
        run.partitions
            .iter()
            .filter(|partition| !done(partition))
            .cloned()
            .collect()
    }

    /// Lets the model do what a resumed delta did: the partitions that were left.
    fn resume(&mut self, snapshot: &Orders, left: &[FrozenPartition]) -> Counts {
        for partition in left {
            bring(&mut self.lake, snapshot, partition, None);
        }
        // Its report speaks of its own part only.
        Counts::default()
    }

    /// Lets the model do what a run did that came to its end.
    fn advance(&mut self, doing: Doing, snapshot: &Orders, bound: &Bound) -> Counts {
        match doing {
            Doing::Delta => {}
            Doing::Hash => return self.lake.hash(snapshot),
            Doing::Deletes => return self.lake.deletes(snapshot),
            Doing::Full => return self.lake.full(snapshot),
        }
        let low = self.lake.watermark.expect("a delta goes on from a watermark");
        let apply = if bound.certain {
            Apply::Newer
        } else {
            Apply::Changed
        };
        let mut counts = Counts::default();
        if bound.high > low {
            counts += self
                .lake
                .range(snapshot, self.stage.setting.again(low)..low, Apply::Changed);
            self.stage.tally.looked_back += counts.inserted + counts.updated;
        }
        counts += self.lake.range(snapshot, low..bound.high, apply);
        if self.stage.setting.nulls == Some(NullCursor::Include) {
            counts += self.lake.nulls(snapshot);
        }
        self.stage.tally.kept += counts.kept;
        counts
    }

    /// Finds out how far a stopped run came: whole partitions in order, or a whole table.
    fn stopped(
        &mut self,
        doing: Doing,
        snapshot: &Orders,
        before: &Memory,
        left_before: &[FrozenPartition],
        after: &Memory,
    ) -> Result<(), String> {
        let found = self.read_lake();
        let left = self.lake.clone();
        self.lake.watermark = watermark(after);
        if doing.whole() {
            match doing {
                Doing::Deletes => self.lake.deletes(snapshot),
                _ => self.lake.full(snapshot),
            };
            if found == self.lake.tables() {
                return Ok(());
            }
            // Nothing came in, so nothing may have changed.
            self.lake = LakeModel {
                watermark: self.lake.watermark,
                ..left
            };
            return same_tables(
                &self.lake.tables(),
                &found,
                &format!("a {} run was stopped, and the old table", doing.word()),
            );
        }
        let run = after.unfinished.as_ref();
        let resumed = run.map(|run| &run.run) == before.unfinished.as_ref().map(|run| &run.run);
        let partitions = match resumed {
            true => left_before,
            false => run.map(|run| run.partitions.as_slice()).unwrap_or_default(),
        };
        let mut candidates = vec![self.lake.clone()];
        for partition in partitions {
            let mut next = candidates.last().expect("there is a first one").clone();
            let recorded = bring(&mut next, snapshot, partition, self.lake.watermark);
            if recorded {
                candidates = vec![next];
            } else {
                candidates.push(next);
            }
        }
        match candidates
            .into_iter()
            .rev()
            .find(|candidate| candidate.tables() == found)
        {
            Some(candidate) => self.lake = candidate,
            None => {
                return same_tables(
                    &left.tables(),
                    &found,
                    "a delta was stopped, and whole partitions",
                );
            }
        }
        Ok(())
    }

    fn compare_lake(&self) -> Result<(), String> {
        same_tables(&self.lake.tables(), &self.read_lake(), "the model")
    }

    /// Everything that the destination's table holds: rows that live, and those that are marked. `None` if it is not there.
    fn read_lake(&self) -> Option<(Orders, Orders)> {
        let scene = self.stage.scene;
        rows::orders(scene.target, scene.name, &self.stage.setting)
    }

    /// What the state remembers.
    fn memory(&self) -> Result<Memory, String> {
        let state = State::look(&self.stage.scene.target.data_dir()).map_err(|error| error.to_string())?;
        let memory = state
            .map(|state| state.history(self.stage.scene.name))
            .transpose();
        memory
            .map(Option::unwrap_or_default)
            .map_err(|error| error.to_string())
    }
}

impl Order {
    fn unstamped(&self) -> bool {
        self.cursor.is_none()
    }
}

/// Lets a partition in. Returns whether the state says that it is in.
fn bring(
    lake: &mut LakeModel,
    snapshot: &Orders,
    partition: &FrozenPartition,
    recorded: Option<i64>,
) -> bool {
    let apply = if partition.changed_only {
        Apply::Changed
    } else {
        Apply::Newer
    };
    match &partition.range {
        Range::Cursor { low, high, .. } => {
            let low = low.map_or(i64::MIN, CursorValue::number);
            lake.range(snapshot, low..high.number(), apply);
        }
        _ => {
            lake.nulls(snapshot);
        }
    }
    partition
        .watermark
        .zip(recorded)
        .is_some_and(|(watermark, recorded)| watermark.number() <= recorded)
}

fn watermark(memory: &Memory) -> Option<i64> {
    memory
        .watermark
        .as_ref()
        .map(|watermark| watermark.value.number())
}

fn same_tables(
    expected: &Option<(Orders, Orders)>,
    found: &Option<(Orders, Orders)>,
    who: &str,
) -> Result<(), String> {
    match (expected, found) {
        (Some((living, marked)), Some((living_found, marked_found))) => {
            same(living, living_found, who)?;
            same(marked, marked_found, &format!("{who}, of rows that are marked,"))
        }
        (None, None) => Ok(()),
        (expected, found) => Err(format!(
            "{who} has a table: {}, and the lake: {}",
            expected.is_some(),
            found.is_some()
        )),
    }
}
