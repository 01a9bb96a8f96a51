//! Parity: what was read against what the destination gives back, leaf by leaf, and against the source's own count.
//!
//! ```text
//! source ── count ───────────────┐ equal?
//!    └── scan ── tap ── file ──┬─┘
//!                    │ leaves  └─ commit ─▶ lake at that snapshot ── tap ─┐ leaves
//!                    └──────────────────────── equal? ────────────────────┘
//! ```

use std::path::Path;

use pintail_lake::{Call, Session, StagedFile, quote};
use pintail_model::{Checksum, LeafChecksums};
use serde_json::json;

use crate::compare;
use crate::error::Result;
use crate::plan::statement;
use crate::progress::Phase;
use crate::report::{Parity, ParitySource, ParityStatus};
use crate::state::StagedRecord;
use crate::work::Work;

/// Differences that a report names.
const NAMED: usize = 10;

impl Parity {
    /// Adds a count of the source; returns whether it agrees with the rows that were read.
    pub(crate) fn add_count(&mut self, of: &str, counted: u64, read: u64) -> bool {
        self.begin();
        self.rows_counted += counted;
        if counted != read {
            self.differ(format!(
                "{of}: the source counts {counted} rows, and {read} were read"
            ));
        }
        counted == read
    }

    /// Adds leaves of both sides; returns whether they agree.
    pub(crate) fn add_leaves(
        &mut self,
        of: &str,
        read: &LeafChecksums,
        noun: &str,
        kept: &LeafChecksums,
    ) -> bool {
        self.begin();
        let mismatches = read.mismatches(kept);
        self.leaves += union(read, kept);
        self.mismatched += mismatches.len() as u64;
        self.rows_read += read.total().rows;
        self.rows_committed += kept.total().rows;
        let rows = |side: &LeafChecksums, leaf: &i64| side.0.get(leaf).map_or(0, |checksum| checksum.rows);
        for leaf in &mismatches {
            self.differ(format!(
                "{of}, leaf {leaf}: {} rows were read, the {noun} has {}",
                rows(read, leaf),
                rows(kept, leaf)
            ));
        }
        mismatches.is_empty()
    }

    /// Adds leaves of both sides that are equal but for rows which nobody expects to be on both.
    pub(crate) fn add_equal(&mut self, read: &LeafChecksums, kept: &LeafChecksums) {
        self.begin();
        self.leaves += union(read, kept);
        self.rows_read += read.total().rows;
        self.rows_committed += kept.total().rows;
    }

    /// Sets the checksum of everything that was read.
    pub(crate) fn set_checksum(&mut self, total: Checksum) {
        self.checksum = Some(total.digest());
    }

    /// Says that rows which an earlier attempt had read were read again where it had put them.
    pub(crate) fn rescanned(&mut self) {
        self.begin();
        self.source = Some(ParitySource::Rescanned);
    }

    /// Says that rows are as they were when both sides were last compared, by what the source says of their versions.
    pub(crate) fn as_before(&mut self) {
        if self.source.is_some() {
            self.source = Some(ParitySource::Stored);
        }
    }

    fn begin(&mut self) {
        if self.status == ParityStatus::Unproven {
            self.status = ParityStatus::Ok;
            self.source = Some(ParitySource::Streamed);
        }
    }

    fn differ(&mut self, what: String) {
        self.status = ParityStatus::Mismatch;
        if self.mismatches.len() < NAMED {
            self.mismatches.push(what);
        }
    }
}

fn union(one: &LeafChecksums, other: &LeafChecksums) -> u64 {
    let more = other.0.keys().filter(|leaf| !one.0.contains_key(leaf)).count();
    (one.0.len() + more) as u64
}

/// The leaves of the whole table of the lake at a snapshot.
pub(crate) fn table_leaves(work: &Work<'_>, snapshot: Option<i64>) -> Result<LeafChecksums> {
    leaves(work, |filter| statement::all_of(&living(work, snapshot), filter))
}

/// The leaves of rows of the destination over the columns that are compared, but for those that have a staged key of
/// `without`.
pub(crate) fn compared_leaves(
    work: &Work<'_>,
    rows: &str,
    without: Option<&StagedFile>,
) -> Result<LeafChecksums> {
    let rows = match without {
        None => rows.to_owned(),
        Some(file) => {
            let key = quote::identifiers(&work.plan.shape.key);
            let staged = statement::parquet(&[&file.path]);
            format!("(from {rows} as kept anti join {staged} as staged using ({key}))")
        }
    };
    leaves_of(work, &work.plan.compared, |filter| {
        statement::all_of(&rows, filter)
    })
}

/// The rows of the destination's table, as a relation.
pub(crate) fn rows(work: &Work<'_>, snapshot: Option<i64>) -> String {
    let version = snapshot.map(|snapshot| snapshot.to_string());
    let columns = work.plan.shape.destination();
    work.place.rows(&work.plan.table, &columns, version.as_deref())
}

/// Those of them that were not found to be gone from the source.
pub(crate) fn living(work: &Work<'_>, snapshot: Option<i64>) -> String {
    statement::living(&rows(work, snapshot), &work.plan.shape)
}

/// The leaves of those rows of the lake at a snapshot that have a key of a staged file.
pub(crate) fn key_leaves(work: &Work<'_>, snapshot: Option<i64>, staged: &Path) -> Result<LeafChecksums> {
    leaves(work, |filter| {
        let shape = &work.plan.shape;
        let staged = staged.to_string_lossy();
        let rows = rows(work, snapshot);
        statement::keys_of(&rows, &shape.names(), &shape.key, &staged, filter)
    })
}

/// The leaves of a staged file.
pub(crate) fn file_leaves(work: &Work<'_>, staged: &Path) -> Result<LeafChecksums> {
    leaves(work, |filter| {
        format!(
            "select count(*) from {} where {filter}",
            statement::parquet(&[staged])
        )
    })
}

/// The leaves of a file that an earlier attempt staged; `None` if it is not on record, has no checksum, or does not hold
/// what was read.
pub(crate) fn staged_leaves<'a>(
    work: &Work<'_>,
    record: Option<&'a StagedRecord>,
) -> Result<Option<(&'a StagedRecord, LeafChecksums)>> {
    let Some((record, checksum)) = record.and_then(|record| Some((record, record.checksum.as_ref()?))) else {
        return Ok(None);
    };
    let leaves = file_leaves(work, &record.path)?;
    let total = leaves.total();
    let same = total.rows == record.rows && total.digest() == *checksum;
    Ok(same.then_some((record, leaves)))
}

/// Both sides without the rows of which the lake kept a later version.
pub(crate) struct Superseded {
    /// How many the lake kept.
    pub(crate) rows: u64,
    /// The staged rows that are left.
    pub(crate) read: LeafChecksums,
    /// The rows of the destination under their keys.
    pub(crate) kept: LeafChecksums,
}

/// Looks for rows of the lake whose cursor is later than that of the staged row; `None` if there are none.
pub(crate) fn without_newer(
    work: &Work<'_>,
    snapshot: Option<i64>,
    staged: &Path,
    cursor: &str,
) -> Result<Option<Superseded>> {
    let (shape, table) = (&work.plan.shape, rows(work, snapshot));
    let (file, cursor) = (statement::parquet(&[staged]), quote::identifier(cursor));
    let same_key: Vec<String> = shape
        .key
        .iter()
        .map(|name| quote::identifier(name))
        .map(|name| format!("kept.{name} = staged.{name}"))
        .collect();
    let newer = format!(
        "exists (select 1 from {table} as kept where {} and kept.{cursor} > staged.{cursor})",
        same_key.join(" and ")
    );
    let sql = format!("select count(*) from {file} as staged where {newer}");
    let _callers = work.destination.engine().callers(1)?;
    let session = work.destination.session()?;
    let call = Call::new("look for later rows in the destination");
    let found = reading(&session, || Ok(session.query(call, &sql)?))?;
    let rows = found
        .first()
        .and_then(|row| row.integer(0))
        .and_then(|rows| u64::try_from(rows).ok())
        .unwrap_or(0);
    if rows == 0 {
        return Ok(None);
    }
    let left = format!("select * from {file} as staged where not {newer}");
    let read = leaves(work, |filter| {
        format!("select count(*) from ({left}) as staged where {filter}")
    })?;
    let names: Vec<String> = shape
        .names()
        .iter()
        .map(|name| format!("kept.{}", quote::identifier(name)))
        .collect();
    let kept = leaves(work, |filter| {
        format!(
            "select count(*) from (select {} from {table} as kept semi join ({left}) as staged \
             on {}) as kept where {filter}",
            names.join(", "),
            same_key.join(" and ")
        )
    })?;
    Ok(Some(Superseded { rows, read, kept }))
}

/// Reads the destination in a transaction of its own: some of its relations last as long as one.
pub(crate) fn reading<T>(session: &Session, read: impl FnOnce() -> Result<T>) -> Result<T> {
    session.begin()?;
    let result = read();
    session.rollback();
    result
}

fn leaves(work: &Work<'_>, statement: impl FnOnce(&str) -> String) -> Result<LeafChecksums> {
    leaves_of(work, &work.plan.shape.names(), statement)
}

fn leaves_of<S: AsRef<str>>(
    work: &Work<'_>,
    columns: &[S],
    statement: impl FnOnce(&str) -> String,
) -> Result<LeafChecksums> {
    work.progress.phase(Phase::Comparing);
    let (given, leaf) = compare::given(&work.plan.shape);
    let tap = work.destination.engine().keyed_tap(given);
    let filter = tap.filter(leaf.as_deref(), columns);
    let label = format!(
        "read table \"{}\" of the {} again",
        work.plan.table,
        work.place.noun()
    );
    let session = work.destination.session()?;
    let _callers = work.destination.engine().callers(1)?;
    reading(&session, || {
        session.query(Call::new(&label), &statement(&filter))?;
        Ok(tap.checksums())
    })
}

/// Remembers a difference between the source and what is in the lake, and writes it into the log.
pub(crate) fn differs(work: &Work<'_>, parity: &Parity) -> Result<()> {
    log_mismatch(work, parity);
    work.state().remember_difference(&work.plan.pipeline)
}

/// Writes a difference into the log.
pub(crate) fn log_mismatch(work: &Work<'_>, parity: &Parity) {
    work.log.write(
        crate::log::Level::Error,
        "both sides differ",
        json!({ "leaves": parity.leaves, "mismatched": parity.mismatched, "mismatches": parity.mismatches }),
    );
}
