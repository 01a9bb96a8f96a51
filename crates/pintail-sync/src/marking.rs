//! Marking: a row that is gone from the source stays, with the time at which that was noticed.
//!
//! ```text
//! destination, living ── rows whose keys are gone ── the time of now ──▶ file ──▶ upsert by key
//! destination, all    ── rows whose keys a full load does not have ────▶ file ──▶ part of that load
//! ```
//!
//! To a destination a marked row is a row like any other, which comes in by its key. A row that returns to the source comes in
//! with NULL in that column, and so lives again. Rows that are marked are not compared, so the time of the first marking stays.

use std::path::Path;

use pintail_lake::{Session, StagedFile, quote};
use pintail_model::{CursorValue, LeafChecksums};

use crate::compare;
use crate::derived::{Derived, Sums};
use crate::error::Result;
use crate::parity;
use crate::plan::statement;
use crate::work::Work;

/// Rows of the destination that are marked, staged.
#[derive(Debug, Clone)]
pub(crate) struct Marked {
    /// The rows.
    pub(crate) file: StagedFile,
    /// Their checksums; empty without parity.
    pub(crate) leaves: LeafChecksums,
}

impl Default for Marked {
    fn default() -> Self {
        Self {
            file: StagedFile {
                path: std::path::PathBuf::new(),
                rows: 0,
                bytes: 0,
            },
            leaves: LeafChecksums::default(),
        }
    }
}

/// Stages those of `rows`, a relation of the destination, whose keys it alone has, by the table of differences that `session`
/// holds.
pub(crate) fn gone(work: &Work<'_>, session: &Session, rows: &str) -> Result<Option<Marked>> {
    let key = quote::identifiers(&work.plan.shape.key);
    let of_kept: Vec<String> = work
        .plan
        .shape
        .key
        .iter()
        .map(|name| format!("kept.{}", quote::identifier(name)))
        .collect();
    // A key that stands twice there is brought in once.
    let kept = format!(
        "{rows} as kept\nsemi join ({}) as gone using ({key})\nqualify row_number() over (partition by {}) = 1",
        compare::gone_keys(work),
        of_kept.join(", ")
    );
    stage(work, session, &kept)
}

/// Stages the rows of the destination that a full load of `files` does not have.
pub(crate) fn carried(work: &Work<'_>, files: &[&Path]) -> Result<Option<Marked>> {
    if !work.plan.deletes.carries {
        return Ok(None);
    }
    let version = work.destination.version(&work.destination.session()?)?;
    let key = quote::identifiers(&work.plan.shape.key);
    let load = match files {
        [] => String::new(),
        files => format!(
            "\nanti join (select {key} from {}) as staged using ({key})",
            statement::parquet(files)
        ),
    };
    let kept = format!("{} as kept{load}", parity::rows(work, version));
    let session = work.destination.session()?;
    parity::reading(&session, || stage(work, &session, &kept))
}

fn stage(work: &Work<'_>, session: &Session, kept: &str) -> Result<Option<Marked>> {
    let (plan, shape) = (work.plan, &work.plan.shape);
    let Some(mark) = shape.marked() else {
        return Ok(None);
    };
    let now = CursorValue::TimestampTz(work.clock.now().as_microsecond());
    let rows = statement::mark(kept, shape, mark, now);
    let attempt = work.state().attempt_of(&plan.pipeline, work.run, 0)?;
    let label = format!(
        "stage rows of table \"{}\" that are gone from the source",
        plan.table
    );
    let derived = Derived {
        label: &label,
        rows: &rows,
        columns: &shape.names(),
        path: work.stage.file("marked", attempt),
        sums: match plan.parity {
            true => Sums::Leaves,
            false => Sums::Nothing,
        },
    };
    let staged = derived.stage(work, session)?;
    Ok(staged.map(|(file, leaves)| Marked { file, leaves }))
}
