//! The plan of a comparison: every row of both sides, one change that makes them equal.
//!
//! What will differ is not known, so the plan has one partition, the whole table, and says how differences are looked for.
//! A pass that looks for deleted rows is the same by keys alone.

use super::{Choice, Draft, PipelinePlan, PlanKind, mark, standing, way};
use crate::error::Result;
use crate::spec::{DeltaSpec, HashSpec};

pub(super) fn plan(
    draft: &Draft<'_>,
    choice: Choice,
    settings: &HashSpec,
    delta: Option<&DeltaSpec>,
) -> Result<PipelinePlan> {
    let hash = draft.hash(PlanKind::Hash, &choice.strategy, None);
    let mut plan = draft.plan(choice, PlanKind::Hash, hash);
    if plan.shape.key.is_empty() {
        // A row is all of its columns: none can be left out.
        plan.compared = plan.shape.names().into_iter().map(str::to_owned).collect();
    }
    draft.compare(&mut plan);
    plan.comparison = way::choose(draft, &plan, settings)?;
    if plan.compared.len() == plan.shape.unmarked().columns.len() {
        mark::set(draft, &mut plan, delta);
    } else {
        // A change in a column that is not compared is for a delta to bring, so the watermark stays.
        stay(draft, &mut plan, delta);
    }
    Ok(plan)
}

pub(super) fn plan_deletes(draft: &Draft<'_>, choice: Choice, delta: Option<&DeltaSpec>) -> PipelinePlan {
    let hash = draft.hash(PlanKind::Deletes, &choice.strategy, None);
    let mut plan = draft.plan(choice, PlanKind::Deletes, hash);
    plan.compared.clone_from(&plan.shape.key);
    draft.compare(&mut plan);
    stay(draft, &mut plan, delta);
    plan
}

/// Keeps the watermark where it is, if it holds. If it does not, the run leaves none, and a full load follows.
fn stay(draft: &Draft<'_>, plan: &mut PipelinePlan, delta: Option<&DeltaSpec>) {
    plan.low = delta
        .and_then(|delta| standing::watermark(&plan.pipeline, draft.facts, delta, false).ok())
        .map(|standing| standing.value);
}
