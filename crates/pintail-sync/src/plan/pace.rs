//! What the history of a pipeline says of the strategy that fits: how fast the source changes, how long ago it was read, and
//! how much differed. Pure.

use jiff::Timestamp;

use super::{Candidates, Facts};
use crate::spec::{DeletePolicy, PipelineSpec};

/// The share of rows from which on all of them are loaded: a delta of as many reads them by an index, and replaces them key by
/// key, which takes longer.
const SHARE_MAX: f64 = 0.5;

/// Rows of a table from which on that makes a difference.
const ROWS_MIN: u64 = 100_000;

/// The share of rows that differ from which on a comparison is a detour.
const DIFFERING_MAX: f64 = 0.3;

/// After as many days both sides are compared, where the pipeline has a strategy for that: a delta sees neither deleted rows
/// nor changes that moved no cursor.
const DAYS_MAX: f64 = 7.0;

/// Why more rows are expected to have changed than a delta is good for.
pub(super) fn too_much(spec: &PipelineSpec, candidates: &Candidates<'_>, facts: &Facts) -> Option<String> {
    let (pace, rows) = (
        facts.history.pace?,
        facts.table.rows.filter(|rows| *rows >= ROWS_MIN)?,
    );
    let replaced =
        spec.deletes.policy == DeletePolicy::Hard && spec.destination.supports_update != Some(false);
    candidates.full.filter(|_| replaced)?;
    let changes = pace.rows_a_second * seconds(pace.since, facts.now);
    // Some rows change more than once.
    let share = 1.0 - (-changes / rows as f64).exp();
    (share > SHARE_MAX).then(|| {
        format!(
            "about {:.0} % of the rows are expected to have changed in the {} since the last run",
            share * 100.0,
            ago(pace.since, facts.now)
        )
    })
}

/// Why both sides are to be compared although a delta could go on.
pub(super) fn long_ago(facts: &Facts) -> Option<String> {
    let since = facts.history.whole_at?;
    (seconds(since, facts.now) >= DAYS_MAX * 86_400.0).then(|| {
        format!(
            "all rows were last looked at {} ago, and a delta sees no deleted rows",
            ago(since, facts.now)
        )
    })
}

/// Why a comparison would be a detour.
pub(super) fn differed(facts: &Facts) -> Option<String> {
    let last = facts.history.comparisons.first()?;
    let share = last.differing as f64 / last.rows.max(1) as f64;
    (share > DIFFERING_MAX).then(|| {
        format!(
            "{:.0} % of the rows differed in the last comparison",
            share * 100.0
        )
    })
}

fn seconds(since: Timestamp, now: Timestamp) -> f64 {
    now.duration_since(since).as_secs_f64().max(0.0)
}

/// A time that passed, in words.
fn ago(since: Timestamp, now: Timestamp) -> String {
    let seconds = seconds(since, now);
    let (number, unit) = match seconds {
        seconds if seconds < 5_400.0 => (seconds / 60.0, "minutes"),
        seconds if seconds < 129_600.0 => (seconds / 3_600.0, "hours"),
        seconds => (seconds / 86_400.0, "days"),
    };
    format!("{number:.0} {unit}")
}
