//! Rows that the engine works out from both sides, staged in a file: those that changed, those that are marked, keys of those
//! that go.

use std::path::PathBuf;

use pintail_lake::{Call, Session, StagedFile};
use pintail_model::LeafChecksums;

use crate::error::Result;
use crate::plan::statement;
use crate::shape::Leaf;
use crate::work::Work;

/// What is to be staged.
pub(crate) struct Derived<'a> {
    /// What is done, as `stage the keys of rows that go`.
    pub(crate) label: &'a str,
    /// Yields the rows.
    pub(crate) rows: &'a str,
    /// Their columns.
    pub(crate) columns: &'a [&'a str],
    /// The file.
    pub(crate) path: PathBuf,
    pub(crate) sums: Sums,
}

/// What is summed up of the rows on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sums {
    Nothing,
    /// All of them, whatever their leaf.
    Total,
    Leaves,
}

impl Derived<'_> {
    /// Stages them by `session`, and brings the file to disk; `None` if there are no rows. Sums are empty where none are wanted.
    pub(crate) fn stage(
        self,
        work: &Work<'_>,
        session: &Session,
    ) -> Result<Option<(StagedFile, LeafChecksums)>> {
        let Self {
            label,
            rows,
            columns,
            path,
            sums,
        } = self;
        work.loosen(&path);
        let engine = work.destination.engine();
        let tap = (sums != Sums::Nothing).then(|| engine.tap());
        let leaf = match sums {
            Sums::Leaves => work.plan.shape.leaf.as_ref().map(Leaf::sql),
            Sums::Nothing | Sums::Total => None,
        };
        let filter = tap.as_ref().map(|tap| tap.filter(leaf.as_deref(), columns));
        let sql = statement::stage(
            rows,
            columns,
            filter.as_deref(),
            &path.to_string_lossy(),
            work.place.stage_options(),
        );
        let _callers = engine.callers(1)?;
        let rows = session.execute(Call::new(label), &sql)?;
        if rows == 0 {
            work.discard(&path);
            return Ok(None);
        }
        let bytes = work.destination.secure(&path)?;
        let leaves = tap.map_or_else(LeafChecksums::default, |tap| tap.checksums());
        Ok(Some((StagedFile { path, rows, bytes }, leaves)))
    }
}
