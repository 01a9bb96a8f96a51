//! Rows without a key: in which of them two sides differ, as a bag.
//!
//! ```text
//! source ── hash of the row, copies ──┐
//!                                     ├─ full join by hash ─▶ copies that are missing, copies that are too many
//! destination ─── the same ───────────┘
//! ```
//!
//! A row is its hash over all columns, and equal rows are told apart by nothing: how many there are is all that counts. Where a
//! destination cannot take some copies of a row away and leave others, all of them go, and those that stay come again.

use pintail_lake::commit::COPIES;
use pintail_lake::tap::row_hash;
use pintail_lake::{Call, Session, quote};

use crate::compare::{DIFFERING, Differing, Sides};
use crate::error::Result;
use crate::narrow::Scope;
use crate::plan::statement;
use crate::work::Work;

/// The hash of a row, beside its columns.
const HASH: &str = "pintail_row_hash";

/// Counts the copies of each row on both sides, and puts the hashes of rows whose numbers differ into a table of `session`:
/// `wanted` copies come in, `going` copies go, of which `again` come in again.
pub(crate) fn locate(
    work: &Work<'_>,
    session: &Session,
    scope: &Scope,
    version: Option<i64>,
    sides: &Sides,
) -> Result<Differing> {
    let hash = row_hash(&work.plan.compared);
    let among = sides.hashes().map_or_else(String::new, |hashes| {
        let hashes: Vec<String> = hashes.iter().map(u64::to_string).collect();
        format!(
            "\n  where {hash} in (select unnest([{}]::ubigint[]))",
            hashes.join(",")
        )
    });
    let side = |rows: &str| {
        format!(
            "(\n  select {hash} as hash, count(*) as number\n  from {rows} as side{among}\n  group by 1\n)"
        )
    };
    let source = format!("(\n{}\n)", statement::indent(&scope.partition.scan.sql, 2));
    let counted = format!(
        "select hash, coalesce(source.number, 0) as here, coalesce(kept.number, 0) as there\n\
         from {} as source\nfull join {} as kept using (hash)",
        side(&source),
        side(&scope.rows(work, version))
    );
    let surplus = match work.place.tells_copies_apart() {
        true => "there - here",
        false => "there",
    };
    let sql = format!(
        "create or replace temporary table {DIFFERING} as\n\
         select hash, case when here > there then here - there else {surplus} - (there - here) end as wanted,\n  \
         case when there > here then {surplus} else 0 end as going,\n  \
         case when there > here then {surplus} - (there - here) else 0 end as again\n\
         from (\n{}\n)\nwhere here <> there",
        statement::indent(&counted, 2)
    );
    let _callers = work.destination.engine().callers(1)?;
    let label = format!("look for the rows in which table \"{}\" differs", work.plan.table);
    session.batch(Call::new(&label), &sql)?;
    let rows = session.query(
        Call::new("count the rows that differ"),
        &format!(
            "select sum(wanted - again)::bigint, sum(going - again)::bigint, sum(again)::bigint from {DIFFERING}"
        ),
    )?;
    let count = |index| {
        let number = rows.first().and_then(|row| row.integer(index));
        number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0)
    };
    Ok(Differing {
        inserted: count(0),
        changed: 0,
        deleted: count(1),
        again: count(2),
        named: None,
    })
}

/// A scan of the copies that come in.
pub(crate) fn wanted_rows(work: &Work<'_>, scan: &str) -> String {
    let hashed = hashed(work, &format!("(\n{}\n)", statement::indent(scan, 2)));
    format!(
        "select side.*\nfrom {hashed} as side\n\
         join {DIFFERING} as differing on differing.hash = side.{HASH} and differing.wanted > 0\n\
         qualify row_number() over (partition by side.{HASH}) <= differing.wanted"
    )
}

/// Those of `rows`, a relation of the destination, that go: each once, with the number of its copies.
pub(crate) fn going_rows(work: &Work<'_>, rows: &str) -> String {
    format!(
        "select kept.*, differing.going as {COPIES}\nfrom {} as kept\n\
         join {DIFFERING} as differing on differing.hash = kept.{HASH} and differing.going > 0\n\
         qualify row_number() over (partition by kept.{HASH}) = 1",
        hashed(work, rows)
    )
}

/// The columns of a row that goes.
pub(crate) fn going_columns<'a>(work: &'a Work<'_>) -> Vec<&'a str> {
    let mut names = work.plan.shape.names();
    names.push(COPIES);
    names
}

fn hashed(work: &Work<'_>, rows: &str) -> String {
    format!(
        "(select *, {} as {} from {rows} as plain)",
        row_hash(&work.plan.compared),
        quote::identifier(HASH)
    )
}
