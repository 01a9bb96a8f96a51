//! A full load: every row of one snapshot of the source, staged in partitions, committed as one replacement.

use pintail_lake::CommitPart;
use pintail_model::LeafChecksums;

use super::reuse::{self, Gathered};
use crate::error::Result;
use crate::fetch::{self, Pauses, Staged};
use crate::keys;
use crate::marking;
use crate::memberships::{self, After, Outcome, Written};
use crate::parity;
use crate::populate;
use crate::progress::Phase;
use crate::report::PartitionTime;
use crate::snapshot::Snapshot;
use crate::state::{CommittedRecord, StoredWatermark};
use crate::work::{Tally, Work};

pub(crate) fn execute(work: &Work<'_>, tally: &mut Tally) -> Result<()> {
    work.progress.phase(Phase::Reading);
    if let Some(plan) = &work.plan.reuse {
        match reuse::gather(work, tally, plan)? {
            Gathered::Proven { load, read, counted } => {
                add_up(work, tally, &read);
                let rows = load.iter().map(|staged| staged.file.rows).sum();
                if work.plan.parity {
                    tally.parity.add_count(WHOLE, counted, rows);
                    tally.parity.rescanned();
                }
                return bring_in(work, tally, &load, None);
            }
            Gathered::Refuted(why) => {
                tally.notes.push(format!(
                    "the staged partitions are not used after all, and the load starts again: {why}"
                ));
                tally.restarted = true;
                reuse::give_up(work, plan)?;
                work.progress
                    .started(work.plan.table_rows, plan.first_catch_up, 0);
            }
        }
    }
    let Some((staged, members)) = read_everything(work, tally)? else {
        return Ok(());
    };
    bring_in(work, tally, &staged, members.as_ref())
}

/// The whole table, in reports.
const WHOLE: &str = "the whole table";

/// Stages all partitions under one snapshot, and which rows belong to which groups; `None` if they are not what the source
/// counts.
fn read_everything(work: &Work<'_>, tally: &mut Tally) -> Result<Option<(Vec<Staged>, Option<Written>)>> {
    let plan = work.plan;
    let partitions = plan
        .reuse
        .as_ref()
        .map_or(plan.partitions.len(), |reuse| reuse.first_catch_up);
    let positions: Vec<usize> = (0..partitions).collect();
    let mut snapshot = Snapshot::open(
        work.destination.engine(),
        work.connector,
        plan.concurrency.min(partitions),
    )?;
    let staged = fetch::stage_all(work, &mut snapshot, &positions, Pauses::BetweenPartitions)?;
    add_up(work, tally, &staged);
    let members = memberships::write_all(work, &snapshot.sessions()[0])?;
    let Some(sql) = plan.whole_count.as_ref().filter(|_| plan.parity) else {
        snapshot.check(tally)?;
        return Ok(Some((staged, members)));
    };
    work.progress.phase(Phase::Comparing);
    let label = format!(
        "count the rows of table \"{}\" in {}",
        plan.source_table, plan.source.address
    );
    let counted = snapshot.count(&label, sql)?;
    snapshot.check(tally)?;
    if tally.parity.add_count(WHOLE, counted, tally.rows_processed) {
        return Ok(Some((staged, members)));
    }
    // The old table is worth more than one that is known to be wrong.
    tally
        .notes
        .push("nothing was committed: the rows that were read are not those of the source".to_owned());
    parity::log_mismatch(work, &tally.parity);
    Ok(None)
}

/// Commits and compares.
fn bring_in(work: &Work<'_>, tally: &mut Tally, staged: &[Staged], members: Option<&Written>) -> Result<()> {
    let plan = work.plan;
    memberships::add(work, members)?;
    keys::check_joined(work, &reuse::files(staged).collect::<Vec<_>>())?;
    // Of a table in which nothing is marked, nobody needs to know what it held.
    let basis = plan
        .deletes
        .carries
        .then(|| populate::basis_of_now(work))
        .transpose()?;
    let carried = marking::carried(work, &reuse::files(staged).collect::<Vec<_>>())?;
    let mut parts: Vec<CommitPart> = staged
        .iter()
        .map(|staged| {
            let files = if staged.file.rows > 0 {
                vec![staged.file.clone()]
            } else {
                Vec::new()
            };
            populate::part(work, staged, files, staged.leaves.total(), plan.watermark)
        })
        .collect();
    if let (Some(carried), Some(last)) = (&carried, parts.last_mut()) {
        last.entry.rows += carried.file.rows;
        last.entry.checksum.merge(carried.leaves.total());
        last.files.push(carried.file.clone());
        tally.bytes_staged += carried.file.bytes;
        tally.notes.push(format!(
            "{} rows that are gone from the source stay in the {}, and say so",
            carried.file.rows,
            work.place.noun()
        ));
    }
    let rows = carried.as_ref().map_or(0, |carried| carried.file.rows);
    let basis = basis.map(|basis| (rows, basis));
    let (outcome, _) = populate::replace(work, tally, "all", parts, basis)?;
    record(work, tally, staged)?;
    memberships::settle(work, members, Outcome::Replaced, After::Commit)?;

    if !plan.parity {
        return Ok(());
    }
    if let Some(snapshot) = outcome.snapshot {
        let mut read = LeafChecksums::default();
        staged.iter().for_each(|staged| read.merge(&staged.leaves));
        tally.parity.set_checksum(read.total());
        let kept = match &outcome.compared {
            Some(compared) => compared.table.without(&carried.unwrap_or_default().leaves),
            None => parity::table_leaves(work, Some(snapshot))?,
        };
        if !tally.parity.add_leaves(WHOLE, &read, work.place.noun(), &kept) {
            return parity::differs(work, &tally.parity);
        }
        let mut state = work.state();
        staged
            .iter()
            .try_for_each(|staged| state.compared(&plan.pipeline, work.run, staged.position))
    } else {
        tally.uncompared += staged.len() as u64;
        tally
            .notes
            .push("another process had committed this load, and it was not compared".to_owned());
        Ok(())
    }
}

/// Adds up what was read.
fn add_up(work: &Work<'_>, tally: &mut Tally, staged: &[Staged]) {
    for staged in staged {
        let id = &work.plan.partitions[staged.position].id;
        tally.rows_processed += staged.file.rows;
        tally.bytes_staged += staged.file.bytes;
        tally.partitions_processed += 1;
        tally.partition_times.push(PartitionTime {
            partition_id: id.clone(),
            rows: staged.file.rows,
            read_seconds: staged.seconds,
            commit_seconds: None,
        });
    }
}

/// Writes down that everything is in, and where a delta may go on.
fn record(work: &Work<'_>, tally: &mut Tally, staged: &[Staged]) -> Result<()> {
    let plan = work.plan;
    let session = work.destination.session()?;
    let table_id = work.destination.table_id(&session, &plan.table)?;
    let last = staged
        .last()
        .map(|staged| work.key(&plan.partitions[staged.position]));
    tally.watermark = plan
        .watermark
        .zip(plan.shape.followed())
        .map(|(value, cursor)| StoredWatermark {
            value,
            column: cursor.source.clone(),
            strategy: plan.strategy.clone(),
            last_key: last,
            table_id,
            source: work.source_identity.to_owned(),
        });
    let mut state = work.state();
    let at = work.clock.now();
    for staged in staged {
        let record = CommittedRecord {
            rows: staged.file.rows,
            empty: false,
            at,
        };
        state.committed(&plan.pipeline, work.run, staged.position, record, None)?;
    }
    match &tally.watermark {
        Some(watermark) => state.set_watermark(&plan.pipeline, watermark, at),
        None => state.forget_watermark(&plan.pipeline),
    }
}
