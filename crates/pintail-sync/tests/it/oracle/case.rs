//! One history, carried out on a real source and a real destination, and compared with the model after every run.

use pintail_lake::EngineSettings;
use pintail_model::{CursorType, CursorValue, ErrorKind, PartitionKey, Range};
use pintail_sync::log::Level;
use pintail_sync::plan::Task;
use pintail_sync::report::ParityStatus;
use pintail_sync::spec::{
    ColumnSource, ColumnSpec, DeltaSpec, FullSpec, HashSpec, NullCursor, PartitionSpec, PipelineSpec, Role,
    StrategyKind, StrategySpec,
};
use pintail_sync::state::{FrozenPartition, History as Memory, State};
use pintail_sync::{StopSignal, SyncReport, SyncRequest};

use super::history::{History, RunStep, Setting, Step};
use super::model::{Apply, Counts, LakeModel, Order, Orders, later};
use super::source::Source;
use super::target::Target;
use super::world::{Watcher, World};
use crate::served::described;
use crate::shop::backend;

/// What histories had in them: a test that never met a late commit proves nothing about late commits.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    pub(super) runs: u64,
    pub(super) deltas: u64,
    pub(super) resumed: u64,
    pub(super) stopped: u64,
    pub(super) partitions: u64,
    pub(super) rows: u64,
    pub(super) late_commits: u64,
    /// Comparisons and passes for deleted rows.
    pub(super) compared: u64,
    pub(super) kept: u64,
    /// Rows that only a lookback brought in.
    pub(super) looked_back: u64,
}

/// So many cases have everything that histories have in turns, whatever the seed: fewer than the default gives each test.
const SOME: u64 = 8;

/// So many cases have a late commit and a run with several partitions, whatever the source is.
const MORE: u64 = 30;

/// So many cases stop some run and go on with it, whatever the seed.
const MANY: u64 = 500;

impl Tally {
    /// Whether everything took place that so many cases cannot do without. One case in twenty-five or so goes on
    /// with what a stopped run had staged, so that only many cases have to: `resume.rs` tests it case by case.
    pub(super) fn covers(&self, cases: u64) -> bool {
        let common = self.deltas > 0 && self.compared > 0;
        let frequent = self.late_commits > 0 && self.partitions > self.runs;
        (cases < SOME || common)
            && (cases < MORE || frequent)
            && (cases < MANY || self.stopped > 0 && self.resumed > 0)
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.runs += other.runs;
        self.deltas += other.deltas;
        self.resumed += other.resumed;
        self.stopped += other.stopped;
        self.partitions += other.partitions;
        self.rows += other.rows;
        self.late_commits += other.late_commits;
        self.compared += other.compared;
        self.kept += other.kept;
        self.looked_back += other.looked_back;
    }
}

/// What a run is expected to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Full,
    Delta,
    Hash,
    Deletes,
}

impl Doing {
    fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Delta => "delta",
            Self::Hash => "hash",
            Self::Deletes => "deletes",
        }
    }

    /// Whether it reads all rows and brings in all of its work at once.
    fn whole(self) -> bool {
        self != Self::Delta
    }
}

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
        let full = self.setting.full_at_end || fails;
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
        self.scene.target.check(self.scene.name)
    }

    /// Both sides hold the same, but for what a delta does not promise.
    fn compare_sides(&mut self, full: bool) -> Result<(), String> {
        let lake = self.lake.rows.clone().unwrap_or_default();
        let source = &self.world.model.visible;
        if full {
            return same(source, &lake, "after a last full load, the source");
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
        let request = self.request(step);
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
        let there = self.lake.rows.is_some();
        let filled = self.lake.rows.as_ref().is_some_and(|rows| !rows.is_empty());
        let doing = match step.strategy {
            _ if step.deletes && there => Doing::Deletes,
            Some("hash") if filled => Doing::Hash,
            Some("full" | "hash") => Doing::Full,
            // A difference that a pass for deleted rows has seen.
            None if before.start_fresh.is_some() => Doing::Full,
            _ if self.lake.watermark.is_none() || set_back => Doing::Full,
            _ => Doing::Delta,
        };
        let full = doing.whole();
        self.tally.runs += 1;
        self.tally.deltas += u64::from(!full);
        self.tally.compared += u64::from(matches!(doing, Doing::Hash | Doing::Deletes));
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
                self.check_report(&report, step, doing, counts, &bound)?;
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

    fn check_report(
        &self,
        report: &SyncReport,
        step: &RunStep,
        doing: Doing,
        counts: Counts,
        bound: &Bound,
    ) -> Result<(), String> {
        let full = doing.whole();
        // What an attempt without a comparison brought in stays unproven when another one goes on.
        let unproven = |note: &String| note.contains("was not compared");
        let nothing_read =
            !full && report.rows_processed == 0 && report.commits.count == 0 && report.parity.leaves == 0;
        let compares = matches!(doing, Doing::Hash | Doing::Deletes);
        let parity = if doing == Doing::Deletes {
            // Rows that only a later run brings may be missing, and rows below the watermark that came late.
            match self.lake.rows.as_ref().map(|rows| rows.len() as u64) == Some(counts.read) {
                true => ParityStatus::Ok,
                false if report.parity.status == ParityStatus::Mismatch => ParityStatus::Mismatch,
                false => ParityStatus::Unproven,
            }
        } else if compares && report.commits.count == 0 {
            ParityStatus::Ok
        } else if step.without_parity || report.notes.iter().any(unproven) {
            ParityStatus::Unproven
        } else if report.partitions_total == 0 || nothing_read {
            ParityStatus::Unchanged
        } else {
            ParityStatus::Ok
        };
        if report.parity.status != parity {
            return Err(format!("parity is {:?}: {:?}", report.parity, report.notes));
        }
        // A resumed run reports its own part only, and the attempt before it has done the rest.
        if !report.resumed {
            let reported = Counts {
                read: report.rows_processed,
                inserted: report.rows_inserted,
                updated: report.rows_updated,
                deleted: report.rows_deleted,
                kept: counts.kept,
            };
            if reported != counts {
                return Err(format!(
                    "the report says {reported:?}, and {counts:?} was expected"
                ));
            }
        }
        let low = self.lake.watermark;
        let moved = Some(bound.high).filter(|_| bound.certain).max(low);
        let reported = report
            .watermark
            .as_deref()
            .and_then(|text| CursorValue::parse(self.setting.cursor, text));
        if !full && reported.map(CursorValue::number) != moved {
            return Err(format!(
                "the report says watermark {reported:?}, and {moved:?} was expected"
            ));
        }
        Ok(())
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
        self.scene.target.read(self.scene.name, self.setting.cursor)
    }

    /// What the state remembers.
    fn memory(&self) -> Result<Memory, String> {
        let state = State::look(&self.scene.target.data_dir()).map_err(|error| error.to_string())?;
        let memory = state.map(|state| state.history(self.scene.name)).transpose();
        memory
            .map(Option::unwrap_or_default)
            .map_err(|error| error.to_string())
    }

    fn request(&self, step: &RunStep) -> SyncRequest {
        let delta = DeltaSpec {
            column: Some("updated_at".to_owned()),
            null_cursor: self.setting.nulls.unwrap_or_default(),
            lookback: std::time::Duration::from_secs(self.setting.lookback_seconds.into()),
            lag: Some(std::time::Duration::from_secs(self.setting.lag_seconds.into())),
            time_zone: match self.world.source.traits().own_clock {
                true => None,
                false => Some("Europe/Berlin".to_owned()),
            },
            ..DeltaSpec::default()
        };
        let mut changes = StrategySpec::new("changes", StrategyKind::Delta(delta));
        changes
            .primary_partitions
            .extend(self.setting.step.map(|(step, step_unit)| PartitionSpec {
                column: "updated_at".to_owned(),
                step: Some(step),
                step_unit,
                data_type: None,
                bounded: false,
            }));
        let compares = self.world.source.traits().compares;
        let compare = compares[self.runs as usize % compares.len()];
        let mut source = backend("source", self.scene.name);
        source.table = self.world.source.table();
        SyncRequest {
            spec: PipelineSpec {
                name: self.scene.name.to_owned(),
                source,
                destination: backend("ducklake", self.scene.name),
                columns: match self.world.source.has_key() {
                    true => Vec::new(),
                    false => keyed_columns(),
                },
                strategies: vec![
                    StrategySpec::new("everything", StrategyKind::Full(FullSpec::default())),
                    changes,
                    StrategySpec {
                        // What runs without a name is a delta, or a full load.
                        enabled: false,
                        ..StrategySpec::new("hash", StrategyKind::Hash(HashSpec { compare }))
                    },
                ],
                max_concurrent_partitions: self.setting.concurrency,
                ..crate::shop::spec(DeltaSpec::default())
            },
            source: self.world.source.connector(),
            destination: self.scene.target.place(),
            data: pintail_sync::DataFolders::below(self.scene.target.data_dir()),
            strategy: step.strategy.map(str::to_owned),
            partitions: step.partitions,
            parity: !step.without_parity,
            allow_deletes: true,
            task: if step.deletes && self.lake.rows.is_some() {
                Task::Deletes
            } else {
                Task::Sync
            },
            engine: EngineSettings {
                threads: 2,
                ..EngineSettings::default()
            },
            log_level: Level::Error,
            clock: self.world.source.clock(),
            random: self.runs,
        }
    }
}

/// All columns, with the key that the source does not name.
fn keyed_columns() -> Vec<ColumnSpec> {
    let column = |name: &str| ColumnSpec {
        source: ColumnSource::Column(name.to_owned()),
        dest: name.to_owned(),
        roles: (name == "id").then_some(Role::UniqueColumn).into_iter().collect(),
        data_type: None,
        length: None,
        nullable: None,
        hash_column: true,
    };
    ["id", "value", "note", "price", "updated_at"].map(column).into()
}

impl Order {
    fn unstamped(&self) -> bool {
        self.cursor.is_none()
    }
}

/// Where a delta ended.
struct Bound {
    high: i64,
    /// Whether nothing below it can appear any more.
    certain: bool,
}

impl Bound {
    /// For times the run says where it ended: that this was neither too far nor too near is checked by what appears
    /// later, and by what is in the lake at the end. For numbers it is known.
    fn of(setting: &Setting, report: &SyncReport, before: &Memory, planned: &Orders, busy: bool) -> Self {
        let reported = report
            .watermark
            .as_deref()
            .and_then(|text| CursorValue::parse(setting.cursor, text));
        let reported = reported.map_or(i64::MIN, CursorValue::number);
        if setting.cursor != CursorType::Integer {
            return Self {
                high: reported,
                certain: true,
            };
        }
        let frozen = before
            .unfinished
            .as_ref()
            .filter(|run| report.resumed && run.run == report.run_id);
        let of_first_attempt = frozen.and_then(|run| {
            run.partitions
                .iter()
                .rev()
                .find_map(|partition| match &partition.range {
                    Range::Cursor { high, .. } => Some((high.number(), !partition.changed_only)),
                    _ => None,
                })
        });
        let largest = planned.values().filter_map(|row| row.cursor).max();
        let (high, certain) = match (frozen, of_first_attempt) {
            (Some(_), Some(found)) => found,
            (Some(_), None) => (i64::MIN, false),
            (None, _) => (
                largest.map_or(i64::MIN, |largest| largest + 1),
                !busy && largest.is_some(),
            ),
        };
        Self { high, certain }
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

fn same(expected: &Orders, found: &Orders, who: &str) -> Result<(), String> {
    let ids = expected.keys().chain(found.keys());
    let mut differences = ids.filter(|id| expected.get(id) != found.get(id));
    match differences.next() {
        None => Ok(()),
        Some(id) => Err(format!(
            "{who} and the lake differ in {} rows; row {id} is {:?}, and {:?} in the lake",
            differences.count() + 1,
            expected.get(id),
            found.get(id)
        )),
    }
}
