//! Strategies: what a run does once its plan is made and frozen.

pub(crate) mod delta;
pub(crate) mod full;
mod reuse;

use crate::error::Result;
use crate::plan::PlanKind;
use crate::report::ParityStatus;
use crate::work::{Tally, Work};

/// Carries a plan out. `tally` is right however this ends.
pub(crate) fn execute(work: &Work<'_>, tally: &mut Tally) -> Result<()> {
    match work.plan.kind {
        PlanKind::Full => full::execute(work, tally)?,
        PlanKind::Delta => delta::execute(work, tally)?,
    }
    if work.plan.parity && work.plan.partitions.is_empty() {
        tally.parity.status = ParityStatus::Unchanged;
    }
    Ok(())
}
