//! Using again what an unfinished full load had staged, although the snapshot of the source that it read is gone.
//!
//! The staged partitions are those of an older state; what changed since then has a cursor at or above the bound that
//! was taken before that state was opened, less the lookback of a delta. So the table of now is
//!
//! ```text
//!   staged ∪ the partitions that are left, without what may have changed  ∪  what may have changed, read now
//! ```
//!
//! if nothing was deleted and every change moved the cursor. That is checked, not hoped for: the set holds every row of
//! the source as long as changes move the cursor, so if it has as many rows as the source counts, it is the source.

use pintail_model::{CursorType, CursorValue, Range};

use super::{Draft, PartitionPlan, PipelinePlan, PlanKind, SOURCE};
use crate::partition;
use crate::shape::{Cursor, cursor_type_of};
use crate::spec::DeltaSpec;
use crate::state::UnfinishedRun;
use crate::watermark::{self, Again, ClockSettings};

/// How staged partitions become part of a new load.
#[derive(Debug, Clone, PartialEq)]
pub struct Reuse {
    /// Rows with a smaller cursor are as they were when they were staged.
    pub since: CursorValue,
    /// From this position on, partitions hold what may have changed.
    pub first_catch_up: usize,
    /// Counts that together must give the whole table: a cursor beyond every calendar would escape the catch-up.
    pub reach_counts: Vec<String>,
}

/// The end of the catch-up.
pub(super) fn far(cursor_type: CursorType) -> CursorValue {
    match cursor_type {
        CursorType::Integer => CursorValue::Integer(i64::MAX),
        // The first day of the year 9999.
        CursorType::Date => CursorValue::Date(2_932_532),
        CursorType::Timestamp => CursorValue::Timestamp(2_932_532 * 86_400_000_000),
        CursorType::TimestampTz => CursorValue::TimestampTz(2_932_532 * 86_400_000_000),
    }
}

/// The unfinished run whose staged partitions can be used, and the cursor from which on they may be out of date.
pub(super) fn find<'a>(
    draft: &Draft<'a>,
    plan: &PipelinePlan,
    delta: Option<&DeltaSpec>,
) -> Option<(&'a UnfinishedRun, CursorValue)> {
    let run = draft.facts.history.unfinished.as_ref()?;
    let cursor = plan.shape.followed()?;
    let read = plan
        .shape
        .columns
        .iter()
        .find(|read| read.column.name == cursor.dest)?;
    let same =
        run.kind == PlanKind::Full.as_str() && run.strategy == plan.strategy && run.plan_hash == plan.hash;
    let since = run
        .bound
        .filter(|since| since.cursor_type() == cursor.cursor_type)?;
    let comparable = cursor_type_of(read.column.logical_type) == Some(cursor.cursor_type);
    let staged = run
        .partitions
        .iter()
        .any(|partition| partition.staged.is_some() && !catches_up(&partition.range));
    // Stamps that are older than their transaction lie as far below this bound as below a watermark.
    let point = draft.facts.read_point.as_ref()?;
    let since = match watermark::again(point, cursor, since, &ClockSettings::of(delta?)).ok()? {
        Again::Nothing => since,
        Again::From { low, .. } => low,
        Again::WentBack => return None,
    };
    (same && comparable && staged).then_some((run, since))
}

/// Lays the partitions of the unfinished run into the plan, and those that catch up.
pub(super) fn plan(draft: &Draft<'_>, plan: &mut PipelinePlan, run: &UnfinishedRun, since: CursorValue) {
    let cursor: Cursor = plan
        .shape
        .followed()
        .expect("a run with a cursor was found")
        .clone();
    for frozen in run.partitions.iter().filter(|frozen| !catches_up(&frozen.range)) {
        let partition = draft.partition(frozen.range.clone(), frozen.expected_rows);
        plan.partitions.push(PartitionPlan {
            staged: frozen.staged.clone(),
            ..partition
        });
    }
    let staged = plan
        .partitions
        .iter()
        .filter(|partition| partition.staged.is_some())
        .count();
    plan.notes.push(format!(
        "run {} goes on: {staged} of its {} partitions are staged, and what changed since is read again",
        run.run,
        plan.partitions.len()
    ));
    plan.notes.push(format!(
        "rows whose `{}` did not move with a change since then are as they were when they were staged",
        cursor.source
    ));
    let first_catch_up = plan.partitions.len();
    let (relation, column) = (&draft.facts.relation, cursor.source.clone());
    let end = far(cursor.cursor_type);
    let count = |range: &Range| draft.connector.count(SOURCE, relation, range);
    let mut reach_counts = vec![count(&Range::Cursor {
        column: column.clone(),
        low: None,
        high: end,
    })];
    let mut ranges = vec![Range::Cursor {
        column: column.clone(),
        low: Some(since),
        high: end,
    }];
    if cursor.nullable {
        let range = Range::CursorNull { column };
        reach_counts.push(count(&range));
        ranges.push(range);
    }
    for range in ranges {
        let mut partition = draft.partition(range, None);
        partition.id = format!("since_{}", partition::id(&partition.range));
        plan.partitions.push(partition);
    }
    plan.whole_count = Some(count(&Range::Whole));
    plan.resumes = Some(run.run.clone());
    plan.reuse = Some(Reuse {
        since,
        first_catch_up,
        reach_counts,
    });
}

/// A full load reads ranges of a cursor only to catch up.
fn catches_up(range: &Range) -> bool {
    matches!(range, Range::Cursor { .. } | Range::CursorNull { .. })
}
