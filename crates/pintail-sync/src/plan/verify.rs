//! The plan of a comparison that changes nothing.

use super::{Choice, Draft, PipelinePlan, PlanKind, standing};
use crate::spec::DeltaSpec;

pub(super) fn plan(draft: &Draft<'_>, choice: Choice, delta: Option<&DeltaSpec>) -> PipelinePlan {
    let facts = draft.facts;
    let hash = draft.hash(PlanKind::Verify, &choice.strategy, None);
    let mut plan = draft.plan(choice, PlanKind::Verify, hash);
    // All columns: a proof leaves none out.
    let unmarked = plan.shape.unmarked();
    plan.compared = unmarked.names().into_iter().map(str::to_owned).collect();
    draft.compare(&mut plan);
    // What the source was read up to: later rows are for the next run.
    plan.low = delta
        .and_then(|delta| standing::of_source(&plan.pipeline, facts, delta).ok())
        .map(|standing| standing.value);
    plan
}
