//! The plan of a full load: every row of one snapshot of the source, as one replacement of the table.

use pintail_model::Range;

use super::cut::{self, Cut, Wish};
use super::{Choice, Draft, PipelinePlan, PlanKind, SOURCE, mark, reuse};
use crate::spec::{DeltaSpec, FullSpec};

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
    mark::set(draft, &mut plan, delta);
    plan
}
