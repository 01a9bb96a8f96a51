//! The plan of a delta: the rows whose cursor lies between the watermark and the bound.

use pintail_model::{CursorValue, ErrorKind, Range};

use super::{Choice, Draft, NullRows, PartitionPlan, PipelinePlan, PlanKind, SOURCE};
use crate::error::{Error, Result};
use crate::partition::{self, PARTITIONS_MAX};
use crate::shape::Cursor;
use crate::spec::{DeltaSpec, NullCursor, StepUnit};
use crate::state::{FrozenPartition, UnfinishedRun};
use crate::watermark::{self, Again, Bound, ClockSettings};

/// Rows of a partition: few enough to be read again after a crash, many enough for a commit to cost little.
const PARTITION_ROWS: u64 = 250_000;
/// Partitions at most where every range costs the source a scan of the table.
const SCANS_MAX: u64 = 8;

pub(super) fn plan(
    draft: &Draft<'_>,
    choice: Choice,
    settings: &DeltaSpec,
    low: CursorValue,
) -> Result<PipelinePlan> {
    let facts = draft.facts;
    let cursor = facts
        .shape
        .followed()
        .expect("a delta was chosen, so there is a cursor")
        .clone();
    let hash = draft.hash(PlanKind::Delta, &choice.strategy, Some(settings));
    let mut plan = draft.plan(choice, PlanKind::Delta, hash);
    plan.low = Some(low);
    plan.null_rows = null_rows(&cursor, settings);
    if matches!(plan.null_rows, NullRows::Fail | NullRows::Skip) {
        let range = Range::CursorNull {
            column: cursor.source,
        };
        plan.null_count = Some(draft.connector.count(SOURCE, &facts.relation, &range));
    }
    match unfinished(draft, &plan) {
        Some(run) => resume(draft, &mut plan, run),
        None => window(draft, &mut plan, settings, low)?,
    }
    Ok(plan)
}

/// What rows without a cursor mean.
pub(super) fn null_rows(cursor: &Cursor, settings: &DeltaSpec) -> NullRows {
    match settings.null_cursor {
        _ if !cursor.nullable => NullRows::Unaffected,
        NullCursor::Fail => NullRows::Fail,
        NullCursor::Skip => NullRows::Skip,
        NullCursor::Include => NullRows::Include,
    }
}

/// What a delta looks at.
pub(super) struct Window {
    /// Where it ends.
    pub(super) bound: Bound,
    /// Where it begins: at the watermark, or below it.
    pub(super) from: CursorValue,
}

/// Looks where a delta begins and ends, and says what there is to say of it.
pub(super) fn look(
    draft: &Draft<'_>,
    plan: &mut PipelinePlan,
    settings: &DeltaSpec,
    low: CursorValue,
) -> Result<Window> {
    let facts = draft.facts;
    let cursor = plan
        .shape
        .followed()
        .expect("a delta was chosen, so there is a cursor")
        .clone();
    let point = facts
        .read_point
        .as_ref()
        .expect("a cursor was found, so the source was asked for the time");
    let clock = ClockSettings::of(settings);
    let strategy = plan.strategy.clone();
    let unknown_zone = |zone| {
        Error::refused(
            ErrorKind::Invalid,
            format!("time zone `{zone}` of strategy `{strategy}` is not known on this machine"),
            "Use a name of the IANA database, like `Europe/Berlin`, and install the system's `tzdata`.",
        )
    };
    let tells_oldest = facts.capabilities.oldest_transaction;
    let bound = watermark::bound(point, cursor.cursor_type, &clock, tells_oldest).map_err(unknown_zone)?;
    let again = watermark::again(point, &cursor, low, &clock).map_err(unknown_zone)?;
    plan.notes.extend(watermark::zone_note(point, &cursor, &clock));
    plan.notes.extend(bound.notes.iter().cloned());
    let moves = bound.high.is_some_and(|high| high > low);
    let mut from = match again {
        Again::From { low: from, behind } if moves || behind => from,
        _ => low,
    };
    if let Some(step) = bounded(draft, plan, &cursor) {
        let ago = watermark::ago(point, &cursor, step, &clock).map_err(unknown_zone)?;
        from = from.min(ago.unwrap_or(from));
    }
    Ok(Window { bound, from })
}

/// The declared width of a window that is always looked at.
fn bounded(draft: &Draft<'_>, plan: &PipelinePlan, cursor: &Cursor) -> Option<(u64, StepUnit)> {
    let strategy = draft.spec.strategy(&plan.strategy)?;
    let declared = strategy
        .primary_partitions
        .iter()
        .find(|declared| declared.bounded && draft.spec.source_column(&declared.column) == cursor.source)?;
    Some((declared.step?, declared.step_unit))
}

/// Plans the rows between the watermark and the bound.
fn window(draft: &Draft<'_>, plan: &mut PipelinePlan, settings: &DeltaSpec, low: CursorValue) -> Result<()> {
    let cursor = plan
        .shape
        .followed()
        .expect("a delta was chosen, so there is a cursor")
        .clone();
    let Window { bound, from } = look(draft, plan, settings, low)?;
    if from < low {
        plan.again = Some(from);
        for range in shares(draft, &cursor.source, from, low) {
            let expected = expected_rows(draft, &range);
            let mut partition = draft.partition(range, expected);
            partition.changed_only = true;
            plan.partitions.push(partition);
        }
    }
    match bound.high {
        Some(high) if high > low => {
            for range in cut(draft, plan, low, high) {
                let expected = expected_rows(draft, &range);
                let mut partition = draft.partition(range, expected);
                partition.watermark = bound_of(&partition.range).filter(|_| bound.certain);
                partition.changed_only = !bound.certain;
                plan.partitions.push(partition);
            }
            plan.watermark = bound.watermark();
        }
        Some(_) if plan.again.is_some() => {}
        Some(_) => plan
            .notes
            .push(format!("nothing to read: everything below {low} was read before")),
        None => {}
    }
    if plan.null_rows == NullRows::Include {
        let mut partition = draft.partition(
            Range::CursorNull {
                column: cursor.source,
            },
            None,
        );
        partition.changed_only = true;
        plan.partitions.push(partition);
    }
    let strategy = draft.spec.strategy(&plan.strategy);
    let only_changed =
        strategy.is_some_and(|strategy| strategy.tuning.prevent_update_unless_changed == Some(true));
    if plan.append_only || only_changed {
        // Rows that are there already, as they are, are none that would be changed.
        plan.partitions
            .iter_mut()
            .for_each(|partition| partition.changed_only = true);
    }
    Ok(())
}

fn cut(draft: &Draft<'_>, plan: &mut PipelinePlan, low: CursorValue, high: CursorValue) -> Vec<Range> {
    let facts = draft.facts;
    let cursor = plan
        .shape
        .followed()
        .expect("a delta was chosen, so there is a cursor");
    let column = cursor.source.as_str();
    let strategy = draft.spec.strategy(&plan.strategy);
    let step =
        strategy.and_then(|strategy| strategy.partition(|name| draft.spec.source_column(name) == column));
    if let Some((declared, step)) = step.and_then(|declared| Some((declared, declared.step?))) {
        let ranges = partition::cursor_steps(column, low, high, step, declared.step_unit);
        if facts.capabilities.range_pushdown || ranges.len() as u64 <= SCANS_MAX {
            return ranges;
        }
        plan.notes.push(format!(
            "{} ranges of the declared step would each cost a scan of the source: they are joined to {SCANS_MAX}",
            ranges.len()
        ));
        return joined(ranges, SCANS_MAX as usize);
    }
    shares(draft, column, low, high)
}

/// Cuts a window into parts of about as many rows.
fn shares(draft: &Draft<'_>, column: &str, low: CursorValue, high: CursorValue) -> Vec<Range> {
    let facts = draft.facts;
    let by_index =
        facts.capabilities.range_pushdown && facts.table.indexed.iter().any(|indexed| indexed == column);
    let histogram = facts
        .table
        .column(column)
        .map(|column| column.histogram.as_slice())
        .unwrap_or_default();
    let rows = facts.table.rows.unwrap_or(0);
    let expected = partition::expected(histogram, rows, low.number(), high.number());
    let most = if by_index {
        u64::from(PARTITIONS_MAX)
    } else {
        SCANS_MAX
    };
    let parts = expected.div_ceil(PARTITION_ROWS).clamp(1, most);
    partition::cursor_shares(column, low, high, histogram, parts)
}

/// Joins neighbours until there are only `most` ranges.
fn joined(ranges: Vec<Range>, most: usize) -> Vec<Range> {
    let size = ranges.len().div_ceil(most);
    ranges
        .chunks(size)
        .filter_map(|neighbours| match (neighbours.first()?, neighbours.last()?) {
            (Range::Cursor { column, low, .. }, Range::Cursor { high, .. }) => Some(Range::Cursor {
                column: column.clone(),
                low: *low,
                high: *high,
            }),
            _ => None,
        })
        .collect()
}

fn bound_of(range: &Range) -> Option<CursorValue> {
    match range {
        Range::Cursor { high, .. } => Some(*high),
        _ => None,
    }
}

fn expected_rows(draft: &Draft<'_>, range: &Range) -> Option<u64> {
    let Range::Cursor {
        column,
        low: Some(low),
        high,
    } = range
    else {
        return None;
    };
    let histogram = &draft.facts.table.column(column)?.histogram;
    let most = *histogram.last()?;
    // Statistics know nothing of rows that are newer than they are.
    (low.number() <= most).then_some(())?;
    Some(partition::expected(
        histogram,
        draft.facts.table.rows?,
        low.number(),
        high.number(),
    ))
}

/// The unfinished run that this plan goes on with, if it was made for the same things.
fn unfinished<'a>(draft: &Draft<'a>, plan: &PipelinePlan) -> Option<&'a UnfinishedRun> {
    let run = draft.facts.history.unfinished.as_ref()?;
    let same =
        run.kind == PlanKind::Delta.as_str() && run.strategy == plan.strategy && run.plan_hash == plan.hash;
    (same && !run.partitions.is_empty()).then_some(run)
}

/// Takes the partitions of the unfinished run as they were frozen.
fn resume(draft: &Draft<'_>, plan: &mut PipelinePlan, run: &UnfinishedRun) {
    let key = |partition: &FrozenPartition| {
        pintail_model::PartitionKey::new(&plan.pipeline, &run.run, &partition.id)
    };
    let partitions: Vec<PartitionPlan> = run
        .partitions
        .iter()
        .map(|frozen| {
            let done = draft.facts.committed.contains(&key(frozen)) || frozen.empty;
            PartitionPlan {
                watermark: frozen.watermark,
                changed_only: frozen.changed_only,
                done,
                compared: frozen.compared || frozen.empty,
                staged: frozen.staged.clone().filter(|_| done),
                ..draft.partition(frozen.range.clone(), frozen.expected_rows)
            }
        })
        .collect();
    let done = partitions.iter().filter(|partition| partition.done).count();
    plan.notes.push(format!(
        "run {} goes on: {done} of its {} partitions are in",
        run.run,
        partitions.len()
    ));
    plan.watermark = run.bound;
    plan.resumes = Some(run.run.clone());
    plan.partitions = partitions;
}
