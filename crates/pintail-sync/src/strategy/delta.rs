//! A delta: the partitions between the watermark and the bound, each committed on its own, strictly in order.
//!
//! Partitions are read ahead in waves of as many as there are sessions. Because they come in in order, the watermark
//! of the last one that is in holds for everything below it, whatever ends the run.

use pintail_lake::{Change, Compared, StagedFile};
use pintail_model::{Checksum, PartitionKey};

use crate::derived::{Derived, Sums};
use crate::error::{Error, Result};
use crate::fetch::{self, Pauses, Staged};
use crate::keys;
use crate::parity;
use crate::plan::{NullRows, PartitionPlan, statement};
use crate::populate;
use crate::progress::Phase;
use crate::report::PartitionTime;
use crate::snapshot::Snapshot;
use crate::state::{CommittedRecord, StagedRecord};
use crate::work::{Tally, Work};

pub(crate) fn execute(work: &Work<'_>, tally: &mut Tally) -> Result<()> {
    let plan = work.plan;
    let open = |(position, partition): (usize, &PartitionPlan)| (!partition.done).then_some(position);
    let pending: Vec<usize> = plan.partitions.iter().enumerate().filter_map(open).collect();
    if plan.parity && !compare_earlier(work, tally)? {
        return Ok(());
    }
    if pending.is_empty() && plan.null_count.is_none() {
        return Ok(());
    }
    work.progress.phase(Phase::Reading);
    let sessions = plan.concurrency.min(pending.len()).max(1);
    let mut snapshot = Snapshot::open(work.destination.engine(), work.connector, sessions)?;
    if let Some(sql) = &plan.null_count {
        check_null_rows(work, tally, &snapshot, sql)?;
    }
    for (number, wave) in pending.chunks(sessions).enumerate() {
        if number > 0 {
            work.check_time()?;
        }
        work.progress.phase(Phase::Reading);
        let staged = fetch::stage_all(work, &mut snapshot, wave, Pauses::Nowhere)?;
        snapshot.check(tally)?;
        for staged in staged {
            if !bring_in(work, tally, &snapshot, &staged)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Compares what an earlier attempt committed and did not get to compare; returns whether the run may go on.
fn compare_earlier(work: &Work<'_>, tally: &mut Tally) -> Result<bool> {
    let plan = work.plan;
    let done = |partition: &PartitionPlan| partition.done && !partition.compared;
    for position in (0..plan.partitions.len()).filter(|position| done(&plan.partitions[*position])) {
        let partition = &plan.partitions[position];
        let Some((record, leaves)) = parity::staged_leaves(work, partition.staged.as_ref())? else {
            leave_uncompared(tally, &partition.id, "an earlier attempt committed it");
            continue;
        };
        let staged = Staged {
            position,
            file: StagedFile {
                path: record.path.clone(),
                rows: record.rows,
                bytes: record.bytes,
            },
            leaves,
            seconds: 0.0,
        };
        let newest = work.destination.version(&work.destination.session()?)?;
        tally.parity.rescanned();
        if !compare(work, tally, &staged, newest, None)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn leave_uncompared(tally: &mut Tally, id: &str, why: &str) {
    tally.uncompared += 1;
    tally
        .notes
        .push(format!("partition `{id}` was not compared: {why}"));
}

/// Rows without a cursor are never seen by a delta: somebody has to decide about them.
pub(super) fn check_null_rows(
    work: &Work<'_>,
    tally: &mut Tally,
    snapshot: &Snapshot,
    sql: &str,
) -> Result<()> {
    let plan = work.plan;
    let cursor = plan.shape.followed().expect("a delta has a cursor");
    let label = format!(
        "count the rows of table \"{}\" without a cursor",
        plan.source_table
    );
    let rows = snapshot.count(&label, sql)?;
    if rows == 0 {
        return Ok(());
    }
    if plan.null_rows == NullRows::Fail {
        return Err(Error::NullCursor {
            table: plan.source_table.clone(),
            column: cursor.source.clone(),
            rows,
        });
    }
    tally.notes.push(format!(
        "{rows} rows have NULL in the cursor column `{}` and were left out",
        cursor.source
    ));
    Ok(())
}

/// Counts, commits and compares one staged partition. Returns whether the run may go on.
fn bring_in(work: &Work<'_>, tally: &mut Tally, snapshot: &Snapshot, staged: &Staged) -> Result<bool> {
    let plan = work.plan;
    let partition = &plan.partitions[staged.position];
    let (id, rows) = (&partition.id, staged.file.rows);
    let offered = match rows {
        0 => None,
        _ if partition.changed_only => changed_rows(work, staged)?,
        _ => Some((staged.file.clone(), staged.leaves.total())),
    };
    let uncounted = tally.parity.clone();
    if plan.parity {
        let label = format!(
            "count partition `{id}` of table \"{}\" in {}",
            plan.source_table, plan.source.address
        );
        let counted = snapshot.count(&label, &partition.count)?;
        if !tally
            .parity
            .add_count(&format!("partition `{id}`"), counted, rows)
        {
            tally.notes.push(format!(
                "partition `{id}` was not committed: its rows are not those of the source"
            ));
            parity::log_mismatch(work, &tally.parity);
            return Ok(false);
        }
    }
    if rows > 0 {
        keys::check_joined(work, &[&staged.file.path])?;
    }
    let mut committed = None;
    if let Some((file, checksum)) = offered {
        // Rows that are read again with every run are the newest there are, whatever their cursor says.
        let newer = (!partition.changed_only)
            .then(|| plan.shape.followed().map(|cursor| cursor.dest.clone()))
            .flatten();
        let change = Change::Upsert {
            key: plan.shape.key.clone(),
            newer,
        };
        // The newest entry of the ledger says how far the source was read, also one that does not move that.
        let watermark = partition
            .watermark
            .or(tally.watermark.as_ref().map(|stored| stored.value));
        let part = populate::part(work, staged, vec![file], checksum, watermark);
        let key = part.entry.key.clone();
        let outcome = populate::commit(work, tally, id, change, vec![part]);
        // What is not in is read and counted again.
        committed = Some(outcome.inspect_err(|_| tally.parity = uncounted)?);
        record(work, tally, staged, Some(key))?;
    } else {
        record(work, tally, staged, None)?;
    }
    tally.rows_processed += rows;
    tally.bytes_staged += staged.file.bytes;
    tally.partitions_processed += 1;
    tally.partition_times.push(PartitionTime {
        partition_id: id.clone(),
        rows,
        read_seconds: staged.seconds,
        commit_seconds: committed.as_ref().map(|(_, seconds)| *seconds),
    });
    let agrees = match committed {
        Some((outcome, _)) if plan.parity && outcome.snapshot.is_some() => {
            // What was committed is a part of what was staged, and all of that is to be there.
            let compared = outcome.compared.filter(|_| !partition.changed_only);
            compare(work, tally, staged, outcome.snapshot, compared)?
        }
        Some(_) if plan.parity => {
            leave_uncompared(tally, id, "another process had committed it");
            true
        }
        _ => true,
    };
    if partition.changed_only && rows > 0 {
        work.discard(&staged.file.path);
    }
    work.progress.partition_done(id, rows);
    Ok(agrees)
}

/// Writes those staged rows anew that differ from the lake's, and takes their checksum; `None` if none do.
pub(super) fn changed_rows(work: &Work<'_>, staged: &Staged) -> Result<Option<(StagedFile, Checksum)>> {
    let plan = work.plan;
    let partition = &plan.partitions[staged.position];
    let attempt = work.state().attempt(&plan.pipeline, work.run, staged.position)?;
    let from = staged.file.path.to_string_lossy();
    let rows = statement::changed(&parity::rows(work, None), &plan.shape, &partition.range, &from);
    let label = format!(
        "compare partition `{}` with the {}",
        partition.id,
        work.place.noun()
    );
    let derived = Derived {
        label: &label,
        rows: &rows,
        columns: &plan.shape.names(),
        path: work.stage.file(&format!("{}-changed", partition.id), attempt),
        sums: match plan.parity {
            true => Sums::Total,
            false => Sums::Nothing,
        },
    };
    let session = work.destination.session()?;
    let Some((file, leaves)) = parity::reading(&session, || derived.stage(work, &session))? else {
        return Ok(None);
    };
    keys::check_new(work, &partition.id, &file.path)?;
    let record = StagedRecord {
        path: file.path.clone(),
        rows: file.rows,
        bytes: file.bytes,
        checksum: None,
    };
    work.state()
        .staged(&plan.pipeline, work.run, staged.position, &record)?;
    Ok(Some((file, leaves.total())))
}

/// Writes down that a partition is in, and moves the watermark with it.
fn record(work: &Work<'_>, tally: &mut Tally, staged: &Staged, key: Option<PartitionKey>) -> Result<()> {
    let plan = work.plan;
    let partition = &plan.partitions[staged.position];
    let record = CommittedRecord {
        rows: staged.file.rows,
        empty: key.is_none(),
        at: work.clock.now(),
    };
    let moves = partition.watermark.is_some() || key.is_some();
    let watermark = tally.watermark.as_mut().filter(|_| moves).map(|watermark| {
        watermark.value = partition.watermark.unwrap_or(watermark.value);
        watermark.strategy.clone_from(&plan.strategy);
        watermark.last_key = key.or(watermark.last_key.take());
        &*watermark
    });
    work.state()
        .committed(&plan.pipeline, work.run, staged.position, record, watermark)
}

/// Compares the rows as they were read with those that the destination now has under their keys: as the commit itself
/// read them, or as that version holds them.
fn compare(
    work: &Work<'_>,
    tally: &mut Tally,
    staged: &Staged,
    version: Option<i64>,
    compared: Option<Compared>,
) -> Result<bool> {
    let (id, noun) = (&work.plan.partitions[staged.position].id, work.place.noun());
    let mut read = staged.leaves.clone();
    let (mut kept, mut superseded) = match compared {
        Some(compared) => (compared.table, compared.superseded),
        None => (parity::key_leaves(work, version, &staged.file.path)?, None),
    };
    if !read.mismatches(&kept).is_empty()
        && superseded.is_none()
        && let Some(cursor) = work.plan.shape.followed()
        && let Some(found) = parity::without_newer(work, version, &staged.file.path, &cursor.dest)?
    {
        kept = found.kept;
        superseded = Some((found.rows, found.read));
    }
    if let Some((rows, left)) = superseded {
        tally.notes.push(format!(
            "partition `{id}`: the {noun} has {rows} rows with a later cursor than the source, and kept them"
        ));
        read = left;
    }
    let agrees = tally
        .parity
        .add_leaves(&format!("partition `{id}`"), &read, noun, &kept);
    if agrees {
        work.state()
            .compared(&work.plan.pipeline, work.run, staged.position)?;
    } else {
        parity::differs(work, &tally.parity)?;
    }
    Ok(agrees)
}
