//! Whether a watermark still holds: for this table of this source, for this cursor, and for the table of the lake as
//! it is now. Pure.
//!
//! The newest entry of the lake's ledger decides. Where the state knows the same entry, it may know more: a window
//! without rows moves the watermark in the state only.

use pintail_model::CursorValue;

use super::facts::Facts;
use crate::origin;
use crate::relation::table_of;
use crate::spec::DeltaSpec;
use crate::watermark::{self, Again, ClockSettings};

/// A watermark that holds.
pub(super) struct Watermark {
    pub(super) value: CursorValue,
    pub(super) origin: String,
}

/// The watermark to go on from, or why there is none. One that was kept although both sides differ is for a delta that
/// somebody asked for by name.
pub(super) fn watermark(
    pipeline: &str,
    facts: &Facts,
    delta: &DeltaSpec,
    named: bool,
) -> Result<Watermark, String> {
    let insisted = named && facts.history.watermark.is_some();
    if let Some(reason) = facts.history.start_fresh.as_ref().filter(|_| !insisted) {
        return Err(reason.clone());
    }
    let noun = facts.noun;
    let Some(table) = &facts.found else {
        return Err(format!("the table is not in the {noun} yet"));
    };
    let watermark = of_source(pipeline, facts, delta)?;
    if !table.fits {
        return Err(format!("the columns differ from those of the {noun}'s table"));
    }
    let made_anew = facts
        .history
        .watermark
        .as_ref()
        .filter(|stored| stored.last_key.as_ref() == facts.ledger.as_ref().map(|entry| &entry.key))
        .and_then(|stored| stored.table_id)
        .is_some_and(|known| known != table.table_id);
    if made_anew {
        return Err(format!("the {noun}'s table was made anew by somebody else"));
    }
    Ok(watermark)
}

/// How far this source was read for this cursor, whatever became of the table of the lake.
pub(super) fn of_source(pipeline: &str, facts: &Facts, delta: &DeltaSpec) -> Result<Watermark, String> {
    let Some(entry) = &facts.ledger else {
        return Err(format!("the {} has no watermark of this pipeline", facts.noun));
    };
    if entry.pipeline != pipeline {
        return Err(format!(
            "pipeline `{}` was the last to write to the {}'s table",
            entry.pipeline, facts.noun
        ));
    }
    if entry.source != facts.source_identity {
        let same = |part: fn(&str) -> &str| part(&entry.source) == part(&facts.source_identity);
        return Err(match same(origin::name) {
            false if same(table_of) => {
                "the joins, filters or expressions of the pipeline are others than before".to_owned()
            }
            true => "the source's table was made anew, or another one took its name".to_owned(),
            false => "the pipeline reads another table than before".to_owned(),
        });
    }
    let (Some(from_ledger), Some(was)) = (entry.watermark, &entry.cursor) else {
        return Err("the last load set no watermark".to_owned());
    };
    let cursor = facts.shape.followed().ok_or("no column is followed")?;
    if *was != cursor.origin() {
        return Err(match origin::name(was) == cursor.source {
            true => format!("the cursor `{}` was made anew in the source", cursor.source),
            false => format!("the cursor was `{}` before", origin::name(was)),
        });
    }
    let stored = facts.history.watermark.as_ref();
    // If the ledger has a newer entry than the state knows, it is the state that is stale.
    let watermark = match stored.filter(|stored| stored.last_key.as_ref() == Some(&entry.key)) {
        Some(stored) => Watermark {
            value: stored.value,
            origin: "an earlier run left a watermark".to_owned(),
        },
        None => Watermark {
            value: from_ledger,
            origin: format!("the {}'s ledger says how far the source was read", facts.noun),
        },
    };
    let (was, now) = (watermark.value.cursor_type(), cursor.cursor_type);
    if was != now {
        return Err(format!(
            "the cursor `{}` was of type {was} before, and is of type {now} now",
            cursor.source
        ));
    }
    let point = facts.read_point.as_ref();
    let clock = ClockSettings::of(delta);
    let went_back = point
        .is_some_and(|point| watermark::again(point, cursor, watermark.value, &clock) == Ok(Again::WentBack));
    if went_back {
        return Err(format!(
            "the clock of the source went back: everything below {} was read before, which lies in the future now",
            watermark.value
        ));
    }
    if let CursorValue::Integer(low) = watermark.value {
        let largest = point.and_then(|point| point.cursor_max);
        if largest.is_none_or(|largest| largest < low.saturating_sub(1)) {
            return Err(format!(
                "the source's table was emptied or set back: everything below {low} was read before, and its largest \
                 `{}` is {}",
                cursor.source,
                largest.map_or_else(|| "gone".to_owned(), |largest| largest.to_string())
            ));
        }
    }
    Ok(watermark)
}
