//! Populating: staged partitions become rows of the destination, through its commit protocol.

use std::time::Instant;

use pintail_lake::{Change, CommitOutcome, CommitPart, CommitRequest, Compare, LedgerEntry, StagedFile};
use pintail_model::{Checksum, CursorValue};
use serde_json::json;

use crate::error::{Error, Result};
use crate::fetch::Staged;
use crate::progress::Phase;
use crate::shape::{Cursor, Leaf};
use crate::work::{Tally, Work};

/// Who commits, in the lake's history.
const AUTHOR: &str = "pintail";

/// What the ledger says of a staged partition, and those of its files that are committed, with the checksum of their
/// rows.
pub(crate) fn part(
    work: &Work<'_>,
    staged: &Staged,
    files: Vec<StagedFile>,
    checksum: Checksum,
    watermark: Option<CursorValue>,
) -> CommitPart {
    let partition = &work.plan.partitions[staged.position];
    let entry = LedgerEntry {
        pipeline: work.plan.pipeline.clone(),
        strategy: work.plan.strategy.clone(),
        run: work.run.clone(),
        key: work.key(partition),
        rows: files.iter().map(|file| file.rows).sum(),
        checksum,
        source: work.source_identity.to_owned(),
        cursor: work.plan.shape.followed().map(Cursor::origin),
        watermark,
    };
    CommitPart { entry, files }
}

/// Commits `parts`, which together are `what`, and adds up what that did. Returns how long it took beside it.
pub(crate) fn commit(
    work: &Work<'_>,
    tally: &mut Tally,
    what: &str,
    change: Change,
    parts: Vec<CommitPart>,
) -> Result<(CommitOutcome, f64)> {
    commit_without(work, tally, what, change, parts, Vec::new())
}

/// The same, and rows with the staged keys of `gone` go.
pub(crate) fn commit_without(
    work: &Work<'_>,
    tally: &mut Tally,
    what: &str,
    change: Change,
    parts: Vec<CommitPart>,
    gone: Vec<StagedFile>,
) -> Result<(CommitOutcome, f64)> {
    work.check_stop()?;
    work.progress.phase(Phase::Committing);
    let began = Instant::now();
    let columns = work.plan.shape.destination();
    for file in parts.iter().flat_map(|part| &part.files).chain(&gone) {
        work.offer(&file.path);
    }
    let leaf = work.plan.shape.leaf.as_ref().map(Leaf::sql);
    let request = CommitRequest {
        compare: work.plan.parity.then_some(Compare { leaf }),
        table: &work.plan.table,
        columns: &columns,
        key: &work.plan.shape.key,
        change,
        parts,
        gone,
        author: AUTHOR,
        message: format!(
            "{} of pipeline {}, run {}: {what}",
            work.plan.kind.as_str(),
            work.plan.pipeline,
            work.run
        ),
    };
    let outcome = work
        .destination
        .commit(&request)
        .map_err(|source| Error::Partition {
            partition: what.to_owned(),
            source,
        })?;
    let seconds = began.elapsed().as_secs_f64();
    tally.rows_inserted += outcome.rows_inserted;
    tally.rows_updated += outcome.rows_updated;
    tally.rows_deleted += outcome.rows_deleted;
    tally.commits.asked += u64::from(outcome.asked);
    tally.commits.repaired += u64::from(outcome.repaired);
    if outcome.snapshot.is_some() {
        tally.commits.count += 1;
        tally.snapshot = outcome.snapshot;
    }
    work.log.info(
        "committed",
        json!({
            "partition": what,
            "snapshot": outcome.snapshot,
            "rows_inserted": outcome.rows_inserted,
            "rows_updated": outcome.rows_updated,
            "rows_deleted": outcome.rows_deleted,
            "asked": outcome.asked,
            "repaired": outcome.repaired,
            "seconds": seconds,
        }),
    );
    if outcome.asked > 0 {
        work.log.warn(
            "an answer was lost, and the ledger said what happened",
            json!({ "times": outcome.asked }),
        );
    }
    Ok((outcome, seconds))
}
