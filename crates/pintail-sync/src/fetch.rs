//! Fetching: the rows of a partition, from the source into a staged Parquet file.
//!
//! The engine reads and writes; this only says what, and proves that the file holds what passed: COPY's own count of
//! rows must equal that of the tap. A partition whose session broke is read again on a new one that joins the same
//! snapshot of the source, while the session that opened it lives. If that one breaks, the snapshot is gone with it,
//! and the run has to see what can still be used.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use pintail_lake::connector::ScanRequest;
use pintail_lake::{Call, Session, StagedFile, quote};
use pintail_model::{ErrorKind, LeafChecksums};
use serde_json::json;

use crate::compare;
use crate::doubt;
use crate::error::{Error, Result};
use crate::plan::{PartitionPlan, PlanKind, SOURCE, statement};
use crate::shape::COUNTED_LEAF;
use crate::snapshot::{Shared, Snapshot};
use crate::state::StagedRecord;
use crate::work::Work;

/// A partition whose rows are staged.
#[derive(Debug, Clone)]
pub(crate) struct Staged {
    /// Its place in the plan.
    pub(crate) position: usize,
    /// Its rows. A partition without rows has no file.
    pub(crate) file: StagedFile,
    /// Checksums of the rows as they were read; empty without parity.
    pub(crate) leaves: LeafChecksums,
    /// How long it took.
    pub(crate) seconds: f64,
}

/// Where a run whose time is up may pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pauses {
    /// Between two partitions: what is staged is kept.
    BetweenPartitions,
    /// Nowhere: what is staged is to be committed first.
    Nowhere,
}

/// Stages partitions, as many at once as there are sessions. In the order of the plan.
///
/// # Errors
/// [`Error::TimeUp`] before a partition that is not the first, once `pauses` is asked and the run's time is up.
pub(crate) fn stage_all(
    work: &Work<'_>,
    snapshot: &mut Snapshot<'_>,
    positions: &[usize],
    pauses: Pauses,
) -> Result<Vec<Staged>> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let worker = |session: &mut Session, shared: Option<&Shared<'_>>| -> Result<Vec<Staged>> {
        let mut staged = Vec::new();
        while !failed.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(position) = positions.get(number) else {
                break;
            };
            let may_go_on = match pauses {
                Pauses::BetweenPartitions if number > 0 => work.check_time(),
                _ => Ok(()),
            };
            let result = may_go_on.and_then(|()| stage_again(work, session, shared, *position));
            staged.push(result.inspect_err(|_| failed.store(true, Ordering::Relaxed))?);
        }
        Ok(staged)
    };
    let (first, others, shared) = snapshot.parts();
    let others = others.iter_mut().take(positions.len().saturating_sub(1));
    let capabilities = work.connector.capabilities();
    let in_parallel =
        |position: &usize| capabilities.reads_in_parallel(&work.plan.partitions[*position].scan);
    let callers = match positions.iter().any(in_parallel) {
        true => 1 + others.len(),
        false => usize::MAX,
    };
    let _callers = work.destination.engine().callers(callers)?;
    let results: Vec<Result<Vec<Staged>>> = std::thread::scope(|scope| {
        let worker = &worker;
        let threads: Vec<_> = others
            .map(|session| scope.spawn(move || worker(session, Some(shared))))
            .collect();
        let mut results = vec![worker(first, None)];
        for thread in threads {
            results.push(
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            );
        }
        results
    });
    let mut staged = results.into_iter().collect::<Result<Vec<_>>>()?.concat();
    staged.sort_by_key(|staged| staged.position);
    Ok(staged)
}

/// Puts a session that sees the same snapshot in the place of one that broke. Returns whether that worked.
fn rejoin(session: &mut Session, shared: &Shared<'_>) -> bool {
    // Where the source allows so many connections only, the broken one has to go first.
    session.rollback();
    match shared.join() {
        Ok(Some(fresh)) => {
            *session = fresh;
            true
        }
        Ok(None) => false,
        Err(error) => {
            tracing::warn!(%error, "the snapshot of the source could not be joined again");
            false
        }
    }
}

/// Stages one partition, again if its session broke and another one can join the snapshot of the source.
fn stage_again(
    work: &Work<'_>,
    session: &mut Session,
    shared: Option<&Shared<'_>>,
    position: usize,
) -> Result<Staged> {
    let mut waits = work.retries.waits();
    loop {
        work.check_stop()?;
        let error = match stage(work, session, position) {
            Ok(staged) => return Ok(staged),
            Err(error) => error,
        };
        let Some(shared) = shared else {
            return Err(error);
        };
        let error = work.retries.wait_after(error, &mut waits)?;
        if !rejoin(session, shared) {
            return Err(error);
        }
    }
}

/// Stages one partition.
fn stage(work: &Work<'_>, session: &Session, position: usize) -> Result<Staged> {
    stage_rows(work, session, position, &work.plan.partitions[position])
}

/// Stages the rows of `partition` as those of the plan's partition at `position`.
pub(crate) fn stage_rows(
    work: &Work<'_>,
    session: &Session,
    position: usize,
    partition: &PartitionPlan,
) -> Result<Staged> {
    let (plan, began) = (work.plan, Instant::now());
    let attempt = work.state().attempt(&plan.pipeline, work.run, position)?;
    let path = work.stage.file(&partition.id, attempt);
    work.loosen(&path);

    let names = plan.shape.names();
    let engine = work.destination.engine();
    let (given, leaf) = compare::given(&plan.shape);
    let tap = match plan.parity {
        true => engine.keyed_tap(given),
        false => engine.tap(),
    };
    let tap = Arc::new(tap);
    work.meter.watch(&tap);
    let filter = if plan.parity {
        tap.filter(leaf.as_deref(), &names)
    } else {
        // Whoever watches wants to see rows pass; one column of one leaf is next to nothing.
        tap.filter(Some(COUNTED_LEAF), &[plan.shape.counted()])
    };
    let sql = statement::stage(
        &partition.scan.sql,
        &names,
        Some(&filter),
        &path.to_string_lossy(),
        work.place.stage_options(),
    );
    let label = format!(
        "read partition `{}` of table \"{}\" from {}",
        partition.id, plan.source_table, plan.source.address
    );
    let copied = session.execute(Call::new(&label), &sql);
    work.meter.settle(&tap, *copied.as_ref().unwrap_or(&0));
    let rows = copied.map_err(|error| explain(work, partition, error))?;
    let passed = tap.rows();
    if passed != rows {
        return Err(Error::Refused {
            kind: ErrorKind::Internal,
            message: format!(
                "{passed} rows of partition `{}` were read and {rows} were staged",
                partition.id
            ),
            hint: None,
        });
    }
    let bytes = if rows == 0 {
        work.discard(&path);
        0
    } else {
        check_nulls(work, session, partition, &path)?;
        doubt::settle(work, session, partition, &path)?;
        work.destination.secure(&path)?
    };
    let leaves = if plan.parity {
        tap.checksums()
    } else {
        LeafChecksums::default()
    };
    if rows > 0 {
        let checksum = plan.parity.then(|| leaves.total().digest());
        let record = StagedRecord {
            path: path.clone(),
            rows,
            bytes,
            checksum,
        };
        work.state().staged(&plan.pipeline, work.run, position, &record)?;
        if plan.keeps_staged() {
            work.offer(&path);
        }
    }
    if plan.kind == PlanKind::Full {
        work.progress.partition_done(&partition.id, rows);
    }
    let seconds = began.elapsed().as_secs_f64();
    work.log.info(
        "partition read",
        json!({ "partition": partition.id, "rows": rows, "bytes": bytes, "seconds": seconds }),
    );
    Ok(Staged {
        position,
        file: StagedFile { path, rows, bytes },
        leaves,
        seconds,
    })
}

/// Columns that were declared to hold no NULL, although the source allows it, must hold none.
fn check_nulls(work: &Work<'_>, session: &Session, partition: &PartitionPlan, path: &Path) -> Result<()> {
    let declared = work
        .plan
        .shape
        .columns
        .iter()
        .filter(|read| read.source.nullable && !read.column.nullable);
    for read in declared {
        let sql = format!(
            "select count(*) from {} where {} is null",
            statement::parquet(&[path]),
            quote::identifier(&read.column.name)
        );
        let found = session.query(Call::new("look for NULL in staged rows"), &sql)?;
        let rows = found
            .first()
            .and_then(|row| row.integer(0))
            .and_then(|rows| u64::try_from(rows).ok())
            .unwrap_or(0);
        if rows > 0 {
            return Err(Error::UnexpectedNull {
                table: work.plan.source_table.clone(),
                column: read.column.name.clone(),
                partition: partition.id.clone(),
                rows,
            });
        }
    }
    Ok(())
}

/// Names the column of a value that could not be carried.
pub(crate) fn explain(work: &Work<'_>, partition: &PartitionPlan, error: pintail_lake::Error) -> Error {
    if !Error::value_fault(&error) {
        return error.into();
    }
    Error::Value {
        table: work.plan.source_table.clone(),
        column: faulty_column(work, partition),
        partition: partition.id.clone(),
        source: Box::new(error),
    }
}

/// Reads the partition once more, one column at a time, until one fails. The source may have changed meanwhile, so
/// nothing may be found.
fn faulty_column(work: &Work<'_>, partition: &PartitionPlan) -> Option<String> {
    let mut snapshot = Snapshot::open(work.destination.engine(), work.connector, 1).ok()?;
    for read in work.plan.shape.read_columns() {
        let request = ScanRequest {
            relation: work.plan.relation.clone(),
            columns: vec![read.clone()],
            range: partition.range.clone(),
        };
        let scan = work.connector.scan(SOURCE, &request);
        // Hashing needs every value; a count could be answered without looking at any.
        let sql = format!(
            "select bit_xor(hash({})) from (\n{}\n)",
            quote::identifier(&read.column.name),
            scan.sql
        );
        let session = snapshot.sessions().first()?;
        match session.query(Call::new("look for the column of a value"), &sql) {
            Ok(_) => {}
            Err(error) if Error::value_fault(&error) => return Some(read.source.name.clone()),
            Err(_) => return None,
        }
    }
    None
}
