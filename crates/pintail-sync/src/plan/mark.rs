//! How far a reading of the whole table reaches: the watermark that a delta goes on from after it.

use super::{Draft, PipelinePlan, standing};
use crate::spec::DeltaSpec;
use crate::watermark::{self, ClockSettings};

/// Sets the watermark of a plan that reads every row, and says what there is to say of it.
pub(super) fn set(draft: &Draft<'_>, plan: &mut PipelinePlan, delta: Option<&DeltaSpec>) {
    let facts = draft.facts;
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
}
