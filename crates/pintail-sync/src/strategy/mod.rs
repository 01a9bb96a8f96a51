//! Strategies: what a run does once its plan is made and frozen.

pub(crate) mod delta;
pub(crate) mod full;
mod groups;
pub(crate) mod hash;
mod reuse;
mod verify;

use crate::error::Result;
use crate::plan::PlanKind;
use crate::report::ParityStatus;
use crate::work::{Tally, Work};

/// Carries a plan out. `tally` is right however this ends.
pub(crate) fn execute(work: &Work<'_>, tally: &mut Tally) -> Result<()> {
    match work.plan.kind {
        PlanKind::Full => full::execute(work, tally)?,
        PlanKind::Delta => delta::execute(work, tally)?,
        PlanKind::Groups => groups::execute(work, tally)?,
        PlanKind::Hash | PlanKind::Deletes => hash::execute(work, tally)?,
        PlanKind::Verify => verify::execute(work, tally)?,
    }
    let follows = matches!(work.plan.kind, PlanKind::Delta | PlanKind::Groups);
    let nothing_read = follows && tally.rows_processed == 0 && tally.commits.count == 0;
    let equal = tally.parity.status == ParityStatus::Ok && tally.parity.leaves == 0 && tally.uncompared == 0;
    if work.plan.parity && (work.plan.partitions.is_empty() || nothing_read && equal) {
        tally.parity.status = ParityStatus::Unchanged;
    }
    Ok(())
}
