//! A delta of aggregates: the groups that changed rows are in, and those that they were in before, computed anew.
//!
//! Everything is read in one snapshot of the source. Groups that came out as they are in the destination are left alone,
//! those without rows go, and all of that is one commit. A run that ends early begins again: reading is all that it had
//! done.

use std::time::Instant;

use pintail_lake::{Call, Session, StagedFile, quote};
use pintail_model::{CursorType, CursorValue, ErrorKind, LeafChecksums, LogicalType, Range};

use super::delta;
use crate::compare::Differing;
use crate::derived::{Derived, Sums};
use crate::error::{Error, Result};
use crate::fetch::{self, Staged};
use crate::guard::{self, Intent};
use crate::keys;
use crate::memberships::{self, After, Memberships, Outcome, Written};
use crate::parity;
use crate::plan::{Changed, PartitionPlan, statement};
use crate::populate::{self, Repair};
use crate::progress::Phase;
use crate::report::PartitionTime;
use crate::snapshot::Snapshot;
use crate::spec::DeletePolicy;
use crate::state::CommittedRecord;
use crate::work::{Tally, Work};

/// The plan's only partition.
const POSITION: usize = 0;

/// Rows that changed, with their groups.
const ROWS: &str = "pintail_changed";
/// Keys of rows that changed.
const KEYS: &str = "pintail_changed_keys";
/// Groups to be computed.
const GROUPS: &str = "pintail_groups";

/// What is computed, in reports.
const WHAT: &str = "the groups of rows that changed";

/// Groups that are named to the source at most.
const NAMED_MAX: usize = 20_000;

pub(crate) fn execute(work: &Work<'_>, tally: &mut Tally) -> Result<()> {
    let (plan, began) = (work.plan, Instant::now());
    let (Some(_), Some(changed), Some(members)) = (plan.partitions.first(), &plan.changed, &plan.members)
    else {
        return Ok(());
    };
    work.progress.phase(Phase::Reading);
    let version = work.destination.version(&work.destination.session()?)?;
    let mut snapshot = Snapshot::open(work.destination.engine(), work.connector, 1)?;
    if let Some(sql) = &plan.null_count {
        delta::check_null_rows(work, tally, &snapshot, sql)?;
    }
    let session = &snapshot.sessions()[0];
    tally.rows_processed = find(work, session, changed, members)?;
    tally.partitions_processed = 1;
    let groups = count(session, "count the groups", GROUPS)?;
    let computed = match groups {
        0 => None,
        _ => Some(compute(work, tally, session, version)?),
    };
    let written = memberships::write(members, session, &format!("from {ROWS}"))?;
    snapshot.check(tally)?;
    drop(snapshot);
    tally.notes.push(format!(
        "{} rows changed, in {groups} groups",
        tally.rows_processed
    ));
    let read_seconds = began.elapsed().as_secs_f64();
    let commit_seconds = match computed {
        None => {
            nothing_to_compare(tally);
            record(work, tally, 0, false)?;
            memberships::settle(work, Some(&written), Outcome::Added, After::Nothing)?;
            None
        }
        Some(computed) => bring_in(work, tally, &written, computed)?,
    };
    tally.partition_times.push(PartitionTime {
        partition_id: plan.partitions[POSITION].id.clone(),
        rows: tally.rows_processed,
        read_seconds,
        commit_seconds,
    });
    Ok(())
}

/// Groups as they are now.
struct Computed {
    staged: Staged,
    /// Keys of groups that have no rows any more.
    gone: Vec<StagedFile>,
}

/// Looks for rows that changed and the groups that they are in or were in, and puts both into tables of `session`; returns
/// how many rows.
fn find(work: &Work<'_>, session: &Session, changed: &Changed, members: &Memberships) -> Result<u64> {
    let plan = work.plan;
    let _callers = work.destination.engine().callers(1)?;
    let label = format!("look for rows of table \"{}\" that changed", plan.source_table);
    let keep = |table: &str, rows: &str| {
        let sql = format!(
            "create or replace temporary table {table} as\nselect distinct *\nfrom (\n{}\n) as changed",
            statement::indent(rows, 2)
        );
        session.batch(Call::new(&label), &sql)
    };
    keep(ROWS, &changed.rows)?;
    let keys = match &changed.keys {
        Some(scan) => {
            keep(KEYS, scan)?;
            KEYS
        }
        None => ROWS,
    };
    let files = members
        .kept
        .files(&members.identity, members.ledger.as_ref())
        .map_err(|why| Error::Refused {
            kind: ErrorKind::Internal,
            message: format!("the groups of rows that changed cannot be told: {why}"),
            hint: None,
        })?;
    let files: Vec<_> = files.iter().map(std::path::PathBuf::as_path).collect();
    let kept = (!files.is_empty()).then(|| statement::parquet(&files));
    let groups = changed.groups(&plan.shape.key, ROWS, keys, kept.as_deref());
    session.batch(
        Call::new("look for the groups of rows that changed"),
        &format!("create or replace temporary table {GROUPS} as\n{groups}"),
    )?;
    let nulls: Vec<String> = plan
        .shape
        .key
        .iter()
        .map(|name| format!("{} is null", quote::identifier(name)))
        .collect();
    let without = format!("{GROUPS} where {}", nulls.join(" or "));
    match count(session, "look for groups without a value", &without)? {
        0 => count(session, "count the rows that changed", keys),
        groups => Err(Error::GroupsWithoutValue {
            table: plan.source_table.to_string(),
            key: plan.shape.key.clone(),
            groups,
        }),
    }
}

fn count(session: &Session, label: &str, from: &str) -> Result<u64> {
    let rows = session.query(Call::new(label), &format!("select count(*) from {from}"))?;
    let number = rows.first().and_then(|row| row.integer(0)).unwrap_or(0);
    Ok(u64::try_from(number).unwrap_or(0))
}

/// Computes the groups in the source, and stages them and the keys of those that have no rows any more.
fn compute(work: &Work<'_>, tally: &mut Tally, session: &Session, version: Option<i64>) -> Result<Computed> {
    let plan = work.plan;
    let names = quote::identifiers(&plan.shape.key);
    let range = range(work, session)?;
    let mut rows = PartitionPlan::new(work.connector, &plan.relation, &plan.shape, range, None);
    rows.id.clone_from(&plan.partitions[POSITION].id);
    rows.scan.sql = format!(
        "select side.*\nfrom (\n{}\n) as side\nsemi join {GROUPS} as wanted using ({names})",
        statement::indent(&rows.scan.sql, 2)
    );
    let _callers = work.destination.engine().callers(1)?;
    let staged = fetch::stage_rows(work, session, POSITION, &rows)?;
    tally.bytes_staged += staged.file.bytes;
    tally.parity.set_checksum(staged.leaves.total());
    let here = match staged.file.rows {
        0 => String::new(),
        _ => format!(
            "anti join {} as staged using ({names})\n",
            statement::parquet(&[&staged.file.path])
        ),
    };
    let gone = format!(
        "select {names}\nfrom {GROUPS} as wanted\n{here}semi join {} as kept using ({names})",
        parity::rows(work, version)
    );
    let attempt = work.state().attempt_of(&plan.pipeline, work.run, POSITION)?;
    let key: Vec<&str> = plan.shape.key.iter().map(String::as_str).collect();
    let derived = Derived {
        label: "stage the keys of groups that go",
        rows: &gone,
        columns: &key,
        path: work.stage.file(&format!("{}-gone", rows.id), attempt),
        sums: Sums::Nothing,
    };
    let files: Vec<StagedFile> = derived
        .stage(work, session)?
        .map(|(file, _)| file)
        .into_iter()
        .collect();
    let going = files.iter().map(|file| file.rows).sum();
    check_gone(work, session, version, going, staged.file.rows)?;
    let gone = match plan.deletes.spec.policy {
        DeletePolicy::Hard => files,
        // Where groups are marked, all of them are compared: see `plan::groups`.
        DeletePolicy::Soft { .. } | DeletePolicy::Ignore => Vec::new(),
    };
    Ok(Computed { staged, gone })
}

/// What of the relation has to be read for the groups: as little as the source can tell.
fn range(work: &Work<'_>, session: &Session) -> Result<Range> {
    let shape = &work.plan.shape;
    let of_key = |wanted: fn(LogicalType) -> bool| {
        let mut columns = shape.columns.iter();
        columns.find(|read| {
            let carried = read.source.logical_type == Some(read.column.logical_type);
            shape.key.contains(&read.column.name) && carried && wanted(read.column.logical_type)
        })
    };
    if let Some(read) = of_key(LogicalType::is_integer) {
        let name = quote::identifier(&read.column.name);
        let sql = format!(
            "select distinct {name}::bigint from {GROUPS} order by 1 limit {}",
            NAMED_MAX + 1
        );
        let rows = session.query(Call::new("read the groups of rows that changed"), &sql)?;
        if rows.len() <= NAMED_MAX {
            return Ok(Range::Listed {
                column: read.source.name.clone(),
                values: rows.iter().filter_map(|row| row.integer(0)).collect(),
            });
        }
    }
    if let Some(read) = of_key(|kind| kind == LogicalType::Date) {
        let name = quote::identifier(&read.column.name);
        let day = |function: &str| format!("date_diff('day', date '1970-01-01', {function}({name}))");
        let sql = format!(
            "select {}, {} from {GROUPS} where isfinite({name})",
            day("min"),
            day("max")
        );
        let infinite = count(
            session,
            "look for groups without an end",
            &format!("{GROUPS} where not isfinite({name})"),
        )?;
        let rows = session.query(Call::new("read the groups of rows that changed"), &sql)?;
        let days = rows
            .first()
            .and_then(|row| Some((row.integer(0)?, row.integer(1)?)));
        if let (Some((least, most)), 0) = (days, infinite) {
            let date = |day| CursorValue::from_number(CursorType::Date, day);
            return Ok(Range::Cursor {
                column: read.source.name.clone(),
                low: Some(date(least)),
                high: date(most + 1),
            });
        }
    }
    Ok(Range::Whole)
}

/// Asks whether so many groups may go.
fn check_gone(
    work: &Work<'_>,
    session: &Session,
    version: Option<i64>,
    gone: u64,
    computed: u64,
) -> Result<()> {
    let plan = work.plan;
    if gone == 0 || plan.deletes.spec.policy == DeletePolicy::Ignore {
        return Ok(());
    }
    if plan.append_only {
        return Err(Error::Update {
            table: plan.table.clone(),
            partition: plan.partitions[POSITION].id.clone(),
            rows: gone,
        });
    }
    let there = format!("{} as kept", parity::rows(work, version));
    let intent = Intent {
        differing: &Differing {
            changed: computed,
            deleted: gone,
            ..Differing::default()
        },
        there: count(session, "count the groups that are there", &there)?,
        // Rows that changed were found.
        here: computed.max(1),
    };
    guard::check(work, &intent)
}

/// Commits what came out otherwise than it is in the destination, and compares all of it. Returns how long the commit took.
fn bring_in(
    work: &Work<'_>,
    tally: &mut Tally,
    written: &Written,
    computed: Computed,
) -> Result<Option<f64>> {
    let plan = work.plan;
    let Computed { staged, gone } = computed;
    let offered = match staged.file.rows {
        0 => None,
        _ => delta::changed_rows(work, &staged)?,
    };
    if offered.is_none() && gone.is_empty() {
        record(work, tally, staged.file.rows, false)?;
        memberships::settle(work, Some(written), Outcome::Added, After::Nothing)?;
        compare(work, tally, &staged)?;
        return Ok(None);
    }
    memberships::add(work, Some(written))?;
    let (files, checksum) = offered
        .map(|(file, checksum)| (vec![file], checksum))
        .unwrap_or_default();
    keys::check_joined(
        work,
        &files.iter().map(|file| file.path.as_path()).collect::<Vec<_>>(),
    )?;
    // The newest entry of the ledger says how far the source was read, also one that does not move that.
    let standing = tally.watermark.as_ref().map(|watermark| watermark.value);
    let part = populate::part(work, &staged, files, checksum, plan.watermark.or(standing));
    let repair = Repair {
        parts: vec![part],
        gone,
        marked: 0,
        again: 0,
        basis: populate::basis(work),
    };
    let (outcome, seconds) = populate::repair(work, tally, WHAT, repair)?;
    record(work, tally, staged.file.rows, true)?;
    memberships::settle(work, Some(written), Outcome::Added, After::Commit)?;
    if outcome.snapshot.is_some() {
        compare(work, tally, &staged)?;
    } else if plan.parity {
        tally.uncompared += 1;
        let note = "another process had committed this run, and it was not compared";
        tally.notes.push(note.to_owned());
    }
    Ok(Some(seconds))
}

/// Compares the groups as they were computed with those that the destination has now.
fn compare(work: &Work<'_>, tally: &mut Tally, staged: &Staged) -> Result<()> {
    let plan = work.plan;
    if !plan.parity {
        return Ok(());
    }
    if staged.file.rows == 0 {
        nothing_to_compare(tally);
        return Ok(());
    }
    let version = work.destination.version(&work.destination.session()?)?;
    let kept = parity::key_leaves(work, version, &staged.file.path)?;
    let agrees = tally
        .parity
        .add_leaves(WHAT, &staged.leaves, work.place.noun(), &kept);
    work.discard(&staged.file.path);
    match agrees {
        true => work.state().compared(&plan.pipeline, work.run, POSITION),
        false => parity::differs(work, &tally.parity),
    }
}

fn nothing_to_compare(tally: &mut Tally) {
    tally
        .parity
        .add_equal(&LeafChecksums::default(), &LeafChecksums::default());
}

/// Writes down that everything is in, and moves the watermark.
fn record(work: &Work<'_>, tally: &mut Tally, rows: u64, committed: bool) -> Result<()> {
    let plan = work.plan;
    let key = committed.then(|| work.key(&plan.partitions[POSITION]));
    let record = CommittedRecord {
        rows,
        empty: !committed,
        at: work.clock.now(),
    };
    let watermark = tally.watermark.as_mut().map(|watermark| {
        watermark.value = plan.watermark.unwrap_or(watermark.value);
        watermark.strategy.clone_from(&plan.strategy);
        watermark.last_key = key.or(watermark.last_key.take());
        &*watermark
    });
    work.state()
        .committed(&plan.pipeline, work.run, POSITION, record, watermark)
}
