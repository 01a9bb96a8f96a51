//! Populating: staged partitions become rows of the destination, through its commit protocol.

use std::time::Instant;

use pintail_lake::{
    Basis, Change, CommitOutcome, CommitPart, CommitRequest, Compare, LedgerEntry, StagedFile,
};
use pintail_model::{Checksum, CursorValue, ErrorKind};
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

/// What makes the destination equal to the source again, worked out from what it held.
pub(crate) struct Repair {
    /// Rows that come in by their keys.
    pub(crate) parts: Vec<CommitPart>,
    /// Keys of rows that go.
    pub(crate) gone: Vec<StagedFile>,
    /// How many of the rows that come in are there already, and are only marked as gone.
    pub(crate) marked: u64,
    /// How many rows without a key go and come in again.
    pub(crate) again: u64,
    /// What was there.
    pub(crate) basis: Basis,
}

/// What the ledger said when the plan was made. What was committed from then on is seen by the commit, if not by a comparison.
pub(crate) fn basis(work: &Work<'_>) -> Basis {
    Basis {
        newest: work.newest_key.cloned(),
    }
}

/// What the ledger says now.
pub(crate) fn basis_of_now(work: &Work<'_>) -> Result<Basis> {
    let session = work.destination.session()?;
    match work.destination.newest(&session, &work.plan.table) {
        Ok(newest) => Ok(Basis {
            newest: newest.map(|entry| entry.key),
        }),
        // Only other programs wrote there.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Basis { newest: None }),
        Err(error) => Err(error.into()),
    }
}

/// Commits `parts`, which together are `what`, and adds up what that did. Returns how long it took beside it.
pub(crate) fn commit(
    work: &Work<'_>,
    tally: &mut Tally,
    what: &str,
    change: Change,
    parts: Vec<CommitPart>,
) -> Result<(CommitOutcome, f64)> {
    let offer = Offer {
        change,
        parts,
        gone: Vec::new(),
        basis: None,
        told: Told::Marked(0),
    };
    bring_in(work, tally, what, offer)
}

/// The same with what is known as `what`, unless somebody else has committed since the destination was looked at.
pub(crate) fn repair(
    work: &Work<'_>,
    tally: &mut Tally,
    what: &str,
    repair: Repair,
) -> Result<(CommitOutcome, f64)> {
    let Repair {
        parts,
        gone,
        marked,
        again,
        basis,
    } = repair;
    let offer = Offer {
        change: match work.plan.shape.key.as_slice() {
            [] => Change::Exchange,
            key => Change::Upsert {
                key: key.to_vec(),
                newer: None,
            },
        },
        parts,
        gone,
        basis: Some(basis),
        told: match again {
            0 => Told::Marked(marked),
            again => Told::Carried(again),
        },
    };
    bring_in(work, tally, what, offer)
}

/// Commits everything in the place of what was there, of which `carried` rows come in again: they are in the last of `parts`,
/// and were worked out from `basis`.
pub(crate) fn replace(
    work: &Work<'_>,
    tally: &mut Tally,
    what: &str,
    parts: Vec<CommitPart>,
    carried: Option<(u64, Basis)>,
) -> Result<(CommitOutcome, f64)> {
    let (rows, basis) = carried.unzip();
    let offer = Offer {
        change: Change::ReplaceAll,
        parts,
        gone: Vec::new(),
        basis,
        told: Told::Carried(rows.unwrap_or(0)),
    };
    bring_in(work, tally, what, offer)
}

/// Rows of a commit that are told as something else than what the destination did.
#[derive(Debug, Clone, Copy)]
enum Told {
    /// They replace themselves, and count as deleted.
    Marked(u64),
    /// They go and come in again, which nobody wants to know.
    Carried(u64),
}

impl Told {
    fn tell(self, outcome: &mut CommitOutcome) {
        match self {
            Self::Marked(rows) => {
                let rows = rows.min(outcome.rows_updated);
                outcome.rows_updated -= rows;
                outcome.rows_deleted += rows;
            }
            Self::Carried(rows) => {
                outcome.rows_inserted = outcome.rows_inserted.saturating_sub(rows);
                outcome.rows_deleted = outcome.rows_deleted.saturating_sub(rows);
            }
        }
    }
}

/// What is offered to the destination.
struct Offer {
    change: Change,
    parts: Vec<CommitPart>,
    gone: Vec<StagedFile>,
    basis: Option<Basis>,
    told: Told,
}

fn bring_in(work: &Work<'_>, tally: &mut Tally, what: &str, offer: Offer) -> Result<(CommitOutcome, f64)> {
    let Offer {
        change,
        parts,
        gone,
        basis,
        told,
    } = offer;
    work.check_stop()?;
    work.progress.phase(Phase::Committing);
    let began = Instant::now();
    let columns = work.plan.shape.destination();
    for file in parts.iter().flat_map(|part| &part.files).chain(&gone) {
        work.offer(&file.path);
    }
    let leaf = work.plan.shape.leaf.as_ref().map(Leaf::sql);
    let request = CommitRequest {
        // What came in without a key cannot be looked up: the whole table is compared afterwards.
        compare: (work.plan.parity && change != Change::Exchange).then_some(Compare { leaf }),
        table: &work.plan.table,
        columns: &columns,
        key: &work.plan.shape.key,
        change,
        parts,
        gone,
        basis,
        author: AUTHOR,
        message: format!(
            "{} of pipeline {}, run {}: {what}",
            work.plan.kind.as_str(),
            work.plan.pipeline,
            work.run
        ),
    };
    let mut outcome = work
        .destination
        .commit(&request)
        .map_err(|source| Error::Partition {
            partition: what.to_owned(),
            source,
        })?;
    told.tell(&mut outcome);
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
