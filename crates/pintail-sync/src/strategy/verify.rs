//! A comparison that changes neither side: what differs is counted, and named where that is wanted.

use std::time::Instant;

use pintail_lake::{Call, Session, quote};

use crate::compare::{self, Differing};
use crate::error::Result;
use crate::narrow::Scope;
use crate::parity;
use crate::progress::Phase;
use crate::report::{Drift, DriftingKey, PartitionTime};
use crate::snapshot::Snapshot;
use crate::work::{Tally, Work};

/// The whole table, in reports.
const WHOLE: &str = "the whole table";

pub(crate) fn execute(work: &Work<'_>, tally: &mut Tally) -> Result<()> {
    let began = Instant::now();
    let scope = Scope::whole(work);
    let version = work.destination.version(&work.destination.session()?)?;
    work.progress.phase(Phase::Reading);
    let mut snapshot = Snapshot::open(work.destination.engine(), work.connector, 1)?;
    let session = &snapshot.sessions()[0];
    let sides = compare::read(work, session, &scope, version)?;
    tally.rows_processed = sides.source.total().rows;
    tally.partitions_processed = 1;
    tally.snapshot = version;
    tally.parity.set_checksum(sides.source.total());
    let mut drift = Drift::default();
    let mut equal = sides.equal();
    if !equal {
        let differing = compare::locate(work, session, &scope, version, &sides)?;
        drift = drifted(work, session, &differing)?;
        equal = drift.missing + drift.changed + drift.extra == 0;
    }
    snapshot.check(tally)?;
    if equal {
        // What is pending is on one side alone, and nothing is wrong with that.
        tally.parity.add_equal(&sides.source, &sides.kept);
    } else {
        tally
            .parity
            .add_leaves(WHOLE, &sides.source, work.place.noun(), &sides.kept);
        parity::log_mismatch(work, &tally.parity);
    }
    tally.drift = Some(drift);
    tally.partition_times.push(PartitionTime {
        partition_id: scope.partition.id.clone(),
        rows: tally.rows_processed,
        read_seconds: began.elapsed().as_secs_f64(),
        commit_seconds: None,
    });
    Ok(())
}

/// What of the differences is drift, and what only came after the source was last read.
fn drifted(work: &Work<'_>, session: &Session, differing: &Differing) -> Result<Drift> {
    let later = compare::later_rows(work, session, differing)?;
    let mut drift = Drift {
        missing: differing.inserted.saturating_sub(later.new),
        changed: differing.changed.saturating_sub(later.changed),
        extra: differing.deleted,
        pending: later.new + later.changed,
        keys: Vec::new(),
    };
    if work.plan.keys_named > 0 && !work.plan.shape.key.is_empty() {
        drift.keys = keys(work, session, work.plan.keys_named)?;
    }
    Ok(drift)
}

fn keys(work: &Work<'_>, session: &Session, most: u64) -> Result<Vec<DriftingKey>> {
    let columns = &work.plan.shape.key;
    let texts: Vec<String> = columns
        .iter()
        .map(|name| format!("{}::varchar", quote::identifier(name)))
        .collect();
    let sql = format!(
        "select here, there, {} from {} order by {} limit {most}",
        texts.join(", "),
        compare::DIFFERING,
        quote::identifiers(columns)
    );
    let rows = session.query(Call::new("read the keys of rows that differ"), &sql)?;
    let key = |row: &pintail_lake::Row| DriftingKey {
        what: match (row.boolean(0), row.boolean(1)) {
            (true, true) => "changed",
            (true, false) => "missing",
            (false, _) => "extra",
        },
        key: (0..columns.len())
            .map(|index| row.text(index + 2).map(str::to_owned))
            .collect(),
    };
    Ok(rows.iter().map(key).collect())
}
