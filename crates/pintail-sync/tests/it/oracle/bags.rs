//! One history of orders, of which values are kept without their key: after every run, the destination has every row as often as
//! the source.

use pintail_model::ErrorKind;
use pintail_sync::report::ParityStatus;
use pintail_sync::{StopSignal, SyncReport};

use super::course::{Stage, Subject};
use super::history::{RunStep, Setting};
use super::model::{Bag, bag, same};
use super::request::Asked;
use super::rows;
use super::world::Watcher;
use crate::served::described;

pub(super) struct Case<'a> {
    stage: Stage<'a>,
    /// What the destination holds; `None` if its table is not there.
    kept: Option<Bag>,
}

impl<'a> Subject<'a> for Case<'a> {
    fn setting(setting: &Setting) -> Setting {
        Setting {
            // Nobody can find a row again that has no key.
            soft: false,
            ..setting.clone()
        }
    }

    fn new(stage: Stage<'a>) -> Self {
        Self { stage, kept: None }
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
        let request = asked.copies();
        let stop = StopSignal::new();
        let watcher = Watcher::new(&mut self.stage.world, step, &stop);
        let result = pintail_sync::run(&request, &watcher, &stop);
        let now = bag(&watcher.end().unwrap_or(planned));
        self.stage.tally.runs += 1;
        let before = self.kept.take();
        self.kept = rows::bag(self.stage.scene.target, self.stage.scene.name);
        let kept = self.kept.clone().unwrap_or_default();
        match result {
            Ok(report) => {
                self.stage.tally.partitions += report.partitions_total;
                self.stage.tally.rows += report.rows_processed;
                self.stage.tally.compared += u64::from(report.kind == "hash");
                same(&now, &kept, "the source")?;
                check(step, &report, &before.unwrap_or_default(), &kept)
                    .map_err(|problem| format!("{problem} ({}: {:?})", report.reason, report.notes))
            }
            Err(error) if stop.stopped() && error.kind() == ErrorKind::Cancelled => {
                self.stage.tally.stopped += 1;
                if kept == now {
                    return Ok(());
                }
                same(
                    &before.unwrap_or_default(),
                    &kept,
                    "a run was stopped, and what was before",
                )
            }
            Err(error) => Err(format!("a run failed: {}", described(&error))),
        }
    }

    fn end(&mut self) -> Result<(), String> {
        self.run(&RunStep::default())
    }
}

/// Checks what a run says of itself.
fn check(step: &RunStep, report: &SyncReport, before: &Bag, after: &Bag) -> Result<(), String> {
    let full = step.strategy == Some("full") || before.is_empty();
    let kind = if full { "full" } else { "hash" };
    if report.kind != kind {
        return Err(format!("a {kind} run was expected, and it was {}", report.kind));
    }
    if report.parity.status == ParityStatus::Mismatch {
        return Err(format!("parity is {:?}", report.parity));
    }
    let said = (report.rows_inserted, report.rows_updated, report.rows_deleted);
    let did = match full {
        true => (after.values().sum(), 0, before.values().sum()),
        false => (more(before, after), 0, more(after, before)),
    };
    match said == did {
        true => Ok(()),
        false => Err(format!(
            "it says that {said:?} copies came, changed and went, and {did:?} did"
        )),
    }
}

/// Copies that another bag has more of.
fn more(than: &Bag, bag: &Bag) -> u64 {
    let had = |row: &String| than.get(row).copied().unwrap_or(0);
    bag.iter()
        .map(|(row, copies)| copies.saturating_sub(had(row)))
        .sum()
}
