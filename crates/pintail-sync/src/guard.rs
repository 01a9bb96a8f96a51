//! The guard: how many rows may go before somebody has to look.
//!
//! It is asked when everything is known and nothing is written. What stops it: more rows that would go than the pipeline
//! allows, a source without any rows, and a source that shows this user only a part of them.

use pintail_model::ErrorKind;

use crate::compare::Differing;
use crate::error::{Error, Result};
use crate::work::Work;

/// What a run is about to do to a table.
pub(crate) struct Intent<'a> {
    pub(crate) differing: &'a Differing,
    /// Rows of the destination.
    pub(crate) there: u64,
    /// Rows of the source.
    pub(crate) here: u64,
}

/// Stops a run that would delete too much.
///
/// # Errors
/// `Conflict`, with what the run would have done.
pub(crate) fn check(work: &Work<'_>, intent: &Intent<'_>) -> Result<()> {
    let (plan, deleted) = (work.plan, intent.differing.deleted);
    if deleted == 0 || plan.deletes.allowed_for_once {
        return Ok(());
    }
    let guard = plan.deletes.spec.guard;
    let why = if intent.here == 0 {
        "the source has no rows at all".to_owned()
    } else if let Some(hidden) = &plan.deletes.hidden {
        format!("the source may not show all of its rows: {hidden}")
    } else if deleted > guard.allowed(intent.there) {
        format!(
            "the guard lets {} go ({} % of them, and at least {})",
            guard.allowed(intent.there),
            guard.share_percent,
            guard.rows
        )
    } else {
        return Ok(());
    };
    Err(Error::refused(
        ErrorKind::Conflict,
        format!(
            "stopped before anything was written: {deleted} of the {} rows of table \"{}\" would be deleted, and {why}; {} rows \
             would be inserted and {} changed",
            intent.there, plan.table, intent.differing.inserted, intent.differing.changed
        ),
        "Look at what is in the source. If the rows are to go, run it once with `--allow-deletes`; if so many go as a rule, \
         raise `guard` in `deletes` of the pipeline.",
    ))
}
