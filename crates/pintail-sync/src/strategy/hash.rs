//! A comparison: both sides are read, and what differs is brought in by one commit, deletes included. A pass that looks for
//! deletes alone compares keys, and brings no rows but those that were marked as gone and are there again.
//!
//! The source is read in one snapshot, and the rows that differ are fetched in the very same. Nothing is written before
//! all of them are staged and the guard has seen how many rows would go. A run that ends early begins again: reading is
//! all that it had done.

use std::time::Instant;

use pintail_lake::{Session, StagedFile};
use pintail_model::{ErrorKind, LeafChecksums, Range};

use crate::bag;
use crate::compare::{self, Differing, Sides};
use crate::derived::{Derived, Sums};
use crate::error::{Error, Result};
use crate::fetch::{self, Staged};
use crate::guard::{self, Intent};
use crate::keys;
use crate::marking::{self, Marked};
use crate::memberships::Outcome::Replaced;
use crate::memberships::{self, After, Written};
use crate::narrow::{self, Committed, Found, Scope};
use crate::parity;
use crate::plan::{PartitionPlan, PlanKind, Way};
use crate::populate::{self, Repair};
use crate::progress::Phase;
use crate::report::PartitionTime;
use crate::returned;
use crate::snapshot::Snapshot;
use crate::spec::DeletePolicy;
use crate::state::{CommittedRecord, Measured, StoredWatermark};
use crate::work::{Tally, Work};

/// The plan's only partition.
const POSITION: usize = 0;

/// The whole table, in reports.
const WHOLE: &str = "the whole table";

pub(crate) fn execute(work: &Work<'_>, tally: &mut Tally) -> Result<()> {
    let began = Instant::now();
    let version = work.destination.version(&work.destination.session()?)?;
    work.progress.phase(Phase::Reading);
    let mut snapshot = Snapshot::open(work.destination.engine(), work.connector, 1)?;
    let session = &snapshot.sessions()[0];
    let found = narrow::look(work, session, version, tally)?;
    let Found { scope, sides, .. } = &found;
    tally.rows_processed = sides.source_rows();
    tally.partitions_processed = 1;
    if work.plan.comparison.way == Way::Stream {
        tally.parity.set_checksum(sides.source.total());
    }
    if work.plan.parity && !scope.proven.0.is_empty() {
        tally.parity.add_equal(&scope.proven, &scope.proven);
    }
    let members = memberships::write_all(work, session)?;
    if sides.equal() {
        snapshot.check(tally)?;
        measured(work, sides, 0, began)?;
        time(work, tally, began, None);
        record(work, tally, sides, Outcome::Equal)?;
        memberships::settle(work, members.as_ref(), Replaced, After::Nothing)?;
        settle(work, tally, sides, &sides.kept, 0)?;
        say_stored(work, tally);
        return narrow::keep(work, found.versions.as_ref(), Committed::Nothing);
    }
    let differing = compare::locate(work, session, scope, version, sides)?;
    let number = differing.inserted + differing.changed + differing.deleted;
    measured(work, sides, number, began)?;
    let change = take_up(work, tally, session, (scope, version), sides, differing)?;
    snapshot.check(tally)?;
    drop(snapshot);
    if change.staged.file.rows == 0 && change.going.is_empty() && change.marked.is_none() {
        time(work, tally, began, None);
        let kept = parity::compared_leaves(work, &scope.rows(work, version), change.staying.first())?;
        record(work, tally, sides, Outcome::Equal)?;
        memberships::settle(work, members.as_ref(), Replaced, After::Nothing)?;
        let equal = settle(work, tally, sides, &kept, change.left)?;
        say_stored(work, tally);
        let proven = equal && change.left == 0 && change.staying.is_empty();
        return narrow::keep(
            work,
            found.versions.as_ref().filter(|_| proven),
            Committed::Nothing,
        );
    }
    memberships::add(work, members.as_ref())?;
    let repair = Course {
        found: &found,
        members: members.as_ref(),
        version,
        began,
    };
    repair.bring_in(work, tally, change)
}

/// Remembers what it took to find so many rows that differ.
fn measured(work: &Work<'_>, sides: &Sides, differing: u64, began: Instant) -> Result<()> {
    let plan = work.plan;
    if plan.kind != PlanKind::Hash {
        return Ok(());
    }
    let measured = Measured {
        way: plan.comparison.way.word().to_owned(),
        rows: sides.source_rows(),
        bytes: plan.table_bytes,
        differing,
        seconds: began.elapsed().as_secs_f64(),
        at: work.clock.now(),
    };
    work.state().remember_comparison(&plan.pipeline, &measured)
}

/// Says that rows which were not compared one by one are as they were when they were.
fn say_stored(work: &Work<'_>, tally: &mut Tally) {
    if matches!(work.plan.comparison.way, Way::Stored(_)) {
        tally.parity.as_before();
    }
}

/// What a run is about to do.
struct Taken {
    /// Rows of the source that differ and are to come in.
    staged: Staged,
    /// Rows of the source that are missing and are left to another run.
    left: u64,
    /// Rows that go and come in again.
    again: u64,
    /// Keys of rows that go.
    going: Vec<StagedFile>,
    /// Rows that stay, and get the time of now.
    marked: Option<Marked>,
    /// Keys of rows that stay although the source does not have them.
    staying: Vec<StagedFile>,
}

/// Asks the guard, and stages what differs.
fn take_up(
    work: &Work<'_>,
    tally: &mut Tally,
    session: &Session,
    (scope, version): (&Scope, Option<i64>),
    sides: &Sides,
    differing: Differing,
) -> Result<Taken> {
    let plan = work.plan;
    let policy = &plan.deletes.spec.policy;
    let deletes = *policy != DeletePolicy::Ignore;
    if deletes {
        guard::check(
            work,
            &Intent {
                differing: &net(work, &differing),
                there: sides.kept_rows(),
                here: sides.source_rows(),
            },
        )?;
    }
    tally.notes.push(found(work, &differing));
    if plan.append_only {
        refuse_changes(
            work,
            differing.changed + if deletes { differing.deleted } else { 0 },
        )?;
    }
    let returned = match plan.kind {
        PlanKind::Deletes => returned::stage(work, session, version, &differing)?,
        _ => None,
    };
    let staged = match returned {
        Some(staged) => {
            tally.notes.push(format!(
                "{} rows that were marked as gone are in the source again, and live again",
                staged.file.rows
            ));
            staged
        }
        None => stage(work, session, scope, &differing)?,
    };
    let mut taken = Taken {
        staged,
        left: 0,
        again: differing.again,
        going: Vec::new(),
        marked: None,
        staying: Vec::new(),
    };
    let rows = scope.rows(work, version);
    match policy {
        DeletePolicy::Hard => taken.going = stage_gone(work, session, &rows, &differing)?,
        DeletePolicy::Ignore => taken.staying = stage_gone(work, session, &rows, &differing)?,
        DeletePolicy::Soft { .. } if differing.deleted > 0 => {
            taken.marked = marking::gone(work, session, &rows)?;
        }
        DeletePolicy::Soft { .. } => {}
    }
    let marked = taken.marked.iter().map(|marked| &marked.file);
    let others = taken.going.iter().chain(&taken.staying).chain(marked);
    tally.bytes_staged += taken.staged.file.bytes + others.map(|file| file.bytes).sum::<u64>();
    if plan.kind == PlanKind::Deletes {
        // What came after the last run is for the next one. Rows that should be there already are missing.
        taken.left = compare::later_rows(work, session, &differing)?.new;
    }
    Ok(taken)
}

/// What the guard is asked about. Of groups that are compared as copies, one that changed is gone and has come.
fn net(work: &Work<'_>, differing: &Differing) -> Differing {
    let differing = differing.clone();
    match work.plan.shape.copied_key.is_empty() {
        true => differing,
        false => Differing {
            deleted: differing.deleted.saturating_sub(differing.inserted),
            ..differing
        },
    }
}

/// A comparison whose outcome is to be brought in.
struct Course<'a> {
    found: &'a Found,
    members: Option<&'a Written>,
    /// The version of the destination that was compared.
    version: Option<i64>,
    began: Instant,
}

impl Course<'_> {
    /// Commits, and compares the whole table once more.
    fn bring_in(self, work: &Work<'_>, tally: &mut Tally, taken: Taken) -> Result<()> {
        let Self {
            found,
            members,
            version,
            began,
        } = self;
        let (plan, Found { scope, sides, .. }) = (work.plan, found);
        let Taken {
            staged,
            left,
            again,
            going,
            marked,
            staying,
        } = taken;
        let read_seconds = began.elapsed().as_secs_f64();
        let files: Vec<StagedFile> = Some(staged.file.clone())
            .filter(|file| file.rows > 0)
            .into_iter()
            .collect();
        keys::check_joined(
            work,
            &files.iter().map(|file| file.path.as_path()).collect::<Vec<_>>(),
        )?;
        // The newest entry of the ledger says how far the source was read, also one that does not move that.
        let standing = tally.watermark.as_ref().map(|watermark| watermark.value);
        let watermark = plan.watermark.or(standing);
        let marked = marked.unwrap_or_default();
        let mut checksum = staged.leaves.total();
        checksum.merge(marked.leaves.total());
        let marks = Some(marked.file.clone()).filter(|file| file.rows > 0);
        let files = files.into_iter().chain(marks).collect();
        let part = populate::part(work, &staged, files, checksum, watermark);
        let repair = Repair {
            parts: vec![part],
            gone: going,
            marked: marked.file.rows,
            again,
            basis: populate::basis(work),
        };
        let (outcome, seconds) = populate::repair(work, tally, WHOLE, repair)?;
        tally.partition_times.push(PartitionTime {
            partition_id: plan.partitions[POSITION].id.clone(),
            rows: tally.rows_processed,
            read_seconds,
            commit_seconds: Some(seconds),
        });
        record(work, tally, sides, Outcome::Repaired)?;
        memberships::settle(work, members, Replaced, After::Commit)?;
        if !plan.parity {
            return Ok(());
        }
        if outcome.snapshot.is_none() {
            tally.uncompared += 1;
            let note = "another process had committed this run, and it was not compared";
            tally.notes.push(note.to_owned());
            return Ok(());
        }
        let agrees = match (&outcome.compared, version) {
            // Without versions, only the transaction itself knows what it left: somebody else may have written since.
            (Some(compared), None) if plan.kind == PlanKind::Hash => {
                tally.parity.add_equal(&sides.source, &sides.kept);
                let (noun, living) = (work.place.noun(), compared.table.without(&marked.leaves));
                let agrees = tally
                    .parity
                    .add_leaves("the rows that differed", &staged.leaves, noun, &living);
                if !agrees {
                    parity::differs(work, &tally.parity)?;
                }
                agrees
            }
            _ => {
                let version = outcome.snapshot.filter(|_| version.is_some());
                let kept = parity::compared_leaves(work, &scope.rows(work, version), staying.first())?;
                settle(work, tally, sides, &kept, left)?
            }
        };
        say_stored(work, tally);
        if agrees {
            work.state().compared(&plan.pipeline, work.run, POSITION)?;
            let proven = left == 0 && staying.is_empty();
            let versions = found.versions.as_ref().filter(|_| proven);
            narrow::keep(work, versions, Committed::At(version.and(outcome.snapshot)))?;
        }
        Ok(())
    }
}

/// Writes down how both sides compare in the end, where `left` rows of the source are expected to be missing; returns
/// whether that is as it should be. What is left to the next run is not proven by this one.
fn settle(
    work: &Work<'_>,
    tally: &mut Tally,
    sides: &Sides,
    kept: &LeafChecksums,
    left: u64,
) -> Result<bool> {
    if left > 0 && kept.total().rows + left == sides.source.total().rows {
        tally.parity.add_equal(&sides.source, kept);
        tally.uncompared += 1;
        return Ok(true);
    }
    let equal = tally
        .parity
        .add_leaves(WHOLE, &sides.source, work.place.noun(), kept);
    if !equal {
        parity::differs(work, &tally.parity)?;
    }
    Ok(equal)
}

/// What a comparison led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Equal,
    Repaired,
}

fn time(work: &Work<'_>, tally: &mut Tally, began: Instant, commit_seconds: Option<f64>) {
    tally.partition_times.push(PartitionTime {
        partition_id: work.plan.partitions[POSITION].id.clone(),
        rows: tally.rows_processed,
        read_seconds: began.elapsed().as_secs_f64(),
        commit_seconds,
    });
}

/// What differs, for people.
fn found(work: &Work<'_>, differing: &Differing) -> String {
    let noun = work.place.noun();
    let Differing {
        inserted,
        changed,
        deleted,
        ..
    } = differing;
    match work.plan.kind {
        PlanKind::Deletes if *inserted > 0 => format!(
            "{deleted} rows of the {noun} are not in the source, and {inserted} rows of the source are not in the {noun}"
        ),
        PlanKind::Deletes => format!("{deleted} rows of the {noun} are not in the source"),
        _ => format!(
            "the {noun} differed in {} rows: {inserted} were missing, {changed} were not as in the source, {deleted} are not in \
             the source",
            inserted + changed + deleted
        ),
    }
}

fn refuse_changes(work: &Work<'_>, rows: u64) -> Result<()> {
    match rows {
        0 => Ok(()),
        rows => Err(Error::Update {
            table: work.plan.table.clone(),
            partition: work.plan.partitions[POSITION].id.clone(),
            rows,
        }),
    }
}

/// Stages the rows of the source that differ: by their keys where they are few, and by another reading where not.
fn stage(work: &Work<'_>, session: &Session, scope: &Scope, differing: &Differing) -> Result<Staged> {
    work.progress.phase(Phase::Reading);
    let plan = work.plan;
    let wanted = differing.inserted + differing.changed + differing.again;
    if plan.kind == PlanKind::Deletes || wanted == 0 {
        return Ok(Staged {
            position: POSITION,
            file: StagedFile {
                path: work.stage.file(&scope.partition.id, 0),
                rows: 0,
                bytes: 0,
            },
            leaves: LeafChecksums::default(),
            seconds: 0.0,
        });
    }
    let mut rows = match (&differing.named, plan.shape.integer_key()) {
        (Some(values), Some((_, source))) => {
            let range = Range::Listed {
                column: source.to_owned(),
                values: values.clone(),
            };
            PartitionPlan::new(work.connector, &plan.relation, &plan.shape, range, None)
        }
        _ => {
            let mut all = scope.reading(work, &plan.shape);
            all.scan.sql = match plan.shape.key.is_empty() {
                true => bag::wanted_rows(work, &all.scan.sql),
                false => compare::differing_rows(work, &all.scan.sql),
            };
            all
        }
    };
    rows.id.clone_from(&scope.partition.id);
    let _callers = work.destination.engine().callers(1)?;
    let staged = fetch::stage_rows(work, session, POSITION, &rows)?;
    if staged.file.rows < wanted {
        return Err(Error::Refused {
            kind: ErrorKind::Internal,
            message: format!(
                "{wanted} rows of table \"{}\" differ, and {} rows of them were read",
                plan.source_table, staged.file.rows
            ),
            hint: None,
        });
    }
    Ok(staged)
}

/// Stages the keys of rows that are to go, or the rows themselves where they have none. `rows` are those of the destination.
fn stage_gone(
    work: &Work<'_>,
    session: &Session,
    rows: &str,
    differing: &Differing,
) -> Result<Vec<StagedFile>> {
    if differing.deleted == 0 {
        return Ok(Vec::new());
    }
    let plan = work.plan;
    let (names, gone): (Vec<&str>, String) = match plan.shape.key.as_slice() {
        [] => (bag::going_columns(work), bag::going_rows(work, rows)),
        key => (key.iter().map(String::as_str).collect(), compare::gone_keys(work)),
    };
    let attempt = work.state().attempt_of(&plan.pipeline, work.run, POSITION)?;
    let derived = Derived {
        label: "stage the keys of rows that go",
        rows: &gone,
        columns: &names,
        path: work
            .stage
            .file(&format!("{}-gone", plan.partitions[POSITION].id), attempt),
        sums: Sums::Nothing,
    };
    let staged = derived.stage(work, session)?;
    Ok(staged.map(|(file, _)| file).into_iter().collect())
}

/// Writes down that both sides are the same now, and where a delta may go on.
fn record(work: &Work<'_>, tally: &mut Tally, sides: &Sides, outcome: Outcome) -> Result<()> {
    let plan = work.plan;
    let session = work.destination.session()?;
    let table_id = work.destination.table_id(&session, &plan.table)?;
    let key = match outcome {
        Outcome::Repaired => Some(work.key(&plan.partitions[POSITION])),
        Outcome::Equal => work.newest_key.cloned(),
    };
    let at = work.clock.now();
    let record = CommittedRecord {
        rows: sides.source_rows(),
        empty: outcome == Outcome::Equal,
        at,
    };
    let mut state = work.state();
    state.committed(&plan.pipeline, work.run, POSITION, record, None)?;
    let Some(cursor) = plan.shape.followed() else {
        return Ok(());
    };
    let standing = tally.watermark.as_ref().map(|watermark| watermark.value);
    let Some(value) = plan.watermark.or(standing) else {
        return Ok(());
    };
    let watermark = StoredWatermark {
        value,
        column: cursor.source.clone(),
        strategy: plan.strategy.clone(),
        last_key: key,
        table_id,
        source: work.source_identity.to_owned(),
    };
    match plan.watermark {
        // Not everything was compared, so what spoke against going on from it still does.
        None => state.keep_watermark(&plan.pipeline, &watermark, at)?,
        Some(_) => state.set_watermark(&plan.pipeline, &watermark, at)?,
    }
    tally.watermark = Some(watermark);
    Ok(())
}
