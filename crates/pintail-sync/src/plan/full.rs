//! The plan of a full load: every row of one snapshot of the source, as one replacement of the table.

use pintail_model::Range;

use super::cut::{self, Cut, Wish};
use super::{Choice, Draft, PipelinePlan, PlanKind, SOURCE, reuse, standing};
use crate::spec::{DeltaSpec, FullSpec};
use crate::watermark::{self, ClockSettings};

pub(super) fn plan(
    draft: &Draft<'_>,
    choice: Choice,
    settings: &FullSpec,
    delta: Option<&DeltaSpec>,
) -> PipelinePlan {
    let facts = draft.facts;
    let hash = draft.hash(PlanKind::Full, &choice.strategy, None);
    let mut plan = draft.plan(choice, PlanKind::Full, hash);
    plan.whole_count = plan
        .parity
        .then(|| draft.connector.count(SOURCE, &facts.relation, &Range::Whole));
    if let Some((run, since)) = reuse::find(draft, &plan, delta) {
        reuse::plan(draft, &mut plan, run, since);
    } else {
        let wish = Wish::new(draft.spec, draft.asked, &plan.strategy, settings, &facts.table);
        let mut cut = wish.cut(&facts.bounds);
        let whole = draft.partition(Range::Whole, None).scan;
        if cut.ranges == [Range::Whole] && !facts.capabilities.reads_in_parallel(&whole) {
            cut = wish.side_by_side(plan.concurrency).unwrap_or(cut);
        }
        let Cut { ranges, notes } = cut;
        plan.notes.extend(notes);
        let parts = ranges.len() as u64;
        for range in ranges {
            let expected = cut::expected_rows(&facts.table, &range, parts);
            plan.partitions.push(draft.partition(range, expected));
        }
        plan.notes.extend(cut::unevenness(&plan.partitions));
    }
    if let Some(last) = facts
        .ledger
        .as_ref()
        .filter(|last| last.pipeline != plan.pipeline)
    {
        plan.notes.push(format!(
            "pipeline `{}` was the last to write to the {}'s table, which this one replaces",
            last.pipeline, facts.noun
        ));
    }
    if let (Some(delta), Some(cursor), Some(point)) = (delta, facts.shape.followed(), &facts.read_point) {
        let clock = ClockSettings::of(delta);
        plan.notes.extend(watermark::zone_note(point, cursor, &clock));
        match watermark::bound(
            point,
            cursor.cursor_type,
            &clock,
            facts.capabilities.oldest_transaction,
        ) {
            Ok(bound) => {
                plan.notes.extend(bound.notes.iter().cloned());
                // What was visible below a watermark that holds is visible in every later state.
                let standing = || {
                    let kept = facts.history.start_fresh.is_none();
                    let standing = standing::of_source(&plan.pipeline, facts, delta);
                    standing.ok().filter(|_| kept).map(|standing| standing.value)
                };
                plan.watermark = bound.watermark().or_else(standing);
                match (bound.watermark(), plan.watermark) {
                    (Some(_), _) => {}
                    (None, Some(kept)) => plan.notes.push(format!("the watermark stays at {kept}")),
                    (None, None) => {
                        let note = "this load sets no watermark, so a full load follows it again";
                        plan.notes.push(note.to_owned());
                    }
                }
            }
            Err(zone) => plan.notes.push(format!(
                "time zone `{zone}` is not known: this load sets no watermark"
            )),
        }
    } else if let (Some(DeltaSpec { column: Some(_), .. }), Err(obstacle)) = (delta, &facts.shape.cursor) {
        plan.notes
            .push(format!("no delta can follow this load: {obstacle}"));
    }
    for partition in &mut plan.partitions {
        partition.watermark = plan.watermark;
    }
    plan
}
