//! Comparing: in which rows two sides differ.
//!
//! ```text
//! source ── scan ── tap ─┐ leaves, sketch
//!                        ├─ equal? ─▶ nothing differs
//! destination ─── tap ───┘ │ no
//!                          ├─ the sketches tell the rows apart ─▶ their keys (or their hashes)
//!                          └─ there are too many ─▶ both sides are read again and joined by key and hash
//! ```
//!
//! Each side is read once, whatever the size of the table, and no row is kept: a leaf is a count and two sums, and a
//! sketch has a fixed size. What differs is put into a temporary table of the session that holds the source's snapshot,
//! so that the rows themselves can be read in the very same state.

use pintail_lake::tap::{GivenKey, KeyLeaves, row_hash};
use pintail_lake::{Call, Row, Session, quote};
use pintail_model::sketch::{Difference, Item};
use pintail_model::{ErrorKind, LeafChecksums, Range, TableName};

use crate::bag;
use crate::doubt;
use crate::error::{Error, Result};
use crate::narrow::Scope;
use crate::parity;
use crate::plan::{PartitionPlan, statement};
use crate::progress::Phase;
use crate::shape::{Leaf, Shape};
use crate::work::Work;

/// The table of keys that differ: those of the destination's key, `here` (in the source), `there` (in the destination).
pub(crate) const DIFFERING: &str = "pintail_differing";

/// Keys that are named to the source at most: with more of them a scan is cheaper.
const NAMED_MAX: usize = 20_000;

/// Both sides, summed up.
pub(crate) struct Sides {
    /// The source, as it is in the snapshot.
    pub(crate) source: LeafChecksums,
    /// The destination, before anything is done about it.
    pub(crate) kept: LeafChecksums,
    /// The rows that only one side has, if they could be told; keys are those of the table, or 0 where it has no integer
    /// key.
    difference: Option<Difference>,
    /// Rows of both that are the same, and were not compared one by one.
    elsewhere: u64,
}

/// The rows that differ, by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Differing {
    /// Keys that are in the source alone.
    pub(crate) inserted: u64,
    /// Keys that are on both sides, with other rows.
    pub(crate) changed: u64,
    /// Keys that are in the destination alone.
    pub(crate) deleted: u64,
    /// Copies of rows without a key that go and come in again: see [`crate::bag`].
    pub(crate) again: u64,
    /// The integer keys that the source has, if they are few enough to be named to it.
    pub(crate) named: Option<Vec<i64>>,
}

impl Sides {
    /// Sides of which other sums than those of their rows prove that they are equal.
    pub(crate) fn proven(source: LeafChecksums, kept: LeafChecksums) -> Self {
        Self {
            source,
            kept,
            difference: None,
            elsewhere: 0,
        }
    }

    /// The hashes of rows that only one side has, if they could be told.
    pub(crate) fn hashes(&self) -> Option<Vec<u64>> {
        let Difference { ours, theirs } = self.difference.as_ref()?;
        let mut hashes: Vec<u64> = ours.iter().chain(theirs).map(|item| item.hash).collect();
        hashes.sort_unstable();
        hashes.dedup();
        Some(hashes)
    }

    pub(crate) fn equal(&self) -> bool {
        self.source == self.kept
    }

    /// Rows of the source.
    pub(crate) fn source_rows(&self) -> u64 {
        self.source.total().rows + self.elsewhere
    }

    /// Rows of the destination.
    pub(crate) fn kept_rows(&self) -> u64 {
        self.kept.total().rows + self.elsewhere
    }
}

/// Reads both sides once. `session` holds the source's snapshot; `version` is that of the destination.
pub(crate) fn read(work: &Work<'_>, session: &Session, scope: &Scope, version: Option<i64>) -> Result<Sides> {
    let partition = &scope.partition;
    work.progress.phase(Phase::Comparing);
    let engine = work.destination.engine();
    let shape = &work.plan.shape;
    let (given, leaf) = given(shape);
    let tap = std::sync::Arc::new(engine.sketching_tap(given));
    let filter = tap.filter(leaf.as_deref(), &work.plan.compared);
    let without_key = statement::number_of(&without_key(shape));
    let in_doubt = partition
        .questions
        .iter()
        .map(|question| doubt::column(shape, question));
    let columns: Vec<String> = std::iter::once(without_key.clone()).chain(in_doubt).collect();
    let sql = statement::sum(&partition.scan.sql, &columns, &filter);
    let label = format!(
        "read table \"{}\" of {} to compare it",
        work.plan.source_table, work.plan.source.address
    );
    work.meter.watch(&tap);
    let rows = {
        let _callers = engine.callers(1)?;
        session.query(Call::new(&label), &sql)
    };
    work.meter.settle(&tap, tap.rows());
    let rows = rows.map_err(|error| crate::fetch::explain(work, partition, error))?;
    refuse_missing_keys(work, &work.plan.source_table, &rows)?;
    for (index, question) in partition.questions.iter().enumerate() {
        let said = rows.first().and_then(|row| row.text(index + 2));
        doubt::settle_sums(work, session, partition, question, said)?;
    }
    let kept = engine.sketching_tap(given);
    let filter = kept.filter(leaf.as_deref(), &work.plan.compared);
    let label = format!(
        "read table \"{}\" of the {} to compare it",
        work.plan.table,
        work.place.noun()
    );
    let sql = statement::sum(
        &format!("from {}", scope.rows(work, version)),
        &[without_key],
        &filter,
    );
    let reader = work.destination.session()?;
    let _callers = engine.callers(1)?;
    let rows = parity::reading(&reader, || Ok(reader.query(Call::new(&label), &sql)?))?;
    refuse_missing_keys(work, &work.plan.table, &rows)?;
    Ok(Sides {
        difference: difference(&tap, &kept),
        source: tap.checksums(),
        kept: kept.checksums(),
        elsewhere: scope.proven.total().rows,
    })
}

/// The rows that no key tells apart from others.
fn without_key(shape: &Shape) -> String {
    let nulls: Vec<String> = shape
        .key
        .iter()
        .map(|name| format!("{} is null", quote::identifier(name)))
        .collect();
    match nulls.as_slice() {
        [] => "false".to_owned(),
        nulls => nulls.join(" or "),
    }
}

fn refuse_missing_keys(work: &Work<'_>, table: &TableName, rows: &[Row]) -> Result<()> {
    match rows.first().and_then(|row| row.integer(1)) {
        None | Some(0) => Ok(()),
        Some(number) => Err(missing_keys(work, &table.to_string(), number.cast_unsigned())),
    }
}

/// Why a table cannot be compared.
pub(crate) fn missing_keys(work: &Work<'_>, table: &str, number: u64) -> Error {
    if work.plan.relation.grouped() {
        return Error::GroupsWithoutValue {
            table: table.to_owned(),
            key: work.plan.shape.key.clone(),
            groups: number,
        };
    }
    Error::refused(
        ErrorKind::Data,
        format!(
            "{number} rows of table \"{table}\" have no value in key ({})",
            work.plan.shape.key.join(", ")
        ),
        "Rows are compared by their key: name columns that are never NULL as `unique_column`.",
    )
}

/// What a tap is given of each row, and the expression for it.
pub(crate) fn given(shape: &Shape) -> (GivenKey, Option<String>) {
    let Some((key, _)) = shape.integer_key() else {
        return (GivenKey::Leaf, shape.leaf.as_ref().map(Leaf::sql));
    };
    let leaves = shape.leaf.as_ref().filter(|leaf| leaf.column == key);
    let leaves = leaves.map(|leaf| KeyLeaves {
        width: leaf.width,
        first: leaf.first,
        last: leaf.last,
    });
    (GivenKey::Integer(leaves), Some(quote::identifier(key)))
}

fn difference(source: &pintail_lake::Tap, kept: &pintail_lake::Tap) -> Option<Difference> {
    source.sketch()?.difference(&kept.sketch()?)
}

/// Finds the keys that differ, and puts them into a table of `session`.
pub(crate) fn locate(
    work: &Work<'_>,
    session: &Session,
    scope: &Scope,
    version: Option<i64>,
    sides: &Sides,
) -> Result<Differing> {
    let key = &work.plan.shape.key;
    if key.is_empty() {
        return bag::locate(work, session, scope, version, sides);
    }
    let keyed = work.plan.shape.integer_key().is_some();
    let differing = match &sides.difference {
        Some(difference) if keyed => from_keys(work, difference),
        Some(difference) => from_hashes(work, scope, version, difference),
        None => by_join(work, scope, version),
    };
    let names = quote::identifiers(key);
    let sql = format!(
        "create or replace temporary table {DIFFERING} as\nselect {names}, bool_or(here) as here, bool_or(there) as there\n\
         from (\n{}\n)\ngroup by {names}",
        statement::indent(&differing, 2)
    );
    let _callers = work.destination.engine().callers(1)?;
    let label = format!("look for the rows in which table \"{}\" differs", work.plan.table);
    session.batch(Call::new(&label), &sql)?;
    if let Some(difference) = &sides.difference {
        find_again(work, session, difference)?;
    }
    let rows = session.query(
        Call::new("count the rows that differ"),
        &format!(
            "select count(*) filter (where here and not there), count(*) filter (where here and there), \
             count(*) filter (where there and not here) from {DIFFERING}"
        ),
    )?;
    let count = |index| {
        let number = rows.first().and_then(|row| row.integer(index));
        number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0)
    };
    let (inserted, changed, deleted) = (count(0), count(1), count(2));
    let few = inserted + changed <= NAMED_MAX as u64;
    let named = match keyed && few {
        true => Some(named(work, session)?),
        false => None,
    };
    Ok(Differing {
        inserted,
        changed,
        deleted,
        again: 0,
        named,
    })
}

/// The integer keys of rows that differ and that the source has.
fn named(work: &Work<'_>, session: &Session) -> Result<Vec<i64>> {
    let names = quote::identifiers(&work.plan.shape.key);
    let sql = format!("select {names}::bigint from {DIFFERING} where here order by 1");
    let rows = session.query(Call::new("read the keys of rows that differ"), &sql)?;
    Ok(rows.iter().filter_map(|row| row.integer(0)).collect())
}

/// Marks keys that the source has after all. Where a key stands twice, one of its rows may be equal on both sides and only
/// the other one differ: the key is not gone then.
fn find_again(work: &Work<'_>, session: &Session, difference: &Difference) -> Result<()> {
    let plan = work.plan;
    let seen = keys_of(&difference.ours);
    let only_there: Vec<i64> = keys_of(&difference.theirs)
        .into_iter()
        .filter(|key| seen.binary_search(key).is_err())
        .collect();
    let range = match plan.shape.integer_key() {
        Some(_) if only_there.is_empty() => return Ok(()),
        Some((_, source)) if only_there.len() <= NAMED_MAX => Range::Listed {
            column: source.to_owned(),
            values: only_there,
        },
        None if difference.theirs.is_empty() => return Ok(()),
        _ => Range::Whole,
    };
    let shape = plan.shape.only(&plan.shape.key);
    let scan = PartitionPlan::new(work.connector, &plan.relation, &shape, range, None).scan;
    let names = quote::identifiers(&plan.shape.key);
    let sql = format!(
        "update {DIFFERING} set here = true\nwhere not here and ({names}) in (\n  select ({names})\n  from (\n{}\n  ) as side\n)",
        statement::indent(&scan.sql, 4)
    );
    let label = format!(
        "look for the keys of table \"{}\" that are gone",
        plan.source_table
    );
    session.batch(Call::new(&label), &sql)?;
    Ok(())
}

fn keys_of(items: &[Item]) -> Vec<i64> {
    let mut keys: Vec<i64> = items.iter().map(|item| item.key).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Integer keys that the sketches have told.
fn from_keys(work: &Work<'_>, difference: &Difference) -> String {
    let shape = &work.plan.shape;
    let key = quote::identifiers(&shape.key);
    let carried = shape
        .columns
        .iter()
        .find(|read| shape.key.contains(&read.column.name))
        .map_or_else(
            || "bigint".to_owned(),
            |read| read.column.logical_type.to_string(),
        );
    let side = |items: &[Item], here: bool| {
        let keys: Vec<String> = keys_of(items).iter().map(|key| format!("'{key}'")).collect();
        format!(
            "select unnest([{}]::bigint[])::{carried} as {key}, {here} as here, {} as there",
            keys.join(","),
            !here
        )
    };
    format!(
        "{}\nunion all\n{}",
        side(&difference.ours, true),
        side(&difference.theirs, false)
    )
}

/// Rows whose hashes the sketches have told: each side is read again for their keys.
fn from_hashes(work: &Work<'_>, scope: &Scope, version: Option<i64>, difference: &Difference) -> String {
    let shape = &work.plan.shape;
    let (names, hash) = (quote::identifiers(&shape.key), row_hash(&work.plan.compared));
    let side = |rows: &str, items: &[Item], here: bool| {
        let hashes: Vec<String> = items.iter().map(|item| item.hash.to_string()).collect();
        format!(
            "select {names}, {here} as here, {} as there\nfrom {rows} as side\n\
             where {hash} in (select unnest([{}]::ubigint[]))",
            !here,
            hashes.join(",")
        )
    };
    let source = format!("(\n{}\n)", statement::indent(&scope.partition.scan.sql, 2));
    let mut parts = Vec::new();
    if !difference.ours.is_empty() {
        parts.push(side(&source, &difference.ours, true));
    }
    if !difference.theirs.is_empty() {
        parts.push(side(&scope.rows(work, version), &difference.theirs, false));
    }
    parts.join("\nunion all\n")
}

/// Both sides joined by key: for any number of differences, at the price of another reading of both. Rows of one key are
/// summed up first, so that a key that stands twice on one side differs. Sums and join spill where they have to.
fn by_join(work: &Work<'_>, scope: &Scope, version: Option<i64>) -> String {
    let shape = &work.plan.shape;
    let (names, hash) = (quote::identifiers(&shape.key), row_hash(&work.plan.compared));
    let side = |rows: &str| {
        format!(
            "select {names}, count(*) as number, sum({hash}::hugeint) as hashes from {rows} as side group by {names}"
        )
    };
    let source = format!("(\n{}\n)", statement::indent(&scope.partition.scan.sql, 2));
    format!(
        "select {names}, source.number is not null as here, kept.number is not null as there\n\
         from ({}) as source\nfull join ({}) as kept using ({names})\n\
         where (source.number, source.hashes) is distinct from (kept.number, kept.hashes)",
        side(&source),
        side(&scope.rows(work, version))
    )
}

/// A scan of those rows whose keys differ and that the source has.
pub(crate) fn differing_rows(work: &Work<'_>, scan: &str) -> String {
    let names = quote::identifiers(&work.plan.shape.key);
    format!(
        "select side.*\nfrom (\n{}\n) as side\nsemi join (select {names} from {DIFFERING} where here) as differing using ({names})",
        statement::indent(scan, 2)
    )
}

/// The keys that the destination alone has.
pub(crate) fn gone_keys(work: &Work<'_>) -> String {
    let names = quote::identifiers(&work.plan.shape.key);
    format!("select {names} from {DIFFERING} where there and not here")
}

/// Rows of the source that changed after it was last read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Later {
    /// Rows with a new key.
    pub(crate) new: u64,
    /// Rows whose key was there.
    pub(crate) changed: u64,
}

/// Looks for rows of the source whose cursor lies beyond what was read, and takes them out of the table of differences.
pub(crate) fn later_rows(work: &Work<'_>, session: &Session, differing: &Differing) -> Result<Later> {
    let plan = work.plan;
    let (Some(low), Some(cursor)) = (plan.low, plan.shape.followed()) else {
        return Ok(Later::default());
    };
    // Of a group, nobody can tell when it changed.
    if differing.inserted + differing.changed == 0 || plan.relation.grouped() {
        return Ok(Later::default());
    }
    let wanted = |name: &str| plan.shape.key.iter().any(|key| key == name) || name == cursor.dest;
    let columns = plan.shape.columns.iter().filter(|read| wanted(&read.column.name));
    let shape = Shape {
        columns: columns.cloned().collect(),
        ..plan.shape.clone()
    };
    let range = match (&differing.named, plan.shape.integer_key()) {
        (Some(values), Some((_, source))) if !values.is_empty() => Range::Listed {
            column: source.to_owned(),
            values: values.clone(),
        },
        _ => Range::Whole,
    };
    let scan = PartitionPlan::new(work.connector, &plan.relation, &shape, range, None).scan;
    drop_later(work, session, &scan.sql, &statement::later(&cursor.dest, low))
        .map(|(new, changed)| Later { new, changed })
}

/// Takes those keys out of the table of differences whose row of the source meets `later`. `scan` yields at least the key
/// and what `later` speaks of. Returns how many of them are new, and how many changed.
fn drop_later(work: &Work<'_>, session: &Session, scan: &str, later: &str) -> Result<(u64, u64)> {
    let names = quote::identifiers(&work.plan.shape.key);
    let _callers = work.destination.engine().callers(1)?;
    let sql = format!(
        "create or replace temporary table pintail_later as\nselect {names}, there\nfrom {DIFFERING}\n\
         semi join (select {names} from (\n{}\n) as side where {later}) as later using ({names})\nwhere here",
        statement::indent(scan, 2)
    );
    session.batch(Call::new("look for rows that came after the last run"), &sql)?;
    let rows = session.query(
        Call::new("count the rows that came after the last run"),
        "select count(*) filter (where not there), count(*) filter (where there) from pintail_later",
    )?;
    let count = |index| {
        let number = rows.first().and_then(|row| row.integer(index));
        number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0)
    };
    let sql = format!("delete from {DIFFERING} where ({names}) in (select ({names}) from pintail_later)");
    session.batch(Call::new("leave later rows out"), &sql)?;
    Ok((count(0), count(1)))
}
