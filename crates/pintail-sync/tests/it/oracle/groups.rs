//! One history of orders, of which groups are kept: after every run, the destination is what computing all groups anew
//! gives, but for what a delta does not promise.
//!
//! A delta computes the groups that changed rows are in and were in. It does not see rows that were deleted: their groups
//! may be as they were, or computed anew because of another row.

use std::collections::{BTreeMap, BTreeSet};

use pintail_model::ErrorKind;
use pintail_sync::report::ParityStatus;
use pintail_sync::spec::NullCursor;
use pintail_sync::{StopSignal, SyncReport};

use super::course::{Stage, Subject};
use super::history::{End, RunStep, Setting};
use super::model::{Group, Groups, Orders, groups, same};
use super::request::Asked;
use super::rows;
use super::world::Watcher;
use crate::served::described;

pub(super) struct Case<'a> {
    stage: Stage<'a>,
    /// What the destination holds; `None` if its table is not there.
    kept: Option<Groups>,
    /// The groups in which the destination may count a row.
    counted: BTreeMap<i64, BTreeSet<i64>>,
}

impl<'a> Subject<'a> for Case<'a> {
    fn setting(setting: &Setting) -> Setting {
        Setting {
            // Groups of rows without a cursor are followed, too, or such rows are not there.
            nulls: setting.nulls.map(|_| NullCursor::Include),
            // With marks, all groups are compared: `aggregate::soft` tests that.
            soft: false,
            ..setting.clone()
        }
    }

    fn new(stage: Stage<'a>) -> Self {
        Self {
            stage,
            kept: None,
            counted: BTreeMap::new(),
        }
    }

    fn stage(&mut self) -> &mut Stage<'a> {
        &mut self.stage
    }

    fn run(&mut self, step: &RunStep) -> Result<(), String> {
        self.stage.runs += 1;
        let planned = self.stage.world.model.visible.clone();
        let asked = Asked {
            scene: self.stage.scene,
            setting: &self.stage.setting,
            source: &*self.stage.world.source,
            step,
            number: self.stage.runs,
            there: self.kept.is_some(),
        };
        let request = asked.groups();
        let stop = StopSignal::new();
        let watcher = Watcher::new(&mut self.stage.world, step, &stop);
        let result = pintail_sync::run(&request, &watcher, &stop);
        let snapshot = watcher.end().unwrap_or(planned);
        self.stage.tally.runs += 1;
        let before = self.kept.take();
        self.kept = rows::groups(self.stage.scene.target, self.stage.scene.name);
        match result {
            Ok(report) => {
                self.stage.tally.partitions += report.partitions_total;
                self.stage.tally.rows += report.rows_processed;
                self.check(step, &report, before.as_ref(), &snapshot)
                    .map_err(|problem| format!("{problem} ({}: {:?})", report.reason, report.notes))
            }
            Err(error) if stop.stopped() && error.kind() == ErrorKind::Cancelled => {
                self.stage.tally.stopped += 1;
                self.check_stopped(before.as_ref(), &snapshot)
            }
            Err(error) => Err(format!("a run failed: {}", described(&error))),
        }
    }

    /// A delta and a pass for deleted rows give what everything computed anew is.
    fn end(&mut self) -> Result<(), String> {
        self.run(&RunStep::default())?;
        let full = self.stage.setting.end == End::Full;
        let last = RunStep {
            deletes: !full,
            strategy: full.then_some("full"),
            ..RunStep::default()
        };
        self.run(&last)?;
        let source = groups(&self.stage.world.model.visible);
        same(
            &source,
            &self.kept.clone().unwrap_or_default(),
            "in the end, the source",
        )
    }
}

impl Case<'_> {
    /// Checks what a run left that came to its end, and what it says of that.
    fn check(
        &mut self,
        step: &RunStep,
        report: &SyncReport,
        before: Option<&Groups>,
        snapshot: &Orders,
    ) -> Result<(), String> {
        let kind = report.kind.as_str();
        let asked = match step.strategy {
            Some("full") => kind == "full",
            Some("hash") => kind == if empty(before) { "full" } else { "hash" },
            _ if step.deletes && before.is_some() => kind == "hash",
            _ => ["full", "groups", "hash"].contains(&kind),
        };
        if !asked {
            return Err(format!("{step:?} was asked for, and it was {kind}"));
        }
        if report.parity.status == ParityStatus::Mismatch {
            return Err(format!("parity is {:?}", report.parity));
        }
        let (now, kept) = (groups(snapshot), self.kept.clone().unwrap_or_default());
        if kind == "groups" {
            self.stage.tally.deltas += 1;
            self.check_delta(report, before, snapshot)?;
        } else {
            self.stage.tally.compared += u64::from(kind == "hash");
            same(&now, &kept, "everything computed anew")?;
            self.counted.clear();
        }
        self.count(snapshot);
        let said = [report.rows_inserted, report.rows_updated, report.rows_deleted];
        let did = steps(before.unwrap_or(&Groups::new()), &kept);
        if kind != "full" && said != did {
            return Err(format!(
                "it says that {said:?} groups came, changed and went, and {did:?} did"
            ));
        }
        Ok(())
    }

    /// Groups that no deleted row was in are those of now.
    fn check_delta(
        &self,
        report: &SyncReport,
        before: Option<&Groups>,
        snapshot: &Orders,
    ) -> Result<(), String> {
        // There was nothing below the bound that was not read before.
        let nothing_read = report.partitions_total == 0;
        let (nothing, now) = (Groups::new(), groups(snapshot));
        let (before, kept) = (before.unwrap_or(&nothing), self.kept.as_ref().unwrap_or(&nothing));
        if nothing_read {
            return same(before, kept, "a delta read nothing, and what was before");
        }
        let gone = self.counted.iter().filter(|(id, _)| !snapshot.contains_key(id));
        let unseen: BTreeSet<i64> = gone.flat_map(|(_, values)| values).copied().collect();
        let values: BTreeSet<i64> = [before, kept, &now]
            .into_iter()
            .flat_map(Groups::keys)
            .copied()
            .collect();
        for value in values {
            let (was, is, anew) = (before.get(&value), kept.get(&value), now.get(&value));
            if is != anew && !(unseen.contains(&value) && is == was) {
                return Err(format!(
                    "group {value} is {is:?}, was {was:?}, and is {anew:?} computed anew"
                ));
            }
        }
        Ok(())
    }

    /// A run that was stopped brought all in or nothing.
    fn check_stopped(&mut self, before: Option<&Groups>, snapshot: &Orders) -> Result<(), String> {
        let now = groups(snapshot);
        let known = |value: &i64| {
            let is = self.kept.as_ref().and_then(|kept| kept.get(value));
            is == now.get(value) || is == before.and_then(|before| before.get(value))
        };
        let kept = self.kept.iter().flat_map(Groups::keys);
        let mut values = kept
            .chain(now.keys())
            .chain(before.into_iter().flat_map(Groups::keys));
        if let Some(value) = values.find(|value| !known(value)) {
            return Err(format!(
                "a run was stopped, and group {value} is neither what it was nor what it should be: {:?}",
                self.kept
            ));
        }
        self.count(snapshot);
        Ok(())
    }

    /// Notes in which groups the rows of a snapshot may be counted now.
    fn count(&mut self, snapshot: &Orders) {
        for (id, order) in snapshot {
            self.counted.entry(*id).or_default().insert(order.value);
        }
    }
}

fn empty(groups: Option<&Groups>) -> bool {
    groups.is_none_or(Groups::is_empty)
}

/// How many groups come, change and go between two tables.
fn steps(before: &Groups, after: &Groups) -> [u64; 3] {
    let came = after.keys().filter(|value| !before.contains_key(value)).count();
    let changed = |(value, group): &(&i64, &Group)| before.get(value).is_some_and(|before| before != *group);
    let changed = after.iter().filter(changed).count();
    let went = before.keys().filter(|value| !after.contains_key(value)).count();
    [came as u64, changed as u64, went as u64]
}
