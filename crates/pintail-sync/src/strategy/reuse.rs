//! Making one load of what an unfinished run had staged and what is read now: see [`crate::plan::Reuse`].

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use pintail_lake::{Call, StagedFile};
use pintail_model::{CursorValue, ErrorKind, LeafChecksums};
use serde_json::json;

use crate::error::{Error, Result};
use crate::fetch::{self, Pauses, Staged};
use crate::keys;
use crate::parity;
use crate::plan::{Reuse, statement};
use crate::shape::Leaf;
use crate::snapshot::Snapshot;
use crate::state::StagedRecord;
use crate::work::{Tally, Work};

/// What came of it.
pub(super) enum Gathered {
    /// The rows of the source, proven.
    Proven {
        /// All partitions.
        load: Vec<Staged>,
        /// Those of them that were read now.
        read: Vec<Staged>,
        /// Rows by the source's own count.
        counted: u64,
    },
    /// It is not certain that they are.
    Refuted(String),
}

/// Reads what is left and what may have changed, and puts everything together.
pub(super) fn gather(work: &Work<'_>, tally: &mut Tally, reuse: &Reuse) -> Result<Gathered> {
    let plan = work.plan;
    let reused: Vec<(usize, &StagedRecord)> = plan
        .partitions
        .iter()
        .enumerate()
        .filter_map(|(position, partition)| Some((position, partition.staged.as_ref()?)))
        .collect();
    for (_, record) in &reused {
        if let Err(why) = undamaged(work, record)? {
            return Ok(Gathered::Refuted(why));
        }
    }
    let missing: Vec<usize> = (0..plan.partitions.len())
        .filter(|position| plan.partitions[*position].staged.is_none())
        .collect();
    let (read, counted, reached) = {
        let sessions = plan.concurrency.min(missing.len());
        let mut snapshot = Snapshot::open(work.destination.engine(), work.connector, sessions)?;
        let read = fetch::stage_all(work, &mut snapshot, &missing, Pauses::BetweenPartitions)?;
        let label = format!(
            "count the rows of table \"{}\" in {}",
            plan.source_table, plan.source.address
        );
        let count = |sql: &String| snapshot.count(&label, sql);
        let counted = count(
            plan.whole_count
                .as_ref()
                .expect("a load that is pieced together is counted"),
        )?;
        let reached = reuse.reach_counts.iter().map(count).sum::<Result<u64>>()?;
        snapshot.check(tally)?;
        (read, counted, reached)
    };
    if reached != counted {
        return Ok(Gathered::Refuted(
            "some rows have a cursor that lies beyond every calendar".to_owned(),
        ));
    }

    let (remaining, caught_up): (Vec<Staged>, Vec<Staged>) = read
        .iter()
        .cloned()
        .partition(|staged| staged.position < reuse.first_catch_up);
    let newer: Vec<&Path> = files(&caught_up).collect();
    let keep = |(position, path): (usize, &Path)| unchanged(work, position, path, &newer, reuse.since);
    let old = reused
        .iter()
        .map(|(position, record)| keep((*position, &record.path)))
        .collect::<Result<Vec<_>>>()?;
    let with_rows = remaining.iter().filter(|staged| staged.file.rows > 0);
    let new = with_rows
        .map(|staged| keep((staged.position, &staged.file.path)))
        .collect::<Result<Vec<_>>>()?;
    let empty = remaining.iter().filter(|staged| staged.file.rows == 0).cloned();
    let mut load: Vec<Staged> = old.into_iter().chain(new).chain(empty).chain(caught_up).collect();
    load.sort_by_key(|staged| staged.position);
    let rows: u64 = load.iter().map(|staged| staged.file.rows).sum();
    if rows != counted {
        return Ok(Gathered::Refuted(format!(
            "together they are {rows} rows, and the source has {counted}"
        )));
    }
    // A row that moved between two snapshots could hide one that is missing.
    let twice = keys::twice(work, &files(&load).collect::<Vec<_>>())?;
    if twice > 0 {
        return Ok(Gathered::Refuted(format!(
            "{twice} rows moved without a change of their cursor"
        )));
    }
    Ok(Gathered::Proven { load, read, counted })
}

/// Throws away what was staged; the run starts again.
pub(super) fn give_up(work: &Work<'_>, reuse: &Reuse) -> Result<()> {
    work.state().restart_run(
        &work.plan.pipeline,
        work.run,
        reuse.first_catch_up,
        work.plan.watermark,
    )?;
    for record in work
        .plan
        .partitions
        .iter()
        .filter_map(|partition| partition.staged.as_ref())
    {
        work.discard(&record.path);
    }
    Ok(())
}

/// Whether a file still holds the rows that were staged; if not, why.
fn undamaged(work: &Work<'_>, record: &StagedRecord) -> Result<std::result::Result<(), String>> {
    let name = record
        .path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    match parity::file_leaves(work, &record.path) {
        Ok(leaves) => {
            let total = leaves.total();
            let same = total.rows == record.rows
                && record
                    .checksum
                    .as_ref()
                    .is_none_or(|checksum| *checksum == total.digest());
            Ok(if same {
                Ok(())
            } else {
                Err(format!("staged file `{name}` does not hold what was staged"))
            })
        }
        Err(error) if error.kind() == ErrorKind::Cancelled => Err(error),
        Err(_) => Ok(Err(format!("staged file `{name}` cannot be read"))),
    }
}

/// Writes those rows of a file anew that have not changed since.
fn unchanged(
    work: &Work<'_>,
    position: usize,
    path: &Path,
    newer: &[&Path],
    since: CursorValue,
) -> Result<Staged> {
    let (plan, began) = (work.plan, Instant::now());
    let partition = &plan.partitions[position];
    let attempt = work.state().attempt_of(&plan.pipeline, work.run, position)?;
    let kept = work.stage.file(&format!("{}-kept", partition.id), attempt);
    work.loosen(&kept);
    let cursor = plan
        .shape
        .followed()
        .expect("only rows with a cursor can be told apart");
    let names = plan.shape.names();
    let tap = plan.parity.then(|| Arc::new(work.destination.engine().tap()));
    let leaf = plan.shape.leaf.as_ref().map(Leaf::sql);
    let filter = tap.as_ref().map(|tap| tap.filter(leaf.as_deref(), &names));
    let rows = statement::unchanged(path, newer, &plan.shape.key, &cursor.dest, since);
    let sql = statement::stage(
        &rows,
        &names,
        filter.as_deref(),
        &kept.to_string_lossy(),
        work.place.stage_options(),
    );
    let label = format!(
        "keep the rows of partition `{}` that have not changed",
        partition.id
    );
    let _callers = work.destination.engine().callers(1)?;
    let rows = work.destination.session()?.execute(Call::new(&label), &sql)?;
    if tap.as_ref().is_some_and(|tap| tap.rows() != rows) {
        return Err(Error::Refused {
            kind: ErrorKind::Internal,
            message: format!(
                "the checksum of partition `{}` covers other rows than were written",
                partition.id
            ),
            hint: None,
        });
    }
    let bytes = if rows == 0 {
        work.discard(&kept);
        0
    } else {
        work.destination.secure(&kept)?
    };
    work.log.info(
        "staged rows kept",
        json!({ "partition": partition.id, "rows": rows, "bytes": bytes }),
    );
    let leaves = tap.map_or_else(LeafChecksums::default, |tap| tap.checksums());
    Ok(Staged {
        position,
        file: StagedFile {
            path: kept,
            rows,
            bytes,
        },
        leaves,
        seconds: began.elapsed().as_secs_f64(),
    })
}

/// Files with rows.
pub(super) fn files(staged: &[Staged]) -> impl Iterator<Item = &Path> {
    staged
        .iter()
        .filter(|staged| staged.file.rows > 0)
        .map(|staged| PathBuf::as_path(&staged.file.path))
}
