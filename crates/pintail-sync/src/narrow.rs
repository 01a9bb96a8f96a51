//! Narrowing: which leaves of two sides differ, by sums that each side takes by itself.
//!
//! ```text
//! source: sums by leaf ───┐ equal? ─▶ nothing differs
//! destination: the same ──┘ │ no
//!                           ├─ some leaves differ ─▶ their rows are compared one by one: see `compare`
//!                           └─ many do ───────────▶ all rows are
//! ```
//!
//! Only sums, and the rows of leaves that differ, come from the source. All of it is read in one snapshot.
//!
//! A source may sum up versions of its rows instead, which are compared with what they were when both sides were last equal:
//! then the destination is not read, but for the rows of leaves that are not as they were.

use pintail_lake::connector::ScanRequest;
use pintail_lake::digest::DigestLeaves;
use pintail_lake::{Call, Row, Session};
use pintail_model::{Checksum, ErrorKind, LeafChecksums, Range};

use crate::compare::{self, Sides};
use crate::error::{Error, Result};
use crate::parity;
use crate::plan::{PartitionPlan, SOURCE, Sums, Way, statement};
use crate::progress::Phase;
use crate::shape::Shape;
use crate::work::{Tally, Work};

/// Leaves that may differ, of a hundred, for their rows to be worth reading alone.
const SHARE_MAX: usize = 30;

/// The rows that are compared one by one: all of them, or those of some leaves.
pub(crate) struct Scope {
    /// How the source reads what is compared of them.
    pub(crate) partition: PartitionPlan,
    /// The leaves; `None` for all rows.
    leaves: Option<(DigestLeaves, Vec<i64>)>,
    /// The other leaves, which are the same on both sides.
    pub(crate) proven: LeafChecksums,
}

impl Scope {
    /// All rows.
    pub(crate) fn whole(work: &Work<'_>) -> Self {
        Self {
            partition: work.plan.partitions[0].clone(),
            leaves: None,
            proven: LeafChecksums::default(),
        }
    }

    /// The rows of `wanted`, where the sums of the others are `proven`.
    fn of(work: &Work<'_>, leaves: &DigestLeaves, wanted: Vec<i64>, proven: LeafChecksums) -> Self {
        let mut scope = Self {
            leaves: Some((leaves.clone(), wanted)),
            proven,
            ..Self::whole(work)
        };
        let shape = work.plan.shape.read_for_hashes(&work.plan.compared);
        scope.partition = scope.reading(work, &shape);
        scope
    }

    /// Its rows of the destination, as a relation.
    pub(crate) fn rows(&self, work: &Work<'_>, version: Option<i64>) -> String {
        let rows = parity::living(work, version);
        match &self.leaves {
            None => rows,
            Some((leaves, wanted)) => leaves.rows_of(&rows, wanted),
        }
    }

    /// How the columns of `shape` are read of its rows of the source.
    pub(crate) fn reading(&self, work: &Work<'_>, shape: &Shape) -> PartitionPlan {
        let (plan, connector) = (work.plan, work.connector);
        let mut partition = PartitionPlan::new(connector, &plan.relation, shape, Range::Whole, None);
        partition.id.clone_from(&plan.partitions[0].id);
        if let Some((leaves, wanted)) = &self.leaves {
            let request = ScanRequest {
                relation: plan.relation.clone(),
                columns: shape.read_columns().cloned().collect(),
                range: Range::Whole,
            };
            partition.scan = connector
                .scan_leaves(SOURCE, &request, leaves, wanted)
                .expect("a source that sums leaves up reads leaves, too");
            if let Some(mark) = shape.marked() {
                partition.scan.sql = statement::with_mark(&partition.scan.sql, mark);
            }
        }
        partition
    }
}

/// Both sides, as they were found.
pub(crate) struct Found {
    /// What was compared one by one.
    pub(crate) scope: Scope,
    /// What came out.
    pub(crate) sides: Sides,
    /// The versions of the source's rows, if they are to be kept.
    pub(crate) versions: Option<LeafChecksums>,
}

/// Compares both sides in the way that the plan says.
pub(crate) fn look(
    work: &Work<'_>,
    session: &Session,
    version: Option<i64>,
    tally: &mut Tally,
) -> Result<Found> {
    let comparison = &work.plan.comparison;
    let (leaves, source, kept) = match &comparison.way {
        Way::Stream => return whole(work, session, version),
        Way::Pushdown(sums) => {
            let (source, kept) = both(work, session, version, sums)?;
            (&sums.leaves, source, kept)
        }
        Way::Stored(sums) => {
            let then = work.state().baseline_leaves(&work.plan.pipeline)?;
            (&sums.leaves, versions(work, session, sums)?, then)
        }
    };
    let stored = matches!(comparison.way, Way::Stored(_));
    let versions = stored.then(|| source.clone());
    let differing = source.mismatches(&kept);
    if differing.is_empty() {
        let found = Found {
            scope: Scope::whole(work),
            sides: Sides::proven(source, kept),
            versions,
        };
        return Ok(found);
    }
    let number = source.0.len().max(kept.0.len());
    let differ = if stored { "are not as they were" } else { "differ" };
    if differing.len() * 100 > number * SHARE_MAX && number > 1 {
        tally.notes.push(format!(
            "{} of {number} leaves {differ}, so that all rows were compared one by one",
            differing.len()
        ));
        return Ok(Found {
            versions,
            ..whole(work, session, version)?
        });
    }
    let mut proven = source;
    proven.0.retain(|leaf, _| differing.binary_search(leaf).is_err());
    let differing_leaves = differing.len();
    let scope = Scope::of(work, leaves, differing, proven);
    let sides = compare::read(work, session, &scope, version)?;
    tally.notes.push(format!(
        "{differing_leaves} of {number} leaves {differ}, and their {} rows of the source were compared one by one",
        sides.source.total().rows
    ));
    Ok(Found {
        scope,
        sides,
        versions,
    })
}

/// Compares all rows, and has versions summed up where they are to be kept.
fn whole(work: &Work<'_>, session: &Session, version: Option<i64>) -> Result<Found> {
    let scope = Scope::whole(work);
    let sides = compare::read(work, session, &scope, version)?;
    let versions = match (&work.plan.comparison.way, &work.plan.comparison.keep) {
        (Way::Stream, Some(keep)) => Some(versions(work, session, &keep.sums)?),
        _ => None,
    };
    Ok(Found {
        scope,
        sides,
        versions,
    })
}

/// The versions of the source's rows.
fn versions(work: &Work<'_>, session: &Session, sums: &Sums) -> Result<LeafChecksums> {
    work.progress.phase(Phase::Comparing);
    let label = format!(
        "have the versions of table \"{}\" of {} summed up",
        work.plan.source_table, work.plan.source.address
    );
    let rows = session.query(Call::new(&label), &sums.digest.sql)?;
    decode(work, &work.plan.source_table.to_string(), &rows)
}

/// Keeps the versions of the source's rows, after both sides were proven equal. `committed` is the version that this run
/// made, if it wrote.
pub(crate) fn keep(work: &Work<'_>, versions: Option<&LeafChecksums>, committed: Committed) -> Result<()> {
    let (Some(versions), Some(keep)) = (versions, &work.plan.comparison.keep) else {
        return Ok(());
    };
    let mut baseline = keep.baseline.clone();
    if let Committed::At(version) = committed {
        let (session, table) = (work.destination.session()?, &work.plan.table);
        let token = |version| work.destination.rows_token(&session, table, version);
        // Nobody looked at what others wrote between the plan and the commit.
        if let Some(version) = version
            && token(Some(version - 1))? != baseline.token
        {
            return work.state().forget_baseline(&work.plan.pipeline);
        }
        baseline.ledger_key = Some(work.key(&work.plan.partitions[0]));
        baseline.table_id = work.destination.table_id(&session, table)?;
        baseline.token = match version {
            Some(version) => token(Some(version))?,
            None => None,
        };
    }
    work.state()
        .keep_baseline(&work.plan.pipeline, &baseline, versions)
}

/// Whether a run wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Committed {
    /// Nothing.
    Nothing,
    /// It did, and made that version, where the destination has versions.
    At(Option<i64>),
}

/// The sums of both sides. The source is at work while the destination is read.
fn both(
    work: &Work<'_>,
    session: &Session,
    version: Option<i64>,
    sums: &Sums,
) -> Result<(LeafChecksums, LeafChecksums)> {
    work.progress.phase(Phase::Comparing);
    let _callers = work.destination.engine().callers(2)?;
    std::thread::scope(|scope| {
        let kept = scope.spawn(|| -> Result<LeafChecksums> {
            let reader = work.destination.session()?;
            let label = format!(
                "sum up table \"{}\" of the {} to compare it",
                work.plan.table,
                work.place.noun()
            );
            let sql = sums
                .leaves
                .sums(&parity::living(work, version), &work.plan.compared);
            let rows = parity::reading(&reader, || Ok(reader.query(Call::new(&label), &sql)?))?;
            decode(work, &work.plan.table.to_string(), &rows)
        });
        let label = format!(
            "have table \"{}\" of {} summed up to compare it",
            work.plan.source_table, work.plan.source.address
        );
        let source = session.query(Call::new(&label), &sums.digest.sql);
        let kept = kept
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let source = decode(work, &work.plan.source_table.to_string(), &source?)?;
        Ok((source, kept?))
    })
}

/// Rows (leaf, rows, sum of digests).
fn decode(work: &Work<'_>, table: &str, rows: &[Row]) -> Result<LeafChecksums> {
    let mut leaves = LeafChecksums::default();
    for row in rows {
        let number = row.integer(1).and_then(|rows| u64::try_from(rows).ok());
        let Some(number) = number else {
            return Err(Error::refused(
                ErrorKind::Internal,
                format!("the sums of table \"{table}\" have another shape"),
                "Take `compare: stream`, and report this.",
            ));
        };
        let Some(leaf) = row.integer(0) else {
            return Err(compare::missing_keys(work, table, number));
        };
        let digests = row.wide(2).unwrap_or(0);
        let checksum = Checksum {
            rows: number,
            sum: digests as u64,
            mixed: (digests >> 64) as u64,
        };
        leaves.0.insert(leaf, checksum);
    }
    Ok(leaves)
}
