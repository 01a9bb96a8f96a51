//! Options of a strategy that change nothing in a plan, and why: what is asked for and not done is said.

use super::{PipelinePlan, PlanKind};
use crate::spec::{PartitionSpec, PipelineSpec, StrategyKind, StrategySpec};

/// What there is to say of the options of the plan's strategy.
pub(super) fn notes(spec: &PipelineSpec, plan: &PipelinePlan) -> Vec<String> {
    let Some(strategy) = spec.strategy(&plan.strategy) else {
        return Vec::new();
    };
    let levels = levels(spec, plan, strategy);
    let groups = (!strategy.delta_partitions.is_empty()).then(|| {
        "`delta_partitions` have no effect: the groups of a changed row are told by `group_by`, as it is and as it was, and \
         just these are computed"
            .to_owned()
    });
    let counts = strategy.tuning.match_row_count.map(|_| {
        "`match_row_count` has no effect: numbers of rows are compared wherever hashes are".to_owned()
    });
    [levels, groups, counts].into_iter().flatten().collect()
}

/// Why levels of partitions are not gone down.
fn levels(spec: &PipelineSpec, plan: &PipelinePlan, strategy: &StrategySpec) -> Option<String> {
    let compares = matches!(plan.kind, PlanKind::Hash | PlanKind::Deletes | PlanKind::Verify);
    if compares && matches!(strategy.kind, StrategyKind::Hash(_)) {
        let declared = [
            ("primary_partitions", &strategy.primary_partitions),
            ("secondary_partitions", &strategy.secondary_partitions),
        ];
        let keys: Vec<String> = declared
            .iter()
            .filter(|(_, partitions)| !partitions.is_empty())
            .map(|(key, _)| format!("`{key}`"))
            .collect();
        return (!keys.is_empty()).then(|| {
            format!(
                "{} have no effect on a comparison: each side is read once and what differs is told row by row, so there are \
                 no levels to go down",
                keys.join(" and ")
            )
        });
    }
    let unused = unused(spec, plan, strategy);
    if unused.is_empty() {
        return None;
    }
    let why = match plan.kind {
        PlanKind::Full | PlanKind::Delta if !plan.relation.grouped() => {
            "a partition is streamed and committed as a whole, whatever its size"
        }
        _ => "groups are computed all at once",
    };
    Some(format!(
        "`secondary_partitions` of `{}` have no effect: {why}",
        unused.join("` and `")
    ))
}

/// Columns of secondary partitions by which nothing is cut.
fn unused<'a>(spec: &PipelineSpec, plan: &PipelinePlan, strategy: &'a StrategySpec) -> Vec<&'a str> {
    let source = |declared: &PartitionSpec| spec.source_column(&declared.column).to_owned();
    let cut_by: Vec<String> = match plan.kind {
        _ if plan.relation.grouped() => Vec::new(),
        PlanKind::Delta => plan
            .shape
            .followed()
            .map(|cursor| cursor.source.clone())
            .into_iter()
            .collect(),
        _ => strategy.primary_partitions.iter().map(source).collect(),
    };
    let secondary = strategy.secondary_partitions.iter();
    secondary
        .filter(|declared| !cut_by.contains(&source(declared)))
        .map(|declared| declared.column.as_str())
        .collect()
}
