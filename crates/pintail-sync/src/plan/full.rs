//! The plan of a full load: every row of one snapshot of the source, as one replacement of the table.

use pintail_lake::connector::{SourceColumn, TableDescription};
use pintail_model::{LogicalType, Range};

use super::{Choice, Draft, PipelinePlan, PlanKind, SOURCE, reuse, standing};
use crate::partition::{self, PARTITIONS_MAX};
use crate::spec::{DeltaSpec, FullSpec, PipelineSpec, Role};
use crate::watermark::{self, ClockSettings};

/// Tables from this size on are read in several partitions, so that a crash does not cost the whole scan.
const LARGE_BYTES: u64 = 2 << 30;
/// About the size of such a partition.
const PARTITION_BYTES: u64 = 1 << 30;

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
        .then(|| draft.connector.count(SOURCE, &facts.table.name, &Range::Whole));
    if let Some((run, since)) = reuse::find(draft, &plan, delta) {
        reuse::plan(draft, &mut plan, run, since);
    } else {
        let forced = draft.asked.partitions.or(settings.partitions).map(u64::from);
        let (ranges, note) = cut(draft.spec, &facts.table, forced);
        plan.notes.extend(note);
        for range in ranges {
            let expected = expected_rows(&facts.table, &range);
            plan.partitions.push(draft.partition(range, expected));
        }
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

/// Cuts a table, and says why where that is not plain.
fn cut(spec: &PipelineSpec, table: &TableDescription, forced: Option<u64>) -> (Vec<Range>, Option<String>) {
    // A step that was declared and is not used needs a word.
    let unused = |why: &str| {
        spec.partition_step
            .is_some()
            .then(|| format!("`partition_step` is not used: {why}"))
    };
    let large = table.bytes.filter(|bytes| *bytes > LARGE_BYTES);
    let most = u64::from(PARTITIONS_MAX);
    let parts = match (forced, large) {
        (Some(parts), _) => parts.clamp(1, most),
        (None, Some(bytes)) => bytes.div_ceil(PARTITION_BYTES).min(most),
        (None, None) => 1,
    };
    if parts == 1 {
        let why = match (forced, table.bytes) {
            (Some(_), _) => "one partition was asked for",
            (None, Some(_)) => "the table is small, and is read as one partition",
            (None, None) => "the source does not tell how large the table is, so it is read as one partition",
        };
        return (vec![Range::Whole], unused(why));
    }
    if let Some(pages) = table.pages.filter(|pages| *pages > 0) {
        let why = "ranges of the source's pages cost less than ranges of a key";
        return (partition::pages(pages, parts), unused(why));
    }
    let Some(column) = partition_column(spec, table) else {
        let note = "it is read as one partition: the source has neither pages nor an integer key whose spread is known";
        return (vec![Range::Whole], Some(note.to_owned()));
    };
    let histogram = &column.histogram;
    let ranges = match (forced, spec.partition_step, histogram.first(), histogram.last()) {
        (None, Some(step), Some(least), Some(most)) => {
            partition::key_steps(&column.name, *least, *most, step)
        }
        _ => partition::keys(&column.name, histogram, parts),
    };
    (
        ranges,
        forced.and_then(|_| unused("the number of partitions was given")),
    )
}

/// The integer column whose ranges cut the table: the declared one, or else one of the key.
fn partition_column<'a>(spec: &PipelineSpec, table: &'a TableDescription) -> Option<&'a SourceColumn> {
    let by_role = spec
        .columns
        .iter()
        .find(|column| column.roles.contains(&Role::PartitionColumn));
    let declared = spec
        .partition_column
        .as_deref()
        .or_else(|| by_role?.source.column())
        .map(|name| spec.source_column(name));
    declared
        .into_iter()
        .chain(table.key.iter().map(String::as_str))
        .find_map(|name| {
            let column = table.column(name)?;
            let integer = column.logical_type.is_some_and(LogicalType::is_integer);
            (integer && column.histogram.len() > 1).then_some(column)
        })
}

fn expected_rows(table: &TableDescription, range: &Range) -> Option<u64> {
    let rows = table.rows?;
    match range {
        Range::Pages { first, end } => {
            let pages = table.pages.filter(|pages| *pages > 0)?;
            let taken = end.unwrap_or(pages).saturating_sub(*first);
            u64::try_from(u128::from(rows) * u128::from(taken) / u128::from(pages)).ok()
        }
        Range::Key {
            column, low, high, ..
        } => {
            let histogram = &table.column(column)?.histogram;
            let (low, high) = (low.unwrap_or(i64::MIN), high.unwrap_or(i64::MAX));
            Some(partition::expected(histogram, rows, low, high))
        }
        _ => Some(rows),
    }
}
