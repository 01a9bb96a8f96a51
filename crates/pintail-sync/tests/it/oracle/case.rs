//! One history, carried out on a real source and a real destination, and compared with the model after every run.

use pintail_model::{CursorType, CursorValue, ErrorKind, PartitionKey, Range};
use pintail_sync::StopSignal;
use pintail_sync::spec::NullCursor;
use pintail_sync::state::{FrozenPartition, History as Memory, State};

use super::expected::{Bound, Doing, Expected};
use super::history::{End, History, RunStep, Setting, Step};
use super::model::{Apply, Counts, LakeModel, Order, Orders, later, same};
use super::request::Asked;
use super::rows;
use super::source::Source;
use super::tally::Tally;
use super::target::Target;
use super::world::{Watcher, World};
use crate::served::described;

/// Where the case takes place.
pub(super) struct Scene<'a> {
    pub(super) target: &'a dyn Target,
    /// Of the table, the pipeline and everything else.
    pub(super) name: &'a str,
}

pub(super) struct Case<'a> {
    scene: &'a Scene<'a>,
    world: World<'a>,
    setting: Setting,
    lake: LakeModel,
    runs: u32,
    tally: Tally,
}

/// Carries out the first `steps` steps of a history, and then what brings both sides together.
pub(super) fn play(
    scene: &Scene<'_>,
    source: &mut dyn Source,
    history: &History,
    steps: usize,
) -> Result<Tally, String> {
    source.make_table(scene.name, &history.setting);
    let mut case = Case {
        scene,
        world: World::new(source),
        setting: history.setting.clone(),
        lake: LakeModel::default(),
        runs: 0,
        tally: Tally::default(),
    };
    for (number, step) in history.steps.iter().take(steps).enumerate() {
        case.step(step, number)
            .map_err(|problem| format!("after step {number}: {problem}"))?;
    }
    case.finish()
        .map_err(|problem| format!("at the end: {problem}"))?;
    case.tally.late_commits = case.world.late_commits;
    Ok(case.tally)
}

impl Case<'_> {
    fn step(&mut self, step: &Step, number: usize) -> Result<(), String> {
        // No two events of a history fall on one instant, unless they are meant to.
        self.world.source.wait(137_003 * (number as i64 % 3));
        match step {
            Step::Wait { seconds } => self.world.source.wait(i64::from(*seconds) * 1_000_000),
            Step::Event(event) => self.world.happen(event),
            Step::Run(run) => self.run(run)?,
        }
        self.check_appeared()
    }

    /// What becomes visible after a watermark was set must not lie below it, or below what is read again where stamps
    /// are rounded: no later delta would read it.
    fn check_appeared(&mut self) -> Result<(), String> {
        let appeared = std::mem::take(&mut self.world.appeared);
        let watermark = self
            .lake
            .watermark
            .map(|watermark| match self.setting.whole_seconds {
                true => self.setting.again(watermark),
                false => watermark,
            });
        match (watermark, appeared.into_iter().min()) {
            (Some(watermark), Some(least)) if least < watermark => Err(format!(
                "a row came late with cursor {least}, and the watermark is {watermark}"
            )),
            _ => Ok(()),
        }
    }

    /// Ends all transactions and follows the source until nothing is left to read.
    fn finish(&mut self) -> Result<(), String> {
        self.world.settle();
        self.check_appeared()?;
        self.world
            .source
            .wait(i64::from(self.setting.lag_seconds + 1) * 1_000_000 + 2 * 86_400_000_000);
        // The policy is to stop: somebody corrects the source, or loads it in full.
        let fails = self.setting.nulls == Some(NullCursor::Fail)
            && self.world.model.visible.values().any(Order::unstamped);
        let full = self.setting.end == End::Full || fails;
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
        if self.setting.end == End::Passes {
            self.pass()?;
        }
        self.scene.target.check(self.scene.name)
    }

    /// A delta and a pass for deleted rows give what the source has, and a comparison finds no more than what a delta does
    /// not promise.
    fn pass(&mut self) -> Result<(), String> {
        self.run(&RunStep {
            deletes: true,
            ..RunStep::default()
        })?;
        self.compare_sides(false)?;
        let source = &self.world.model.visible;
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
        let source = &self.world.model.visible;
        if full {
            return same(source, &lake, "after a last full load or comparison, the source");
        }
        let left_out = |row: &Order| self.setting.nulls == Some(NullCursor::Skip) && row.unstamped();
        for (id, row) in source {
            let kept = lake.get(id);
            if kept != Some(row) && !left_out(row) && !kept.is_some_and(|kept| later(kept.cursor, row.cursor))
            {
                return Err(format!(
                    "row {id} is {row:?} in the source and {kept:?} in the lake"
                ));
            }
        }
        Ok(())
    }

    fn run(&mut self, step: &RunStep) -> Result<(), String> {
        self.runs += 1;
        let before = self.memory()?;
        let left = self.left(&before);
        let planned = self.world.model.visible.clone();
        let busy = self.world.model.busy() && !self.world.source.traits().own_clock;
        let asked = Asked {
            scene: self.scene,
            setting: &self.setting,
            source: &*self.world.source,
            step,
            number: self.runs,
            there: self.lake.rows.is_some(),
        };
        let request = asked.orders();
        let (stop, earlier) = (StopSignal::new(), self.lake.clone());
        let watcher = Watcher::new(&mut self.world, step, &stop);
        let result = pintail_sync::run(&request, &watcher, &stop);
        let snapshot = watcher.end().unwrap_or_else(|| planned.clone());
        let after = self.memory()?;
        let largest = planned.values().filter_map(|row| row.cursor).max();
        let set_back = self.setting.cursor == CursorType::Integer
            && self
                .lake
                .watermark
                .is_some_and(|low| largest.is_none_or(|largest| largest < low - 1));
        let doing = Doing::of(step, &self.lake, &before, set_back);
        let full = doing.whole();
        self.tally.runs += 1;
        self.tally.deltas += u64::from(!full);
        self.tally.compared += u64::from(doing.compares());
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
                self.tally.resumed += u64::from(report.resumed);
                self.tally.partitions += report.partitions_total;
                self.tally.rows += report.rows_processed;
                let bound = Bound::of(&self.setting, &report, &before, &planned, busy);
                let counts = match report.resumed && !full {
                    true => self.resume(&snapshot, &left),
                    false => self.advance(doing, &snapshot, &bound),
                };
                let expected = Expected {
                    doing,
                    step,
                    counts,
                    bound: &bound,
                    cursor: self.setting.cursor,
                    lake: &self.lake,
                };
                expected.check(&report)?;
                self.lake.watermark = watermark(&after);
            }
            Err(error) if stop.stopped() && error.kind() == ErrorKind::Cancelled => {
                self.tally.stopped += 1;
                self.stopped(doing, &snapshot, &before, &left, &after)?;
            }
            Err(error) => {
                let unstamped = snapshot.values().any(Order::unstamped);
                let refused = error.kind() == ErrorKind::Data && self.setting.nulls == Some(NullCursor::Fail);
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

    /// The partitions of the unfinished delta that are not in the lake yet.
    fn left(&self, before: &Memory) -> Vec<FrozenPartition> {
        let Some(run) = before.unfinished.as_ref().filter(|run| run.kind == "delta") else {
            return Vec::new();
        };
        let key = |partition: &FrozenPartition| PartitionKey::new(self.scene.name, &run.run, &partition.id);
        let keys: Vec<PartitionKey> = run.partitions.iter().map(key).collect();
        let committed = self.scene.target.committed(&keys);
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
            Doing::Full => {
                let deleted = self.lake.rows.as_ref().map_or(0, Orders::len) as u64;
                self.lake.full(snapshot);
                return Counts {
                    read: snapshot.len() as u64,
                    inserted: snapshot.len() as u64,
                    deleted,
                    ..Counts::default()
                };
            }
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
                .range(snapshot, self.setting.again(low)..low, Apply::Changed);
            self.tally.looked_back += counts.inserted + counts.updated;
        }
        counts += self.lake.range(snapshot, low..bound.high, apply);
        if self.setting.nulls == Some(NullCursor::Include) {
            counts += self.lake.nulls(snapshot);
        }
        self.tally.kept += counts.kept;
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
                Doing::Deletes => {
                    self.lake.deletes(snapshot);
                }
                _ => self.lake.full(snapshot),
            }
            if found == self.lake.rows {
                return Ok(());
            }
            // Nothing came in, so nothing may have changed.
            self.lake.rows = left.rows;
            return same_table(
                &self.lake.rows,
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
            .find(|candidate| candidate.rows == found)
        {
            Some(candidate) => self.lake = candidate,
            None => return same_table(&left.rows, &found, "a delta was stopped, and whole partitions"),
        }
        Ok(())
    }

    fn compare_lake(&self) -> Result<(), String> {
        same_table(&self.lake.rows, &self.read_lake(), "the model")
    }

    /// Everything that the destination's table holds; `None` if it is not there.
    fn read_lake(&self) -> Option<Orders> {
        rows::orders(self.scene.target, self.scene.name, self.setting.cursor)
    }

    /// What the state remembers.
    fn memory(&self) -> Result<Memory, String> {
        let state = State::look(&self.scene.target.data_dir()).map_err(|error| error.to_string())?;
        let memory = state.map(|state| state.history(self.scene.name)).transpose();
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

fn same_table(expected: &Option<Orders>, found: &Option<Orders>, who: &str) -> Result<(), String> {
    match (expected, found) {
        (Some(expected), Some(found)) => same(expected, found, who),
        (None, None) => Ok(()),
        (expected, found) => Err(format!(
            "{who} has a table: {}, and the lake: {}",
            expected.is_some(),
            found.is_some()
        )),
    }
}
